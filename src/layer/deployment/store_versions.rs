//! The versions of a store, as a deployment takes them.

use std::sync::Arc;

use super::golden::Golden;
use super::versions::{Loaded, VersionOutcome, Versions};
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

    /// Sets what tells how often the process has died in a version, such as a
    /// [crash record](crate::crash::CrashRecord::entries); see [`Versions::deaths`].
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

impl std::fmt::Debug for StoreVersions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreVersions").field("model", &self.model).field("store", &self.store).finish_non_exhaustive()
    }
}
