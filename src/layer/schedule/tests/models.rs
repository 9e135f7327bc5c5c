//! Models within a budget, with engines that say how many bytes they take.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::super::{Models, Pressure};
use crate::engine::{
    Ask, Call, Cancel, Embed, Engine, Generate, MemoryEstimate, Prompt, Request, Run, Spec, Step, Tensors, Tokenizer,
    Trim,
};
use crate::fake::Fake;
use crate::{Code, DType, Error, Result, Tensor};

fn bytes(n: u64) -> MemoryEstimate {
    MemoryEstimate::new(n, 0, 0)
}

type Trims = Arc<Mutex<Vec<Trim>>>;

/// A model of text in two steps, whose file tells what it takes, with a log of its trims.
struct Model {
    spec: Spec,
    engine: Arc<dyn Engine>,
    trims: Trims,
}

impl Model {
    fn engine(memory: u64, trims: &Trims) -> Arc<dyn Engine> {
        let engine = Fake::text("so it goes").build();
        let mut spec = engine.spec().clone();
        spec.memory = bytes(memory);
        Arc::new(Self { spec, engine, trims: trims.clone() })
    }
}

impl Engine for Model {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn start(&self, request: Request, call: Call) -> Result<Box<dyn Run>> {
        self.engine.start(request, call)
    }

    fn tokenizer(&self) -> Option<&dyn Tokenizer> {
        Some(self)
    }

    fn trim(&self, level: Trim) -> Result<u64> {
        self.trims.lock().unwrap().push(level);
        Ok(3)
    }
}

impl Tokenizer for Model {
    fn tokenize(&self, _: &Prompt) -> Result<Vec<u32>> {
        Ok(vec![1, 2, 3])
    }

    fn detokenize(&self, _: &[u32]) -> Result<String> {
        Ok("text".into())
    }

    fn render(&self, _: &[crate::Message]) -> Result<String> {
        Err(Error::unsupported("chat"))
    }
}

fn three(budget: u64) -> (Models, [Arc<dyn Engine>; 3], Trims) {
    let (models, trims) = (Models::new(budget), Arc::default());
    let engines = ["a", "b", "c"].map(|name| {
        let trims = Arc::clone(&trims);
        models.add(name, bytes(40), move |_| Ok(Model::engine(40, &trims))).unwrap();
        models.engine(name).unwrap()
    });
    (models, engines, trims)
}

fn text() -> Request {
    Generate::text("and then").into()
}

#[test]
fn the_least_recently_used_goes_first() {
    let (models, [a, b, c], _) = three(100);
    assert_eq!((models.status().open, models.status().used), (vec!["b".to_string(), "c".into()], 80));
    b.run(text()).unwrap();
    a.run(text()).unwrap();
    assert_eq!(models.status().open, ["b", "a"]);
    let answer = c.run(text()).unwrap();
    assert_eq!(models.status().open, ["a", "c"]);
    assert_eq!((models.status().opened, models.status().evicted), (5, 3));
    assert_eq!((&*answer.text, &*answer.provenance.route), ("so it goes", &["models".to_string()][..]));
}

#[test]
fn a_model_with_runs_in_flight_stays_and_others_wait_for_it() {
    let (models, [a, b, c], _) = three(100);
    let [mut of_b, mut of_c] = [&b, &c].map(|engine| engine.start(text(), Call::new()).unwrap());
    assert!(matches!(of_b.step().unwrap(), Step::Event(_)) && matches!(of_c.step().unwrap(), Step::Event(_)));
    let mut waits = a.start(text(), Call::new()).unwrap();
    assert!(matches!(waits.step().unwrap(), Step::Working(_)));
    let busy = models.engine("a").err().unwrap();
    assert_eq!(busy.code(), Code::Busy, "{busy}");
    // Its terms end the wait.
    assert_eq!(
        a.run_with(text(), Call::new().timeout(Duration::from_millis(5))).unwrap_err().code(),
        Code::DeadlineExceeded
    );
    let cancel = Cancel::new();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| a.run_with(text(), Call::new().cancel(&cancel)));
        std::thread::sleep(Duration::from_millis(20));
        cancel.cancel();
        assert_eq!(run.join().unwrap().unwrap_err().code(), Code::Cancelled);
    });
    assert_eq!(models.status().open.len(), 2);
    while !matches!(of_b.step().unwrap(), Step::Done(_)) {}
    let answer = loop {
        match waits.step().unwrap() {
            Step::Done(answer) => break answer,
            _ => assert!(models.status().used <= 100),
        }
    };
    assert!(answer.usage.queued >= Duration::from_millis(50), "{:?}", answer.usage);
    assert_eq!(models.status().open, ["c", "a"]);
    while !matches!(of_c.step().unwrap(), Step::Done(_)) {}
    assert_eq!(waits.step().unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn a_model_that_cannot_fit_is_refused_with_what_it_needs() {
    let models = Models::new(100);
    let refused = models.add("huge", bytes(101), |_| Err(Error::internal("opened"))).unwrap_err();
    let message = "model 'huge': expected at most 100 bytes, the budget of all models, got 101";
    assert_eq!((refused.code(), refused.message()), (Code::OutOfMemory, message));
    // Only its file tells.
    models.add("liar", bytes(10), |_| Ok(Model::engine(500, &Arc::default()))).unwrap();
    let refused = models.engine("liar").err().unwrap();
    assert_eq!(refused.message(), "model 'liar': expected at most 100 bytes, the budget of all models, got 500");
    assert_eq!((models.status().used, models.status().open.len()), (0, 0));
    assert_eq!(models.engine("none").err().unwrap().code(), Code::NotFound);
    models.add("a", bytes(10), |_| Err(Error::internal("opened"))).unwrap();
    assert_eq!(models.add("a", bytes(10), |_| Err(Error::internal(""))).unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn a_model_that_is_larger_than_estimated_makes_room_for_itself() {
    let (models, [a, _, _], trims) = three(100);
    models.add("larger", bytes(10), move |_| Ok(Model::engine(70, &trims))).unwrap();
    models.engine("larger").unwrap();
    assert_eq!((models.status().open, models.status().used), (vec!["larger".to_string()], 70));
    a.run(text()).unwrap();
    assert_eq!((models.status().open, models.status().used), (vec!["a".to_string()], 40));
}

#[test]
fn an_open_that_fails_or_panics_leaves_the_room_free() {
    let (models, calls) = (Models::new(100), Arc::new(AtomicUsize::new(0)));
    models
        .add("flaky", bytes(90), move |_| match calls.fetch_add(1, Ordering::SeqCst) {
            0 => Err(Error::corrupt("as the test wants it")),
            1 => panic!("as the test wants it"),
            _ => Ok(Fake::text("so it goes").build()),
        })
        .unwrap();
    assert_eq!(models.engine("flaky").err().unwrap().code(), Code::Corrupt);
    assert!(std::thread::scope(|scope| scope.spawn(|| drop(models.engine("flaky"))).join()).is_err());
    assert_eq!(models.status().used, 0);
    models.engine("flaky").unwrap().run(text()).unwrap();
}

#[test]
fn a_closed_model_refuses_what_it_would_refuse_when_open() {
    let models = Models::new(10);
    models.add("echo", bytes(1), |_| Ok(Fake::echo(DType::F32).build())).unwrap();
    let engine = models.engine("echo").unwrap();
    models.pressure(Pressure::Critical);
    let x = Tensor::new(&[1], vec![1i64]).unwrap();
    let wrong = engine.start(Tensors::from([("x", x)]).into(), Call::new()).err().unwrap();
    assert_eq!(wrong.code(), Code::InvalidArgument);
    assert_eq!(engine.start(text(), Call::new()).err().unwrap().code(), Code::Unsupported);
    assert_eq!(engine.start(Embed::new(["x"]).into(), Call::new()).err().unwrap().code(), Code::Unsupported);
    assert_eq!(models.status().open.len(), 0, "nothing was opened for it");
}

#[test]
fn pressure_trims_and_closes_what_is_idle() {
    let (models, [_, b, c], trims) = three(100);
    let mut of_b = b.start(text(), Call::new()).unwrap();
    of_b.step().unwrap();
    assert_eq!(models.pressure(Pressure::Warning), 3 + 3, "the idle one was used last: it stays");
    c.run(text()).unwrap();
    assert_eq!(models.pressure(Pressure::Critical), 40 + 3);
    assert_eq!(models.status().open, ["b"]);
    assert_eq!(*trims.lock().unwrap(), [Trim::Caches, Trim::Caches, Trim::All]);
    while !matches!(of_b.step().unwrap(), Step::Done(_)) {}
    assert_eq!((b.trim(Trim::All).unwrap(), c.trim(Trim::All).unwrap()), (3, 0));
}

#[test]
fn the_tokenizer_opens_its_model() {
    let (models, [a, _, _], _) = three(100);
    assert_eq!(a.tokenizer().unwrap().tokenize(&Prompt::Text("and".into())).unwrap(), [1, 2, 3]);
    assert_eq!(models.status().open, ["c", "a"]);
}

#[test]
fn threads_that_want_the_same_model_open_it_once() {
    let (models, opened) = (Models::new(100), Arc::new(AtomicUsize::new(0)));
    let count = opened.clone();
    let open = move |_: &Cancel| {
        count.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        Ok(Fake::text("so it goes").build())
    };
    models.add("a", bytes(1), open).unwrap();
    let engine = models.engine("a").unwrap();
    models.pressure(Pressure::Critical);
    std::thread::scope(|scope| {
        (0..8).for_each(|_| drop(scope.spawn(|| engine.run(text()).unwrap())));
    });
    assert_eq!(opened.load(Ordering::SeqCst), 2);
}
