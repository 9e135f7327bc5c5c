//! Rollout of versions, as records tell it: the arm that gave an answer, the steps of a version, the findings of a verdict.

/// The part of a rollout in which a version gave an answer. The numbers are never changed and never reused.
///
/// ```
/// use selvedge::telemetry::RolloutArm;
/// assert_eq!(RolloutArm::ALL.map(|arm| (arm.number(), arm.name())), [(1, "current"), (2, "canary"), (3, "shadow")]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RolloutArm {
    /// Number 1: the current version, which is the control of a test.
    Current,
    /// Number 2: the version on trial, for a share of the calls; the other side of an A/B test.
    Canary,
    /// Number 3: the version on trial, in its self-test or in the background. Nobody was given the answer.
    Shadow,
}

impl RolloutArm {
    /// All arms, by number.
    pub const ALL: [RolloutArm; 3] = [RolloutArm::Current, RolloutArm::Canary, RolloutArm::Shadow];

    /// The number in a file, from 1; 0 stands for an answer outside of any rollout.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            RolloutArm::Current => 1,
            RolloutArm::Canary => 2,
            RolloutArm::Shadow => 3,
        }
    }

    /// The arm of this number; `None` for 0, and for one of a later version.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|arm| u64::from(arm.number()) == number)
    }

    /// The name: `current`, `canary`, `shadow`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            RolloutArm::Current => "current",
            RolloutArm::Canary => "canary",
            RolloutArm::Shadow => "shadow",
        }
    }
}

/// What of a window one arm gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowArm {
    /// The arm.
    pub arm: RolloutArm,
    /// Rows that were answered in it.
    pub rows: u64,
    /// Requests that were given to it.
    pub requests: u64,
    /// Those that the engine failed ([`Outcome::is_fault`](super::Outcome::is_fault)).
    pub failed: u64,
}

impl WindowArm {
    /// An arm of which nothing was counted yet.
    #[must_use]
    pub fn new(arm: RolloutArm) -> Self {
        Self { arm, rows: 0, requests: 0, failed: 0 }
    }
}

/// One finding about a version on trial: what was looked at, and its numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RolloutFinding {
    /// `errors`, `latency`, `accuracy`, `deaths`, the feature of an alert, or the name of a golden case.
    pub name: String,
    /// What it speaks for by itself, as [`RolloutRecord::verdict`](super::RolloutRecord::verdict).
    pub verdict: String,
    /// The share of failures of the current version; `None` where it is not a matter of shares.
    pub control: Option<f64>,
    /// The share of failures of the version on trial.
    pub candidate: Option<f64>,
    /// The evidence that it is worse: the chance to see as much of one that is not is at most one in it.
    pub worse: f64,
    /// The evidence that it is worse by less than the margin, in the same measure.
    pub no_worse: f64,
    /// The numbers in words; empty where there are none.
    pub words: String,
}
