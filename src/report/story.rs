//! The story of a folder: its records, put together model by model.

use std::path::Path;
use std::sync::Arc;

use super::classes::{AlertClass, Classes, is_same};
use crate::Result;
use crate::drift::{FeatureDrift, Judge, Policy, Profile, Proportion, Verdict, WindowCounts};
use crate::telemetry::{AlertRecord, Anchor, Exponential, ModelInfo, ModelSlot, Reason, Record, Stamp, Window, peek};

/// The story of a telemetry folder: its models, alerts and losses.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Story {
    /// Those that have closed a window, the latest last.
    pub models: Vec<Model>,
    /// Raised and cleared, in the order of time.
    pub alerts: Vec<AlertRecord>,
    /// What was lost over the life of the folder.
    pub losses: Vec<(Reason, u64)>,
    /// Records in the folder.
    pub records: usize,
    /// Times that the folder was opened for writing.
    pub boots: usize,
    clocks: Vec<Anchor>,
    classes: Classes,
}

/// One model with one reference.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Model {
    /// Who it is.
    pub info: ModelInfo,
    /// The reference of its windows, where it has one that this build can read.
    pub profile: Option<Arc<Profile>>,
    /// Oldest first.
    pub windows: Vec<Seen>,
    /// Labels that came back, and those of them that the model had got right.
    pub labels: (u64, u64),
    /// The log does not tell who it is.
    is_nameless: bool,
}

/// A window, and what its counts say beside the reference.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Seen {
    /// The window as it was sealed.
    pub window: Window,
    /// Its counts beside the reference, judged at the default [`Policy`]; `None` without a reference.
    pub verdict: Option<Verdict>,
}

impl Story {
    /// Reads what lies in the folder, whether or not an app has it open. Nothing is changed. Records that were
    /// acknowledged stay in it up to [`Limits::history_bytes`](crate::telemetry::Limits::history_bytes), so the story
    /// begins with the oldest that is kept.
    ///
    /// What is damaged is passed over.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Io`.
    pub fn read(folder: &Path) -> Result<Self> {
        let records = peek(folder)?;
        let mut story = Self {
            models: Vec::new(),
            alerts: Vec::new(),
            losses: Vec::new(),
            records: records.len(),
            boots: 0,
            clocks: Vec::new(),
            classes: Classes::default(),
        };
        for (_, record) in records {
            story.take(record);
        }
        story.models.retain(|model| !model.windows.is_empty());
        story.models.iter_mut().for_each(Model::judge);
        Ok(story)
    }

    fn take(&mut self, record: Record) {
        match record {
            Record::Boot(_) => self.boots += 1,
            Record::Anchor(anchor) => self.clocks.push(anchor),
            Record::Model(info) => self.register(info),
            Record::Window(window) => {
                self.classes.window(&window);
                let model = self.model(window.model_slot);
                model.windows.push(Seen { window, verdict: None });
            }
            Record::Feedback(label) => {
                let model = self.model(label.model_slot);
                model.labels.0 += 1;
                model.labels.1 += u64::from(label.predicted == label.truth);
            }
            Record::Alert(alert) => {
                self.classes.alert(&alert);
                self.alerts.push(alert);
            }
            // Each holds what the ones before held.
            Record::Drops(drops) => self.losses = drops.totals,
        }
    }

    /// A model takes a slot, is named again, or has its name found.
    fn register(&mut self, info: ModelInfo) {
        let who = |m: &ModelInfo| (m.name.clone(), m.version.clone(), m.digest, m.profile.clone());
        match self.models.iter_mut().rev().find(|m| m.info.slot == info.slot) {
            Some(model) if model.is_nameless => {
                let Model { windows, labels, .. } = std::mem::replace(model, Model::new(info));
                (model.windows, model.labels) = (windows, labels);
            }
            Some(model) if who(&model.info) == who(&info) => model.info = info,
            _ => self.models.push(Model::new(info)),
        }
    }

    /// The model that took a slot last; a nameless one if its introduction has given way to the log's limit.
    fn model(&mut self, slot: ModelSlot) -> &mut Model {
        let found = self.models.iter().rposition(|m| m.info.slot == slot);
        let at = found.unwrap_or_else(|| {
            let name = format!("model {}", slot.0);
            let nameless = Model::new(ModelInfo { slot, name, ..ModelInfo::default() });
            self.models.push(Model { is_nameless: true, ..nameless });
            self.models.len() - 1
        });
        &mut self.models[at]
    }

    /// The alerts of a model that were raised and not cleared since.
    #[must_use]
    pub fn standing(&self, slot: ModelSlot) -> Vec<&AlertRecord> {
        let mut standing: Vec<&AlertRecord> = Vec::new();
        for alert in self.alerts.iter().filter(|a| a.model_slot == slot) {
            standing.retain(|a| !is_same(a, alert));
            if alert.raised {
                standing.push(alert);
            }
        }
        standing
    }

    /// The classes of alerts that were raised of a model, the first raised first: how often, and over how many rows.
    ///
    /// # Examples
    ///
    /// ```
    /// use selvedge::report::Story;
    /// use selvedge::telemetry::{AlertCode, AlertRecord, Limits, ModelSlot, Record, Telemetry, Window};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let folder = folder.path();
    /// let (telemetry, model_slot) = (Telemetry::open(folder, Limits::default()), ModelSlot(1));
    /// telemetry.seal(&Record::Window(Window { model_slot, rows: 1024, ..Window::default() }))?;
    /// let code = AlertCode::DeadFeature;
    /// telemetry.seal(&Record::Alert(AlertRecord { model_slot, code, raised: true, ..AlertRecord::default() }))?;
    ///
    /// let story = Story::read(folder)?;
    /// let classes: Vec<_> = story.classes(model_slot).map(|c| (c.code.name(), c.raised, c.rows)).collect();
    /// assert_eq!(classes, [("dead_feature", 1, 1024)]);
    /// # Ok::<(), selvedge::Error>(())
    /// ```
    pub fn classes(&self, slot: ModelSlot) -> impl Iterator<Item = &AlertClass> {
        self.classes.list.iter().filter(move |class| class.model_slot == slot)
    }

    /// The wall-clock time of a stamp in seconds since 1970, by the anchor of its boot that is nearest.
    #[must_use]
    pub fn seconds(&self, stamp: &Stamp) -> Option<i64> {
        let of_boot = self.clocks.iter().filter(|a| a.stamp.boot == stamp.boot && a.stamp.epoch == stamp.epoch);
        let anchor = of_boot.min_by_key(|a| a.monotonic_ns.abs_diff(stamp.monotonic_ns))?;
        let apart = i128::from(stamp.monotonic_ns) - i128::from(anchor.monotonic_ns);
        i64::try_from((i128::from(anchor.unix_ns) + apart).div_euclid(1_000_000_000)).ok()
    }

    /// The same, in words: `2026-03-01 14:05 UTC`, or the place in the log where no clock is known.
    #[must_use]
    pub fn when(&self, stamp: &Stamp) -> String {
        let time = self.seconds(stamp).and_then(|s| time::OffsetDateTime::from_unix_timestamp(s).ok());
        match time {
            Some(t) => {
                let (y, m, d) = (t.year(), u8::from(t.month()), t.day());
                format!("{y:04}-{m:02}-{d:02} {:02}:{:02} UTC", t.hour(), t.minute())
            }
            None => format!("epoch {}, record {}", stamp.epoch, stamp.seq),
        }
    }
}

impl Model {
    fn new(info: ModelInfo) -> Self {
        // A profile of a later version, or a damaged one, leaves the counts without a reference.
        let profile = Profile::decode(&info.profile).ok().map(Arc::new);
        Self { info, profile, windows: Vec::new(), labels: (0, 0), is_nameless: false }
    }

    /// Holds each window against the reference, in their order.
    fn judge(&mut self) {
        let Some(profile) = &self.profile else { return };
        // The log does not tell how long windows were to be; the longest is.
        let rows = self.windows.iter().map(|seen| seen.window.rows).max().unwrap_or(1);
        let Ok(mut judge) = Judge::new(profile.clone(), Policy::default().window(rows.max(1))) else { return };
        for seen in &mut self.windows {
            let mut counts = WindowCounts::new(profile);
            (counts.rows, counts.features) = (seen.window.rows, seen.window.features.clone());
            seen.verdict = judge.judge(&counts).ok();
        }
    }

    /// Rows of all windows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.windows.iter().map(|seen| seen.window.rows).sum()
    }

    /// Requests of all windows, and those that the engine failed: not those that did not fit it, and not those that were
    /// cancelled ([`Outcome::is_fault`](crate::telemetry::Outcome::is_fault)).
    #[must_use]
    pub fn requests(&self) -> (u64, u64) {
        let outcomes = self.windows.iter().flat_map(|seen| &seen.window.outcomes);
        let requests = outcomes.filter(|(outcome, _)| !outcome.is_further());
        requests.fold((0, 0), |(all, failed), (outcome, n)| (all + n, failed + n * u64::from(outcome.is_fault())))
    }

    /// Latencies of all windows, in microseconds.
    #[must_use]
    pub fn latency(&self) -> Exponential {
        let mut all = Exponential::default();
        self.windows.iter().for_each(|seen| all.merge(&seen.window.latency));
        all
    }

    /// Tokens read and written in all windows.
    #[must_use]
    pub fn tokens(&self) -> (u64, u64) {
        self.windows.iter().fold((0, 0), |(i, o), s| (i + s.window.tokens_in, o + s.window.tokens_out))
    }

    /// How often the model was right, by the labels that came back.
    #[must_use]
    pub fn accuracy(&self) -> Option<Proportion> {
        Proportion::wilson(self.labels.1, self.labels.0)
    }

    /// The feature's evidence in each window, as the number of zeros of its p: −log₁₀ p.
    #[must_use]
    pub fn zeros(&self, feature: usize) -> Vec<f64> {
        self.of_feature(feature, |f| -f.ln_p / std::f64::consts::LN_10)
    }

    /// The feature's population stability index in each window.
    #[must_use]
    pub fn psi(&self, feature: usize) -> Vec<f64> {
        self.of_feature(feature, |f| f.psi)
    }

    fn of_feature(&self, feature: usize, number: impl Fn(&FeatureDrift) -> f64) -> Vec<f64> {
        let verdicts = self.windows.iter().filter_map(|seen| seen.verdict.as_ref());
        verdicts.filter_map(|v| v.features.get(feature)).map(number).collect()
    }
}
