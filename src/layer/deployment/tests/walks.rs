//! Random walks of the state, with crashes at any point, beside an account of what was promised that the state knows nothing of.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Chance;
use crate::layer::deployment::event::{RolloutAction, RolloutEvent};
use crate::layer::deployment::phase::RolloutPhase;
use crate::layer::deployment::plan::RolloutPlan;
use crate::layer::deployment::state::{MAX_MISSES, State};
use crate::layer::deployment::versions::VersionOutcome;

const WALKS: u64 = 100_000;
const STEPS: usize = 24;
const VERSIONS: [&str; 4] = ["a", "b", "c", "d"];

/// A process, and the promises that were made.
struct Walk {
    chance: Chance,
    /// As it was saved.
    saved: State,
    state: State,
    todo: VecDeque<RolloutAction>,
    loaded: BTreeSet<String>,
    routed: Option<String>,
    deaths: BTreeMap<String, u64>,
    crashes: u32,
    // The account.
    refused: BTreeSet<String>,
    misses: BTreeMap<String, u32>,
    /// What may make another version current: offers that were taken, and quarantines.
    reasons: u32,
    changes: u32,
}

#[test]
fn random_walks_with_crashes_keep_the_promises() {
    let (mut promoted, mut quarantined, mut rolled_back, mut crashes) = (0, 0, 0, 0);
    for seed in 0..WALKS {
        let mut walk = Walk::new(seed);
        for _ in 0..STEPS {
            walk.step();
            walk.check();
        }
        walk.finish();
        crashes += walk.crashes;
        promoted += walk.changes;
        let is_in = |phase| walk.state.versions().values().filter(|entry| entry.phase == phase).count();
        quarantined += is_in(RolloutPhase::Quarantined);
        rolled_back += is_in(RolloutPhase::RolledBack);
    }
    // The walks have been everywhere.
    let seen = (promoted, quarantined, rolled_back, crashes);
    assert!(promoted > 20_000 && quarantined > 5_000 && rolled_back > 3_000 && crashes > 100_000, "{seen:?}");
}

impl Walk {
    fn new(seed: u64) -> Self {
        let state = State::new("a");
        let mut walk = Self {
            chance: Chance(seed),
            saved: state.clone(),
            state,
            todo: VecDeque::new(),
            loaded: BTreeSet::new(),
            routed: None,
            deaths: BTreeMap::new(),
            crashes: 0,
            refused: BTreeSet::new(),
            misses: BTreeMap::new(),
            reasons: 0,
            changes: 0,
        };
        walk.restart();
        walk
    }

    fn step(&mut self) {
        match self.chance.below(10) {
            0 => self.crash(),
            1..7 if !self.todo.is_empty() => self.carry_out(),
            _ => {
                let event = self.event();
                self.apply(&event);
            }
        }
    }

    fn event(&mut self) -> RolloutEvent {
        let version = VERSIONS[self.chance.below(VERSIONS.len())].to_string();
        let beside = !self.chance.once_in(4);
        match self.chance.below(12) {
            0..4 => {
                let plans = [RolloutPlan::blue_green(), RolloutPlan::canary(10_000)];
                let plan = plans[self.chance.below(2)].clone().shadow(self.chance.below(2) as u32);
                RolloutEvent::Offered { version, plan, beside }
            }
            4 => RolloutEvent::Reverted { beside },
            5 => RolloutEvent::ShadowEnded,
            6..8 => RolloutEvent::Judged { version, promote: true },
            8 => RolloutEvent::Judged { version, promote: false },
            9 if self.todo.is_empty() && self.state.phase(&version) == Some(RolloutPhase::Draining) => {
                self.loaded.remove(&version);
                RolloutEvent::Drained { version }
            }
            10 => RolloutEvent::Withdrawn { version },
            _ if self.chance.once_in(4) => RolloutEvent::Forgiven { version },
            _ => RolloutEvent::Loaded,
        }
    }

    /// Takes in an event as a deployment does: saved first, and sometimes the process ends before that.
    fn apply(&mut self, event: &RolloutEvent) {
        let before = self.state.clone();
        let Ok(actions) = self.state.apply(event) else {
            assert_eq!(self.state, before, "a refused event changes nothing: {event:?}");
            return;
        };
        if let (RolloutEvent::Judged { promote: false, version }, Some(candidate)) = (event, before.candidate())
            && candidate.version == *version
        {
            assert!(self.state.candidate().is_none(), "rolled back with the verdict itself");
            assert_eq!(actions.first(), Some(&RolloutAction::Route), "calls are sent away before anything else");
        }
        if self.chance.once_in(20) {
            return self.crash();
        }
        self.account(&before, event);
        self.saved = self.state.clone();
        self.todo.extend(actions);
    }

    /// The promises that follow from a saved step.
    fn account(&mut self, before: &State, event: &RolloutEvent) {
        let (now, then) = (self.state.candidate(), before.candidate());
        if now.is_some() && then.is_none() {
            self.reasons += 1;
        }
        if self.state.current() != before.current() {
            self.changes += 1;
        }
        for (version, entry) in self.state.versions() {
            let earlier = before.versions().get(version);
            let missed = entry.misses.saturating_sub(earlier.map_or(0, |entry| entry.misses));
            *self.misses.entry(version.clone()).or_default() += missed;
            if entry.rolled_back && !earlier.is_some_and(|entry| entry.rolled_back) {
                self.refused.insert(version.clone());
            }
            if entry.phase == RolloutPhase::Quarantined
                && earlier.is_none_or(|entry| entry.phase != RolloutPhase::Quarantined)
            {
                self.refused.insert(version.clone());
                self.reasons += 1;
            }
        }
        // What served for lack of another goes for good with the first that takes its place.
        let gone = self.misses.iter().filter(|(v, misses)| **misses >= MAX_MISSES && self.state.current() != Some(v));
        self.refused.extend(gone.map(|(version, _)| version.clone()));
        if let RolloutEvent::Forgiven { version } = event {
            self.refused.remove(version);
            self.misses.remove(version);
        }
    }

    fn carry_out(&mut self) {
        let Some(action) = self.todo.pop_front() else { return };
        match action {
            RolloutAction::Suspend => _ = self.state.current().map(|current| self.loaded.remove(current)),
            RolloutAction::Load { version } => self.load(version),
            RolloutAction::SelfTest { .. } => {
                let passed = !self.chance.once_in(3);
                self.apply(&RolloutEvent::SelfTested { passed });
            }
            RolloutAction::Route => {
                let candidate = self.state.candidate().map(|candidate| candidate.version.clone());
                let answers =
                    |v: &String| matches!(self.state.phase(v), Some(RolloutPhase::Shadow | RolloutPhase::Canary));
                self.routed = candidate.filter(answers);
            }
            RolloutAction::Drain { version } => {
                // The last run of one that has answered may still be under way.
                let has_answered = self.state.phase(&version) == Some(RolloutPhase::Draining);
                if !has_answered || self.chance.once_in(2) {
                    self.loaded.remove(&version);
                    self.apply(&RolloutEvent::Drained { version });
                }
            }
            RolloutAction::Tell { version, outcome } => {
                // What is told may be late, but was so once.
                let is_refused = matches!(outcome, VersionOutcome::Quarantined | VersionOutcome::RolledBack);
                assert!(!is_refused || self.state.versions().contains_key(&version));
            }
        }
    }

    fn load(&mut self, version: String) {
        let candidate = self.state.candidate().filter(|candidate| candidate.version == version).cloned();
        let has_failed = self.chance.once_in(5);
        match candidate {
            Some(_) if has_failed => self.apply(&RolloutEvent::LoadFailed),
            Some(candidate) => {
                if !candidate.beside {
                    let others: Vec<_> = self.loaded.iter().filter(|other| **other != version).collect();
                    assert_eq!(others, Vec::<&String>::new(), "{version} does not fit beside another");
                }
                self.loaded.insert(version);
                self.apply(&RolloutEvent::Loaded);
            }
            None if self.state.current() == Some(&version) && has_failed => self.apply(&RolloutEvent::CurrentFailed),
            None if self.state.current() == Some(&version) => _ = self.loaded.insert(version),
            // Meanwhile it is neither.
            None => {}
        }
    }

    /// The process ends; sometimes a version was the cause.
    fn crash(&mut self) {
        self.crashes += 1;
        self.state = self.saved.clone();
        let on_duty = self.state.on_duty();
        if self.chance.once_in(3) {
            let version = on_duty[self.chance.below(on_duty.len())].clone();
            *self.deaths.entry(version).or_default() += 1;
        }
        self.restart();
    }

    fn restart(&mut self) {
        self.loaded.clear();
        (self.todo, self.routed) = (VecDeque::new(), None);
        let bytes = serde_json::to_vec(&self.saved).unwrap();
        self.state = serde_json::from_slice::<State>(&bytes).unwrap().checked().unwrap();
        assert_eq!(self.state, self.saved, "what is read is what was saved");
        let before = self.state.clone();
        for version in self.state.on_duty() {
            let deaths = self.deaths.get(&version).copied().unwrap_or_default();
            self.state.apply(&RolloutEvent::Died { version, deaths }).unwrap();
        }
        let actions = self.state.restore();
        self.account(&before, &RolloutEvent::CurrentFailed);
        self.saved = self.state.clone();
        self.todo.extend(actions);
    }

    fn check(&self) {
        self.state.clone().checked().expect("one current version, and a candidate on trial");
        let on_duty = self.state.on_duty();
        for refused in &self.refused {
            assert!(!on_duty.contains(refused), "{refused} came back by itself: {:?}", self.state);
        }
        for (version, misses) in self.misses.iter().filter(|(_, misses)| **misses >= MAX_MISSES) {
            // Nothing else could answer.
            let is_alone = self.state.current() == Some(version);
            assert!(is_alone || self.refused.contains(version), "{version} missed {misses} times: {:?}", self.state);
        }
        assert!(self.changes <= self.reasons, "flaps: {} changes for {} reasons", self.changes, self.reasons);
        if let Some(routed) = &self.routed {
            let is_due = self.todo.contains(&RolloutAction::Route);
            let is_candidate = self.state.candidate().is_some_and(|candidate| candidate.version == *routed);
            assert!(is_due || is_candidate, "{routed} gets calls and is no candidate");
        }
    }

    /// Without further trouble, everything comes to rest.
    fn finish(&mut self) {
        for _ in 0..100 {
            if self.todo.is_empty() {
                break;
            }
            self.carry_out();
            self.check();
        }
        assert!(self.todo.is_empty(), "it never rests: {:?}", self.todo);
        let candidate = self.state.candidate().and_then(|candidate| self.state.phase(&candidate.version));
        assert!(!matches!(candidate, Some(RolloutPhase::Loading | RolloutPhase::SelfTest)), "stuck: {:?}", self.state);
    }
}

#[test]
fn states_that_contradict_themselves_are_refused() {
    let state = State::new("a");
    let json = serde_json::to_string(&state).unwrap();
    let read = |json: &str| {
        serde_json::from_str::<State>(json)
            .map_err(|e| e.to_string())
            .and_then(|s| s.checked().map_err(|e| e.to_string()))
    };
    assert_eq!(read(&json), Ok(state));
    for (from, to) in [
        (r#""format":1"#, r#""format":2"#),
        (r#""current":"a""#, r#""current":null"#),
        (r#""current":"a""#, r#""current":"b""#),
        (r#""phase":"promoted""#, r#""phase":"retired""#),
        (r#""previous":null"#, r#""previous":null,"more":1"#),
        (
            r#""versions":{"#,
            r#""versions":{"b":{"phase":"promoted","misses":0,"interrupted":0,"deaths":0,"rolled_back":false},"#,
        ),
    ] {
        assert!(json.contains(from), "{json}");
        assert!(read(&json.replacen(from, to, 1)).is_err(), "{to}");
    }
}

#[test]
fn three_processes_that_end_while_loading_are_a_miss() {
    let mut state = State::new("a");
    let plan = RolloutPlan::blue_green();
    state.apply(&RolloutEvent::Offered { version: "b".into(), plan, beside: true }).unwrap();
    for interrupted in 1..=3 {
        let actions = state.restore();
        let loads = actions.contains(&RolloutAction::Load { version: "b".into() });
        assert_eq!(loads, interrupted < 3, "{actions:?}");
    }
    assert_eq!((state.phase("b"), state.current()), (Some(RolloutPhase::Missed), Some("a")));
}

#[test]
fn a_version_that_may_not_come_back_is_told_why() {
    let mut state = State::new("a");
    let offer = |version: &str| RolloutEvent::Offered {
        version: version.into(),
        plan: RolloutPlan::canary(10_000),
        beside: true,
    };
    state.apply(&offer("b")).unwrap();
    let busy = state.apply(&offer("c")).unwrap_err();
    assert_eq!(busy.to_string(), "version c: expected no other on trial, got b");
    state.apply(&RolloutEvent::Judged { version: "b".into(), promote: false }).unwrap();
    assert_eq!(state.apply(&offer("b")).unwrap_err().to_string(), "version b: it is draining");
    state.apply(&RolloutEvent::Drained { version: "b".into() }).unwrap();
    let refused = state.apply(&offer("b")).unwrap_err();
    assert_eq!(refused.to_string(), "version b: expected one that may come, got one that was rolled back");
    state.apply(&RolloutEvent::Forgiven { version: "b".into() }).unwrap();
    state.apply(&offer("b")).unwrap();
    for _ in 0..2 {
        state.apply(&RolloutEvent::LoadFailed).unwrap();
        let _ = state.apply(&offer("b"));
    }
    assert_eq!(state.phase("b"), Some(RolloutPhase::Quarantined));
    assert!(state.apply(&offer("b")).unwrap_err().to_string().ends_with("quarantined"));
}
