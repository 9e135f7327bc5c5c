//! Outcomes of requests: how an answer fills one, and what they say of health.

use crate::drift::{self, Health};
use crate::layer::probe::Prediction;
use crate::telemetry::{Outcome, Window};

/// The outcome of an answer, with the number of its finish reason and what the probe said of a row.
pub(super) fn answered(finish: u8, decision: &Prediction) -> Outcome {
    let outcome = Outcome::answered(finish);
    let outcome = if decision.refused { outcome.refused() } else { outcome };
    decision.valid.map_or(outcome, |valid| outcome.checked(valid))
}

/// The outcome, as it counts for health.
pub(super) fn in_health(outcome: Outcome, latency_us: u64) -> drift::RequestOutcome {
    drift::RequestOutcome {
        latency_us,
        error: outcome.is_fault(),
        refusal: outcome.is_refusal(),
        length_stop: outcome.is_length_stop(),
        schema_valid: outcome.schema_valid(),
        ..drift::RequestOutcome::default()
    }
}

/// Health, as the outcomes and latencies of a sealed window have it.
pub(super) fn health_of(window: &Window) -> Health {
    let mut health = Health::new();
    for (outcome, count) in &window.outcomes {
        health.rows += count * u64::from(outcome.is_answer() || outcome.is_fault());
        health.errors += count * u64::from(outcome.is_fault());
        health.refusals += count * u64::from(outcome.is_refusal());
        health.length_stops += count * u64::from(outcome.is_length_stop());
        health.with_schema += count * u64::from(outcome.schema_valid().is_some());
        health.schema_valid += count * u64::from(outcome.schema_valid() == Some(true));
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
