//! The versions of a store, as a deployment takes them.

use std::sync::Arc;

use super::golden::Golden;
use super::versions::{Loaded, VersionOutcome, Versions};
use crate::crash::CrashRecord;
use crate::engine::Engine;
use crate::store::{Content, Store, Version};
use crate::{Code, Error, Result};

type Open = Box<dyn Fn(&Version) -> Result<Arc<dyn Engine>> + Send + Sync>;
type Deaths = Box<dyn Fn(&Version) -> u64 + Send + Sync>;

/// The versions of one model in a [`Store`]: version 3 is `v3` for the deployment. The golden cases come from the package, the
/// state is kept in the store, and the store's current version is the deployment's. A version that the deployment puts in
/// quarantine is in the store's as well.
///
/// ```no_run
/// use std::sync::Arc;
/// use selvedge::layer::deployment::{Deployment, RolloutPlan, StoreVersions};
/// use selvedge::store::{Store, Trust};
/// use selvedge::{Options, open};
/// # fn start(trust: Trust) -> selvedge::Result<()> {
/// let store = Arc::new(Store::open("models", trust)?);
/// let first = store.current()?.map_or("v1".into(), |version| StoreVersions::name_of(&version));
/// let versions = StoreVersions::new(store.clone(), "rain", |version| open(version.model()?, Options::new()));
/// let deployment = Deployment::builder(versions).install_id("5f0c…").build(&first)?;
///
/// let arrived = store.import("rain-2.tar", |_| Ok(()))?;
/// let plan = RolloutPlan::canary(store.share(&arrived));
/// deployment.offer(&StoreVersions::name_of(&arrived), plan)?;
/// # Ok(())
/// # }
/// ```
pub struct StoreVersions {
    store: Arc<Store>,
    model: String,
    open: Open,
    deaths: Deaths,
}

impl StoreVersions {
    /// The versions of the model of this name. `open` opens one: as a rule [`Version::model`], in a
    /// [`Monitor`](crate::layer::monitor::Monitor) with its profile.
    pub fn new(
        store: Arc<Store>,
        model: impl Into<String>,
        open: impl Fn(&Version) -> Result<Arc<dyn Engine>> + Send + Sync + 'static,
    ) -> Self {
        Self { store, model: model.into(), open: Box::new(open), deaths: Box::new(|_| 0) }
    }

    /// Sets the crash record that `open` opens the versions with ([`Options::crash_record`](crate::Options::crash_record)): at the
    /// next start, a death of the process in a version is a miss of it. Deaths are found by the digest of the version's model
    /// ([`Version::model_digest`]), whatever the version of the app was; a model of several files that a runtime takes one digest
    /// of is found by [`deaths`](Self::deaths) alone.
    ///
    /// ```no_run
    /// use std::sync::Arc;
    /// use selvedge::crash::CrashRecord;
    /// use selvedge::layer::deployment::StoreVersions;
    /// use selvedge::store::Store;
    /// use selvedge::{Options, open};
    /// # fn versions(store: Arc<Store>) -> StoreVersions {
    /// let crashes = CrashRecord::new("app/crashes").app_version("1.2");
    /// let options = Options::new().crash_record(crashes.clone());
    /// StoreVersions::new(store, "rain", move |version| open(version.model()?, options.clone())).crash_record(crashes)
    /// # }
    /// ```
    #[must_use]
    pub fn crash_record(self, record: CrashRecord) -> Self {
        self.deaths(move |version| deaths_of(&record, version))
    }

    /// Sets what tells how often the process has died in a version, where that is not a
    /// [crash record](Self::crash_record); see [`Versions::deaths`].
    #[must_use]
    pub fn deaths(self, deaths: impl Fn(&Version) -> u64 + Send + Sync + 'static) -> Self {
        Self { deaths: Box::new(deaths), ..self }
    }

    /// The name of a version for the deployment: `v` and its number.
    #[must_use]
    pub fn name_of(version: &Version) -> String {
        format!("v{}", version.number())
    }

    fn find(&self, name: &str) -> Result<Version> {
        let is_it = |version: &Version| version.name() == self.model && Self::name_of(version) == name;
        let none = || Error::new(Code::NotFound, format!("version {name} of '{}': the store has none", self.model));
        self.store.versions()?.into_iter().find(is_it).ok_or_else(none)
    }
}

impl Versions for StoreVersions {
    fn load(&self, version: &str) -> Result<Loaded> {
        let version = self.find(version)?;
        let loaded = Loaded::new((self.open)(&version)?);
        match &version.release().content {
            Content::Model { golden: Some(file), .. } => Ok(loaded.golden(Golden::parse(&version.contents(file)?)?)),
            _ => Ok(loaded),
        }
    }

    fn deaths(&self, version: &str) -> u64 {
        self.find(version).map_or(0, |version| (self.deaths)(&version))
    }

    fn saved(&self) -> Result<Option<Vec<u8>>> {
        self.store.rollout()
    }

    fn save(&self, state: &[u8]) -> Result<()> {
        self.store.keep_rollout(state)
    }

    fn tell(&self, version: &str, outcome: VersionOutcome) -> Result<()> {
        let id = self.find(version)?.id();
        match outcome {
            VersionOutcome::Activated => self.store.activate(id).map(drop),
            VersionOutcome::Quarantined => self.store.quarantine(id, "it missed twice in a deployment"),
            // The deployment counts misses itself, and does not offer again what it rolled back.
            VersionOutcome::Missed | VersionOutcome::RolledBack => Ok(()),
        }
    }
}

/// A record that cannot be read tells of no deaths: that is no reason not to serve.
fn deaths_of(record: &CrashRecord, version: &Version) -> u64 {
    let Some(digest) = version.model_digest() else { return 0 };
    let entries = record.entries().inspect_err(|e| tracing::warn!("deployment: {e:#}")).unwrap_or_default();
    entries.iter().filter(|entry| entry.digest == digest).map(|entry| entry.counted() as u64).sum()
}

impl std::fmt::Debug for StoreVersions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreVersions").field("model", &self.model).field("store", &self.store).finish_non_exhaustive()
    }
}
