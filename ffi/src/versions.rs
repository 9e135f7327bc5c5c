//! Versions of a store as a deployment opens them: each in a monitor of its own, if they are watched, whose alerts go to
//! the deployment.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use selvedge::drift::Profile;
use selvedge::layer::deployment::{Deployment, StoreVersions};
use selvedge::layer::monitor::Monitor;
use selvedge::store::{Content, Version};
use selvedge::telemetry::Telemetry;
use selvedge::{Engine, Options, Result, open};
use serde_json::Value;

use crate::alert::Waiting;
use crate::config::Config;
use crate::fields::Fields;

/// How versions are opened.
pub(crate) struct Opener {
    pub(crate) options: Options,
    /// What each is watched with, and where it is recorded.
    pub(crate) watch: Option<(Value, Telemetry)>,
    pub(crate) watched: Arc<WatchedVersions>,
}

impl Opener {
    pub(crate) fn open(&self, version: &Version) -> Result<Arc<dyn Engine>> {
        let name = StoreVersions::name_of(version);
        let engine = open(version.model()?, self.options.clone())?;
        let Some((config, telemetry)) = &self.watch else { return Ok(engine) };
        let fields = Fields::of_value("config.monitor", config)?;
        let Config { monitor, has_classes } = Config::of(fields, engine, telemetry.clone())?;
        let (waiting, watched) = (Arc::new(Waiting::default()), Arc::downgrade(&self.watched));
        let (queue, of) = (waiting.clone(), name.clone());
        let monitor = monitor.version(&name).profile(profile(version)?).on_alert(move |event| {
            queue.push(event);
            if let Some(watched) = watched.upgrade() {
                watched.tell(&of);
            }
        });
        let monitor = Arc::new(monitor.build()?);
        let own = WatchedVersion { monitor: Arc::downgrade(&monitor), has_classes, waiting };
        self.watched.lock().insert(name, own);
        Ok(monitor)
    }
}

/// What a version was made for, if its package says so.
fn profile(version: &Version) -> Result<Option<Profile>> {
    match &version.release().content {
        Content::Model { profile: Some(file), .. } => Profile::decode(&version.contents(file)?).map(Some),
        _ => Ok(None),
    }
}

/// The monitors of the versions that are loaded, and whom their alerts are told.
#[derive(Default)]
pub(crate) struct WatchedVersions {
    deployment: OnceLock<Weak<Deployment>>,
    all: Mutex<BTreeMap<String, WatchedVersion>>,
}

/// A version that is watched. The deployment alone decides how long it stays loaded.
#[derive(Clone)]
struct WatchedVersion {
    monitor: Weak<Monitor>,
    has_classes: bool,
    waiting: Arc<Waiting>,
}

impl WatchedVersions {
    /// From now on alerts are told to this deployment, those that stand at once.
    pub(crate) fn belong_to(&self, deployment: &Arc<Deployment>) {
        let _ = self.deployment.set(Arc::downgrade(deployment));
        let versions: Vec<String> = self.lock().keys().cloned().collect();
        versions.iter().for_each(|version| self.tell(version));
    }

    /// The monitor of a version that is loaded, whether it sees classes, and the alerts that wait.
    pub(crate) fn get(&self, version: &str) -> Option<(Monitor, bool, Arc<Waiting>)> {
        let watched = self.lock().get(version).cloned()?;
        Some(((*watched.monitor.upgrade()?).clone(), watched.has_classes, watched.waiting))
    }

    /// Tells the deployment what stands for a version. Nothing is held meanwhile, for it may roll the version back.
    fn tell(&self, version: &str) {
        let Some(deployment) = self.deployment.get().and_then(Weak::upgrade) else { return };
        let Some((monitor, ..)) = self.get(version) else { return };
        if let Err(e) = deployment.alerts(version, monitor.alerts()) {
            tracing::warn!("deployment: alerts of {version}: {e:#}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, WatchedVersion>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
