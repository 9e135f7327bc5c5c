//! How a model is watched.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::Monitor;
use super::core::{Core, Seen, through};
use super::hub::Hub;
use super::learning::Learning;
use super::model::Model;
use super::notice::Callback;
use super::restore;
use super::sorting::{Sorting, slot};
use super::streams::MonitoredStream;
use super::watch::Watch;
use crate::drift::{Change, Detector, FalseAlarm, Persistence, Profile, Slo};
use crate::engine::Engine;
use crate::layer::probe::{Feature, Probe};
use crate::telemetry::Telemetry;
use crate::{Error, Result};

/// A [`Monitor`] in the making.
#[must_use = "a builder does nothing until it is built"]
pub struct MonitorBuilder {
    engine: Arc<dyn Engine>,
    telemetry: Telemetry,
    profile: Option<Arc<Profile>>,
    probe: Box<dyn Probe>,
    learn: u64,
    settings: Settings,
}

/// What the one who closes windows goes by.
pub(super) struct Settings {
    pub(super) window: u64,
    pub(super) time_cap: Duration,
    pub(super) false_alarm: FalseAlarm,
    pub(super) persistence: Persistence,
    pub(super) slo: Slo,
    pub(super) calm: u32,
    pub(super) unlabelled: usize,
    /// In the order of [`MonitoredStream::ALL`].
    pub(super) detectors: [Detector; 3],
    pub(super) callback: Option<Callback>,
}

impl Settings {
    /// The mean number of windows to a false alarm. Where rows come slowly, windows close for their age and not for their
    /// rows, and there are more of them in the time that was asked for.
    pub(super) fn windows_to_false_alarm(&self) -> f64 {
        let windows = self.false_alarm.in_windows(self.window);
        match self.false_alarm {
            // The age of a window begins with its first row.
            FalseAlarm::Every { time, rate } if rate > 0.0 => {
                windows.max(time.as_secs_f64() / (self.time_cap.as_secs_f64() + 1.0 / rate))
            }
            _ => windows,
        }
    }
}

impl MonitorBuilder {
    pub(super) fn new(engine: Arc<dyn Engine>, telemetry: Telemetry, probe: Box<dyn Probe>) -> Self {
        let settings = Settings {
            window: 1024,
            time_cap: Duration::from_secs(3600),
            false_alarm: FalseAlarm::Windows(10_000.0),
            persistence: Persistence::TWO_OF_THREE,
            slo: Slo::default(),
            calm: 3,
            unlabelled: 4096,
            detectors: [Detector::default(); 3],
            callback: None,
        };
        Self { engine, telemetry, profile: None, probe, learn: 4, settings }
    }

    /// What the model was made for. Without it, one is learned from the first windows (see [`MonitorBuilder::learn`]).
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

    /// How often an alarm without drift is borne; once in 10,000 windows if not set.
    pub fn false_alarm(mut self, false_alarm: FalseAlarm) -> Self {
        self.settings.false_alarm = false_alarm;
        self
    }

    /// In how many of the last windows a feature must be rejected before there is an alert; 2 of 3 if not set.
    pub fn persistence(mut self, persistence: Persistence) -> Self {
        self.settings.persistence = persistence;
        self
    }

    /// What the service promises.
    pub fn slo(mut self, slo: Slo) -> Self {
        self.settings.slo = slo;
        self
    }

    /// Windows without a sign of it after which an alert is cleared; 3 if not set.
    pub fn calm(mut self, windows: u32) -> Self {
        self.settings.calm = windows;
        self
    }

    /// How many windows to learn a profile from where none is given; 4 if not set, 0 learns none.
    ///
    /// A profile that an earlier process has learned of the same model is used again, if the log still holds it. The last
    /// row that is learned from also pays for the fit, on the thread of its answer and once: 1 ms for ten numbers a row, and a
    /// quarter of a second where there are embeddings, of 384 numbers.
    pub fn learn(self, windows: u64) -> Self {
        Self { learn: windows, ..self }
    }

    /// How many answers wait for their label at once; 4096 if not set. The oldest give way.
    pub fn unlabelled(mut self, answers: usize) -> Self {
        self.settings.unlabelled = answers;
        self
    }

    /// What watches a stream for changes; [`Detector::adwin`] on each if not set. [`Detector::Ddm`] is for
    /// [`MonitoredStream::Errors`] alone.
    ///
    /// Whatever finds a change, there is an alert only where the mean has become worse by enough to matter: see
    /// [`MonitoredStream`]. A window tells of the others ([`Summary::shifts`](super::Summary::shifts)).
    ///
    /// ```
    /// use selvedge::backend::fake::Fake;
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

    /// Told of every alert that is raised or cleared, on the thread that closed the window, with no lock held. A panic in
    /// it is contained and counted.
    pub fn on_alert(mut self, callback: impl Fn(&Change) + Send + Sync + 'static) -> Self {
        self.settings.callback = Some(Arc::new(callback));
        self
    }

    /// The monitor.
    ///
    /// Takes up what an earlier process has left: the records in the lanes, and the windows of the log.
    ///
    /// Errors: `InvalidArgument` for a profile of another model, one with a feature that the probe does not give, two
    /// features of one name, a detector that is not for its stream, or an option out of its range.
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
        let spec = self.engine.spec();
        let model = Arc::new(Model::of(&spec.provenance));
        let learns = self.learn > 0 && self.profile.is_none();
        let profile = match self.profile {
            None if learns => restore::learned(&self.telemetry, model.digest)
                .filter(|profile| Sorting::new(profile.clone(), model.digest, &features).is_ok()),
            given => given,
        };
        let sorting = OnceLock::new();
        if let Some(profile) = profile {
            let _ = sorting.set(Sorting::new(profile, model.digest, &features)?);
        }
        let rows = self.learn.saturating_mul(settings.window);
        let seen = Arc::new(Seen {
            bare_slot: slot(model.digest, &[]),
            learning: (learns && sorting.get().is_none()).then(|| Learning::new(model.digest, &features, rows)),
            sorting,
            probe_panics: AtomicU64::new(0),
            missed_rows: AtomicU64::new(0),
            features,
        });
        let mut watch = Watch::new(model, seen.clone(), settings)?;
        watch.resume(restore::past(&self.telemetry, seen.slot()));
        watch.introduce(&self.telemetry);
        let hub = Hub::of(&self.telemetry);
        hub.watch(seen.slot(), watch);
        let spec = crate::engine::Spec { provenance: through(&spec.provenance), ..spec.clone() };
        let (engine, telemetry) = (self.engine, self.telemetry);
        let core = Core { engine, spec, telemetry, hub, probe, seen, sheets: Mutex::default() };
        Ok(Monitor { core: Arc::new(core) })
    }
}

fn check_names(features: &[Feature]) -> Result<()> {
    let twice = features.iter().enumerate().find(|(i, f)| features[..*i].iter().any(|earlier| earlier.name == f.name));
    match twice {
        Some((_, f)) => {
            Err(Error::invalid(format!("probe: expected features of different names, got '{}' twice", f.name)))
        }
        None => Ok(()),
    }
}
