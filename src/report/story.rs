//! The story of a folder: its records, put together model by model.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::classes::{AlertClass, Classes};
use super::stored::{CrashedModel, StoredVersion};
use crate::drift::{
    AdjustedAccuracy, Cohorts, FeatureDrift, Judge, Policy, Profile, Proportion, Verdict, WindowCounts, bins_of,
};
use crate::telemetry::{
    AlertRecord, Anchor, Exponential, ModelInfo, ModelSlot, Reason, RolloutRecord, Stamp, Window, WindowArm,
};

/// The story of a telemetry folder: its models, alerts and losses.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Story {
    /// Those that have closed a window, the latest last.
    pub models: Vec<Model>,
    /// Raised and cleared, in the order of time.
    pub alerts: Vec<AlertRecord>,
    /// Steps of versions of a deployment, in the order of time.
    pub rollouts: Vec<RolloutRecord>,
    /// The versions of the store that was [added](Story::with_store), the highest number first.
    pub stored: Vec<StoredVersion>,
    /// The models that ended the process, of the crash record that was [added](Story::with_crash_record).
    pub crashed: Vec<CrashedModel>,
    /// The records lost over the life of the folder.
    pub losses: Vec<(Reason, u64)>,
    /// Records in the folder.
    pub records: usize,
    /// Times that the folder was opened for writing.
    pub boots: usize,
    /// Records that are not in the story: damaged ones, and the oldest where all would take tens of megabytes of memory.
    pub left_out: u64,
    /// In the order of boot, epoch and time.
    pub(super) clocks: Vec<Anchor>,
    pub(super) classes: Classes,
}

/// One model with one reference.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Model {
    /// The identity of the model.
    pub info: ModelInfo,
    /// The reference of its windows, where it has one that this build can read.
    pub profile: Option<Arc<Profile>>,
    /// Oldest first; the latest, where all would take too much memory.
    pub windows: Vec<Seen>,
    /// Labels that came back, and those of them that the model had got right.
    pub labels: (u64, u64),
    /// The answers of its windows and their labels.
    pub(super) cohorts: Cohorts,
    /// The log does not tell who it is.
    pub(super) is_nameless: bool,
    /// Windows from this one on were held against the reference.
    pub(super) judged_from: usize,
}

/// A window, and what its counts say beside the reference.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Seen {
    /// The window as it was sealed.
    pub window: Window,
    /// Its counts beside the reference, judged at the default [`Policy`]; `None` without a reference, and where later windows
    /// have some 24,000 features together.
    pub verdict: Option<Verdict>,
}

impl Story {
    /// The alerts of a model that were raised and not cleared since.
    #[must_use]
    pub fn standing(&self, slot: ModelSlot) -> Vec<&AlertRecord> {
        // The findings of one feature take each other's place; every other code stands by itself.
        let mut standing = BTreeMap::new();
        for (at, alert) in self.alerts.iter().enumerate().filter(|(_, a)| a.model_slot == slot) {
            let code = Some(alert.code.name()).filter(|_| !alert.code.is_of_feature());
            let key = (alert.feature.as_deref(), code);
            if alert.raised { _ = standing.insert(key, at) } else { _ = standing.remove(&key) }
        }
        let mut standing: Vec<usize> = standing.into_values().collect();
        standing.sort_unstable();
        standing.into_iter().map(|at| &self.alerts[at]).collect()
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
        self.classes.of(slot).iter()
    }

    /// The wall-clock time of a stamp in seconds since 1970, by the anchor of its boot that is nearest.
    #[must_use]
    pub fn seconds(&self, stamp: &Stamp) -> Option<i64> {
        let place = |a: &Anchor| (a.stamp.boot, a.stamp.epoch, a.monotonic_ns);
        let after = self.clocks.partition_point(|a| place(a) <= (stamp.boot, stamp.epoch, stamp.monotonic_ns));
        let near = self.clocks.iter().skip(after.saturating_sub(1)).take(2);
        let of_boot = near.filter(|a| a.stamp.boot == stamp.boot && a.stamp.epoch == stamp.epoch);
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
    pub(super) fn new(info: ModelInfo) -> Self {
        Self {
            info,
            profile: None,
            windows: Vec::new(),
            labels: (0, 0),
            cohorts: Cohorts::default(),
            is_nameless: false,
            judged_from: 0,
        }
    }

    /// Reads the reference and holds the latest windows against it, in their order: those that have at most so many
    /// features together. Returns how many they have.
    pub(super) fn judge(&mut self, most: usize) -> usize {
        // A profile of a later version, or a damaged one, leaves the counts without a reference.
        self.profile = Profile::decode(&self.info.profile).ok().map(Arc::new);
        let Some(profile) = &self.profile else { return 0 };
        // The log does not tell how long windows were to be; the longest is.
        let rows = self.windows.iter().map(|seen| seen.window.rows).max().unwrap_or(1);
        let policy = Policy::default().window(rows.max(1));
        let Ok(mut judge) = Judge::new(profile.clone(), policy) else { return 0 };
        let each = profile.features.len().max(1);
        let windows = (most / each).min(self.windows.len());
        let from = self.windows.len() - windows;
        self.judged_from = from;
        for seen in &mut self.windows[from..] {
            let mut counts = WindowCounts::new(profile);
            (counts.rows, counts.features) = (seen.window.rows, seen.window.features.clone());
            seen.verdict = judge.judge(&counts).ok();
        }
        windows * each
    }

    /// The windows that were held against the reference, the latest ones.
    pub(super) fn judged(&self) -> &[Seen] {
        self.windows.get(self.judged_from..).unwrap_or_default()
    }

    /// Rows of all windows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.windows.iter().fold(0, |all, seen| all.saturating_add(seen.window.rows))
    }

    /// Requests of all windows, and those that the engine failed: not those that did not fit it, and not those that were
    /// cancelled ([`Outcome::is_fault`](crate::telemetry::Outcome::is_fault)).
    #[must_use]
    pub fn requests(&self) -> (u64, u64) {
        let outcomes = self.windows.iter().flat_map(|seen| &seen.window.outcomes);
        let requests = outcomes.filter(|(outcome, _)| !outcome.is_further());
        requests.fold((0u64, 0u64), |(all, failed), (outcome, n)| {
            (all.saturating_add(*n), failed.saturating_add(n * u64::from(outcome.is_fault())))
        })
    }

    /// The parts of a rollout that it answered in, with the sums of all windows; empty outside of any.
    #[must_use]
    pub fn arms(&self) -> Vec<WindowArm> {
        let mut sums: BTreeMap<_, WindowArm> = BTreeMap::new();
        for one in self.windows.iter().flat_map(|seen| &seen.window.arms) {
            let sum = sums.entry(one.arm).or_insert_with(|| WindowArm::new(one.arm));
            sum.rows = sum.rows.saturating_add(one.rows);
            sum.requests = sum.requests.saturating_add(one.requests);
            sum.failed = sum.failed.saturating_add(one.failed);
        }
        sums.into_values().collect()
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
        let tokens = self.windows.iter().map(|seen| (seen.window.tokens_in, seen.window.tokens_out));
        tokens.fold((0u64, 0u64), |(i, o), (read, written)| (i.saturating_add(read), o.saturating_add(written)))
    }

    /// The accuracy of the model, by the labels that came back.
    #[must_use]
    pub fn accuracy(&self) -> Option<Proportion> {
        Proportion::wilson(self.labels.1, self.labels.0)
    }

    /// The accuracy to expect of its last window, by the confidences of the answers (CBPE). `None` without a reference whose
    /// rows had labels.
    #[must_use]
    pub fn estimated_accuracy(&self) -> Option<Proportion> {
        let reliability = self.profile.as_ref()?.reliability.as_ref()?;
        reliability.expected(&bins_of(&self.windows.last()?.window.confidence))
    }

    /// The same, corrected by the labels that came back, late as they are, or how many are missing.
    #[must_use]
    pub fn adjusted_accuracy(&self) -> Option<AdjustedAccuracy> {
        self.cohorts.estimate(self.profile.as_ref()?.reliability.as_ref()?)
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
        let verdicts = self.judged().iter().filter_map(|seen| seen.verdict.as_ref());
        verdicts.filter_map(|v| v.features.get(feature)).map(number).collect()
    }
}
