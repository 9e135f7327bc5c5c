//! Rollouts as JSON: plans and judges that are taken, and the status that is given out.

use std::time::Duration;

use selvedge::Result;
use selvedge::layer::deployment::{
    ArmCounts, CandidateStatus, DeploymentStatus, Judged, Likeness, RolloutJudge, RolloutPhase, RolloutPlan,
    RolloutVerdict,
};
use serde_json::{Value, json};

use crate::abi::*;
use crate::fields::{Field, Fields};

/// All of the devices, or of the calls.
const ALL: u64 = 10_000;
const MAX_MS: f64 = 1e12;

/// A plan as the caller gave it; `share` is what the signed metadata allow, which counts where the plan says nothing.
pub(crate) fn plan(text: &str, share: u16) -> Result<RolloutPlan> {
    let mut fields = Fields::of_text("plan", text)?;
    let devices = fields.read("devices", |f| f.whole(ALL))?.map_or(share, |devices| devices as u16);
    let calls = fields.read("calls", |f| f.whole(ALL))?.map(|calls| calls as u16);
    let kind = fields.require("kind")?;
    let mut plan =
        kind.one_of(&[("blue_green", Kind::BlueGreen), ("canary", Kind::Canary), ("ab", Kind::Ab)])?.plan(devices);
    if let Some(calls) = calls {
        plan = plan.calls(calls);
    }
    if let Some(answers) = fields.read("shadow", |f| f.whole(u32::MAX.into()))? {
        plan = plan.shadow(answers as u32);
    }
    if let Some(likeness) = fields.read("likeness", likeness)? {
        plan = plan.likeness(likeness);
    }
    if fields.read("by_hand", Field::flag)?.unwrap_or(false) {
        plan = plan.by_hand();
    }
    if let Some(salt) = fields.read("salt", Field::text)? {
        plan = plan.salt(salt);
    }
    fields.end()?;
    Ok(plan)
}

#[derive(Clone, Copy)]
enum Kind {
    BlueGreen,
    Canary,
    Ab,
}

impl Kind {
    fn plan(self, devices: u16) -> RolloutPlan {
        let mut plan = match self {
            Self::BlueGreen => RolloutPlan::blue_green(),
            Self::Canary => RolloutPlan::canary(devices),
            Self::Ab => RolloutPlan::ab((ALL / 2) as u16),
        };
        plan.devices = devices;
        plan
    }
}

/// `"exact"`, `"top1"`, `{"absolute", "relative"}` or `{"text"}`.
fn likeness(field: Field) -> Result<Likeness> {
    if !field.value.is_object() {
        return field.one_of(&[("exact", Likeness::Exact), ("top1", Likeness::Top1)]);
    }
    let mut fields = field.object()?;
    let part = |f: Field| f.number(0.0, f64::MAX);
    let (absolute, relative) = (fields.read("absolute", part)?, fields.read("relative", part)?);
    let likeness = match (absolute, relative) {
        (None, None) => Likeness::Text(fields.require("text")?.number(0.0, 1.0)?),
        (absolute, relative) => {
            Likeness::Tolerance { absolute: absolute.unwrap_or(0.0), relative: relative.unwrap_or(0.0) }
        }
    };
    fields.end()?;
    Ok(likeness)
}

/// A judge; its own check names what is out of its range.
pub(crate) fn judge(field: Field) -> Result<RolloutJudge> {
    let mut fields = field.object()?;
    let number = |f: Field| f.number(f64::MIN, f64::MAX);
    let mut judge = RolloutJudge::new();
    if let Some(share) = fields.read("false_alarm", number)? {
        judge = judge.false_alarm(share);
    }
    if let Some(share) = fields.read("false_promotion", number)? {
        judge = judge.false_promotion(share);
    }
    if let Some(answers) = fields.read("min_answers", |f| f.whole(u64::MAX))? {
        judge = judge.min_answers(answers);
    }
    if let Some(ms) = fields.read("slo_ms", |f| f.number(0.0, MAX_MS))? {
        judge = judge.slo(Duration::from_secs_f64(ms / 1e3));
    }
    let (errors, latency) = (fields.read("errors", number)?, fields.read("latency", number)?);
    if errors.is_some() || latency.is_some() {
        judge = judge.margins(errors.unwrap_or(0.02), latency.unwrap_or(0.05));
    }
    if let Some(margin) = fields.read("accuracy", number)? {
        judge = judge.accuracy(margin);
    }
    fields.end()?;
    Ok(judge)
}

pub(crate) fn status(status: &DeploymentStatus) -> Value {
    let versions = status.versions.iter().map(|(version, p)| json!({ "version": version, "phase": phase_name(*p) }));
    let misses = status.misses.iter().map(|miss| json!({ "case": miss.case, "why": miss.why }));
    let last = status.last.as_ref().map(|(version, j)| json!({ "version": version, "judged": judged(j) }));
    json!({
        "current": status.current,
        "previous": status.previous,
        "candidate": status.candidate.as_ref().map(candidate),
        "versions": versions.collect::<Value>(),
        "last": last,
        "misses": misses.collect::<Value>(),
        "is_saved": status.is_saved,
    })
}

fn candidate(candidate: &CandidateStatus) -> Value {
    let (p, s) = (&candidate.plan, &candidate.shadow);
    json!({
        "version": candidate.version,
        "phase": phase_name(candidate.phase),
        "plan": {
            "devices": p.devices, "calls": p.calls, "shadow": p.shadow, "canary": p.canary, "by_hand": p.by_hand,
            "salt": p.salt,
        },
        "control": counts(&candidate.control),
        "counts": counts(&candidate.counts),
        "shadow": { "compared": s.compared, "alike": s.alike, "failed": s.failed, "dropped": s.dropped },
        "judged": judged(&candidate.judged),
    })
}

fn counts(c: &ArmCounts) -> Value {
    json!({
        "exposed": c.exposed, "ended": c.ended, "failed": c.failed, "timed": c.timed, "slow": c.slow,
        "labelled": c.labelled, "wrong": c.wrong,
    })
}

fn judged(judged: &Judged) -> Value {
    let evidence = judged.evidence.iter().map(|e| {
        json!({
            "name": e.name, "verdict": verdict_name(e.verdict), "control": e.control, "candidate": e.candidate,
            "worse": e.worse, "no_worse": e.no_worse, "words": e.words,
        })
    });
    json!({ "verdict": verdict_name(judged.verdict), "evidence": evidence.collect::<Value>() })
}

fn verdict_name(verdict: RolloutVerdict) -> &'static str {
    match verdict {
        RolloutVerdict::Promote => "promote",
        RolloutVerdict::Hold => "hold",
        RolloutVerdict::RollBack => "roll_back",
        _ => "other",
    }
}

/// The header's number of a phase, and its name.
fn told(phase: RolloutPhase) -> (i32, &'static str) {
    match phase {
        RolloutPhase::Outside => (SELVEDGE_ROLLOUT_OUTSIDE, "outside"),
        RolloutPhase::Loading => (SELVEDGE_ROLLOUT_LOADING, "loading"),
        RolloutPhase::SelfTest => (SELVEDGE_ROLLOUT_SELF_TEST, "self_test"),
        RolloutPhase::Shadow => (SELVEDGE_ROLLOUT_SHADOW, "shadow"),
        RolloutPhase::Canary => (SELVEDGE_ROLLOUT_CANARY, "canary"),
        RolloutPhase::Promoted => (SELVEDGE_ROLLOUT_PROMOTED, "promoted"),
        RolloutPhase::Draining => (SELVEDGE_ROLLOUT_DRAINING, "draining"),
        RolloutPhase::Retired => (SELVEDGE_ROLLOUT_RETIRED, "retired"),
        RolloutPhase::RolledBack => (SELVEDGE_ROLLOUT_ROLLED_BACK, "rolled_back"),
        RolloutPhase::Missed => (SELVEDGE_ROLLOUT_MISSED, "missed"),
        RolloutPhase::Quarantined => (SELVEDGE_ROLLOUT_QUARANTINED, "quarantined"),
        _ => (SELVEDGE_ROLLOUT_OTHER, "other"),
    }
}

pub(crate) fn phase_number(phase: RolloutPhase) -> i32 {
    told(phase).0
}

fn phase_name(phase: RolloutPhase) -> &'static str {
    told(phase).1
}
