//! The books of one model: its window in progress, its judge, its alerts.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use super::board::{Board, News, Sight};
use super::builder::Settings;
use super::core::Seen;
use super::model::Model;
use super::notice::Notice;
use super::open::Open;
use super::outcome::Outcome;
use super::report::{MonitorReport, Summary, Totals};
use super::restore::Past;
use super::sorting::Sorting;
use super::streams::{Shift, Streams};
use crate::Result;
use crate::drift::{Concept, Counts, FalseAlarm, Feedback, Health, Judge, Policy, Share, Signal, What};
use crate::telemetry::{self, Inference, Position, Reason, Record, Telemetry, Window};

pub(super) struct Watch {
    pub(super) model: Arc<Model>,
    pub(super) seen: Arc<Seen>,
    settings: Arc<Settings>,
    judge: Option<Judge>,
    /// The profile that was learned cannot be judged by.
    useless: bool,
    /// The record that tells who the slot is; `None` if it could not be sealed.
    introduced: Option<Position>,
    /// Records that had given way to the limit of the log when it was looked at last.
    given_way: u64,
    open: Open,
    index: u64,
    streams: Streams,
    pub(super) concept: Concept,
    /// The accuracy before it fell, while it has not recovered.
    accuracy_before: Option<f64>,
    estimated: Option<Share>,
    pub(super) board: Board,
    pub(super) summaries: VecDeque<Summary>,
    pub(super) totals: Totals,
    pub(super) callback_panics: Arc<AtomicU64>,
}

impl Watch {
    /// The watch of a model, with the profile that it was given, if any.
    pub(super) fn new(model: Arc<Model>, seen: Arc<Seen>, settings: Arc<Settings>) -> Result<Self> {
        let judge = seen.sorting.get().map(|sorting| judge(sorting, &settings)).transpose()?;
        let open = Open::new(seen.slot(), 0, seen.sorting.get().map(|s| &*s.profile));
        Ok(Self {
            model,
            judge,
            useless: false,
            introduced: None,
            given_way: 0,
            open,
            index: 0,
            streams: Streams::new(&settings.detectors)?,
            concept: Concept::new(settings.unlabelled),
            accuracy_before: None,
            estimated: None,
            board: Board::new(settings.calm),
            summaries: VecDeque::new(),
            totals: Totals::default(),
            callback_panics: Arc::default(),
            seen,
            settings,
        })
    }

    /// Goes on where the log ends: with the numbers and sums of its windows, the judge's memory and the alerts.
    pub(super) fn resume(&mut self, past: Past) {
        self.introduced = past.introduced;
        let concept = past.standing.iter().find(|alert| alert.what == What::Concept);
        let before = concept.and_then(|alert| alert.evidence.iter().find(|(name, _)| name == "before"));
        self.accuracy_before = before.map(|(_, n)| *n);
        // The judge remembers a few windows, a report some more.
        let told = past.windows.len().saturating_sub(MonitorReport::WINDOWS);
        let mut standing = past.standing.into_iter().peekable();
        for (i, window) in past.windows.into_iter().enumerate() {
            while let Some(alert) = standing.next_if(|alert| alert.after <= i) {
                self.board.restore(alert, self.index.saturating_sub(1));
            }
            self.index = self.index.max(window.index + 1);
            let counts = self.judge.as_ref().filter(|_| i >= told).and_then(|judge| {
                let mut counts = Counts::new(judge.profile());
                let fits = counts.features.len() == window.features.len();
                (counts.rows, counts.features) = (window.rows, window.features.clone());
                if window.embedding.len() == counts.embedding.len() {
                    (counts.embedded, counts.embedding) = (window.embedded, window.embedding.clone());
                }
                fits.then_some(counts)
            });
            let health = Outcome::health_of(&window);
            // What came of it was told, and sealed, at the time.
            let summary = self.summarize(window, counts, health, Vec::new());
            self.board.see_again(&summary);
            self.keep(summary);
        }
        for alert in standing {
            self.board.restore(alert, self.index.saturating_sub(1));
        }
        self.open.window.index = self.index;
    }

    /// Takes over what an earlier watch of the same slot has under way.
    pub(super) fn inherit(&mut self, earlier: Watch) {
        self.open = earlier.open;
        self.index = earlier.index;
        if self.settings.detectors == earlier.settings.detectors {
            self.streams = earlier.streams;
        }
        self.concept = earlier.concept;
        self.accuracy_before = earlier.accuracy_before;
        self.board = earlier.board;
        self.summaries = earlier.summaries;
        self.totals = earlier.totals;
    }

    pub(super) fn slot(&self) -> u32 {
        self.open.window.model
    }

    pub(super) fn in_progress(&self) -> u64 {
        self.open.records
    }

    /// Records until the window closes.
    pub(super) fn left(&self) -> u64 {
        self.settings.window.saturating_sub(self.open.records)
    }

    /// When the window closes for its age.
    pub(super) fn due(&self) -> Option<Instant> {
        self.open.since?.checked_add(self.settings.time_cap)
    }

    /// Takes one record, and closes the window that it fills.
    pub(super) fn take(&mut self, inference: &Inference, telemetry: &Telemetry) -> Vec<Notice> {
        self.open.add(inference, telemetry);
        self.streams.update(inference, &mut self.open.shifts);
        if Outcome(inference.outcome).is_answer() {
            let confidence = Inference::unit(inference.confidence).unwrap_or(f32::NAN);
            match inference.id {
                // No label can come for it.
                0 => self.concept.unlabelled(confidence),
                id => self.concept.predicted(id, inference.class, confidence),
            }
        }
        if self.left() == 0 { self.close(telemetry) } else { Vec::new() }
    }

    /// Closes a window that is too old, and begins to judge once a profile was learned.
    pub(super) fn upkeep(&mut self, telemetry: &Telemetry) -> Vec<Notice> {
        let mut notices = match self.due() {
            Some(due) if Instant::now() >= due => self.close(telemetry),
            _ => Vec::new(),
        };
        let learned = self.seen.learning.as_ref().and_then(|learning| learning.learned()).cloned();
        if let Some(profile) = learned.filter(|_| self.judge.is_none() && !self.useless) {
            // The window in progress has no bins: it ends here.
            notices.extend(self.close(telemetry));
            let adopted = Sorting::new(profile, self.model.digest, &self.seen.features)
                .and_then(|sorting| Ok((judge(&sorting, &self.settings)?, sorting)));
            match adopted {
                Ok((judge, sorting)) => self.adopt(judge, sorting, telemetry),
                Err(e) => {
                    self.useless = true;
                    tracing::warn!("model '{}': the learned profile is of no use: {e}", self.model.name);
                }
            }
        }
        notices
    }

    fn adopt(&mut self, judge: Judge, sorting: Sorting, telemetry: &Telemetry) {
        self.open = Open::new(sorting.slot, self.index, Some(&sorting.profile));
        self.judge = Some(judge);
        self.introduced = seal(telemetry, &Record::Model(self.model.record(Some(&sorting), self.seen.bare_slot)));
        // From here on, answers are sorted and carry the new slot.
        let _ = self.seen.sorting.set(sorting);
    }

    /// Tells who the slot is, unless the log does or its reader knows. While nothing is read, the limit of the log takes the
    /// oldest records, and windows of nobody would be worth nothing.
    pub(super) fn introduce(&mut self, telemetry: &Telemetry) {
        let status = telemetry.status();
        let by_limit = status.dropped.iter().filter(|(reason, _)| matches!(reason, Reason::Limit | Reason::DiskFull));
        let given_way = by_limit.map(|(_, records)| records).sum();
        let has_left = |at: Position| status.oldest.is_none_or(|oldest| oldest > at);
        if self.introduced.is_none_or(|at| given_way > self.given_way && has_left(at)) {
            let record = self.model.record(self.seen.sorting.get(), self.seen.bare_slot);
            self.introduced = seal(telemetry, &Record::Model(record));
        }
        self.given_way = given_way;
    }

    /// Closes the window as it stands; an empty one stays open.
    pub(super) fn close(&mut self, telemetry: &Telemetry) -> Vec<Notice> {
        if self.open.records == 0 {
            return Vec::new();
        }
        let (slot, profile) = (self.slot(), self.judge.as_ref().map(|judge| judge.profile().clone()));
        self.index += 1;
        let closed = std::mem::replace(&mut self.open, Open::new(slot, self.index, profile.as_deref()));
        let (mut window, mut counts) = (closed.window, closed.counts);
        window.closed = telemetry.now();
        if let Some(counts) = &mut counts {
            window.features.clone_from(&counts.features);
            counts.rows = window.rows;
            if counts.embedded > 0 {
                (window.embedded, window.embedding) = (counts.embedded, counts.embedding.clone());
            }
        }
        self.introduce(telemetry);
        seal(telemetry, &Record::Window(window.clone()));
        let summary = self.summarize(window, counts, closed.health, closed.shifts);
        let sight = Sight { summary: &summary, worse: self.worse_streams(), concept: self.concept_signal() };
        let news = self.board.see(&sight);
        self.keep(summary);
        let reliability = self.judge.as_ref().and_then(|judge| judge.profile().reliability.as_ref());
        self.estimated = reliability.and_then(|reliability| self.concept.estimated(reliability));
        self.concept.next_window();
        news.into_iter().map(|news| self.tell(news, telemetry)).collect()
    }

    fn summarize(&mut self, window: Window, counts: Option<Counts>, health: Health, shifts: Vec<Shift>) -> Summary {
        let verdict = self.judge.as_mut().zip(counts).and_then(|(judge, counts)| {
            judge.judge(&counts).inspect_err(|e| tracing::warn!("a window could not be judged: {e}")).ok()
        });
        let breaches = health.breaches(&self.settings.slo);
        Summary { window, verdict, health, breaches, shifts }
    }

    /// The detectors take values to be independent. Where the profile says that rows depend on those before them, a fall in
    /// confidence may be a season, and is left to the judge.
    fn worse_streams(&self) -> Vec<Shift> {
        let dependent = self.judge.as_ref().is_some_and(|judge| judge.profile().block > 1);
        self.streams
            .worse()
            .filter(|shift| !dependent || shift.stream != super::streams::MonitoredStream::Confidence)
            .collect()
    }

    /// Drift is told at the label that shows it; a window only says whether it is over, and not by a few labels.
    fn concept_signal(&mut self) -> Signal {
        const FEW: u64 = 30;
        match (self.accuracy_before, self.concept.accuracy()) {
            (Some(before), now) if now.is_none_or(|now| now.of < FEW || now.high < before) => Signal::Holding,
            _ => {
                self.accuracy_before = None;
                Signal::Calm
            }
        }
    }

    fn tell(&self, news: News, telemetry: &Telemetry) -> Notice {
        seal(telemetry, &Record::Alert(news.record));
        Notice::new(news.change, self.settings.callback.clone(), self.callback_panics.clone())
    }

    fn keep(&mut self, summary: Summary) {
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

    /// The accuracy to expect of the last closed window's confidences.
    pub(super) fn estimated_accuracy(&self) -> Option<Share> {
        self.estimated
    }

    /// Feedback about an earlier answer.
    pub(super) fn feedback(&mut self, id: u64, given: Label, telemetry: &Telemetry) -> (Feedback, Option<Notice>) {
        let Some(class) = self.concept.class_of(id) else { return (Feedback::Unknown, None) };
        let before = self.concept.accuracy();
        let (feedback, predicted, truth) = match given {
            Label::Class(truth) => (self.concept.feedback(id, truth), class, truth),
            // There is no class to report: 1 stands for what was right.
            Label::Correct(right) => (self.concept.feedback_right(id, right), 1, u16::from(right)),
        };
        let model = self.slot();
        seal(telemetry, &Record::Feedback(label(model, id, predicted, truth)));
        let Feedback::Drifted { .. } = feedback else { return (feedback, None) };
        let before = *self.accuracy_before.get_or_insert(before.map_or(1.0, |share| share.value));
        let news = self.board.worse(self.concept.accuracy(), before, model, self.index, telemetry.now());
        (feedback, news.map(|news| self.tell(news, telemetry)))
    }
}

/// The ground truth about an earlier answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Label {
    /// The class that would have been right.
    Class(u16),
    /// Whether the answer was right, where the truth is no class: a text that its reader liked, say.
    Correct(bool),
}

fn label(model: u32, id: u64, predicted: u16, truth: u16) -> telemetry::Feedback {
    telemetry::Feedback { model, id, predicted, truth, ..telemetry::Feedback::default() }
}

fn judge(sorting: &Sorting, settings: &Settings) -> Result<Judge> {
    let false_alarm = FalseAlarm::windows(settings.windows_to_false_alarm());
    let policy = Policy::new(settings.window, false_alarm).persistence(settings.persistence);
    Judge::new(sorting.profile.clone(), policy)
}

/// What cannot be sealed is counted by the telemetry itself.
fn seal(telemetry: &Telemetry, record: &Record) -> Option<Position> {
    telemetry.seal(record).inspect_err(|e| tracing::debug!("a record was not sealed: {e}")).ok()
}
