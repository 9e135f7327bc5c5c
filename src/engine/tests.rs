use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::{Code, DType, Digest, Error, Tensor};

fn spec() -> Spec {
    let symbol = |name: &str| Dim::Symbol(name.into());
    let mut spec = Spec::new(Provenance::new("ports", Digest::default(), "fake", "fake"));
    let mut scale = Port::tensor("scale", DType::F32, vec![]);
    scale.optional = true;
    spec.inputs = vec![
        Port::tensor("a", DType::F32, vec![symbol("n"), Dim::Fixed(2)]),
        Port::tensor("b", DType::I64, vec![symbol("n"), symbol("n"), Dim::Any]),
        scale,
        Port { name: "free".into(), kind: Kind::Tensor { dtype: DType::U8, shape: None }, optional: true },
    ];
    spec.outputs = vec![
        Port::tensor("y", DType::F32, vec![]),
        Port { name: "labels".into(), kind: Kind::Other("sequence(map)".into()), optional: false },
        Port::tensor("z", DType::F32, vec![]),
    ];
    spec
}

fn zeros(dtype: DType, dims: &[usize]) -> Tensor {
    Tensor::zeros(dtype, dims).unwrap()
}

fn inputs() -> Vec<(&'static str, Tensor)> {
    // Not in the spec's order.
    vec![("b", zeros(DType::I64, &[3, 3, 9])), ("a", zeros(DType::F32, &[3, 2]))]
}

fn refused(request: Tensors) -> (Code, String) {
    let error = spec().admit(request).unwrap_err();
    (error.code(), error.to_string())
}

#[test]
fn admitted_inputs_are_in_the_order_of_the_spec() {
    let admitted = spec().admit(Tensors::new(inputs()).only(["z", "y"])).unwrap();
    let shapes: Vec<Option<Vec<usize>>> =
        admitted.inputs.iter().map(|t| t.as_ref().map(|t| t.shape().to_vec())).collect();
    assert_eq!(shapes, [Some(vec![3, 2]), Some(vec![3, 3, 9]), None, None]);
    assert_eq!(admitted.outputs, [2, 0]);
    assert!(spec().admit(Tensors::new(inputs()).only::<&str>([])).unwrap().outputs.is_empty());

    for dims in [&[][..], &[7], &[1, 2, 3]] {
        let all = inputs().into_iter().chain([("free", zeros(DType::U8, dims))]);
        assert!(spec().admit(Tensors::new(all).only(["y"])).is_ok(), "a port without a shape takes {dims:?}");
    }
}

#[test]
fn a_tensor_request_that_does_not_fit_is_told_why() {
    let with = |changed: Vec<(&'static str, Tensor)>| {
        let mut all = inputs();
        for (name, tensor) in changed {
            all.retain(|(n, _)| *n != name);
            all.push((name, tensor));
        }
        Tensors::new(all).only(["y"])
    };
    let invalid = |request, message: &str| assert_eq!(refused(request), (Code::InvalidArgument, message.into()));

    invalid(
        with(vec![("A", zeros(DType::F32, &[3, 2]))]),
        r#"input 'A' is unknown: expected one of ["a", "b", "scale", "free"]"#,
    );
    invalid(Tensors::new(inputs().into_iter().chain([inputs().remove(1)])), "input 'a' is given twice");
    invalid(Tensors::new(inputs().drain(..1)).only(["y"]), "input 'a' is missing: expected f32[n, 2]");
    invalid(with(vec![("a", zeros(DType::F64, &[3, 2]))]), "input 'a': expected f32[n, 2], got f64[3, 2]");
    invalid(with(vec![("a", zeros(DType::F32, &[6]))]), "input 'a': expected f32[n, 2], got f32[6] (rank 1, not 2)");
    invalid(with(vec![("a", zeros(DType::F32, &[3, 3]))]), "input 'a': expected f32[n, 2], got f32[3, 3]");
    invalid(
        with(vec![("a", zeros(DType::F32, &[4, 2]))]),
        "input 'b': expected i64[n, n, ?], got i64[3, 3, 9] (n is 4 in another dimension)",
    );
    invalid(
        with(vec![("b", zeros(DType::I64, &[3, 2, 9]))]),
        "input 'b': expected i64[n, n, ?], got i64[3, 2, 9] (n is 3 in another dimension)",
    );
    let word = Tensor::strings(&[], vec!["x".into()]).unwrap();
    invalid(with(vec![("scale", word)]), "input 'scale': expected f32[], got string[]");
    invalid(with(vec![("free", zeros(DType::I8, &[1]))]), "input 'free': expected u8[..], got i8[1]");

    let asking = |names: &[&str]| Tensors::new(inputs()).only(names.iter().copied());
    invalid(asking(&["w"]), r#"output 'w' is unknown: expected one of ["y", "labels", "z"]"#);
    invalid(asking(&["y", "z", "y"]), "output 'y' is asked for twice");
}

#[test]
fn what_is_not_a_tensor_is_unsupported() {
    let unsupported =
        (Code::Unsupported, "output 'labels': expected a tensor, the model gives sequence(map)".to_string());
    assert_eq!(refused(Tensors::new(inputs())), unsupported);
    assert_eq!(refused(Tensors::new(inputs()).only(["y", "labels"])), unsupported);

    let mut spec = spec();
    spec.inputs.truncate(1);
    spec.inputs[0].kind = Kind::Other("optional(tensor)".into());
    let error = spec.admit(Tensors::from([("a", zeros(DType::F32, &[1]))]).only(["y"])).unwrap_err();
    assert_eq!(error.code(), Code::Unsupported);
    assert_eq!(error.message(), "input 'a': the model takes optional(tensor), not a tensor");
}

#[test]
fn generation_parameters_have_ranges() {
    let text = || Generate::text("");
    let sampling = |change: fn(&mut Sampling)| {
        let mut request = text();
        change(&mut request.sampling);
        request
    };
    for (request, message) in [
        (text().temperature(-0.1), "temperature: expected a finite number >= 0, got -0.1"),
        (text().temperature(f32::INFINITY), "temperature: expected a finite number >= 0, got inf"),
        (text().temperature(f32::NAN), "temperature: expected a finite number >= 0, got NaN"),
        (text().top_p(0.0), "top_p: expected a number in (0, 1], got 0"),
        (text().top_p(1.1), "top_p: expected a number in (0, 1], got 1.1"),
        (text().min_p(-0.5), "min_p: expected a number in [0, 1], got -0.5"),
        (text().min_p(f32::NAN), "min_p: expected a number in [0, 1], got NaN"),
        (sampling(|s| s.repeat_penalty = 0.0), "repeat_penalty: expected a finite number > 0, got 0"),
        (sampling(|s| s.frequency_penalty = f32::NAN), "frequency_penalty: expected a finite number, got NaN"),
        (sampling(|s| s.presence_penalty = f32::INFINITY), "presence_penalty: expected a finite number, got inf"),
        (text().stop(["a", ""]), "stop: expected non-empty texts, got an empty one"),
        (text().max_tokens(0), "max_tokens: expected at least 1, got 0"),
        (Generate::chat([]), "chat: expected messages, got none"),
        (Generate::new(Prompt::Tokens(vec![])), "tokens: expected at least 1, got none"),
    ] {
        let error = request.check().unwrap_err();
        assert_eq!((error.code(), error.message()), (Code::InvalidArgument, message));
    }
    for request in [text(), text().top_p(1.0).min_p(1.0).temperature(2.0).max_tokens(None), text().min_p(0.0)] {
        assert!(request.check().is_ok());
    }
}

#[test]
fn numbers_and_names_of_a_finish_are_pinned() {
    let of = |finish: Finish| (finish.number(), finish.name());
    assert_eq!(of(Finish::Complete), (1, "complete"));
    assert_eq!(of(Finish::EndOfText), (2, "end_of_text"));
    assert_eq!(of(Finish::Stop("x".into())), (3, "stop"));
    assert_eq!(of(Finish::Length), (4, "length"));
    assert_eq!(of(Finish::ContextFull), (5, "context_full"));
}

#[test]
fn a_call_is_over_by_cancel_or_deadline() {
    let check = |call: Call| call.check().map_err(|e| e.code());
    let (cancel, past) = (Cancel::new(), Instant::now());
    assert_eq!(check(Call::new().cancel(&cancel).timeout(Duration::from_secs(600))), Ok(()));
    assert_eq!(check(Call::new().deadline(past)), Err(Code::DeadlineExceeded));
    assert_eq!(check(Call::new().timeout(Duration::ZERO)), Err(Code::DeadlineExceeded));
    // Further away than the clock can tell.
    assert_eq!(Call::new().timeout(Duration::MAX).deadline, None);
    cancel.clone().cancel();
    assert_eq!(check(Call::new().cancel(&cancel).deadline(past)), Err(Code::Cancelled));
}

#[test]
fn a_hook_is_called_once_and_not_after_its_guard() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = |cancel: &Cancel| {
        let calls = calls.clone();
        cancel.on_cancel(move || {
            calls.fetch_add(1, Ordering::SeqCst);
        })
    };
    let cancel = Cancel::new();
    drop(count(&cancel));
    let (_a, _b) = (count(&cancel), count(&cancel));
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    cancel.cancel();
    cancel.cancel();
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    let _late = count(&cancel);
    assert_eq!(calls.load(Ordering::SeqCst), 3, "the switch is set already");
    cancel.cancel();
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[test]
fn hooks_race_with_cancel() {
    for _ in 0..2000 {
        let cancel = Cancel::new();
        let (calls, gone, after) = <(Arc<AtomicUsize>, Arc<AtomicBool>, Arc<AtomicBool>)>::default();
        let start = Arc::new(std::sync::Barrier::new(3));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                cancel.cancel();
            });
            scope.spawn(|| {
                let calls = calls.clone();
                start.wait();
                // Before or after the cancel: called exactly once.
                std::mem::forget(cancel.on_cancel(move || {
                    calls.fetch_add(1, Ordering::SeqCst);
                }));
            });
            scope.spawn(|| {
                let (gone_too, after) = (gone.clone(), after.clone());
                start.wait();
                drop(cancel.on_cancel(move || {
                    after.fetch_or(gone_too.load(Ordering::SeqCst), Ordering::SeqCst);
                }));
                gone.store(true, Ordering::SeqCst);
            });
        });
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        assert!(!after.load(Ordering::SeqCst), "a hook ran after its guard was dropped");
    }
}

/// Plays steps, and notes what becomes of it.
struct Steps {
    steps: std::vec::IntoIter<crate::Result<Step>>,
    call: Call,
    dropped: Arc<AtomicBool>,
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::SeqCst);
    }
}

impl Run for Steps {
    fn step(&mut self) -> crate::Result<Step> {
        self.call.check()?;
        self.steps.next().expect("a run that has ended is not stepped again")
    }
}

fn piece(text: &str) -> crate::Result<Step> {
    Ok(Step::Event(Event::Text(Piece::new(text, vec![]))))
}

fn done() -> crate::Result<Step> {
    let provenance = Arc::new(Provenance::new("m", Digest::default(), "fake", "fake"));
    Ok(Step::Done(Answer::new(Finish::EndOfText, Usage::default(), provenance)))
}

fn events(steps: Vec<crate::Result<Step>>) -> (Events, Arc<AtomicBool>) {
    let dropped = Arc::new(AtomicBool::new(false));
    let run = Steps { steps: steps.into_iter(), call: Call::new(), dropped: dropped.clone() };
    (Events::new(Box::new(run)), dropped)
}

#[test]
fn events_end_after_the_answer() {
    let working = Ok(Step::Working(Progress::new(3, Some(4))));
    let (mut events, dropped) = events(vec![working, piece("a"), piece("b"), done()]);
    assert_eq!(events.progress(), None);
    let texts: Vec<String> = events
        .by_ref()
        .map(|event| match event.unwrap() {
            Event::Text(p) => p.text,
            other => panic!("expected text, got {other:?}"),
        })
        .collect();
    assert_eq!((texts, events.progress()), (vec!["a".into(), "b".into()], Some(Progress::new(3, Some(4)))));
    assert!(dropped.load(Ordering::SeqCst), "the run is given back as soon as it has ended");
    assert!(events.next().is_none() && events.next().is_none());
    assert_eq!(events.answer().unwrap().finish, Finish::EndOfText);
}

#[test]
fn an_answer_skips_the_events_not_pulled() {
    let (mut pulled, _) = events(vec![piece("a"), piece("b"), done()]);
    assert!(pulled.next().is_some());
    assert!(pulled.answer().is_ok());
    let (failing, _) = events(vec![piece("a"), Err(Error::backend("broken"))]);
    assert_eq!(failing.answer().unwrap_err().message(), "broken");
}

#[test]
fn events_end_after_an_error() {
    let (mut events, dropped) = events(vec![piece("a"), Err(Error::backend("broken"))]);
    assert!(events.next().unwrap().is_ok());
    assert_eq!(events.next().unwrap().unwrap_err().code(), Code::Backend);
    assert!(dropped.load(Ordering::SeqCst));
    assert!(events.next().is_none() && events.next().is_none());
    let error = events.answer().unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::InvalidArgument, "the run has failed before and has no answer"));
}

#[test]
fn an_output_is_found_by_name() {
    let mut answer = events(vec![done()]).0.answer().unwrap();
    answer.outputs = vec![("y".into(), Tensor::scalar(1u8)), ("z".into(), Tensor::scalar(2u8))];
    assert_eq!(answer.output("z").unwrap(), &Tensor::scalar(2u8));
    let error = answer.output("x").unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::NotFound, r#"output 'x': expected one of ["y", "z"]"#));
}

#[cfg(feature = "async")]
mod stream {
    use std::pin::pin;
    use std::task::{Context, Poll, Wake, Waker};

    use futures_util::StreamExt;

    use super::*;

    /// Plays the same steps for every request.
    struct Player {
        spec: Spec,
        steps: fn() -> Vec<crate::Result<Step>>,
        dropped: Arc<AtomicBool>,
    }

    impl Player {
        fn new(steps: fn() -> Vec<crate::Result<Step>>) -> Self {
            Self { spec: spec(), steps, dropped: Default::default() }
        }
    }

    impl Engine for Player {
        fn spec(&self) -> &Spec {
            &self.spec
        }

        fn start(&self, _: Request, call: Call) -> crate::Result<Box<dyn Run>> {
            call.check()?;
            Ok(Box::new(Steps { steps: (self.steps)().into_iter(), call, dropped: self.dropped.clone() }))
        }
    }

    /// An executor that knows nothing but to sleep until it is woken.
    fn block_on<F: Future>(future: F) -> F::Output {
        struct Thread(std::thread::Thread);
        impl Wake for Thread {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Thread(std::thread::current())));
        let mut future = pin!(future);
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(output) => return output,
                Poll::Pending => std::thread::park(),
            }
        }
    }

    fn begun(player: &Player, call: Call) -> StepStream {
        player.stream(Generate::text(""), call).unwrap()
    }

    fn soon(flag: &AtomicBool) -> bool {
        let began = Instant::now();
        while !flag.load(Ordering::SeqCst) && began.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(1));
        }
        flag.load(Ordering::SeqCst)
    }

    #[test]
    fn a_stream_ends_with_the_answer() {
        // More steps than may wait for their reader.
        let player = Player::new(|| (0..50).map(|i| piece(&i.to_string())).chain([done()]).collect());
        let steps: Vec<_> = block_on(begun(&player, Call::new()).collect());
        let texts: Vec<String> = steps[..50]
            .iter()
            .map(|step| match step {
                Ok(Step::Event(Event::Text(piece))) => piece.text.clone(),
                other => panic!("expected an event, got {other:?}"),
            })
            .collect();
        assert_eq!(texts, (0..50).map(|i| i.to_string()).collect::<Vec<_>>());
        assert!(matches!(steps[50..], [Ok(Step::Done(_))]));
    }

    #[test]
    fn a_stream_ends_with_the_first_error() {
        let player = Player::new(|| vec![piece("a"), Err(Error::backend("broken")), piece("b")]);
        let steps: Vec<_> = block_on(begun(&player, Call::new()).collect());
        assert_eq!((steps.len(), steps[1].as_ref().unwrap_err().message()), (2, "broken"));
    }

    #[test]
    fn a_panic_in_a_step_is_an_error() {
        let player = Player::new(|| vec![piece("a")]);
        let steps: Vec<_> = block_on(begun(&player, Call::new()).collect());
        assert_eq!((steps.len(), steps[1].as_ref().unwrap_err().code()), (2, Code::Panic));
    }

    #[test]
    fn dropping_a_stream_cancels_the_run_and_nothing_else() {
        let theirs = Cancel::new();
        let player = Player::new(|| (0..1000).map(|_| piece("a")).collect());
        let mut stream = begun(&player, Call::new().cancel(&theirs));
        assert!(block_on(stream.next()).is_some());
        drop(stream);
        assert!(soon(&player.dropped), "the run goes on without a reader");
        assert!(!theirs.is_cancelled());
    }

    #[test]
    fn the_callers_switch_cancels_a_stream() {
        let theirs = Cancel::new();
        let player = Player::new(|| (0..1000).map(|_| piece("a")).collect());
        let mut stream = begun(&player, Call::new().cancel(&theirs));
        assert!(block_on(stream.next()).is_some());
        theirs.cancel();
        let rest: Vec<_> = block_on(stream.collect());
        assert_eq!(rest.last().unwrap().as_ref().unwrap_err().code(), Code::Cancelled);
        assert!(rest.len() <= 10, "a run that is cancelled goes on: {} steps", rest.len());
        let refused = player.stream(Generate::text(""), Call::new().cancel(&theirs)).unwrap_err();
        assert_eq!(refused.code(), Code::Cancelled);
    }
}

#[test]
fn a_bool_input_is_checked_byte_by_byte() {
    let mut spec = spec();
    spec.inputs = vec![Port::tensor("on", DType::Bool, vec![Dim::Any])];
    let admit = |bytes: &[u8]| {
        let on = Tensor::copy_from(DType::Bool, crate::Shape::new(&[bytes.len()]).unwrap(), bytes).unwrap();
        spec.admit(Tensors::from([("on", on)]).only(["y"]))
    };
    assert!(admit(&[0, 1]).is_ok());
    let error = admit(&[0, 7]).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.to_string().ends_with("(while reading input 'on')"), "{error}");
}
