//! Right answers, and what comes with them.

use std::time::Duration;

use selvedge::{Answer, Ask, Call, Dim, Kind, Priority, Request, Step, Trim};
use sha2::{Digest as _, Sha256};

use crate::cases::Case;

pub(crate) fn right_answer(case: &Case) {
    case.serves();
    // The same again, now that plans and caches are warm.
    case.serves();
}

/// Equal but for what a call cost.
pub(crate) fn assert_same(a: &Answer, b: &Answer) {
    let ids = |answer: &Answer| answer.tokens.iter().map(|token| token.id).collect::<Vec<_>>();
    assert_eq!((&a.text, ids(a), &a.finish, &a.outputs), (&b.text, ids(b), &b.finish, &b.outputs));
    assert_eq!((a.usage.input_tokens, a.usage.output_tokens), (b.usage.input_tokens, b.usage.output_tokens));
}

pub(crate) fn concurrent_calls_equal_serial_ones(case: &Case) {
    let serial: Vec<Answer> = case.requests.iter().map(|r| case.engine.run(r.clone()).unwrap()).collect();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let serial = &serial;
            scope.spawn(move || {
                for call in 0..50 {
                    // Neighbours ask different things at the same time.
                    let i = (thread + call) % serial.len();
                    let id = (thread * 50 + call) as u64;
                    let answer = case.engine.run_with(case.requests[i].clone(), Call::new().id(id)).unwrap();
                    assert_eq!(answer.id, id);
                    assert_same(&answer, &serial[i]);
                }
            });
        }
    });
}

pub(crate) fn usage_is_told(case: &Case) {
    let answer = case.engine.run(case.good()).unwrap();
    let usage = answer.usage;
    // What a cache has kept was computed before, and says for how long.
    let spent = |phase: Duration| if usage.cache_hits > 0 { usage.saved } else { phase };
    match case.good() {
        Request::Generate(_) => {
            assert!(usage.input_tokens > 0, "{usage:?}");
            // A token that ended the text counts, and does not show.
            assert!(usage.output_tokens >= answer.tokens.len() as u64 && !answer.tokens.is_empty(), "{usage:?}");
            assert!(!spent(usage.generate).is_zero(), "{usage:?}");
        }
        Request::Embed(_) => assert!(usage.input_tokens > 0 && !spent(usage.compute).is_zero(), "{usage:?}"),
        _ => assert!(usage.input_tokens == 0 && !spent(usage.compute).is_zero(), "{usage:?}"),
    }
    assert!(usage.cached_tokens <= usage.input_tokens, "{usage:?}");
}

pub(crate) fn provenance_is_told(case: &Case) {
    let answer = case.engine.run(case.good()).unwrap();
    let reported = &answer.provenance;
    let mut expected = (*case.engine.spec().provenance).clone();
    if case.route.iter().any(|layer| layer.contains('(')) {
        expected.route = reported.route.clone();
    }
    assert_eq!(**reported, expected);
    assert!(!reported.model.is_empty() && !reported.runtime.is_empty(), "{reported:?}");
    assert_eq!(reported.route, case.route, "a bare engine has no layers");
    let (backend, digest) = match &case.file {
        Some((backend, file)) => (backend.name(), Sha256::digest(std::fs::read(file).unwrap())),
        None => ("fake", Sha256::digest(&reported.model)),
    };
    assert_eq!((reported.backend, reported.digest.0.as_slice()), (backend, digest.as_slice()));
}

pub(crate) fn the_call_comes_back(case: &Case) {
    for priority in [Priority::Background, Priority::Normal, Priority::Interactive] {
        let call = Call::new().id(u64::MAX - 7).priority(priority).timeout(Duration::from_secs(86_400));
        assert_eq!(case.engine.run_with(case.good(), call).unwrap().id, u64::MAX - 7);
    }
    assert_eq!(case.engine.run(case.good()).unwrap().id, 0);
}

pub(crate) fn outputs_fit_the_spec(case: &Case) {
    let spec = case.engine.spec();
    let serves = (spec.abilities.tensors, spec.abilities.generate, spec.abilities.embed);
    let answer = case.engine.run(case.good()).unwrap();
    match case.good() {
        Request::Tensors(request) => {
            assert!(serves.0 && !spec.inputs.is_empty());
            let names: Vec<&String> = answer.outputs.iter().map(|(name, _)| name).collect();
            assert_eq!(names, spec.outputs.iter().map(|port| &port.name).collect::<Vec<_>>());
            for (port, (_, tensor)) in spec.outputs.iter().zip(&answer.outputs) {
                let Kind::Tensor { dtype, shape } = &port.kind else { panic!("{port} is no tensor") };
                let dims = shape.as_ref().expect("a model with shapes");
                assert_eq!((tensor.dtype(), tensor.shape().rank()), (*dtype, dims.len()));
                let fits = |(dim, got): (&Dim, &usize)| !matches!(dim, Dim::Fixed(n) if n != got);
                assert!(dims.iter().zip(tensor.shape().iter()).all(fits), "{port} is {}", tensor.shape());
            }
            let only = case.engine.run(request.only([names[0].clone()])).unwrap();
            assert_eq!(only.outputs, answer.outputs[..1]);
        }
        Request::Embed(_) => {
            let size = answer.outputs[0].1.shape()[1];
            assert_eq!((serves.2, answer.outputs.len(), spec.embedding_size), (true, 1, Some(size as u32)));
        }
        Request::Generate(_) => {
            assert!(serves.1 && answer.outputs.is_empty());
            assert!(spec.context_tokens.unwrap() > 0);
        }
        other => panic!("{other:?} is new: say what comes of it"),
    }
}

#[cfg(feature = "async")]
pub(crate) fn a_stream_gives_the_same_answer(case: &Case) {
    use futures_util::StreamExt;
    let stream = case.engine.stream(case.good(), Call::new().id(3)).unwrap();
    // Polled by whoever is at hand: no runtime is needed.
    let steps: Vec<_> = block_on(stream.collect());
    let Some(Ok(Step::Done(answer))) = steps.last() else { panic!("the last step is {:?}", steps.last()) };
    (case.right)(answer);
    assert_eq!(answer.id, 3);
    assert!(steps[..steps.len() - 1].iter().all(|step| matches!(step, Ok(Step::Event(_) | Step::Working(_)))));
}

#[cfg(not(feature = "async"))]
pub(crate) fn a_stream_gives_the_same_answer(case: &Case) {
    crate::cases::skipped(case.name, "a stream needs the feature 'async'");
}

#[cfg(feature = "async")]
fn block_on<F: Future>(future: F) -> F::Output {
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};

    struct Thread(std::thread::Thread);
    impl Wake for Thread {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Thread(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

pub(crate) fn trim_disturbs_nothing(case: &Case) {
    for level in [Trim::Caches, Trim::All] {
        let mut run = case.engine.start(case.good(), Call::new()).unwrap();
        let first = run.step().unwrap();
        case.engine.trim(level).unwrap();
        let answer = match first {
            Step::Done(answer) => answer,
            _ => to_the_end(&mut *run),
        };
        (case.right)(&answer);
        case.serves();
    }
}

pub(crate) fn a_run_outlives_its_engine(case: &Case) {
    let engine = (case.fresh)();
    let mut run = engine.start(case.good(), Call::new()).unwrap();
    drop(engine);
    // On another thread, too.
    let answer = std::thread::spawn(move || to_the_end(&mut *run)).join().unwrap();
    (case.right)(&answer);
}

pub(crate) fn to_the_end(run: &mut dyn selvedge::Run) -> Answer {
    loop {
        if let Step::Done(answer) = run.step().unwrap() {
            return answer;
        }
    }
}
