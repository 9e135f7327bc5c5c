//! What telemetry tells of a rollout: the arm of each answer, the steps of each version, verdicts and their evidence.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::world::{Shelf, arm, asked, golden};
use crate::fake::Fake;
use crate::layer::deployment::{Arm, RolloutPhase, RolloutPlan};
use crate::layer::monitor::Monitor;
use crate::layer::probe::Columns;
use crate::telemetry::{Cursor, Limits, Record, RolloutArm, RolloutRecord, Telemetry, Window};
use crate::{Code, DType};

const SOON: Duration = Duration::from_secs(60);

fn records(telemetry: &Telemetry) -> Vec<Record> {
    telemetry.read(Cursor::start(), usize::MAX).into_iter().map(|(_, record)| record).collect()
}

fn rollouts(telemetry: &Telemetry) -> Vec<RolloutRecord> {
    let is_one = |record| if let Record::Rollout(rollout) = record { Some(rollout) } else { None };
    records(telemetry).into_iter().filter_map(is_one).collect()
}

fn steps(telemetry: &Telemetry) -> Vec<String> {
    rollouts(telemetry).iter().map(|rollout| format!("{} {}", rollout.version, rollout.step)).collect()
}

#[test]
fn each_step_is_told_once_and_verdicts_with_their_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let telemetry = Telemetry::open(folder.path(), Limits::default());
    let shelf = Shelf::of([("v1", 0.0), ("v2", 0.0), ("off", 0.5)]);
    shelf.put("bad", || Fake::echo(DType::F32).fail(0, Code::Backend).build());
    let start = || shelf.builder().telemetry(telemetry.clone()).build("v1").unwrap();
    let deployment = start();
    deployment.offer("v2", RolloutPlan::blue_green()).unwrap();
    assert!(deployment.settle(SOON));
    let test = RolloutPlan::canary(10_000).salt("autumn");
    assert_eq!(deployment.offer("bad", test.clone()).unwrap(), RolloutPhase::Canary);
    drop(deployment);

    // A new process goes on where the last one was: no step is told twice.
    let deployment = start();
    while deployment.status().candidate.is_some() {
        let _ = asked(&deployment);
    }
    assert!(deployment.settle(SOON));
    *shelf.golden.lock().unwrap() = Some(golden());
    deployment.offer("off", RolloutPlan::blue_green()).unwrap();
    deployment.offer("off", RolloutPlan::blue_green()).unwrap();
    deployment.forgive("off").unwrap();
    deployment.offer("v1", RolloutPlan::ab(5000)).unwrap();
    let mut nobody = RolloutPlan::ab(5000);
    nobody.devices = 0;
    deployment.offer("v1", nobody).unwrap();
    assert!(deployment.settle(SOON));

    let expected = [
        "v1 promoted",
        "v2 offered",
        "v2 promoted",
        "v1 replaced",
        "bad offered",
        "bad canary",
        "bad rolled_back",
        "off offered",
        "off missed",
        "off offered",
        "off quarantined",
        "off forgiven",
        "v1 offered",
        "v1 canary",
        "v1 withdrawn",
    ];
    let mut told = steps(&telemetry);
    // Both follow from one event.
    told[2..4].sort_by(|a, b| b.cmp(a));
    assert_eq!(told, expected);
    let of = |step: &str| rollouts(&telemetry).into_iter().find(|rollout| rollout.step == step).unwrap();
    let bad = of("rolled_back");
    assert_eq!(bad.verdict.as_deref(), Some("roll_back"));
    let errors = &bad.evidence[0];
    assert_eq!((&*errors.name, &*errors.verdict, errors.control), ("errors", "roll_back", Some(0.0)));
    assert!(
        errors.candidate > Some(0.9) && errors.worse >= 300.0 && errors.words.contains(" beside 0 of "),
        "{errors:?}"
    );
    let canary = rollouts(&telemetry).into_iter().find(|one| one.step == "canary").unwrap();
    assert_eq!((canary.test.as_deref(), canary.verdict), (Some("autumn"), None));
    // The case by its name: what was asked and answered stays out.
    let missed = of("missed");
    assert_eq!((missed.verdict, &*missed.evidence[0].name, &*missed.evidence[0].words), (None, "two", ""));
}

#[test]
fn a_death_is_the_evidence_of_its_miss() {
    let folder = tempfile::tempdir().unwrap();
    let telemetry = Telemetry::open(folder.path(), Limits::default());
    let shelf = Shelf::of([("v1", 1.0), ("v2", 2.0)]);
    let start = || shelf.builder().telemetry(telemetry.clone()).build("v1").unwrap();
    start().offer("v2", RolloutPlan::blue_green()).unwrap();
    // The current one goes on for lack of a second death.
    for (deaths, step) in [(1, "v2 missed"), (1, "v2 missed"), (2, "v1 promoted")] {
        shelf.deaths.lock().unwrap().insert("v2".into(), deaths);
        drop(start());
        assert_eq!(steps(&telemetry).iter().filter(|told| *told == "v2 missed").count(), 1);
        let mut told = steps(&telemetry);
        told.retain(|told| told != "v2 quarantined");
        assert_eq!(told.last().unwrap(), step, "{deaths} deaths");
    }
    let last: Vec<RolloutRecord> = rollouts(&telemetry).into_iter().filter(|r| r.step == "quarantined").collect();
    let [quarantined] = &last[..] else { panic!("{last:?}") };
    assert_eq!((&*quarantined.version, &*quarantined.evidence[0].name), ("v2", "deaths"));
}

/// Windows add up what each arm answered; answers of a shadow are told as such.
#[test]
fn windows_know_their_arms() {
    let folder = tempfile::tempdir().unwrap();
    let telemetry = Telemetry::open(folder.path(), Limits::default());
    let shelf = Shelf::default();
    let monitors: Arc<std::sync::Mutex<Vec<Monitor>>> = Arc::default();
    for (i, version) in ["v1", "v2", "bad"].into_iter().enumerate() {
        let (telemetry, monitors) = (telemetry.clone(), monitors.clone());
        shelf.put(version, move || {
            let fake = Fake::echo(DType::F32).name(version);
            let fake = if version == "bad" { fake.fail(0, Code::Backend) } else { fake };
            // A profile of its own, and so a slot.
            let rows: Vec<[f32; 1]> = (0..100 + i).map(|i| [i as f32]).collect();
            let profile = crate::drift::Profile::fit().number("x").of_rows(&rows).unwrap();
            let monitor = Monitor::builder(fake.build(), telemetry.clone(), Columns::of("x", ["x"]));
            let monitor = monitor.profile(profile).version(version).build().unwrap();
            monitors.lock().unwrap().push(monitor.clone());
            Arc::new(monitor)
        });
    }
    let deployment = shelf.build("v1");
    assert_eq!(deployment.offer("v2", RolloutPlan::ab(5000).shadow(4)).unwrap(), RolloutPhase::Shadow);
    // The shadow may end between the question for its phase and the call, which then may be the canary's.
    let mut early = 0;
    while deployment.status().phase("v2") == Some(RolloutPhase::Shadow) {
        early += u64::from(arm(&asked(&deployment).unwrap()).1 == Arm::Canary);
    }
    // The state says so before the calls are sent there.
    assert!(deployment.settle(SOON));
    (0..20).for_each(|_| _ = asked(&deployment).unwrap());
    let mut nobody = RolloutPlan::ab(5000);
    nobody.devices = 0;
    deployment.offer("v2", nobody).unwrap();
    deployment.offer("bad", RolloutPlan::ab(5000)).unwrap();
    let failed = (0..6).filter(|_| asked(&deployment).is_err()).count() as u64;
    assert!(deployment.settle(SOON));
    monitors.lock().unwrap().iter().for_each(Monitor::close_window);
    drop(deployment);
    let is_window = |record| if let Record::Window(window) = record { Some(window) } else { None };
    let windows: Vec<Window> = records(&telemetry).into_iter().filter_map(is_window).collect();
    let mut arms = BTreeMap::new();
    for arm in windows.iter().flat_map(|window| &window.arms) {
        let (rows, requests, failed) = arms.entry(arm.arm).or_insert((0, 0, 0));
        (*rows, *requests, *failed) = (*rows + arm.rows, *requests + arm.requests, *failed + arm.failed);
    }
    let rows: u64 = windows.iter().map(|window| window.rows).sum();
    assert_eq!(arms.values().map(|(rows, _, _)| rows).sum::<u64>(), rows, "{arms:?}");
    let (shadow, canary) = (arms[&RolloutArm::Shadow], arms[&RolloutArm::Canary]);
    assert!(shadow.0 >= 4 && shadow.0 == shadow.1, "{arms:?}");
    assert_eq!((failed, canary), (3, (10 + early, 13 + early, 3)), "half of the calls");
    assert_eq!(arms[&RolloutArm::Current].2, 0);
}
