//! State of a deployment: which version serves, which one is on trial, and which may not come back. Pure: events in,
//! actions out, no clock and no I/O.
//!
//! ```text
//!             offer                 passed          compared        promote
//!   (nothing) ─────► Loading ─► SelfTest ─► Shadow ─────────► Canary ─────► Promoted ─► Draining ─► Retired
//!                      │            │          │                │           (another one is promoted)
//!                      └─ Missed ◄──┘          └── roll back ───┴─► Draining ─► RolledBack
//!                      2 misses: Quarantined
//! ```
//!
//! Shadow and canary are left out where the plan has none. The state is saved after each event and before its actions:
//! [`State::restore`] gives the actions of a process that begins with what was saved.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event::{RolloutAction, RolloutEvent};
use super::phase::RolloutPhase;
use super::plan::RolloutPlan;
use super::saved::{SavedPhase, SavedPlan};
use super::versions::VersionOutcome;
use crate::{Code, Error, Result};

/// Misses (failed loads and self-tests, deaths of the process) after which a version is quarantined.
pub(super) const MAX_MISSES: u32 = 2;
/// Processes in a row that ended while a version was loaded or tested, and that together count as one miss.
const MAX_INTERRUPTED: u32 = 3;
/// Versions that are remembered. Of those beyond, retired ones are forgotten, and never one that may not come back.
const MAX_VERSIONS: usize = 256;
const FORMAT: u32 = 1;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    format: u32,
    current: Option<String>,
    previous: Option<String>,
    candidate: Option<Candidate>,
    versions: BTreeMap<String, Entry>,
}

/// The version on trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Candidate {
    pub(super) version: String,
    #[serde(with = "SavedPlan")]
    pub(super) plan: RolloutPlan,
    /// It fits into memory beside the current version.
    pub(super) beside: bool,
    /// It was current before, and its promotion takes the current one back.
    reverts: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    #[serde(with = "SavedPhase")]
    pub(super) phase: RolloutPhase,
    pub(super) misses: u32,
    interrupted: u32,
    /// Deaths of the process in it that were counted as misses.
    pub(super) deaths: u64,
    pub(super) rolled_back: bool,
}

use RolloutAction::{Drain, Load, Route, SelfTest, Suspend, Tell};

impl State {
    pub(super) fn new(first: &str) -> Self {
        let mut state =
            Self { format: FORMAT, current: None, previous: None, candidate: None, versions: BTreeMap::new() };
        state.current = Some(first.into());
        state.entry(first).phase = RolloutPhase::Promoted;
        state
    }

    pub(super) fn current(&self) -> Option<&str> {
        self.current.as_deref()
    }

    pub(super) fn previous(&self) -> Option<&str> {
        self.previous.as_deref()
    }

    pub(super) fn candidate(&self) -> Option<&Candidate> {
        self.candidate.as_ref()
    }

    pub(super) fn versions(&self) -> &BTreeMap<String, Entry> {
        &self.versions
    }

    /// The versions that this process begins with.
    pub(super) fn on_duty(&self) -> Vec<String> {
        let candidate = self.candidate.iter().map(|candidate| candidate.version.clone());
        candidate.chain(self.current.clone()).collect()
    }

    pub(super) fn phase(&self, version: &str) -> Option<RolloutPhase> {
        self.versions.get(version).map(|entry| entry.phase)
    }

    /// The state, as it was read.
    ///
    /// # Errors
    ///
    /// `Corrupt` for one of another form, or one that contradicts itself.
    pub(super) fn checked(self) -> Result<Self> {
        let state = self;
        let corrupt = |what: String| Error::corrupt(format!("state of a deployment: {what}"));
        if state.format != FORMAT {
            return Err(corrupt(format!("expected format {FORMAT}, got {}", state.format)));
        }
        let promoted: Vec<&String> = state
            .versions
            .iter()
            .filter(|(_, e)| e.phase == RolloutPhase::Promoted)
            .map(|(version, _)| version)
            .collect();
        if promoted.len() > 1 || promoted.first().map(|v| v.as_str()) != state.current() {
            return Err(corrupt(format!("expected one current version, got {promoted:?} and {:?}", state.current)));
        }
        let on_trial = state.candidate.as_ref().map(|c| state.phase(&c.version));
        if on_trial.is_some_and(|phase| !phase.is_some_and(RolloutPhase::is_on_trial)) {
            return Err(corrupt(format!("expected a candidate on trial, got one in {on_trial:?}")));
        }
        Ok(state)
    }

    /// Goes on in a new process: nothing is loaded. Gives what is to be done.
    pub(super) fn restore(&mut self) -> Vec<RolloutAction> {
        let mut actions = Vec::new();
        for entry in self.versions.values_mut().filter(|entry| entry.phase == RolloutPhase::Draining) {
            entry.phase = entry.after_draining();
        }
        // The outcomes are told anew: the last process may have ended before it did.
        for (version, entry) in &self.versions {
            actions.extend(entry.outcome().map(|outcome| Tell { version: version.clone(), outcome }));
        }
        actions.extend(self.current.iter().map(|version| Load { version: version.clone() }));
        actions.push(Route);
        let Some(Candidate { version, .. }) = self.candidate.clone() else { return actions };
        let entry = self.entry(&version);
        if matches!(entry.phase, RolloutPhase::Loading | RolloutPhase::SelfTest) {
            entry.interrupted += 1;
        }
        if entry.interrupted >= MAX_INTERRUPTED {
            entry.interrupted = 0;
            // Nothing of it is loaded, and the current version is.
            actions.extend(self.miss().into_iter().filter(|action| matches!(action, Tell { .. })));
            return actions;
        }
        entry.phase = RolloutPhase::Loading;
        actions.extend(self.load_candidate());
        actions
    }

    /// Takes in an event. One that no longer matters, of a version that is not on trial any more, changes nothing.
    ///
    /// # Errors
    ///
    /// `Busy` where another version is on trial; `InvalidArgument` for one that may not come back, and where there is no
    /// version before. The state is then as it was.
    pub(super) fn apply(&mut self, event: &RolloutEvent) -> Result<Vec<RolloutAction>> {
        let phase = self.candidate.as_ref().and_then(|candidate| self.phase(&candidate.version));
        Ok(match (event, phase) {
            (RolloutEvent::Offered { version, plan, beside }, _) => self.offer(version, plan, *beside)?,
            (RolloutEvent::Reverted { beside }, _) => self.revert(*beside)?,
            (RolloutEvent::Loaded, Some(RolloutPhase::Loading)) => self.enter(RolloutPhase::SelfTest),
            (RolloutEvent::LoadFailed, Some(RolloutPhase::Loading))
            | (RolloutEvent::SelfTested { passed: false }, Some(RolloutPhase::SelfTest)) => self.miss(),
            (RolloutEvent::SelfTested { passed: true }, Some(RolloutPhase::SelfTest)) => self.passed(),
            (RolloutEvent::CurrentFailed, _) => self.current_missed(),
            (RolloutEvent::ShadowEnded, Some(RolloutPhase::Shadow)) => self.compared(),
            (RolloutEvent::Judged { version, promote }, Some(phase)) if self.is_candidate(version) => {
                match (promote, phase) {
                    (true, RolloutPhase::Canary) => self.promote(),
                    (false, _) => self.roll_back(),
                    _ => Vec::new(),
                }
            }
            (RolloutEvent::Withdrawn { version }, Some(_)) if self.is_candidate(version) => self.withdraw(),
            (RolloutEvent::Drained { version }, _) => self.drained(version),
            (RolloutEvent::Died { version, deaths }, _) => self.died(version, *deaths),
            (RolloutEvent::Forgiven { version }, _) => self.forgive(version),
            _ => Vec::new(),
        })
    }

    fn offer(&mut self, version: &str, plan: &RolloutPlan, beside: bool) -> Result<Vec<RolloutAction>> {
        if self.current() == Some(version) {
            return Ok(Vec::new());
        }
        if self.is_candidate(version) {
            let candidate = self.candidate.as_mut().filter(|candidate| !candidate.reverts);
            candidate.into_iter().for_each(|candidate| candidate.plan = plan.clone());
            return Ok(vec![Route]);
        }
        self.admit(version)?;
        self.take(Candidate { version: version.into(), plan: plan.clone(), beside, reverts: false })
    }

    fn revert(&mut self, beside: bool) -> Result<Vec<RolloutAction>> {
        let none = || Error::invalid("roll back: expected a version before the current one, got none");
        let version = self.previous.clone().ok_or_else(none)?;
        self.admit(&version)?;
        self.take(Candidate { version, plan: RolloutPlan::blue_green(), beside, reverts: true })
    }

    /// # Errors
    ///
    /// As [`State::apply`].
    fn admit(&self, version: &str) -> Result<()> {
        if let Some(other) = &self.candidate {
            let busy = format!("version {version}: expected no other on trial, got {}", other.version);
            return Err(Error::new(Code::Busy, busy));
        }
        let Some(entry) = self.versions.get(version) else { return Ok(()) };
        let why = match entry.phase {
            RolloutPhase::Draining => return Err(Error::new(Code::Busy, format!("version {version}: it is draining"))),
            _ if entry.misses >= MAX_MISSES => "quarantined",
            _ if entry.rolled_back => "rolled back",
            _ => return Ok(()),
        };
        Err(Error::invalid(format!("version {version}: expected one that may come, got one that was {why}")))
    }

    fn take(&mut self, candidate: Candidate) -> Result<Vec<RolloutAction>> {
        let drains = self.versions.iter().find(|(_, entry)| entry.phase == RolloutPhase::Draining);
        if let Some((other, _)) = drains.filter(|_| !candidate.beside) {
            let busy = format!("version {}: there is no memory for it while {other} drains", candidate.version);
            return Err(Error::new(Code::Busy, busy));
        }
        let entry = self.entry(&candidate.version);
        (entry.phase, entry.interrupted) = (RolloutPhase::Loading, 0);
        self.candidate = Some(candidate);
        self.forget();
        Ok(self.load_candidate())
    }

    fn load_candidate(&self) -> Vec<RolloutAction> {
        let Some(candidate) = &self.candidate else { return Vec::new() };
        let load = Load { version: candidate.version.clone() };
        if candidate.beside { vec![load] } else { vec![Suspend, load] }
    }

    fn enter(&mut self, phase: RolloutPhase) -> Vec<RolloutAction> {
        let Some(Candidate { version, .. }) = self.candidate.clone() else { return Vec::new() };
        self.entry(&version).phase = phase;
        match phase {
            RolloutPhase::SelfTest => vec![SelfTest { version }],
            _ => vec![Route],
        }
    }

    fn passed(&mut self) -> Vec<RolloutAction> {
        let Some(candidate) = self.candidate.clone() else { return Vec::new() };
        self.entry(&candidate.version).interrupted = 0;
        match candidate.plan {
            _ if !candidate.beside => self.promote(),
            RolloutPlan { shadow: 1.., .. } => self.enter(RolloutPhase::Shadow),
            RolloutPlan { canary: true, .. } => self.enter(RolloutPhase::Canary),
            _ => self.promote(),
        }
    }

    fn compared(&mut self) -> Vec<RolloutAction> {
        let has_canary = self.candidate.as_ref().is_some_and(|candidate| candidate.plan.canary);
        if has_canary { self.enter(RolloutPhase::Canary) } else { self.promote() }
    }

    fn promote(&mut self) -> Vec<RolloutAction> {
        let Some(Candidate { version, reverts, .. }) = self.candidate.take() else { return Vec::new() };
        let earlier = self.current.replace(version.clone());
        self.entry(&version).phase = RolloutPhase::Promoted;
        let mut actions = vec![Route, Tell { version, outcome: VersionOutcome::Activated }];
        self.previous = earlier.clone().filter(|earlier| !reverts && self.may_serve(earlier));
        let Some(earlier) = earlier else { return actions };
        let entry = self.entry(&earlier);
        (entry.phase, entry.rolled_back) = (RolloutPhase::Draining, reverts);
        let outcome = match entry.after_draining() {
            RolloutPhase::RolledBack => Some(VersionOutcome::RolledBack),
            RolloutPhase::Quarantined => Some(VersionOutcome::Quarantined),
            _ => None,
        };
        actions.extend(outcome.map(|outcome| Tell { version: earlier.clone(), outcome }));
        actions.push(Drain { version: earlier });
        actions
    }

    fn roll_back(&mut self) -> Vec<RolloutAction> {
        let Some(candidate) = self.candidate.take() else { return Vec::new() };
        let entry = self.entry(&candidate.version);
        (entry.phase, entry.rolled_back) = (RolloutPhase::Draining, true);
        self.without(candidate, Some(VersionOutcome::RolledBack))
    }

    fn withdraw(&mut self) -> Vec<RolloutAction> {
        let Some(candidate) = self.candidate.take() else { return Vec::new() };
        self.entry(&candidate.version).phase = RolloutPhase::Draining;
        self.without(candidate, None)
    }

    /// A miss of the candidate.
    fn miss(&mut self) -> Vec<RolloutAction> {
        let Some(candidate) = self.candidate.take() else { return Vec::new() };
        let outcome = self.entry(&candidate.version).miss();
        self.without(candidate, Some(outcome))
    }

    /// What is to be done once the candidate is none any more.
    fn without(&self, candidate: Candidate, outcome: Option<VersionOutcome>) -> Vec<RolloutAction> {
        let version = candidate.version;
        let mut actions = vec![Route];
        actions.extend(outcome.map(|outcome| Tell { version: version.clone(), outcome }));
        actions.push(Drain { version });
        if !candidate.beside {
            actions.extend(self.current.iter().map(|version| Load { version: version.clone() }));
            actions.push(Route);
        }
        actions
    }

    fn died(&mut self, version: &str, deaths: u64) -> Vec<RolloutAction> {
        let entry = self.entry(version);
        if deaths <= entry.deaths {
            return Vec::new();
        }
        entry.deaths = deaths;
        match () {
            () if self.is_candidate(version) => self.miss(),
            () if self.current() == Some(version) => self.current_missed(),
            () => Vec::new(),
        }
    }

    /// A miss of the current version: after the second one, the version before takes its place, if there is one.
    fn current_missed(&mut self) -> Vec<RolloutAction> {
        let Some(version) = self.current.clone() else { return Vec::new() };
        let back = self.previous.clone().filter(|previous| self.may_serve(previous) && !self.is_candidate(previous));
        let entry = self.entry(&version);
        entry.misses += 1;
        let mut actions = vec![Tell { version: version.clone(), outcome: VersionOutcome::Missed }];
        let Some(back) = back.filter(|_| entry.misses >= MAX_MISSES) else { return actions };
        entry.phase = RolloutPhase::Quarantined;
        (self.current, self.previous) = (Some(back.clone()), None);
        self.entry(&back).phase = RolloutPhase::Promoted;
        actions[0] = Tell { version: version.clone(), outcome: VersionOutcome::Quarantined };
        let activated = Tell { version: back.clone(), outcome: VersionOutcome::Activated };
        actions.extend([Load { version: back }, Route, activated, Drain { version }]);
        actions
    }

    fn drained(&mut self, version: &str) -> Vec<RolloutAction> {
        if let Some(entry) = self.versions.get_mut(version).filter(|entry| entry.phase == RolloutPhase::Draining) {
            entry.phase = entry.after_draining();
        }
        Vec::new()
    }

    fn forgive(&mut self, version: &str) -> Vec<RolloutAction> {
        let is_idle = self.current() != Some(version) && !self.is_candidate(version);
        if let Some(entry) = self.versions.get_mut(version) {
            (entry.misses, entry.interrupted, entry.rolled_back) = (0, 0, false);
            if is_idle && entry.phase != RolloutPhase::Draining {
                entry.phase = RolloutPhase::Retired;
            }
        }
        Vec::new()
    }

    fn may_serve(&self, version: &str) -> bool {
        self.versions.get(version).is_some_and(|entry| !entry.rolled_back && entry.misses < MAX_MISSES)
    }

    fn is_candidate(&self, version: &str) -> bool {
        self.candidate.as_ref().is_some_and(|candidate| candidate.version == version)
    }

    fn entry(&mut self, version: &str) -> &mut Entry {
        let new = || Entry { phase: RolloutPhase::Retired, misses: 0, interrupted: 0, deaths: 0, rolled_back: false };
        self.versions.entry(version.into()).or_insert_with(new)
    }

    fn forget(&mut self) {
        while self.versions.len() > MAX_VERSIONS {
            let may_go = |(version, entry): &(&String, &Entry)| {
                entry.phase == RolloutPhase::Retired && entry.misses == 0 && self.previous() != Some(version.as_str())
            };
            let Some(version) = self.versions.iter().find(may_go).map(|(version, _)| version.clone()) else { return };
            self.versions.remove(&version);
        }
    }
}

impl Entry {
    fn miss(&mut self) -> VersionOutcome {
        self.misses += 1;
        let is_last = self.misses >= MAX_MISSES;
        self.phase = if is_last { RolloutPhase::Quarantined } else { RolloutPhase::Missed };
        if is_last { VersionOutcome::Quarantined } else { VersionOutcome::Missed }
    }

    fn after_draining(&self) -> RolloutPhase {
        match () {
            () if self.rolled_back => RolloutPhase::RolledBack,
            // It served for lack of another.
            () if self.misses >= MAX_MISSES => RolloutPhase::Quarantined,
            () => RolloutPhase::Retired,
        }
    }

    /// The outcome that lasts.
    fn outcome(&self) -> Option<VersionOutcome> {
        match self.phase {
            RolloutPhase::Promoted => Some(VersionOutcome::Activated),
            RolloutPhase::Quarantined => Some(VersionOutcome::Quarantined),
            RolloutPhase::RolledBack => Some(VersionOutcome::RolledBack),
            _ => None,
        }
    }
}
