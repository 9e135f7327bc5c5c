//! What is known of a call while it runs, until it is recorded.

use std::time::{Duration, Instant};

use crate::engine::Exposure;
use crate::layer::probe::Sheet;
use crate::telemetry::RolloutArm;

pub(super) struct CallRecord {
    pub(super) id: u64,
    /// The part of a rollout that a deployment gave the call to.
    pub(super) arm: Option<RolloutArm>,
    pub(super) sheet: Box<Sheet>,
    /// The time that the caller has waited in `start` and `step`. What passes between steps is the caller's.
    pub(super) waited: Duration,
    pub(super) first_token: Option<Duration>,
    /// When the last of that ended.
    pub(super) ended: Instant,
}

pub(super) fn arm_of(exposure: Exposure) -> RolloutArm {
    match exposure {
        Exposure::Current => RolloutArm::Current,
        Exposure::Canary => RolloutArm::Canary,
        Exposure::Shadow => RolloutArm::Shadow,
    }
}
