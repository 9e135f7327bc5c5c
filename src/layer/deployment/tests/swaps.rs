//! Swaps under load: no call fails, none is lost, none is answered by half of two versions, and nothing stays behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use super::world::{Shelf, arm, asked, number, request};
use crate::engine::{Ask, Call, Engine, Events};
use crate::fake::Fake;
use crate::layer::deployment::{Arm, Deployment, RolloutPhase, RolloutPlan};
use crate::{Code, DType};

const THREADS: usize = 8;
const SWAPS: usize = 100;

#[test]
fn a_hundred_swaps_under_load_lose_no_call() {
    let shelf = Shelf::default();
    for i in 0..=SWAPS {
        // Each version adds its number, in several steps, so that runs are under way when it goes.
        let make =
            move || Fake::echo(DType::F32).drift(0, i as f64).prompt_slices(3).name(format!("model {i}")).build();
        shelf.put(&format!("v{i}"), make);
    }
    let deployment = Arc::new(shelf.build("v0"));
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (deployment, stop, answered) = (deployment.clone(), stop.clone(), answered.clone());
            std::thread::spawn(move || {
                let mut last = 0;
                while !stop.load(SeqCst) {
                    let answer = asked(&*deployment).expect("no call fails");
                    let version = number(&answer) as usize;
                    assert_eq!(arm(&answer), (&*format!("v{version}"), Arm::Current));
                    assert_eq!(answer.provenance.model, format!("model {version}"));
                    assert!(version >= last, "v{version} answers after v{last} has");
                    last = version;
                    answered.fetch_add(1, SeqCst);
                }
            })
        })
        .collect();
    for i in 1..=SWAPS {
        let before = answered.load(SeqCst);
        assert_eq!(deployment.offer(&format!("v{i}"), RolloutPlan::blue_green()).unwrap(), RolloutPhase::Promoted);
        // Whoever asks after the offer is answered by the new version.
        assert_eq!(number(&asked(&*deployment).unwrap()) as usize, i);
        while answered.load(SeqCst) < before + 20 {
            std::thread::yield_now();
        }
    }
    stop.store(true, SeqCst);
    threads.into_iter().for_each(|thread| thread.join().expect("each answer was right"));
    assert!(deployment.settle(Duration::from_secs(60)));
    assert_eq!(shelf.alive.load(SeqCst), 1, "the versions that were replaced have gone");
    assert!(answered.load(SeqCst) >= 20 * SWAPS as u64);
    assert_eq!(deployment.spec().provenance.model, format!("model {SWAPS}"));
}

#[test]
fn a_version_stays_until_its_last_run_has_ended() {
    let shelf = Shelf::of([("v1", 1.0), ("v2", 2.0)]);
    let deployment = shelf.build("v1");
    let run = deployment.start(request(0.0).into(), Call::new()).unwrap();
    deployment.offer("v2", RolloutPlan::blue_green()).unwrap();
    assert!(!deployment.settle(Duration::from_millis(50)), "a run is under way");
    assert_eq!((shelf.alive.load(SeqCst), deployment.status().phase("v1")), (2, Some(RolloutPhase::Draining)));
    let answer = Events::new(run).answer().unwrap();
    assert_eq!((number(&answer), arm(&answer)), (1.0, ("v1", Arm::Current)));
    assert!(deployment.settle(Duration::from_secs(60)));
    assert_eq!((shelf.alive.load(SeqCst), deployment.status().phase("v1")), (1, Some(RolloutPhase::Retired)));
}

#[test]
fn runs_outlive_their_deployment() {
    let shelf = Shelf::of([("v1", 1.0)]);
    let deployment = shelf.build("v1");
    let run = deployment.start(request(0.0).into(), Call::new()).unwrap();
    drop(deployment);
    assert_eq!(number(&Events::new(run).answer().unwrap()), 1.0);
    assert_eq!(shelf.alive.load(SeqCst), 0);
}

/// A budget for one version, under load: each is loaded after the one before has gone, and calls wait.
#[test]
fn without_memory_for_two_calls_wait_and_none_is_lost() {
    let shelf = Shelf::of([("v1", 1.0), ("v2", 2.0)]);
    shelf.bytes.store(600, SeqCst);
    let deployment = Arc::new(shelf.builder().memory(1000).build("v1").unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (deployment, stop) = (deployment.clone(), stop.clone());
            std::thread::spawn(move || {
                while !stop.load(SeqCst) {
                    let answer = asked(&*deployment).expect("no call fails");
                    assert_eq!(arm(&answer).0, if number(&answer) == 1.0 { "v1" } else { "v2" });
                }
            })
        })
        .collect();
    for round in 0..20 {
        let (version, other) = if round % 2 == 0 { ("v2", "v1") } else { ("v1", "v2") };
        let plan = RolloutPlan::canary(10_000).shadow(100);
        assert_eq!(deployment.offer(version, plan).unwrap(), RolloutPhase::Promoted, "there is no room for a canary");
        assert_eq!(deployment.status().phase(other), Some(RolloutPhase::Retired));
    }
    // One that fails its test gives way to the one before.
    *shelf.golden.lock().unwrap() = Some(super::world::golden());
    assert_eq!(deployment.offer("v2", RolloutPlan::blue_green()).unwrap(), RolloutPhase::Missed);
    assert_eq!(arm(&asked(&*deployment).unwrap()).0, "v1");
    stop.store(true, SeqCst);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(shelf.most_alive.load(SeqCst), 1, "two were in memory at once");
    shelf.bytes.store(1001, SeqCst);
    let too_large = deployment.offer("v3", RolloutPlan::blue_green()).unwrap_err();
    assert_eq!(too_large.code(), Code::OutOfMemory);
}

#[test]
fn a_call_that_waits_keeps_its_terms() {
    let shelf = Shelf::of([("v1", 1.0)]);
    shelf.bytes.store(600, SeqCst);
    let deployment = Arc::new(shelf.builder().memory(1000).build("v1").unwrap());
    let (loading, is_loading) = std::sync::mpsc::channel();
    let (go_on, gate) = std::sync::mpsc::channel::<()>();
    let (loading, gate) = (std::sync::Mutex::new(loading), std::sync::Mutex::new(gate));
    shelf.put("v2", move || {
        loading.lock().unwrap().send(()).unwrap();
        gate.lock().unwrap().recv().unwrap();
        Fake::echo(DType::F32).drift(0, 2.0).build()
    });
    let offering: std::thread::JoinHandle<crate::Result<RolloutPhase>> = {
        let deployment: Arc<Deployment> = deployment.clone();
        std::thread::spawn(move || deployment.offer("v2", RolloutPlan::blue_green()))
    };
    is_loading.recv().unwrap();
    let late = deployment.run_with(request(0.0), Call::new().timeout(Duration::from_millis(5)));
    assert_eq!(late.unwrap_err().code(), Code::DeadlineExceeded);
    let waits = deployment.start(request(0.0).into(), Call::new()).unwrap();
    go_on.send(()).unwrap();
    assert_eq!(number(&Events::new(waits).answer().unwrap()), 2.0);
    assert_eq!(offering.join().unwrap().unwrap(), RolloutPhase::Promoted);
}
