//! Monitor, the layer that watches a model: its answers become records, windows and alerts.
//!
//! ```text
//!   answer ─► run ─► recorder ─► telemetry ─► drain ─► model_watch
//!                    │ binning                         │ window, streams, accuracy
//!                    ▼ baseline                        ▼ judge ─► alerts ─► log, callback
//! ```
//!
//! The first line up to telemetry is on the way of every answer; the rest is the work of whoever closes a window.

mod accuracy;
mod alert_code;
mod alerts;
mod announcement;
mod baseline;
mod binning;
mod builder;
mod call_record;
mod callback;
mod drain;
mod feedback;
mod history;
mod identity;
mod matching;
mod model_watch;
mod outcome;
mod recorder;
mod report;
mod resume;
mod run;
mod settings;
mod shared;
mod streams;
#[cfg(test)]
mod tests;
mod window;

use std::sync::Arc;
use std::sync::atomic::Ordering;

pub use builder::MonitorBuilder;
pub use feedback::Label;
pub use report::{Learning, MonitorReport, Reference, Summary, Totals};
pub use streams::{MonitoredStream, Shift};

use super::probe::Probe;
#[cfg(doc)]
use crate::drift::AdjustedAccuracy;
use crate::drift::{Alert, LabelVerdict, Profile};
use crate::engine::{Call, Engine, PrefixCache, Request, Run, Spec, Tokenizer, Trim};
use crate::telemetry::Telemetry;
use crate::{Error, Result};
use recorder::Recorder;
use run::MonitorRun;

/// A monitor is an engine that watches another one: each answer is recorded, windows of answers are held against a
/// reference, and what drifts raises an alert.
///
/// Requests, events and answers pass through unchanged; only [`Provenance::route`](crate::Provenance::route) gains
/// `monitor`. Once warm, a monitored call allocates the box of its run and nothing else, and no caller waits for another.
/// The answer that fills a window closes it on its way: that takes some microseconds and, under
/// [`Durability::Power`](crate::telemetry::Durability::Power), one sync of a file.
///
/// Embeddings are compared as a whole: of each, 128 signs lie beside the bins in the row's record, 16 bytes, and so
/// they survive a kill as the bins do. A window has the exact counts of the rows whose signs are positive, in
/// [`Window::embedding`](crate::telemetry::Window::embedding).
///
/// After a restart it goes on with the windows, the alerts that stand and the learned profile that the log still holds,
/// sent or not: [`Limits::history_bytes`](crate::telemetry::Limits::history_bytes) says how far back that is. An alert
/// that has stood for longer is raised again.
///
/// Labels may come late ([`Monitor::feedback`]). Where the profile's rows had labels, a report has the accuracy to expect
/// without any (CBPE) and beside it the one that the labels so far correct, late as they are: [`AdjustedAccuracy`].
///
/// The confidence, errors and latency of answers have a detector each, which [`MonitorBuilder::detector`] chooses.
///
/// Clones are the same monitor. Monitors of several models may share one telemetry folder.
///
/// ```
/// use std::sync::Arc;
/// use selvedge::fake::Fake;
/// use selvedge::drift::Profile;
/// use selvedge::layer::{monitor::Monitor, probe::Columns};
/// use selvedge::telemetry::{Limits, Telemetry};
/// use selvedge::{Ask, DType, Tensor, Tensors};
///
/// let training: Vec<[f32; 2]> = (0..5000).map(|i| [(i % 50) as f32, (i % 7) as f32]).collect();
/// let profile = Profile::fit().number("temp").number("wind").of_rows(&training)?;
///
/// let folder = tempfile::tempdir().unwrap();
/// let telemetry = Telemetry::open(folder.path(), Limits::default());
/// let engine = Fake::echo(DType::F32).build();
/// let monitor = Monitor::builder(engine, telemetry, Columns::of("x", ["temp", "wind"]))
///     .profile(profile)
///     .window(256)
///     .on_alert(|change| println!("{change:?}"))
///     .build()?;
///
/// for day in 0..512 {
///     let row = vec![(day % 50) as f32, 0.0]; // the wind sensor is broken
///     monitor.run(Tensors::from([("x", Tensor::new(&[1, 2], row)?)]))?;
/// }
/// let alerts = monitor.alerts();
/// assert_eq!((alerts.len(), &*alerts[0].feature), (1, "wind"));
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone)]
pub struct Monitor {
    recorder: Arc<Recorder>,
}

impl Monitor {
    /// A builder of a monitor around an engine, with default options.
    pub fn builder(engine: Arc<dyn Engine>, telemetry: Telemetry, probe: impl Probe + 'static) -> MonitorBuilder {
        MonitorBuilder::new(engine, telemetry, Box::new(probe))
    }

    /// Drains the records so far, and closes and judges the windows that are due. Answers do this by themselves; an app
    /// whose model rests for hours may want to call it now and then, on any thread. Waits if another thread is at it.
    pub fn tick(&self) {
        self.recorder.drain.tick();
    }

    /// Closes the window in progress as it stands, if it is not empty: at the end of a batch job, say.
    pub fn close_window(&self) {
        self.recorder.drain.close(self.recorder.shared.slot());
    }

    /// The active alerts.
    #[must_use]
    pub fn alerts(&self) -> Vec<Alert> {
        let mut models = self.recorder.drain.lock();
        models.get(self.recorder.shared.slot()).map(|model| model.alerts.standing().to_vec()).unwrap_or_default()
    }

    /// Feedback about an earlier answer. `id` is that of the [`Call`]; the rows of a batch have the
    /// numbers from there on. The label is sealed into the log.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for id 0, which stands for none.
    pub fn feedback(&self, id: u64, label: Label) -> Result<LabelVerdict> {
        if id == 0 {
            return Err(Error::invalid("feedback: expected the id that the call was given, got 0"));
        }
        // The answer may still be in its lane.
        self.tick();
        let mut models = self.recorder.drain.lock();
        let model = models.get(self.recorder.shared.slot());
        let verdict = model.map(|model| model.feedback(id, label, &self.recorder.telemetry));
        self.recorder.drain.finish(models);
        Ok(verdict.unwrap_or(LabelVerdict::Unknown))
    }

    /// The profile that windows are held against: given or learned; `None` while there is none. Keep a learned one
    /// (see [`Profile::encode`]) beside the model.
    #[must_use]
    pub fn profile(&self) -> Option<Arc<Profile>> {
        self.recorder.shared.binning.get().map(|binning| binning.profile.clone())
    }

    /// The report: what the monitor knows, after a [`tick`](Self::tick).
    #[must_use]
    pub fn report(&self) -> MonitorReport {
        self.tick();
        let (recorder, shared) = (&*self.recorder, &*self.recorder.shared);
        let (reference, learning) = match (shared.binning.get(), &shared.baseline) {
            (Some(binning), _) if binning.profile.learned => (Reference::Learned, None),
            (Some(_), _) => (Reference::Given, None),
            // What was learned is of no use: the app's log says why.
            (None, Some(baseline)) if baseline.learned().is_some() => (Reference::None, None),
            (None, Some(baseline)) => {
                let progress = baseline.progress();
                (Reference::Learning { left: progress.of - progress.rows }, Some(progress))
            }
            (None, None) => (Reference::None, None),
        };
        let model = &recorder.spec.provenance;
        let mut report = MonitorReport {
            model: model.model.clone(),
            version: model.version.clone(),
            reference,
            learning,
            reach: Vec::new(),
            windows: Vec::new(),
            in_progress: 0,
            alerts: Vec::new(),
            totals: Totals::default(),
            accuracy: None,
            estimated_accuracy: None,
            adjusted_accuracy: None,
            telemetry: recorder.telemetry.status(),
            probe_panics: shared.probe_panics.load(Ordering::Relaxed),
            other_panics: recorder.drain.panics(),
            missed_rows: shared.missed_rows.load(Ordering::Relaxed),
            unclaimed: 0,
        };
        let mut models = recorder.drain.lock();
        report.unclaimed = models.unclaimed;
        if let Some(model) = models.get(shared.slot()) {
            report.reach = model.reach().to_vec();
            report.windows = model.closed.summaries.iter().cloned().collect();
            report.in_progress = model.in_progress();
            report.alerts = model.alerts.standing().to_vec();
            report.totals = model.closed.totals;
            report.accuracy = model.accuracy.of_labels();
            report.estimated_accuracy = model.accuracy.estimated();
            report.adjusted_accuracy = model.adjusted();
            report.other_panics += model.callbacks.panics();
        }
        report
    }

    /// The latest closed windows, oldest first.
    #[must_use]
    pub fn windows(&self) -> Vec<Summary> {
        self.report().windows
    }
}

impl Engine for Monitor {
    fn spec(&self) -> &Spec {
        &self.recorder.spec
    }

    fn start(&self, request: Request, call: Call) -> Result<Box<dyn Run>> {
        Ok(Box::new(MonitorRun::start(&self.recorder, request, call)?))
    }

    fn tokenizer(&self) -> Option<&dyn Tokenizer> {
        self.recorder.engine.tokenizer()
    }

    fn prefix_cache(&self) -> Option<&dyn PrefixCache> {
        self.recorder.engine.prefix_cache()
    }

    fn trim(&self, level: Trim) -> Result<u64> {
        self.recorder.engine.trim(level)
    }
}

impl std::fmt::Debug for Monitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitor").field("model", &self.recorder.spec.provenance.model).finish_non_exhaustive()
    }
}
