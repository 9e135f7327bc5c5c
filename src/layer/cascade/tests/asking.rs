use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::engine::{
    Call, Cancel, Embed, Engine, Event, Generate, Message, Port, Priority, Prompt, Request, Run, Spec, Step, Tensors,
    Trim,
};
use crate::fake::Fake;
use crate::layer::cascade::{Cascade, CascadeBuilder, Check, OnError, Threshold};
use crate::layer::probe::Classes;
use crate::{Answer, Ask, Code, DType, Dim, Error, Result, Tensor};

fn text(name: &str, reply: &str) -> Arc<dyn Engine> {
    Fake::text(reply).name(name).build()
}

fn short() -> [Check; 1] {
    [Check::length(1..=6)]
}

fn three(first: &str, second: &str) -> Cascade {
    let (first, second) = (text("small", first), text("medium", second));
    Cascade::builder().stage(first, short()).stage(second, short()).build(text("large", "the last word")).unwrap()
}

fn events(cascade: &Cascade, request: Generate) -> (Vec<Event>, Answer) {
    let mut events = cascade.generate(request).unwrap();
    let pieces = events.by_ref().map(Result::unwrap).collect();
    (pieces, events.answer().unwrap())
}

#[test]
fn the_first_answer_that_passes_is_given() {
    for (cascade, reply, route, asked) in [
        (three("yes", "no"), "yes", "cascade(small)", [1, 0, 0]),
        (three("yes indeed", "no"), "no", "cascade(small, medium)", [1, 1, 0]),
        (three("yes indeed", "no, never"), "the last word", "cascade(small, medium, large)", [1, 1, 1]),
    ] {
        let answer = cascade.run_with(Generate::text("well?"), Call::new().id(7)).unwrap();
        assert_eq!((&*answer.text, answer.id), (reply, 7));
        assert_eq!(answer.provenance.route, [route]);
        let status = cascade.status();
        assert_eq!(status.stages.iter().map(|stage| stage.asked).collect::<Vec<_>>(), asked);
        let accepted: Vec<u64> = status.stages.iter().map(|stage| stage.accepted).collect();
        assert_eq!((status.calls, accepted.iter().sum::<u64>()), (1, 1));
        let by = &status.stages[accepted.iter().position(|n| *n == 1).unwrap()].model;
        assert_eq!(*by, answer.provenance.model);
        let refused: u64 = status.stages.iter().flat_map(|stage| &stage.refused).map(|(_, n)| n).sum();
        assert_eq!(refused, asked.iter().sum::<u64>() - 1);
    }
}

#[test]
fn usage_adds_up() {
    let prompt = || Generate::text("one two three");
    let alone = |reply: &str| text("alone", reply).run(prompt()).unwrap().usage;
    let cascade = three("yes indeed", "no, never");
    let sum = cascade.run(prompt()).unwrap().usage;
    let expected = ["yes indeed", "no, never", "the last word"].map(alone);
    assert_eq!(sum.output_tokens, expected.iter().map(|usage| usage.output_tokens).sum::<u64>());
    assert_eq!((sum.output_tokens, sum.input_tokens), (7, 9));
    let slow = |name: &str| Fake::text("too long").name(name).delay(Duration::from_millis(5)).build();
    let cascade = Cascade::builder().stage(slow("small"), short()).build(slow("large")).unwrap();
    assert!(
        cascade.run(prompt()).unwrap().usage.generate >= Duration::from_millis(30),
        "two engines, three steps each"
    );
}

#[test]
fn nothing_of_an_answer_is_given_before_it_is_accepted() {
    let (pieces, answer) = events(&three("a b", "no"), Generate::text("well?"));
    assert_eq!((pieces.len(), &*answer.text), (2, "a b"), "the pieces come, too: {pieces:?}");
    let (pieces, answer) = events(&three("yes indeed", "no, never"), Generate::text("well?"));
    let joined: String = pieces
        .iter()
        .map(|event| match event {
            Event::Text(piece) => &*piece.text,
            other => panic!("expected text, got {other:?}"),
        })
        .collect();
    assert_eq!((&*joined, &*answer.text), ("the last word", "the last word"));
    // The last engine's pieces come as it makes them: a step each, none held back.
    let cascade = three("yes indeed", "no, never");
    let mut run = cascade.start(Generate::text("well?").into(), Call::new()).unwrap();
    let mut kinds = String::new();
    loop {
        match run.step().unwrap() {
            Step::Working(_) => kinds.push('w'),
            Step::Event(_) => kinds.push('e'),
            Step::Done(_) => break,
        }
    }
    // Two tokens and a refusal, twice; then three tokens.
    assert_eq!(kinds, "wwwwwweee");
    assert_eq!(run.step().unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn failures_go_on_to_the_next_engine_or_come_back() {
    let broken = || Fake::text("yes").name("broken").fail(1, Code::Backend).build();
    let no_chat = || Fake::echo(DType::F32).name("tensors").build();
    let build = |first: Arc<dyn Engine>, on_error| {
        Cascade::builder().stage(first, short()).on_error(on_error).build(text("large", "the last word")).unwrap()
    };
    for engine in [broken(), no_chat()] {
        let name = engine.spec().provenance.model.clone();
        let cascade = build(engine, OnError::Escalate);
        let answer = cascade.run(Generate::chat([Message::user("well?")])).unwrap();
        assert_eq!(
            (&*answer.text, &*answer.provenance.route[0]),
            ("the last word", &*format!("cascade({name}, large)"))
        );
        let status = cascade.status();
        assert_eq!((status.stages[0].failed, status.stages[1].accepted), (1, 1));
    }
    let error = build(broken(), OnError::Return).run(Generate::text("well?")).unwrap_err();
    assert_eq!(error.code(), Code::Backend);
    assert!(error.to_string().ends_with("(while asking 'broken', 1 of 2)"), "{error}");
    let refused = build(no_chat(), OnError::Return).start(Generate::text("well?").into(), Call::new());
    assert_eq!(refused.err().unwrap().code(), Code::Unsupported);
    // What the last engine says stands.
    let last = Fake::text("yes").name("large").fail(0, Code::OutOfMemory).build();
    let cascade = Cascade::builder().stage(broken(), short()).build(last).unwrap();
    assert_eq!(cascade.run(Generate::text("well?")).unwrap_err().code(), Code::OutOfMemory);
    assert_eq!(cascade.run(Generate::new(Prompt::Tokens(vec![]))).unwrap_err().code(), Code::InvalidArgument);
}

/// Deadline, priority and id of a call.
type Terms = (Option<Instant>, Priority, u64);

/// Tells the terms of its calls.
struct Watched {
    engine: Arc<dyn Engine>,
    seen: Arc<Mutex<Vec<Terms>>>,
}

impl Engine for Watched {
    fn spec(&self) -> &Spec {
        self.engine.spec()
    }

    fn start(&self, request: Request, call: Call) -> Result<Box<dyn Run>> {
        self.seen.lock().unwrap().push((call.deadline, call.priority, call.id));
        self.engine.start(request, call)
    }
}

#[test]
fn cancel_and_deadline_hold_for_all_engines_together() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let watched = |name: &str| Arc::new(Watched { engine: text(name, "far too long"), seen: seen.clone() });
    let cascade = Cascade::builder().stage(watched("small"), short()).build(watched("large")).unwrap();
    let call = Call::new().timeout(Duration::from_secs(3600)).priority(Priority::Interactive).id(7);
    let terms = (call.deadline, Priority::Interactive, 7);
    cascade.run_with(Generate::text("well?"), call).unwrap();
    assert_eq!(*seen.lock().unwrap(), [terms, terms]);
    // It passes while the second engine computes.
    let slow = Fake::text("never").name("slow").delay(Duration::from_secs(3600)).build();
    let late = Cascade::builder().stage(text("small", "far too long"), short()).build(slow).unwrap();
    let call = Call::new().timeout(Duration::from_millis(300));
    assert_eq!(late.run_with(Generate::text("well?"), call).unwrap_err().code(), Code::DeadlineExceeded);
    assert!(late.status().stages.iter().all(|stage| stage.failed == 0), "{:?}", late.status());
    for after in 0..5 {
        let cancel = Cancel::new();
        let mut run = cascade.start(Generate::text("well?").into(), Call::new().cancel(&cancel)).unwrap();
        (0..after).for_each(|_| drop(run.step().unwrap()));
        cancel.cancel();
        for code in [Code::Cancelled, Code::InvalidArgument, Code::InvalidArgument] {
            assert_eq!(run.step().unwrap_err().code(), code, "after {after} steps");
        }
    }
    // An accepted answer, too, is given only while somebody wants it.
    let cascade = three("a b", "no");
    let cancel = Cancel::new();
    let mut run = cascade.start(Generate::text("well?").into(), Call::new().cancel(&cancel)).unwrap();
    while !matches!(run.step().unwrap(), Step::Event(_)) {}
    cancel.cancel();
    assert_eq!(run.step().unwrap_err().code(), Code::Cancelled);
    assert_eq!(
        cascade.start(Generate::text("a").into(), Call::new().cancel(&cancel)).err().unwrap().code(),
        Code::Cancelled
    );
}

/// A classifier that gives `p` for class 0, and counts its calls.
fn classifier(name: &str, p: f32, calls: &Arc<AtomicU64>) -> Arc<dyn Engine> {
    let (x, y) = ports();
    let calls = calls.clone();
    let classify = move |_: &[Option<Tensor>]| {
        calls.fetch_add(1, SeqCst);
        Ok(vec![Tensor::new(&[1, 2], vec![p, 1.0 - p])?])
    };
    Fake::tensors(vec![x], vec![y], classify).name(name).build()
}

fn ports() -> (Port, Port) {
    let port = |name: &str| Port::tensor(name, DType::F32, vec![Dim::Any, Dim::Fixed(2)]);
    (port("x"), port("y"))
}

fn x() -> Tensors {
    Tensors::from([("x", Tensor::new(&[1, 2], vec![0.0f32; 2]).unwrap())])
}

#[test]
fn what_is_sure_enough_is_not_asked_again() {
    let sure = |threshold| [Check::confident(Classes::of("y"), Threshold::fixed(threshold))];
    let (cheap, dear) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    for (threshold, model, asked) in [(0.7, "small", 0), (0.9, "large", 1)] {
        let (small, large) = (classifier("small", 0.8, &cheap), classifier("large", 0.6, &dear));
        let cascade = Cascade::builder().stage(small, sure(threshold)).build(large).unwrap();
        let answer = cascade.run(x()).unwrap();
        assert_eq!((&*answer.provenance.model, dear.load(SeqCst)), (model, asked));
    }
    assert_eq!(cheap.load(SeqCst), 2);
}

#[test]
fn embeddings_are_the_last_engine_s() {
    let vectors = |name: &str, dims| Fake::embedding(dims).name(name).build();
    let any = Check::that("any", |_| true);
    let cascade = Cascade::builder().stage(vectors("small", 4), [any]).build(vectors("large", 8)).unwrap();
    let answer = cascade.run(Embed::new(["a"])).unwrap();
    assert_eq!((answer.outputs[0].1.shape()[1], &*answer.provenance.route[0]), (8, "cascade(large)"));
    assert_eq!((cascade.status().stages[0].asked, cascade.spec().embedding_size), (0, Some(8)));
}

#[test]
fn what_cannot_be_a_cascade_is_not_built() {
    let message = |builder: CascadeBuilder, last| {
        let error: Error = builder.build(last).err().unwrap();
        assert_eq!(error.code(), Code::InvalidArgument);
        error.to_string()
    };
    let any = || [Check::that("any", |_| true)];
    let calls = Arc::new(AtomicU64::new(0));
    let large = || classifier("large", 0.5, &calls);
    assert!(message(Cascade::builder(), large()).contains("at least one engine"));
    assert!(message(Cascade::builder().stage(large(), []), large()).contains("'large': expected at least one check"));
    let echo = Fake::echo(DType::F64).name("echo").build();
    let told = message(Cascade::builder().stage(echo, any()), large());
    assert_eq!(told, "stage 'echo': expected the inputs of 'large', [x: f32[?, 2]], got [x: f64[..]]");
    // The order of ports is the model's own affair.
    let (x, y) = ports();
    let z = Port::tensor("z", DType::I64, vec![]);
    let one = |outputs: Vec<Port>| Fake::tensors(vec![x.clone()], outputs, |_| Ok(vec![])).build();
    assert!(Cascade::builder().stage(one(vec![z.clone(), y.clone()]), any()).build(one(vec![y, z])).is_ok());
}

#[test]
fn the_spec_is_the_last_engine_s_and_trim_reaches_all() {
    let kept = |name: &str| -> Arc<dyn Engine> {
        let cache = crate::layer::cache::Cache::new(text(name, "far too long"), 1 << 20);
        Arc::new(cache)
    };
    let cascade = Cascade::builder().stage(kept("small"), short()).build(kept("large")).unwrap();
    let spec = cascade.spec();
    assert_eq!(
        (&*spec.provenance.model, &spec.provenance.route[..]),
        ("large", &["cascade".into(), "cache".into()][..])
    );
    cascade.run(Generate::text("a")).unwrap();
    // A stage may be any layer: two caches gave two hits.
    let again = cascade.run(Generate::text("a")).unwrap();
    assert_eq!(
        (again.usage.cache_hits, &again.provenance.route[..]),
        (2, &["cascade(small, large)".into(), "cache".into()][..])
    );
    let freed = cascade.trim(Trim::Caches).unwrap();
    assert!(freed > 0 && cascade.trim(Trim::Caches).unwrap() == 0);
    assert_eq!(cascade.run(Generate::text("a")).unwrap().usage.cache_hits, 0);
}
