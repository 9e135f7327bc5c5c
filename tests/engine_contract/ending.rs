//! The ends of a run: cancel, deadline, drop, and after.

use std::time::Duration;

use selvedge::{Answer, Ask, Call, Cancel, Code, Request, Result, Step};

use crate::cases::{Case, skipped};
use crate::serving::to_the_end;

pub(crate) fn a_call_that_is_over_does_not_start(case: &Case) {
    let cancel = Cancel::new();
    cancel.cancel();
    for (call, code) in [
        (Call::new().cancel(&cancel), Code::Cancelled),
        (Call::new().timeout(Duration::ZERO), Code::DeadlineExceeded),
        (Call::new().cancel(&cancel).timeout(Duration::ZERO), Code::Cancelled),
    ] {
        match case.engine.start(case.good(), call) {
            Ok(_) => panic!("it started"),
            Err(error) => assert_eq!(error.code(), code, "{error}"),
        }
    }
    case.serves();
}

pub(crate) fn cancel_ends_a_run_before_its_first_step(case: &Case) {
    let cancel = Cancel::new();
    let mut run = case.engine.start(case.good(), Call::new().cancel(&cancel)).unwrap();
    cancel.cancel();
    assert_eq!(run.step().unwrap_err().code(), Code::Cancelled);
    assert_eq!(run.step().unwrap_err().code(), Code::InvalidArgument);

    let soon = Duration::from_millis(30);
    let mut run = case.engine.start(case.good(), Call::new().timeout(soon)).unwrap();
    std::thread::sleep(soon * 2);
    assert_eq!(run.step().unwrap_err().code(), Code::DeadlineExceeded);
    assert_eq!(run.step().unwrap_err().code(), Code::InvalidArgument);
    case.serves();
}

pub(crate) fn cancel_ends_a_run_between_steps(case: &Case) {
    let (engine, request) = &case.endless;
    if matches!(request, Request::Tensors(_)) {
        return; // It has but one step.
    }
    let cancel = Cancel::new();
    let mut run = engine.start(request.clone(), Call::new().cancel(&cancel)).unwrap();
    // All of these have a prompt or a list of texts that takes more than one step; it may have to wait for its turn.
    let (mut done, mut total) = (0, None);
    while done == 0 {
        let step = run.step().unwrap();
        let Step::Working(progress) = step else { panic!("expected the prompt to be under way, got {step:?}") };
        assert!(progress.total.is_none_or(|t| progress.done <= t), "{progress:?}");
        assert!(total.is_none() || progress.total == total, "{progress:?}, before it was of {total:?}");
        (done, total) = (progress.done, progress.total);
    }
    cancel.cancel();
    assert_eq!(run.step().unwrap_err().code(), Code::Cancelled);
    assert_eq!(run.step().unwrap_err().code(), Code::InvalidArgument);
    case.serves();
}

pub(crate) fn cancel_ends_a_run_under_way(case: &Case) {
    let cancel = Cancel::new();
    let call = Call::new().cancel(&cancel);
    let asked = std::thread::scope(|scope| {
        let asked = scope.spawn(|| endless(case, call));
        std::thread::sleep(Duration::from_millis(200));
        cancel.cancel();
        asked.join().unwrap()
    });
    if let Some(ended) = asked {
        assert_eq!(ended.unwrap_err().code(), Code::Cancelled);
    }
    case.serves();
}

pub(crate) fn a_deadline_ends_a_run_under_way(case: &Case) {
    if let Some(ended) = endless(case, Call::new().timeout(Duration::from_millis(200))) {
        assert_eq!(ended.unwrap_err().code(), Code::DeadlineExceeded);
    }
    case.serves();
}

/// Asks what takes minutes; `None` if the engine can only be ended between steps, and there is but one.
fn endless(case: &Case, call: Call) -> Option<Result<Answer>> {
    let (engine, request) = &case.endless;
    if matches!(request, Request::Tensors(_)) && !engine.spec().abilities.interrupt {
        skipped(case.name, "it does not claim to be interruptible inside a step");
        return None;
    }
    Some(engine.run_with(request.clone(), call))
}

pub(crate) fn an_ended_run_stays_ended(case: &Case) {
    let mut run = case.engine.start(case.good(), Call::new()).unwrap();
    (case.right)(&to_the_end(&mut *run));
    for _ in 0..3 {
        assert_eq!(run.step().unwrap_err().code(), Code::InvalidArgument);
    }
    // Ended by its terms: not even the terms are reported again.
    let cancel = Cancel::new();
    let mut run = case.engine.start(case.good(), Call::new().cancel(&cancel)).unwrap();
    cancel.cancel();
    assert_eq!(run.step().unwrap_err().code(), Code::Cancelled);
    for _ in 0..3 {
        assert_eq!(run.step().unwrap_err().code(), Code::InvalidArgument);
    }
}

pub(crate) fn dropped_runs_leave_an_engine_that_serves(case: &Case) {
    let (engine, request) = &case.endless;
    let steps = !matches!(request, Request::Tensors(_));
    // More than an engine serves side by side.
    for round in 0..12 {
        let mut run = engine.start(request.clone(), Call::new()).unwrap();
        // Some before their first step, some within the prompt, some on another thread.
        if steps && round % 3 > 0 {
            run.step().unwrap();
        }
        if round % 2 == 0 {
            drop(run);
        } else {
            std::thread::spawn(move || drop(run)).join().unwrap();
        }
    }
    case.serves();
}
