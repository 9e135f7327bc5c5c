//! Status of a deployment: versions, arms, and the judge's view of them.

use super::control::Control;
use super::golden::GoldenMiss;
use super::judge::{ArmCounts, Judged};
use super::phase::RolloutPhase;
use super::plan::RolloutPlan;
use super::shadow::ShadowCounts;

/// The status of a deployment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeploymentStatus {
    /// The current version.
    pub current: String,
    /// The one before it, that a rollback would bring back.
    pub previous: Option<String>,
    /// The version on trial.
    pub candidate: Option<CandidateStatus>,
    /// All versions that are remembered, and their phases.
    pub versions: Vec<(String, RolloutPhase)>,
    /// The last verdict that was acted on, and its version.
    pub last: Option<(String, Judged)>,
    /// Why the last version that missed did: the golden cases that it did not pass, or why it did not open.
    pub misses: Vec<GoldenMiss>,
    /// Whether the state is saved as it is.
    pub is_saved: bool,
}

/// The status of a version on trial.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CandidateStatus {
    /// The version.
    pub version: String,
    /// Its phase.
    pub phase: RolloutPhase,
    /// Its plan.
    pub plan: RolloutPlan,
    /// The counts of the current version in this trial.
    pub control: ArmCounts,
    /// Its own counts.
    pub counts: ArmCounts,
    /// The counts of its shadow, while it is in it.
    pub shadow: ShadowCounts,
    /// What the judge says now.
    pub judged: Judged,
}

impl DeploymentStatus {
    /// The phase of a version, if it is remembered.
    #[must_use]
    pub fn phase(&self, version: &str) -> Option<RolloutPhase> {
        self.versions.iter().find(|(name, _)| name == version).map(|(_, phase)| *phase)
    }
}

impl Control {
    pub(super) fn status(&self) -> DeploymentStatus {
        let shadow = self.shared.view.load().shadow.as_ref().map(|lane| lane.counts()).unwrap_or_default();
        let inner = self.lock();
        let state = &inner.state;
        let candidate = state.candidate().and_then(|candidate| {
            let (control, counts) = inner.counts(&candidate.version);
            let judged = self.judged(&inner).map(|(_, judged)| judged).unwrap_or_default();
            let (version, plan) = (candidate.version.clone(), candidate.plan.clone());
            let phase = state.phase(&version)?;
            Some(CandidateStatus { version, phase, plan, control, counts, shadow, judged })
        });
        DeploymentStatus {
            current: state.current().unwrap_or_default().into(),
            previous: state.previous().map(str::to_owned),
            candidate,
            versions: state.versions().iter().map(|(version, entry)| (version.clone(), entry.phase)).collect(),
            last: inner.last.clone(),
            misses: inner.misses.clone(),
            is_saved: inner.is_saved,
        }
    }
}
