//! Rollouts from the offer to the verdict, over engines that compute next to nothing.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::world::{Shelf, arm, asked, golden, number, request};
use crate::drift::{Alert, AlertKind, Alerts, Observation};
use crate::engine::{Ask, Call, Engine, Generate, Prompt};
use crate::fake::Fake;
use crate::layer::deployment::{
    Arm, Deployment, RolloutJudge, RolloutPhase, RolloutPlan, RolloutVerdict, Signs, VersionOutcome,
};
use crate::{Code, DType};

const SOON: Duration = Duration::from_secs(60);

fn everywhere() -> RolloutPlan {
    RolloutPlan::canary(10_000)
}

/// Asks until the trial is over; gives the arms that answered, and the failures.
fn ask_until_over(deployment: &Deployment) -> Vec<Option<Arm>> {
    let mut arms = Vec::new();
    while deployment.status().candidate.is_some() {
        arms.push(asked(deployment).ok().map(|answer| arm(&answer).1));
        assert!(arms.len() < 1_000_000, "no verdict: {:?}", deployment.status().candidate);
    }
    arms
}

#[test]
fn a_good_canary_is_promoted_and_a_bad_one_rolled_back() {
    let shelf = Shelf::of([("v1", 1.0), ("v2", 2.0)]);
    shelf.put("v3", || Fake::echo(DType::F32).fail(0, Code::Backend).build());
    let deployment = shelf.build("v1");
    assert_eq!(deployment.offer("v2", everywhere()).unwrap(), RolloutPhase::Canary);
    let arms = ask_until_over(&deployment);
    let canary = arms.iter().filter(|arm| **arm == Some(Arm::Canary)).count();
    assert!((arms.len() / 2).abs_diff(canary) < 60, "half of the calls: {canary} of {}", arms.len());
    assert_eq!(deployment.status().current, "v2");
    assert_eq!(deployment.status().last.unwrap().1.verdict, RolloutVerdict::Promote);

    assert_eq!(deployment.offer("v3", everywhere()).unwrap(), RolloutPhase::Canary);
    let failures = ask_until_over(&deployment).iter().filter(|arm| arm.is_none()).count();
    assert!(failures <= 15, "{failures} calls failed");
    assert!(deployment.settle(SOON));
    let status = deployment.status();
    assert_eq!((&*status.current, status.phase("v3")), ("v2", Some(RolloutPhase::RolledBack)));
    let (version, judged) = status.last.unwrap();
    assert_eq!((&*version, judged.verdict, &*judged.evidence[0].name), ("v3", RolloutVerdict::RollBack, "errors"));
    assert_eq!(deployment.offer("v3", everywhere()).unwrap_err().code(), Code::InvalidArgument);
    let outcomes =
        [("v1", VersionOutcome::Activated), ("v2", VersionOutcome::Activated), ("v3", VersionOutcome::RolledBack)];
    assert_eq!(shelf.told(), outcomes.map(|(version, outcome)| (version.to_string(), outcome)));
}

#[test]
fn no_call_begins_in_a_candidate_after_the_verdict() {
    let shelf = Shelf::of([("v1", 1.0)]);
    shelf.put("bad", || Fake::echo(DType::F32).fail(0, Code::Backend).build());
    let judge = RolloutJudge::new();
    let deployment = shelf.builder().judge(judge.clone()).build("v1").unwrap();
    deployment.offer("bad", everywhere()).unwrap();
    // The worker cannot act while this is held: what follows is the doing of the thread that answers.
    let inner = deployment.control.lock();
    let mut verdict_at = None;
    for i in 0..200 {
        let has_failed = asked(&deployment).is_err();
        assert!(verdict_at.is_none() || !has_failed, "call {i} went to the candidate after {verdict_at:?}");
        let (control, candidate) = inner.counts("bad");
        let verdict = judge.judge(&control, &candidate, &Signs::default()).verdict;
        if verdict == RolloutVerdict::RollBack {
            verdict_at.get_or_insert(i);
        }
    }
    assert!(verdict_at.is_some_and(|at| at < 40), "{verdict_at:?}");
    drop(inner);
    assert!(deployment.settle(SOON));
    assert_eq!(deployment.status().phase("bad"), Some(RolloutPhase::RolledBack));
}

#[test]
fn two_misses_are_quarantine() {
    let shelf = Shelf::of([("v1", 0.0), ("off", 0.5)]);
    *shelf.golden.lock().unwrap() = Some(golden());
    let deployment = shelf.build("v1");
    assert_eq!(deployment.offer("off", RolloutPlan::blue_green()).unwrap(), RolloutPhase::Missed);
    assert_eq!(deployment.status().misses[0].case, "two");
    assert_eq!(deployment.offer("gone", RolloutPlan::blue_green()).unwrap(), RolloutPhase::Missed);
    assert!(deployment.status().misses[0].why.starts_with("NOT_FOUND"), "{:?}", deployment.status().misses);
    assert_eq!(deployment.offer("off", RolloutPlan::blue_green()).unwrap(), RolloutPhase::Quarantined);
    assert_eq!(deployment.offer("off", RolloutPlan::blue_green()).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(number(&asked(&deployment).unwrap()), 0.0);
    drop(deployment);
    // Also after a restart, whose store is told again.
    shelf.told();
    let deployment = shelf.build("v1");
    assert!(deployment.offer("off", RolloutPlan::blue_green()).is_err());
    assert!(shelf.told().contains(&("off".into(), VersionOutcome::Quarantined)));
    deployment.forgive("off").unwrap();
    *shelf.golden.lock().unwrap() = None;
    assert_eq!(deployment.offer("off", RolloutPlan::blue_green()).unwrap(), RolloutPhase::Promoted);
}

#[test]
fn a_loader_that_panics_is_a_miss() {
    let shelf = Shelf::of([("v1", 1.0)]);
    shelf.put("boom", || panic!("no such runtime"));
    let deployment = shelf.build("v1");
    // The lock of the shelf is poisoned by it; it is the last to be loaded.
    assert_eq!(deployment.offer("boom", RolloutPlan::blue_green()).unwrap(), RolloutPhase::Missed);
    assert!(deployment.status().misses[0].why.contains("no such runtime"), "{:?}", deployment.status().misses);
    assert_eq!(number(&asked(&deployment).unwrap()), 1.0);
}

#[test]
fn a_version_that_callers_cannot_use_is_a_miss() {
    let shelf = Shelf::of([("v1", 1.0)]);
    shelf.put("i64", || Fake::echo(DType::I64).build());
    shelf.put("text", || Fake::text("yes").build());
    let deployment = shelf.build("v1");
    for (version, why) in [("i64", "expected input 'x: f32[..]', got 'x: i64[..]'"), ("text", "the ability 'tensors'")]
    {
        assert_eq!(deployment.offer(version, RolloutPlan::blue_green()).unwrap(), RolloutPhase::Missed);
        let misses = deployment.status().misses;
        assert!(misses[0].why.contains(why), "{misses:?}");
    }
}

/// The candidate waits for the test, and the callers wait for nobody.
#[test]
fn a_shadow_is_never_on_the_callers_time() {
    let (go_on, gate) = channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let shelf = Shelf::of([("v1", 1.0)]);
    shelf.put("slow", move || {
        let gate = gate.clone();
        let port = |name: &str| crate::Port::tensor(name, DType::F32, vec![crate::Dim::Any]);
        Fake::tensors(vec![port("x")], vec![port("y")], move |inputs| {
            let _ = gate.lock().unwrap().recv();
            Ok(inputs.iter().flatten().cloned().collect())
        })
        .build()
    });
    let deployment = shelf.build("v1");
    assert_eq!(deployment.offer("slow", RolloutPlan::blue_green().shadow(5)).unwrap(), RolloutPhase::Shadow);
    for _ in 0..100 {
        assert_eq!(arm(&asked(&deployment).unwrap()).0, "v1");
    }
    let shadow = deployment.status().candidate.unwrap().shadow;
    assert!(shadow.compared == 0 && (91..=92).contains(&shadow.dropped), "{shadow:?}");
    for _ in 0..20 {
        go_on.send(()).unwrap();
    }
    let began = std::time::Instant::now();
    while deployment.status().candidate.is_some() {
        assert!(began.elapsed() < SOON);
        std::thread::yield_now();
    }
    assert_eq!(deployment.status().current, "slow", "five answers were compared, and the plan has no canary");
}

#[test]
fn a_shadow_counts_what_is_alike_and_fails_without_a_caller_to_notice() {
    let shelf = Shelf::of([("v1", 1.0), ("near", 1.25)]);
    shelf.put("bad", || Fake::echo(DType::F32).fail(0, Code::Backend).build());
    let deployment = shelf.build("v1");
    for (likeness, alike) in [
        (super::super::Likeness::Exact, false),
        (super::super::Likeness::Tolerance { absolute: 0.3, relative: 0.0 }, true),
    ] {
        let plan = RolloutPlan::blue_green().shadow(1_000_000).likeness(likeness);
        deployment.offer("near", plan).unwrap();
        assert_eq!(deployment.status().candidate.unwrap().counts.ended, 0, "each trial counts from nothing");
        let shadow = loop {
            asked(&deployment).unwrap();
            let shadow = deployment.status().candidate.unwrap().shadow;
            if shadow.compared >= 20 {
                break shadow;
            }
        };
        assert_eq!(shadow.alike, if alike { shadow.compared } else { 0 });
        // A share without this device takes it away, and it may come back.
        let mut outside = RolloutPlan::blue_green();
        outside.devices = 0;
        assert_eq!(deployment.offer("near", outside).unwrap(), RolloutPhase::Outside);
        assert!(deployment.settle(SOON));
    }
    assert_eq!(shelf.alive.load(SeqCst), 1);
    assert_eq!(deployment.offer("bad", everywhere().shadow(1_000_000)).unwrap(), RolloutPhase::Shadow);
    while deployment.status().candidate.is_some() {
        asked(&deployment).expect("the caller has the answer of the current version");
    }
    assert_eq!(deployment.status().last.unwrap().1.verdict, RolloutVerdict::RollBack);
}

#[test]
fn a_share_takes_devices_and_keys_in_for_good() {
    let shelf = Shelf::of([("v1", 1.0), ("v2", 2.0)]);
    let id = (0..).map(|i| format!("device-{i}")).find(|id| {
        let is_in = |share| RolloutPlan::canary(share).has_device("v2", id);
        !is_in(500) && is_in(1000)
    });
    let builder = shelf.builder().install_id(id.unwrap()).key(|_, call| (call.id > 0).then_some(call.id / 10));
    let deployment = builder.build("v1").unwrap();
    assert_eq!(deployment.offer("v2", RolloutPlan::canary(500)).unwrap(), RolloutPhase::Outside);
    assert_eq!(shelf.alive.load(SeqCst), 1, "nothing is loaded outside of the cohort");
    assert_eq!(deployment.offer("v2", RolloutPlan::canary(1000)).unwrap(), RolloutPhase::Canary);
    assert_eq!(deployment.offer("v2", RolloutPlan::ab(3000)).unwrap(), RolloutPhase::Canary);
    let arm_of = |id: u64| arm(&deployment.run_with(request(0.0), Call::new().id(id)).unwrap()).1;
    let mut canary = 0;
    for key in 1..400u64 {
        let first = arm_of(key * 10);
        assert!((1..10).all(|i| arm_of(key * 10 + i) == first), "key {key} has two arms");
        canary += u32::from(first == Arm::Canary);
    }
    assert!((90..150).contains(&canary), "{canary} of 400");
    let candidate = deployment.status().candidate.expect("a test goes on until the app ends it");
    assert_eq!(candidate.judged.verdict, RolloutVerdict::Promote);
    assert_eq!(candidate.counts.exposed, u64::from(canary) * 10);
    assert_eq!(candidate.control.exposed, (399 - u64::from(canary)) * 10);
    deployment.promote().unwrap();
    assert_eq!(deployment.status().current, "v2");
    assert!(deployment.promote().is_err());
}

#[test]
fn a_process_goes_on_where_the_last_one_ended() {
    let shelf = Shelf::of([("v1", 1.0), ("v2", 2.0), ("v3", 3.0)]);
    let deployment = shelf.build("v1");
    deployment.offer("v2", RolloutPlan::blue_green()).unwrap();
    deployment.offer("v3", everywhere().by_hand()).unwrap();
    (0..100).for_each(|_| drop(asked(&deployment).unwrap()));
    let before = deployment.status().candidate.unwrap();
    drop(deployment);
    let deployment = shelf.build("v1");
    let status = deployment.status();
    assert_eq!((&*status.current, status.previous.as_deref()), ("v2", Some("v1")));
    let candidate = status.candidate.unwrap();
    assert_eq!((&*candidate.version, candidate.phase), ("v3", RolloutPhase::Canary));
    assert_eq!((candidate.counts, candidate.control), (before.counts, before.control), "the counts are kept");
    // Of a state that is none nothing is believed.
    *shelf.state.lock().unwrap() = Some(b"{}".to_vec());
    assert_eq!(shelf.builder().build("v1").unwrap_err().code(), Code::Corrupt);
}

#[test]
fn a_rollback_brings_the_version_before() {
    let shelf = Shelf::of([("v1", 1.0), ("v2", 2.0)]);
    let deployment = shelf.build("v1");
    assert_eq!(deployment.roll_back().unwrap_err().code(), Code::InvalidArgument);
    deployment.offer("v2", RolloutPlan::blue_green()).unwrap();
    assert!(deployment.settle(SOON));
    assert_eq!(deployment.roll_back().unwrap(), "v1");
    assert_eq!(number(&asked(&deployment).unwrap()), 1.0);
    assert!(deployment.settle(SOON));
    assert_eq!(deployment.status().phase("v2"), Some(RolloutPhase::RolledBack));
    assert!(deployment.offer("v2", everywhere()).is_err() && deployment.roll_back().is_err());
    deployment.forgive("v2").unwrap();
    assert_eq!(deployment.offer("v2", everywhere()).unwrap(), RolloutPhase::Canary);
    assert_eq!(deployment.roll_back().unwrap(), "v1", "the one on trial is taken back first");
    assert!(deployment.offer("v2", everywhere()).is_err());
}

#[test]
fn what_cannot_be_saved_does_not_come_in_and_still_goes_out() {
    let shelf = Shelf::of([("v1", 1.0), ("v2", 2.0), ("v3", 3.0)]);
    let deployment = shelf.build("v1");
    deployment.offer("v2", everywhere()).unwrap();
    shelf.is_full.store(true, SeqCst);
    assert_eq!(deployment.promote().unwrap_err().code(), Code::Io);
    assert_eq!(deployment.status().current, "v1");
    assert_eq!(deployment.roll_back().unwrap(), "v1");
    assert!((0..10).all(|_| arm(&asked(&deployment).unwrap()).0 == "v1") && !deployment.status().is_saved);
    assert_eq!(deployment.offer("v3", RolloutPlan::blue_green()).unwrap_err().code(), Code::Io);
    assert_eq!(number(&asked(&deployment).unwrap()), 1.0);
    shelf.is_full.store(false, SeqCst);
    assert_eq!(deployment.offer("v3", RolloutPlan::blue_green()).unwrap(), RolloutPhase::Promoted);
    drop(deployment);
    assert!(shelf.build("v1").offer("v2", everywhere()).is_err(), "the rollback was saved with the next event");
}

fn alert(kind: AlertKind) -> Alert {
    let mut alerts = Alerts::new(1);
    alerts.observe(kind, "label", Observation::Firing("accuracy 61 %".into()), 0);
    alerts.standing()[0].clone()
}

#[test]
fn labels_and_alerts_roll_back_before_they_return() {
    let shelf = Shelf::of([("v1", 1.0), ("v2", 2.0), ("v3", 3.0)]);
    let deployment = shelf.build("v1");
    deployment.offer("v2", everywhere()).unwrap();
    let mut labels = 0;
    while deployment.status().candidate.is_some() {
        deployment.label("v1", true).unwrap();
        deployment.label("v2", labels % 2 == 0).unwrap();
        deployment.label("v9", false).unwrap();
        labels += 1;
        assert!(labels < 100);
    }
    assert!(arm(&asked(&deployment).unwrap()).0 == "v1");
    let (_, judged) = deployment.status().last.unwrap();
    assert!(judged.evidence.iter().any(|one| one.name == "accuracy" && one.verdict == RolloutVerdict::RollBack));

    deployment.offer("v3", everywhere()).unwrap();
    // What both versions see is not the candidate's doing.
    deployment.alerts("v1", vec![alert(AlertKind::Concept)]).unwrap();
    deployment.alerts("v3", vec![alert(AlertKind::Concept)]).unwrap();
    assert!(deployment.status().candidate.is_some());
    deployment.alerts("v1", Vec::new()).unwrap();
    deployment.alerts("v3", vec![alert(AlertKind::Concept)]).unwrap();
    assert!(deployment.status().candidate.is_none());
}

#[test]
fn deaths_are_misses_of_whom_the_process_died_in() {
    let shelf = Shelf::of([("v1", 1.0), ("v2", 2.0), ("v3", 3.0)]);
    let deployment = shelf.build("v1");
    deployment.offer("v2", RolloutPlan::blue_green()).unwrap();
    deployment.offer("v3", everywhere()).unwrap();
    drop(deployment);
    shelf.deaths.lock().unwrap().insert("v3".into(), 1);
    let deployment = shelf.build("v1");
    assert_eq!(deployment.status().phase("v3"), Some(RolloutPhase::Missed));
    assert_eq!(deployment.offer("v3", everywhere()).unwrap(), RolloutPhase::Canary);
    drop(deployment);
    // The same death counts once; the second one is quarantine. And the current version gives way at its second.
    shelf.deaths.lock().unwrap().extend([("v3".to_string(), 2), ("v2".to_string(), 1)]);
    let status = shelf.build("v1").status();
    assert_eq!((&*status.current, status.phase("v3")), ("v2", Some(RolloutPhase::Quarantined)));
    shelf.deaths.lock().unwrap().insert("v2".into(), 2);
    let deployment = shelf.build("v1");
    assert_eq!(
        (&*deployment.status().current, deployment.status().phase("v2")),
        ("v1", Some(RolloutPhase::Quarantined))
    );
    assert_eq!(number(&asked(&deployment).unwrap()), 1.0);
}

#[test]
fn a_current_version_that_does_not_open_gives_way_the_second_time() {
    let shelf = Shelf::of([("v1", 1.0), ("v2", 2.0)]);
    let deployment = shelf.build("v1");
    deployment.offer("v2", RolloutPlan::blue_green()).unwrap();
    drop(deployment);
    shelf.put("v2", || Fake::text("another file").build());
    let broken = Shelf::of([("v1", 1.0)]);
    *broken.state.lock().unwrap() = shelf.state.lock().unwrap().clone();
    let error = broken.builder().build("v1").unwrap_err();
    assert_eq!((error.code(), error.to_string().contains("loading version v2")), (Code::NotFound, true), "{error}");
    assert_eq!(number(&asked(&broken.build("v1")).unwrap()), 1.0);
}

#[test]
fn answers_of_text_keep_their_tokenizer_through_a_switch() {
    let shelf = Shelf::default();
    shelf.put("v1", || Fake::text("so it goes").name("one").build());
    shelf.put("v2", || Fake::text("and on it goes").name("two").build());
    let deployment = shelf.build("v1");
    let (spec, tokenizer) = (deployment.spec(), deployment.tokenizer());
    assert_eq!(deployment.run(Generate::text("and")).unwrap().text, "so it goes");
    deployment.offer("v2", RolloutPlan::blue_green()).unwrap();
    assert!(deployment.settle(SOON));
    assert_eq!((&*spec.provenance.model, &*deployment.spec().provenance.model), ("one", "two"), "a lent spec stays");
    assert_eq!(deployment.spec().provenance.route, ["deployment(v2,current)"]);
    assert_eq!(deployment.run(Generate::text("and")).unwrap().text, "and on it goes");
    assert!(tokenizer.is_none_or(|tokenizer| tokenizer.count(&Prompt::Text("a b".into())).is_ok()));
}

#[test]
fn names_of_versions_have_a_form() {
    let shelf = Shelf::of([("v1", 1.0)]);
    for name in ["", "a,b", "a)", "../x", "ü", &"a".repeat(129)] {
        assert_eq!(shelf.builder().build(name).unwrap_err().code(), Code::InvalidArgument, "{name}");
    }
    assert!(shelf.build("v1").offer("1.2.3-rc.1+build:7", RolloutPlan::blue_green()).is_ok());
}
