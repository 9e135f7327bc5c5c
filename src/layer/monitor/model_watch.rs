//! Monitored model: its window in progress, its judge, its accuracy and its alerts.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::accuracy::Accuracy;
use super::alerts::{ActiveAlerts, AlertChange, WindowFindings};
use super::announcement::Announcement;
use super::binning::Binning;
use super::callback::CallbackQueue;
use super::history::seal;
use super::identity::ModelIdentity;
use super::report::{MonitorReport, Summary, Totals};
use super::settings::Settings;
use super::shared::Shared;
use super::streams::{MonitoredStream, Shift, Streams};
use super::window::OpenWindow;
use crate::Result;
use crate::drift::{AdjustedAccuracy, FalseAlarm, Health, Judge, Policy, Reach, Reliability, WindowCounts};
use crate::telemetry::{Inference, ModelSlot, Record, Telemetry, Window};

pub(super) struct MonitoredModel {
    identity: Arc<ModelIdentity>,
    shared: Arc<Shared>,
    settings: Arc<Settings>,
    pub(super) judge: Option<Judge>,
    reach: Vec<Reach>,
    /// The profile that was learned cannot be judged by.
    is_baseline_useless: bool,
    pub(super) announcement: Announcement,
    pub(super) window: OpenWindow,
    streams: Streams,
    pub(super) accuracy: Accuracy,
    pub(super) alerts: ActiveAlerts,
    pub(super) closed: ClosedWindows,
    pub(super) callbacks: Arc<CallbackQueue>,
}

/// The latest closed windows, and the sums of all.
#[derive(Default)]
pub(super) struct ClosedWindows {
    pub(super) summaries: VecDeque<Summary>,
    pub(super) totals: Totals,
}

impl MonitoredModel {
    /// The model, with the profile that it was given, if any.
    pub(super) fn new(identity: Arc<ModelIdentity>, shared: Arc<Shared>, settings: Arc<Settings>) -> Result<Self> {
        let judge = shared.binning.get().map(|binning| judge(binning, &settings)).transpose()?;
        let window = OpenWindow::new(shared.slot(), 0, shared.binning.get().map(|b| &*b.profile));
        let reach = judge.as_ref().map_or_else(Vec::new, |judge| reach(judge, &identity));
        Ok(Self {
            identity,
            judge,
            reach,
            is_baseline_useless: false,
            announcement: Announcement::default(),
            window,
            streams: Streams::new(&settings.detectors)?,
            accuracy: Accuracy::new(settings.unlabelled),
            alerts: ActiveAlerts::new(settings.calm),
            closed: ClosedWindows::default(),
            callbacks: Arc::new(CallbackQueue::new(settings.callback.clone())),
            shared,
            settings,
        })
    }

    /// Takes over what an earlier monitor of the same slot has under way.
    pub(super) fn take_over(&mut self, earlier: MonitoredModel) {
        self.window = earlier.window;
        if self.settings.detectors == earlier.settings.detectors {
            self.streams = earlier.streams;
        }
        self.accuracy.take_over(earlier.accuracy);
        self.alerts = earlier.alerts;
        self.closed = earlier.closed;
        // What waits for the earlier callback must not come after what this one is told.
        earlier.callbacks.hand_over(self.callbacks.callback());
        self.callbacks = earlier.callbacks;
    }

    pub(super) fn slot(&self) -> ModelSlot {
        self.window.window.model_slot
    }

    /// The number of the window in progress.
    pub(super) fn index(&self) -> u64 {
        self.window.window.index
    }

    /// Rows and failures in the window in progress.
    pub(super) fn in_progress(&self) -> u64 {
        self.window.records
    }

    /// How often the reference was right at each confidence.
    pub(super) fn reliability(&self) -> Option<&Reliability> {
        reliability(&self.judge)
    }

    /// The accuracy to expect of the last closed window, by the labels, too.
    pub(super) fn adjusted(&self) -> Option<AdjustedAccuracy> {
        self.accuracy.adjusted(self.reliability())
    }

    /// How soon each feature would be seen to break.
    pub(super) fn reach(&self) -> &[Reach] {
        &self.reach
    }

    /// Records until the window closes.
    pub(super) fn remaining(&self) -> u64 {
        self.settings.window.saturating_sub(self.window.records)
    }

    /// When the window closes for its age.
    pub(super) fn due(&self) -> Option<Instant> {
        self.window.since?.checked_add(self.settings.time_cap)
    }

    /// Adds one record, and closes the window that it fills.
    pub(super) fn add(&mut self, inference: &Inference, telemetry: &Telemetry) {
        self.window.add(inference, telemetry);
        self.streams.update(inference, &mut self.window.shifts);
        if inference.outcome.is_answer() {
            self.accuracy.add(inference, self.index());
        }
        if self.remaining() == 0 {
            self.close(telemetry);
        }
    }

    /// Closes a window that is too old, and begins to judge once a profile was learned.
    pub(super) fn upkeep(&mut self, telemetry: &Telemetry) {
        if self.due().is_some_and(|due| Instant::now() >= due) {
            self.close(telemetry);
        }
        let learned = self.shared.baseline.as_ref().and_then(|baseline| baseline.learned()).cloned();
        if let Some(profile) = learned.filter(|_| self.judge.is_none() && !self.is_baseline_useless) {
            // The window in progress has no bins: it ends here.
            self.close(telemetry);
            let fitted = Binning::new(profile, self.identity.digest, &self.shared.features)
                .and_then(|binning| Ok((judge(&binning, &self.settings)?, binning)));
            match fitted {
                Ok((judge, binning)) => self.install_profile(judge, binning, telemetry),
                Err(e) => {
                    self.is_baseline_useless = true;
                    tracing::warn!("model '{}': the learned profile is of no use: {e}", self.identity.name);
                }
            }
        }
    }

    fn install_profile(&mut self, judge: Judge, binning: Binning, telemetry: &Telemetry) {
        self.window = OpenWindow::new(binning.slot, self.index(), Some(&binning.profile));
        self.reach = reach(&judge, &self.identity);
        self.judge = Some(judge);
        self.announcement.announce(&self.identity, Some(&binning), self.shared.bare_slot, telemetry);
        // From here on, answers are put into bins and carry the new slot.
        let _ = self.shared.binning.set(binning);
    }

    /// Announces the model in the log, unless it is known there.
    pub(super) fn announce(&mut self, telemetry: &Telemetry) {
        self.announcement.renew(&self.identity, &self.shared, telemetry);
    }

    /// Closes the window as it stands; an empty one stays open.
    pub(super) fn close(&mut self, telemetry: &Telemetry) {
        if self.window.records == 0 {
            return;
        }
        if self.judge.is_none()
            && let Some(baseline) = &self.shared.baseline
        {
            baseline.close_window();
        }
        let (slot, profile) = (self.slot(), self.judge.as_ref().map(|judge| judge.profile().clone()));
        let next = OpenWindow::new(slot, self.index() + 1, profile.as_deref());
        let closed = std::mem::replace(&mut self.window, next);
        let (mut window, mut counts) = (closed.window, closed.counts);
        window.closed = telemetry.now();
        if let Some(counts) = &mut counts {
            window.features.clone_from(&counts.features);
            counts.rows = window.rows;
            if counts.embedded > 0 {
                (window.embedded, window.embedding) = (counts.embedded, counts.embedding.clone());
            }
        }
        self.announce(telemetry);
        seal(telemetry, &Record::Window(window.clone()));
        let summary = self.summarize(window, counts, closed.health, closed.shifts);
        let (worse, concept) = (self.worse_streams(), self.accuracy.signal());
        let changes = self.alerts.update(&WindowFindings { summary: &summary, worse, concept });
        let reliability = reliability(&self.judge);
        self.accuracy.close_window(reliability, summary.window.index, &summary.window.confidence);
        self.closed.push(summary);
        changes.into_iter().for_each(|change| self.publish(change, telemetry));
    }

    pub(super) fn summarize(
        &mut self,
        window: Window,
        counts: Option<WindowCounts>,
        health: Health,
        shifts: Vec<Shift>,
    ) -> Summary {
        let verdict = self.judge.as_mut().zip(counts).and_then(|(judge, counts)| {
            judge.judge(&counts).inspect_err(|e| tracing::warn!("a window could not be judged: {e}")).ok()
        });
        let breaches = health.breaches(&self.settings.slo);
        Summary { window, verdict, health, breaches, shifts }
    }

    /// The detectors take values to be independent. Where the profile says that rows depend on those before them, a
    /// fall in confidence may be a season, and is left to the judge.
    fn worse_streams(&self) -> Vec<Shift> {
        let dependent = self.judge.as_ref().is_some_and(|judge| judge.profile().block > 1);
        self.streams.worse().filter(|shift| !dependent || shift.stream != MonitoredStream::Confidence).collect()
    }

    /// Seals a change of the alerts; the app is called once the locks are given back.
    pub(super) fn publish(&self, change: AlertChange, telemetry: &Telemetry) {
        seal(telemetry, &Record::Alert(change.record));
        self.callbacks.push(change.change);
    }
}

impl ClosedWindows {
    pub(super) fn push(&mut self, summary: Summary) {
        let (window, totals) = (&summary.window, &mut self.totals);
        totals.windows += 1;
        totals.rows += window.rows;
        totals.requests += window.outcomes.iter().map(|(_, count)| count).sum::<u64>();
        totals.faults += summary.health.errors;
        totals.tokens_in += window.tokens_in;
        totals.tokens_out += window.tokens_out;
        if self.summaries.len() == MonitorReport::WINDOWS {
            self.summaries.pop_front();
        }
        self.summaries.push_back(summary);
    }
}

/// The reach of the judge. What it would never see is also told to whoever looks at the app's log.
fn reach(judge: &Judge, identity: &ModelIdentity) -> Vec<Reach> {
    let reach = judge.reach();
    for blind in reach.iter().filter(|reach| !reach.blind().is_empty()) {
        let (feature, what) = (&blind.feature, blind.blind().join(", "));
        tracing::warn!("model '{}': feature '{feature}': no window shows if it is {what}", identity.name);
    }
    reach
}

/// How often the reference of the judge was right at each confidence.
pub(super) fn reliability(judge: &Option<Judge>) -> Option<&Reliability> {
    judge.as_ref()?.profile().reliability.as_ref()
}

fn judge(binning: &Binning, settings: &Settings) -> Result<Judge> {
    let false_alarm = FalseAlarm::windows(settings.windows_to_false_alarm());
    let policy = Policy::new(settings.window, false_alarm).persistence(settings.persistence);
    Judge::new(binning.profile.clone(), policy)
}
