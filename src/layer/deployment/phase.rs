//! Phases of a version.

/// The phase of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RolloutPhase {
    /// This device is not of the rollout's cohort; nothing was loaded.
    Outside,
    /// It is being opened.
    Loading,
    /// Its golden cases are being run.
    SelfTest,
    /// It answers in the background what the current version answered, and is compared.
    Shadow,
    /// It answers a share of the calls, and is judged.
    Canary,
    /// It is the current version.
    Promoted,
    /// It gets no new call; those under way go on.
    Draining,
    /// It was the current version once.
    Retired,
    /// It was judged worse, or taken back by the app. It is not taken again.
    RolledBack,
    /// It did not open, failed its self-test, or the process died in it. It may be offered once more.
    Missed,
    /// It missed twice. It is not taken again.
    Quarantined,
}

impl RolloutPhase {
    /// Whether a version is on its way from an offer to a verdict.
    pub(super) fn is_on_trial(self) -> bool {
        matches!(self, RolloutPhase::Loading | RolloutPhase::SelfTest | RolloutPhase::Shadow | RolloutPhase::Canary)
    }
}
