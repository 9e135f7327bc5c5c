//! Events that change the state of a deployment, and the actions that follow.

use super::plan::RolloutPlan;
use super::versions::VersionOutcome;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum RolloutEvent {
    Offered {
        version: String,
        plan: RolloutPlan,
        beside: bool,
    },
    /// Back to the version before.
    Reverted {
        beside: bool,
    },
    Loaded,
    LoadFailed,
    /// The current version did not open.
    CurrentFailed,
    SelfTested {
        passed: bool,
    },
    ShadowEnded,
    Judged {
        version: String,
        promote: bool,
    },
    /// The candidate is taken away and may come back.
    Withdrawn {
        version: String,
    },
    Drained {
        version: String,
    },
    /// The process died in it, so often by now.
    Died {
        version: String,
        deaths: u64,
    },
    Forgiven {
        version: String,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum RolloutAction {
    /// Takes calls away from the current version and drops it, as there is no memory for two.
    Suspend,
    Load {
        version: String,
    },
    SelfTest {
        version: String,
    },
    /// Sends calls where the state says.
    Route,
    /// Drops the engine once its last run has ended.
    Drain {
        version: String,
    },
    Tell {
        version: String,
        outcome: VersionOutcome,
    },
}

impl RolloutEvent {
    /// Whether a version may come in by it, which must not be forgotten.
    pub(super) fn brings_in(&self) -> bool {
        match self {
            Self::Offered { .. } | Self::Reverted { .. } | Self::Loaded | Self::ShadowEnded | Self::Forgiven { .. } => {
                true
            }
            Self::SelfTested { passed } => *passed,
            Self::Judged { promote, .. } => *promote,
            _ => false,
        }
    }
}
