//! Builder of a monitor: its options and its parts.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::Monitor;
use super::baseline::BaselineLearner;
use super::binning::{Binning, slot};
use super::drain::FolderDrain;
use super::history::{self, History};
use super::identity::ModelIdentity;
use super::matching::check_types;
use super::model_watch::MonitoredModel;
use super::recorder::{LAYER, Recorder};
use super::settings::Settings;
use super::shared::Shared;
use super::streams::MonitoredStream;
use crate::drift::{AlertEvent, Detector, FalseAlarm, Persistence, Profile, Slo};
use crate::engine::{Engine, Spec};
use crate::layer::probe::{Probe, ProbeFeature};
use crate::layer::route;
use crate::telemetry::Telemetry;
use crate::{Error, Result};

/// A builder of a [`Monitor`].
#[must_use = "a builder does nothing until it is built"]
pub struct MonitorBuilder {
    engine: Arc<dyn Engine>,
    telemetry: Telemetry,
    profile: Option<Arc<Profile>>,
    probe: Box<dyn Probe>,
    learn: u64,
    version: Option<String>,
    settings: Settings,
}

impl MonitorBuilder {
    pub(super) fn new(engine: Arc<dyn Engine>, telemetry: Telemetry, probe: Box<dyn Probe>) -> Self {
        Self { engine, telemetry, profile: None, probe, learn: 4, version: None, settings: Settings::default() }
    }

    /// The profile that windows are held against: what the model was made for. Without it, one is learned from the
    /// first windows (see [`MonitorBuilder::learn`]).
    pub fn profile(self, profile: impl Into<Option<Profile>>) -> Self {
        Self { profile: profile.into().map(Arc::new), ..self }
    }

    /// Rows after which a window closes; 1024 if not set, 8 to 65,536. Longer windows see smaller drift, later.
    ///
    /// After a kill, the window in progress goes on with the records that are still in their lanes: see
    /// [`Limits::slots`](crate::telemetry::Limits::slots).
    pub fn window(mut self, rows: u64) -> Self {
        self.settings.window = rows;
        self
    }

    /// The age at which a window closes even if it is not full; an hour if not set.
    pub fn time_cap(mut self, age: Duration) -> Self {
        self.settings.time_cap = age;
        self
    }

    /// The false alarm rate, how often an alarm without drift is borne; once in 10,000 windows if not set.
    pub fn false_alarm(mut self, false_alarm: FalseAlarm) -> Self {
        self.settings.false_alarm = false_alarm;
        self
    }

    /// The persistence, in how many of the last windows a feature must be rejected before there is an alert; 2 of 3 if
    /// not set.
    pub fn persistence(mut self, persistence: Persistence) -> Self {
        self.settings.persistence = persistence;
        self
    }

    /// The service level objectives.
    pub fn slo(mut self, slo: Slo) -> Self {
        self.settings.slo = slo;
        self
    }

    /// Windows without a sign of it after which an alert is cleared; 3 if not set.
    pub fn calm(mut self, windows: u32) -> Self {
        self.settings.calm = windows;
        self
    }

    /// The version that answers, telemetry and reports name the model by; that of its metadata if not set. A
    /// [`Deployment`](crate::layer::deployment::Deployment) whose versions have a monitor each tells them apart by it.
    pub fn version(self, version: impl Into<String>) -> Self {
        Self { version: Some(version.into()), ..self }
    }

    /// The number of windows to learn a profile from where none is given; 4 if not set, 0 learns none. Nothing is judged
    /// before: [`MonitorReport::learning`](super::MonitorReport::learning) says how many rows there are, of how many.
    ///
    /// Where rows are rare, windows close for their age (see [`time_cap`](Self::time_cap)) or by
    /// [`Monitor::close_window`], and full ones may never come. Once so many have closed, as many times the rows of the
    /// longest are enough, and at least 512: of a row an hour, three weeks.
    ///
    /// A profile that an earlier process has learned of the same model is used again, if the log still holds it. The rows
    /// themselves are written nowhere: a process that ends before there are enough leaves none of them to the next. The
    /// last row that is learned from also pays for the fit, on the thread of its answer and once: 1 ms for ten numbers
    /// a row, and a quarter of a second where there are embeddings, of 384 numbers.
    pub fn learn(self, windows: u64) -> Self {
        Self { learn: windows, ..self }
    }

    /// The number of answers that wait for their label at once; 4096 if not set. The oldest give way.
    ///
    /// As many as come within the longest delay of a label, plus a window, let
    /// [`MonitorReport::adjusted_accuracy`](super::MonitorReport::adjusted_accuracy) see the late ones, too.
    pub fn unlabelled(mut self, answers: usize) -> Self {
        self.settings.unlabelled = answers;
        self
    }

    /// The detector of changes in a stream; [`Detector::adwin`] on each if not set. [`Detector::Ddm`] is for
    /// [`MonitoredStream::Errors`] alone.
    ///
    /// Whatever finds a change, there is an alert only where the mean has become worse by enough to matter: see
    /// [`MonitoredStream`]. A window has the others ([`Summary::shifts`](super::Summary::shifts)).
    ///
    /// ```
    /// use selvedge::fake::Fake;
    /// use selvedge::drift::Detector;
    /// use selvedge::layer::monitor::{Monitor, MonitoredStream};
    /// use selvedge::telemetry::{Limits, Telemetry};
    ///
    /// let folder = tempfile::tempdir().unwrap();
    /// let telemetry = Telemetry::open(folder.path(), Limits::default());
    /// let monitor = Monitor::builder(Fake::text("yes").build(), telemetry, ())
    ///     .detector(MonitoredStream::Latency, Detector::page_hinkley())
    ///     .detector(MonitoredStream::Errors, Detector::Ddm)
    ///     .detector(MonitoredStream::Confidence, Detector::Adwin { delta: 1e-4, clock: 32 })
    ///     .build()?;
    /// # Ok::<(), selvedge::Error>(())
    /// ```
    pub fn detector(mut self, stream: MonitoredStream, detector: Detector) -> Self {
        self.settings.detectors[stream as usize] = detector;
        self
    }

    /// The callback for every alert that is raised or cleared, on a thread that closed a window, with no lock held.
    /// A panic in it is contained and counted.
    ///
    /// It is called once at a time, in the order in which alerts were raised and cleared; what comes while it runs is told
    /// by the thread that it runs on. An alert that an earlier process had raised is told when it is over: raised, and
    /// cleared.
    pub fn on_alert(mut self, callback: impl Fn(&AlertEvent) + Send + Sync + 'static) -> Self {
        self.settings.callback = Some(Arc::new(callback));
        self
    }

    /// The monitor.
    ///
    /// It goes on with what an earlier process has left: the records in the lanes, and the windows of the log.
    ///
    /// What these windows and this profile could never show of a feature is a warning in the app's log (`tracing`), and
    /// listed in [`MonitorReport::reach`](super::MonitorReport::reach) for as long as the monitor lives. A monitor that
    /// sees some things only is better than none, so it is no error.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a profile of another model, one with a feature that the probe does not give or gives in
    /// another type (names of categories where the model gets numbers; `true` and `false` are 1 and 0), two features of
    /// one name, a detector that is not for its stream, or an option out of its range.
    pub fn build(self) -> Result<Monitor> {
        let (probe, settings) = (self.probe, Arc::new(self.settings));
        if !(8..=65_536).contains(&settings.window) {
            return Err(Error::invalid(format!("window: expected 8 to 65536 rows, got {}", settings.window)));
        }
        let windows = settings.windows_to_false_alarm();
        if !(10.0..=1e12).contains(&windows) {
            let means = "false alarm: expected a mean time of 10 to 1e12 windows";
            return Err(Error::invalid(format!("{means}, got {windows}")));
        }
        let features = probe.features();
        check_names(&features)?;
        let spec = &named(self.engine.spec(), self.version);
        let identity = Arc::new(ModelIdentity::of(&spec.provenance));
        if let Some(profile) = &self.profile {
            check_types(profile, &features, spec)?;
        }
        let learns = self.learn > 0 && self.profile.is_none();
        let profile = match self.profile {
            None if learns => history::learned_profile(&self.telemetry, identity.digest)
                .filter(|profile| Binning::new(profile.clone(), identity.digest, &features).is_ok()),
            given => given,
        };
        let binning = OnceLock::new();
        if let Some(profile) = profile {
            let _ = binning.set(Binning::new(profile, identity.digest, &features)?);
        }
        let shared = Arc::new(Shared {
            bare_slot: slot(identity.digest, &[]),
            baseline: (learns && binning.get().is_none())
                .then(|| BaselineLearner::new(identity.digest, &features, self.learn, settings.window)),
            binning,
            probe_panics: AtomicU64::new(0),
            missed_rows: AtomicU64::new(0),
            features,
        });
        let mut model = MonitoredModel::new(identity, shared.clone(), settings)?;
        model.resume(History::read(&self.telemetry, shared.slot()));
        model.announce(&self.telemetry);
        let drain = FolderDrain::of(&self.telemetry);
        drain.register(shared.slot(), model);
        let spec = route::spec(LAYER, spec);
        let (engine, telemetry) = (self.engine, self.telemetry);
        let recorder = Recorder { engine, spec, telemetry, drain, probe, shared, sheets: Mutex::default() };
        Ok(Monitor { recorder: Arc::new(recorder) })
    }
}

/// The spec, with the version that the app names the model by.
fn named(spec: &Spec, version: Option<String>) -> Spec {
    let mut spec = spec.clone();
    if version.is_some() {
        let mut provenance = (*spec.provenance).clone();
        provenance.version = version;
        spec.provenance = Arc::new(provenance);
    }
    spec
}

fn check_names(features: &[ProbeFeature]) -> Result<()> {
    let twice = features.iter().enumerate().find(|(i, f)| features[..*i].iter().any(|earlier| earlier.name == f.name));
    match twice {
        Some((_, f)) => {
            Err(Error::invalid(format!("probe: expected features of different names, got '{}' twice", f.name)))
        }
        None => Ok(()),
    }
}
