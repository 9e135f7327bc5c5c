//! Journal of a rollout: each step of a version becomes a record of the telemetry, with what spoke for it.
//!
//! The steps follow from the state before and after, so none is forgotten, whatever led to it; what a new process only takes up
//! again is no step.

use std::collections::BTreeMap;

use super::golden::GoldenMiss;
use super::judge::{Judged, RolloutEvidence, RolloutVerdict};
use super::phase::RolloutPhase;
use super::state::{Entry, MAX_MISSES, State};
use crate::telemetry::{Record, RolloutFinding, RolloutRecord, Telemetry};

/// What is known of each version: its last step, and its misses and deaths by then.
#[derive(Default)]
pub(super) struct Journal {
    telemetry: Option<Telemetry>,
    known: BTreeMap<String, Known>,
}

/// By its default, what is known of a version before its first step.
#[derive(Clone, Copy, Default, PartialEq)]
struct Known {
    step: &'static str,
    misses: u32,
    deaths: u64,
}

/// A step, of the version by its name.
struct Taken {
    version: String,
    step: &'static str,
    /// The name of the test, while it is on trial.
    test: Option<String>,
    deaths: u64,
}

const ON_TRIAL: [&str; 3] = ["offered", "shadow", "canary"];
const BARRED: [&str; 3] = ["missed", "rolled_back", "quarantined"];

impl Journal {
    /// Goes on after a state that an earlier process has saved.
    pub(super) fn resume(&mut self, state: &State) {
        self.take(state);
    }

    pub(super) fn write_to(&mut self, telemetry: Telemetry) {
        self.telemetry = Some(telemetry);
    }

    /// Seals the steps since the last time. What cannot be sealed is counted by the telemetry itself.
    pub(super) fn write(&mut self, state: &State, reasons: &Reasons<'_>) {
        for taken in self.take(state) {
            let Some(telemetry) = &self.telemetry else { continue };
            if let Err(e) = telemetry.seal(&Record::Rollout(reasons.record_of(taken))) {
                tracing::debug!("a step of a rollout was not sealed: {e}");
            }
        }
    }

    /// The steps since the state that was taken last.
    fn take(&mut self, state: &State) -> Vec<Taken> {
        let mut taken = Vec::new();
        for (version, entry) in state.versions() {
            let before = self.known.get(version).copied().unwrap_or_default();
            let Some(step) = step_of(entry, before) else { continue };
            let deaths = entry.deaths.saturating_sub(before.deaths);
            let now = Known { step, misses: entry.misses, deaths: entry.deaths };
            if before.step != step || entry.misses > before.misses {
                let of_test = state.candidate().filter(|candidate| candidate.version == *version);
                let test = of_test.map(|candidate| candidate.plan.salt.clone()).filter(|salt| !salt.is_empty());
                taken.push(Taken { version: version.clone(), step, test, deaths });
            }
            self.known.insert(version.clone(), now);
        }
        self.known.retain(|version, _| state.versions().contains_key(version));
        taken
    }
}

/// What a journal may tell of: the last verdict that was acted on, and why the last version that missed did.
pub(super) struct Reasons<'a> {
    pub(super) last: Option<&'a (String, Judged)>,
    pub(super) misses: &'a [GoldenMiss],
}

impl Reasons<'_> {
    fn record_of(&self, taken: Taken) -> RolloutRecord {
        let judged = self.last.filter(|(version, _)| *version == taken.version).map(|(_, judged)| judged);
        let (verdict, evidence) = match taken.step {
            "missed" | "quarantined" => (None, self.misses_of(&taken)),
            "promoted" | "rolled_back" => {
                (judged.map(|judged| name_of(judged.verdict).into()), judged.map(findings).unwrap_or_default())
            }
            _ => (None, Vec::new()),
        };
        let Taken { version, step, test, .. } = taken;
        RolloutRecord { version, step: step.into(), test, verdict, evidence, ..RolloutRecord::default() }
    }

    /// Deaths of the process, or the names of the golden cases. What was answered stays out.
    fn misses_of(&self, taken: &Taken) -> Vec<RolloutFinding> {
        let finding = |name: &str, words: String| {
            let verdict = name_of(RolloutVerdict::RollBack).into();
            RolloutFinding { name: name.into(), verdict, words, ..RolloutFinding::default() }
        };
        if taken.deaths > 0 {
            let times = if taken.deaths == 1 { "once".into() } else { format!("{} times", taken.deaths) };
            return vec![finding("deaths", format!("the process died in it {times} since it was last looked at"))];
        }
        self.misses.iter().take(MAX_FINDINGS).map(|miss| finding(&miss.case, String::new())).collect()
    }
}

/// A version of which every case misses tells no more by naming them all.
const MAX_FINDINGS: usize = 16;

/// The step that led to an entry; `None` where the next one tells more.
fn step_of(entry: &Entry, before: Known) -> Option<&'static str> {
    let was = |steps: &[&str]| steps.contains(&before.step);
    let has_missed = entry.misses > before.misses;
    Some(match entry.phase {
        // Loaded anew by another process.
        RolloutPhase::Loading | RolloutPhase::SelfTest if was(&["shadow", "canary"]) => return None,
        RolloutPhase::Loading | RolloutPhase::SelfTest => "offered",
        RolloutPhase::Shadow => "shadow",
        RolloutPhase::Canary => "canary",
        // It goes on for lack of another.
        RolloutPhase::Promoted if has_missed => "missed",
        RolloutPhase::Promoted if was(&["missed"]) => return None,
        RolloutPhase::Promoted => "promoted",
        RolloutPhase::Missed => "missed",
        RolloutPhase::Quarantined => "quarantined",
        RolloutPhase::RolledBack => "rolled_back",
        RolloutPhase::Draining if entry.rolled_back => "rolled_back",
        RolloutPhase::Draining if entry.misses >= MAX_MISSES => "quarantined",
        RolloutPhase::Draining | RolloutPhase::Retired if was(&ON_TRIAL) => "withdrawn",
        RolloutPhase::Retired if was(&BARRED) => "forgiven",
        RolloutPhase::Draining => "replaced",
        RolloutPhase::Retired | RolloutPhase::Outside => return None,
    })
}

const fn name_of(verdict: RolloutVerdict) -> &'static str {
    match verdict {
        RolloutVerdict::Promote => "promote",
        RolloutVerdict::Hold => "hold",
        RolloutVerdict::RollBack => "roll_back",
    }
}

fn findings(judged: &Judged) -> Vec<RolloutFinding> {
    let of = |one: &RolloutEvidence| RolloutFinding {
        name: one.name.clone(),
        verdict: name_of(one.verdict).into(),
        control: one.control,
        candidate: one.candidate,
        worse: one.worse,
        no_worse: one.no_worse,
        words: one.words.clone(),
    };
    judged.evidence.iter().map(of).collect()
}
