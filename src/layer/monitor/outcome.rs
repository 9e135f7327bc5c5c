//! Outcome of a request: how it ended, in the sixteen bits that a record has for it.
//!
//! ```text
//!   bit  15        14  13       12       11       10..8          7..0
//!      ┌─────────┬────┬────────┬────────┬────────┬──────────────┬─────────────────────────────┐
//!      │ further │ 0  │ valid  │checked │refused │ finish       │ number of the Code, or 0    │
//!      └─────────┴────┴────────┴────────┴────────┴──────────────┴─────────────────────────────┘
//! ```
//!
//! `further` marks the second and later rows of one answer: they have bins and a class, while outcome, latency and
//! tokens of the answer are in its first row.

use crate::Code;
use crate::drift::{self, Health};
use crate::layer::probe::Prediction;
use crate::telemetry::Window;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome(pub(super) u16);

const FINISH_SHIFT: u32 = 8;
const REFUSED: u16 = 1 << 11;
const CHECKED: u16 = 1 << 12;
const VALID: u16 = 1 << 13;
const FURTHER: u16 = 1 << 15;

const LENGTH: u8 = 3;

impl Outcome {
    pub(super) fn failed(code: Code) -> Self {
        // The numbers of the codes end at 255.
        Self(u8::try_from(code as i32).unwrap_or(u8::MAX).into())
    }

    pub(super) fn answered(finish: u8, prediction: &Prediction) -> Self {
        let refused = if prediction.refused { REFUSED } else { 0 };
        let valid = match prediction.valid {
            None => 0,
            Some(false) => CHECKED,
            Some(true) => CHECKED | VALID,
        };
        Self(u16::from(finish & 7) << FINISH_SHIFT | refused | valid)
    }

    pub(super) fn further(self) -> Self {
        Self(self.0 | FURTHER)
    }

    pub(super) fn is_further(self) -> bool {
        self.0 & FURTHER != 0
    }

    pub(super) fn is_answer(self) -> bool {
        self.code() == 0
    }

    /// A failure that is the engine's own: not a request that did not fit, and not one that its caller ended.
    pub(super) fn is_fault(self) -> bool {
        !self.is_answer() && !Code::from_number(self.code().into()).is_some_and(Code::is_of_the_request)
    }

    fn code(self) -> u8 {
        self.0 as u8
    }

    /// As it counts for health.
    pub(super) fn in_health(self, latency_us: u64) -> drift::Outcome {
        drift::Outcome {
            latency_us,
            error: self.is_fault(),
            refusal: self.is_refusal(),
            length_stop: self.is_cut(),
            schema_valid: self.is_valid(),
            ..drift::Outcome::default()
        }
    }

    /// The health that follows from the outcomes and latencies of a sealed window.
    pub(super) fn health_of(window: &Window) -> Health {
        let mut health = Health::new();
        for (outcome, count) in window.outcomes.iter().map(|(o, count)| (Self(*o), count)) {
            health.rows += count * u64::from(outcome.is_answer() || outcome.is_fault());
            health.errors += count * u64::from(outcome.is_fault());
            health.refusals += count * u64::from(outcome.is_refusal());
            health.length_stops += count * u64::from(outcome.is_cut());
            health.with_schema += count * u64::from(outcome.is_valid().is_some());
            health.schema_valid += count * u64::from(outcome.is_valid() == Some(true));
        }
        (health.tokens_in, health.tokens_out) = (window.tokens_in, window.tokens_out);
        let latency = &window.latency;
        health.latency.add(0, latency.zero_count);
        for (i, count) in latency.buckets.iter().enumerate() {
            // The geometric middle of the bucket.
            let middle = (f64::from(latency.offset + i as i32) + 0.5) * 2f64.powi(-latency.scale);
            health.latency.add(middle.exp2() as u64, *count);
        }
        health
    }

    fn is_cut(self) -> bool {
        self.is_answer() && (self.0 >> FINISH_SHIFT & 7) as u8 == LENGTH
    }

    fn is_refusal(self) -> bool {
        self.0 & REFUSED != 0
    }

    /// Whether the answer was valid, where it was checked.
    fn is_valid(self) -> Option<bool> {
        (self.0 & CHECKED != 0).then_some(self.0 & VALID != 0)
    }
}
