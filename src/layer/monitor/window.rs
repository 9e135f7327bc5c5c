//! Window in progress.

use std::time::Instant;

use super::outcome::in_health;
use super::streams::Shift;
use crate::drift::{Health, Profile, WindowCounts};
use crate::telemetry::{Inference, ModelSlot, Outcome, Stamp, Telemetry, Window, WindowArm};

/// Equal parts of `[0, 1]` in the histograms of confidence and entropy.
pub(super) const PARTS: usize = 20;

#[derive(Debug)]
pub(super) struct OpenWindow {
    pub(super) window: Window,
    /// `None` without a profile.
    pub(super) counts: Option<WindowCounts>,
    /// When its first record was added; `None` while it is empty.
    pub(super) since: Option<Instant>,
    /// Rows and failures: what fills the window.
    pub(super) records: u64,
    /// What of the answers counts for health: what the caller broke or ended does not.
    pub(super) health: Health,
    pub(super) shifts: Vec<Shift>,
}

impl OpenWindow {
    pub(super) fn new(model_slot: ModelSlot, index: u64, profile: Option<&Profile>) -> Self {
        let counts = profile.map(WindowCounts::new);
        Self {
            window: Window { model_slot, index, ..Window::default() },
            counts,
            since: None,
            records: 0,
            health: Health::new(),
            shifts: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, inference: &Inference, telemetry: &Telemetry) {
        let outcome = inference.outcome;
        if self.since.is_none() {
            self.since = Some(Instant::now());
            let now = telemetry.now();
            // A record of an earlier process has its time from a clock that is gone.
            let at = if inference.epoch == now.epoch { inference.at } else { now.monotonic_ns };
            self.window.opened = Stamp { monotonic_ns: at, ..now };
        }
        self.records += 1;
        if !outcome.is_further() {
            self.add_request(inference, outcome);
        }
        if outcome.is_answer() {
            self.add_row(inference);
        }
        self.add_to_arm(inference);
    }

    fn add_to_arm(&mut self, inference: &Inference) {
        let (Some(arm), arms, outcome) = (inference.arm, &mut self.window.arms, inference.outcome) else { return };
        let at = arms.iter().position(|known| known.arm == arm).unwrap_or_else(|| {
            arms.push(WindowArm::new(arm));
            arms.len() - 1
        });
        let is_request = !outcome.is_further();
        arms[at].rows += u64::from(outcome.is_answer());
        arms[at].requests += u64::from(is_request);
        arms[at].failed += u64::from(is_request && outcome.is_fault());
    }

    fn add_request(&mut self, inference: &Inference, outcome: Outcome) {
        let window = &mut self.window;
        count(&mut window.outcomes, outcome);
        if outcome.is_answer() || outcome.is_fault() {
            self.health.add(&in_health(outcome, inference.latency_us.into()));
        }
        if outcome.is_answer() {
            window.latency.record(inference.latency_us.into());
            window.tokens_in += u64::from(inference.tokens_in);
            window.tokens_out += u64::from(inference.tokens_out);
            if inference.first_token_us > 0 {
                window.first_token.record(inference.first_token_us.into());
            }
        }
    }

    fn add_row(&mut self, inference: &Inference) {
        let window = &mut self.window;
        window.rows += 1;
        if inference.class != Inference::NO_CLASS {
            count(&mut window.classes, inference.class);
        }
        count_part(&mut window.confidence, inference.confidence);
        count_part(&mut window.entropy, inference.entropy);
        // A record without bins is of an answer that the probe did not understand.
        if let Some(counts) = &mut self.counts
            && let Some((bins, signs)) = inference.bins.split_at_checked(counts.features.len())
            && !inference.bins.is_empty()
        {
            counts.add_row(bins);
            counts.add_embedding(signs);
        }
    }
}

/// Adds one to the count of a key, in a list sorted by key.
fn count<K: Copy + Ord>(counts: &mut Vec<(K, u64)>, key: K) {
    match counts.binary_search_by_key(&key, |(k, _)| *k) {
        Ok(i) => counts[i].1 += 1,
        Err(i) => counts.insert(i, (key, 1)),
    }
}

fn count_part(parts: &mut Vec<u64>, step: u8) {
    if let Some(unit) = Inference::unit(step) {
        parts.resize(PARTS, 0);
        // A part includes its upper end, as the buckets of OpenTelemetry do.
        parts[((unit * PARTS as f32).ceil() as usize).saturating_sub(1)] += 1;
    }
}
