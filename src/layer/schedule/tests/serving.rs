//! A schedule as an app sees it: waits, ends and refusals, with engines that wait to be let go.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::super::{Schedule, ScheduleOptions};
use crate::engine::{Ask, Call, Cancel, Dim, Engine, Generate, Port, Priority, Request, Step, Tensors};
use crate::fake::Fake;
use crate::{Code, DType, Result, Tensor};

/// An engine whose runs tell that they compute, and then wait to be let go.
struct Gate {
    engine: Arc<dyn Engine>,
    begun: Receiver<f32>,
    go: Sender<()>,
}

fn gate() -> Gate {
    let (begins, begun) = channel();
    let (go, gone) = channel::<()>();
    let (begins, gone) = (Mutex::new(begins), Mutex::new(gone));
    let port = |name| Port::tensor(name, DType::F32, vec![Dim::Fixed(1)]);
    let engine = Fake::tensors(vec![port("x")], vec![port("y")], move |inputs| {
        let x = inputs[0].clone().unwrap();
        begins.lock().unwrap().send(x.as_slice::<f32>()?[0]).unwrap();
        // One that panicked shall not take the others with it.
        let _ = gone.lock().unwrap_or_else(|e| e.into_inner()).recv();
        Ok(vec![x])
    });
    Gate { engine: engine.build(), begun, go }
}

fn request(x: f32) -> Request {
    Tensors::from([("x", Tensor::new(&[1], vec![x]).unwrap())]).into()
}

fn schedule() -> Schedule {
    Schedule::new(ScheduleOptions::new()).unwrap()
}

/// Waits until so many runs wait: there is no other way to see from outside that a thread is in its step.
fn until_waiting(schedule: &Schedule, runs: usize) {
    while schedule.status().waiting != runs {
        std::thread::yield_now();
    }
}

#[test]
fn runs_of_one_engine_wait_for_each_other_and_those_of_another_do_not() {
    let (schedule, one, other) = (schedule(), gate(), gate());
    let (first, second) = (schedule.around(one.engine.clone()), schedule.around(other.engine.clone()));
    std::thread::scope(|scope| {
        let runs = [1.0, 2.0].map(|x| {
            let run = scope.spawn({
                let first = &first;
                move || first.run(request(x))
            });
            if x == 1.0 {
                assert_eq!(one.begun.recv().unwrap(), 1.0);
            }
            run
        });
        until_waiting(&schedule, 1);
        let beside = scope.spawn(|| second.run(request(3.0)));
        assert_eq!(other.begun.recv().unwrap(), 3.0);
        other.go.send(()).unwrap();
        beside.join().unwrap().unwrap();
        assert!(one.begun.try_recv().is_err(), "two compute at once");
        std::thread::sleep(Duration::from_millis(120));
        one.go.send(()).unwrap();
        assert_eq!(one.begun.recv().unwrap(), 2.0);
        one.go.send(()).unwrap();
        let [first, second] = runs.map(|run| run.join().unwrap().unwrap().usage);
        assert_eq!(first.queued, Duration::ZERO);
        assert!(second.queued >= Duration::from_millis(120), "{:?}", second.queued);
    });
    let status = schedule.status();
    assert_eq!((status.waiting, status.computing, status.granted), (0, 0, 3));
}

#[test]
fn a_run_that_waits_is_working_and_sleeps() {
    let (schedule, gate) = (schedule(), gate());
    let engine = schedule.around(gate.engine.clone());
    std::thread::scope(|scope| {
        let holds = scope.spawn(|| engine.run(request(1.0)));
        gate.begun.recv().unwrap();
        let mut waits = engine.start(request(2.0), Call::new()).unwrap();
        let steps = 4;
        let began = std::time::Instant::now();
        for _ in 0..steps {
            assert!(matches!(waits.step().unwrap(), Step::Working(_)));
        }
        // A step that waits takes its time; spinning would be done in a few microseconds.
        assert!(began.elapsed() >= Duration::from_millis(50) * steps);
        gate.go.send(()).unwrap();
        gate.go.send(()).unwrap();
        holds.join().unwrap().unwrap();
        while !matches!(waits.step().unwrap(), Step::Done(_)) {}
        assert_eq!(waits.step().unwrap_err().code(), Code::InvalidArgument);
    });
}

#[test]
fn cancel_deadline_and_drop_end_a_wait_and_free_the_place() {
    let schedule = Schedule::new(ScheduleOptions::new().capacity(1)).unwrap();
    let gate = gate();
    let engine = schedule.around(gate.engine.clone());
    std::thread::scope(|scope| {
        let holds = scope.spawn(|| engine.run(request(1.0)));
        gate.begun.recv().unwrap();
        let cancel = Cancel::new();
        let call = Call::new().cancel(&cancel);
        let waits = scope.spawn(|| engine.run_with(request(2.0), call));
        until_waiting(&schedule, 1);
        let full = engine.run(request(3.0)).unwrap_err();
        assert_eq!(full.code(), Code::Busy, "{full}");
        assert!(full.retry_after().is_some());
        cancel.cancel();
        assert_eq!(waits.join().unwrap().unwrap_err().code(), Code::Cancelled);
        let late = engine.run_with(request(4.0), Call::new().timeout(Duration::from_millis(20))).unwrap_err();
        assert_eq!(late.code(), Code::DeadlineExceeded);
        drop(engine.start(request(5.0), Call::new()).unwrap());
        // Refused by the engine: the place is free again.
        let wrong = engine.run(Generate::text("and then")).unwrap_err();
        assert_eq!(wrong.code(), Code::Unsupported);
        assert_eq!(schedule.status().waiting, 0);
        gate.go.send(()).unwrap();
        holds.join().unwrap().unwrap();
    });
    assert_eq!((schedule.status().busy, schedule.status().granted), (1, 1));
}

#[test]
fn a_run_that_was_started_and_is_not_stepped_blocks_nobody() {
    let schedule = schedule();
    let engine = schedule.around(Fake::echo(DType::F32).build());
    let idle = engine.start(request(1.0), Call::new().priority(Priority::Interactive)).unwrap();
    engine.run_with(request(2.0), Call::new().priority(Priority::Background)).unwrap();
    drop(idle);
    assert_eq!((schedule.status().waiting, schedule.status().computing), (0, 0));
}

#[test]
fn a_panic_and_an_error_free_the_slot() {
    let port = |name| Port::tensor(name, DType::F32, vec![Dim::Fixed(1)]);
    let engine = Fake::tensors(vec![port("x")], vec![port("y")], |inputs| match &inputs[0] {
        Some(x) if x.as_slice::<f32>()?[0] < 0.0 => panic!("as the test wants it"),
        Some(x) => Ok(vec![x.clone()]),
        None => Ok(vec![]),
    });
    let (schedule, broken) = (schedule(), Fake::echo(DType::F32).fail(0, Code::Backend).build());
    let (engine, broken) = (schedule.around(engine.build()), schedule.around(broken));
    let outcome: std::thread::Result<Result<_>> = std::thread::scope(|s| s.spawn(|| engine.run(request(-1.0))).join());
    assert!(outcome.is_err());
    assert_eq!(broken.run(request(1.0)).unwrap_err().code(), Code::Backend);
    engine.run(request(1.0)).unwrap();
    assert_eq!((schedule.status().waiting, schedule.status().computing), (0, 0));
}

#[test]
fn an_engine_with_slots_of_its_own_is_fed_up_to_them() {
    let mut spec = crate::engine::Spec::new(Fake::echo(DType::F32).build().spec().provenance.as_ref().clone());
    spec.parallel = Some(3);
    struct Batches(crate::engine::Spec, Arc<dyn Engine>);
    impl Engine for Batches {
        fn spec(&self) -> &crate::engine::Spec {
            &self.0
        }
        fn start(&self, request: Request, call: Call) -> Result<Box<dyn crate::engine::Run>> {
            self.1.start(request, call)
        }
    }
    let schedule = schedule();
    let engine = schedule.around(Arc::new(Batches(spec, Fake::text("so it goes").build())));
    let mut runs: Vec<_> = (0..5).map(|_| engine.start(Generate::text("and").into(), Call::new()).unwrap()).collect();
    let begun = runs.iter_mut().filter_map(|run| matches!(run.step().unwrap(), Step::Event(_)).then_some(())).count();
    assert_eq!((begun, schedule.status().computing, schedule.status().waiting), (3, 3, 2));
}

#[test]
fn an_engine_may_go_before_its_runs() {
    let schedule = schedule();
    let engine = schedule.around(Fake::echo(DType::F32).build());
    let mut run = engine.start(request(1.0), Call::new()).unwrap();
    drop(engine);
    let other = schedule.around(Fake::echo(DType::F32).build());
    assert!(matches!(run.step().unwrap(), Step::Done(_)));
    drop(run);
    let again = schedule.around(Fake::echo(DType::F32).build());
    other.run(request(1.0)).unwrap();
    again.run(request(1.0)).unwrap();
}
