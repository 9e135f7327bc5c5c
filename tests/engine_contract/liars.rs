//! The suite itself under test: engines that break a promise each, and the test that must notice.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use selvedge::fake::Fake;
use selvedge::{
    Answer, Call, Code, Embed, Engine, Error, Generate, Progress, Provenance, Request, Result, Run, Sampling, Spec,
    Step, Tensor, Usage,
};

use crate::cases::{self, Case};
use crate::{ending, fixtures, generating, refusing, serving};

/// What a liar does to the truth of the engine inside.
#[derive(Clone, Copy, Default)]
struct Lie {
    request: Option<fn(Request) -> Request>,
    call: Option<fn(Call) -> Call>,
    refusal: Option<fn(Error) -> Error>,
    step: Option<fn(Result<Step>) -> Result<Step>>,
    /// Told by a run that has ended.
    after: Option<fn() -> Result<Step>>,
    /// Runs that are dropped go on to take a place, of which there are 8.
    leaks: bool,
}

struct Liar {
    inner: Arc<dyn Engine>,
    lie: Lie,
    open: Arc<AtomicUsize>,
}

impl Engine for Liar {
    fn spec(&self) -> &Spec {
        self.inner.spec()
    }

    fn start(&self, request: Request, call: Call) -> Result<Box<dyn Run>> {
        if self.lie.leaks && self.open.load(Ordering::SeqCst) >= 8 {
            return Err(Error::new(Code::Busy, "no place is free"));
        }
        let request = match self.lie.request {
            Some(lie) => lie(request),
            None => request,
        };
        let call = match self.lie.call {
            Some(lie) => lie(call),
            None => call,
        };
        match (self.inner.start(request, call), self.lie.refusal) {
            (Ok(inner), _) => {
                self.open.fetch_add(1, Ordering::SeqCst);
                Ok(Box::new(LyingRun { inner, lie: self.lie, ended: false, open: self.open.clone() }))
            }
            (Err(error), Some(lie)) => Err(lie(error)),
            (Err(error), None) => Err(error),
        }
    }
}

struct LyingRun {
    inner: Box<dyn Run>,
    lie: Lie,
    ended: bool,
    open: Arc<AtomicUsize>,
}

impl Run for LyingRun {
    fn step(&mut self) -> Result<Step> {
        if let (true, Some(after)) = (self.ended, self.lie.after) {
            return after();
        }
        let step = self.inner.step();
        if !self.ended && matches!(step, Ok(Step::Done(_)) | Err(_)) {
            self.ended = true;
            self.open.fetch_sub(1, Ordering::SeqCst);
        }
        match self.lie.step {
            Some(lie) => lie(step),
            None => step,
        }
    }
}

/// The case with liars for engines, and an endless request that ends by itself before the test is a bore.
fn lying(case: &Case, lie: Lie) -> Case {
    let of = |inner: Arc<dyn Engine>| -> Arc<dyn Engine> { Arc::new(Liar { inner, lie, open: Arc::default() }) };
    let quick = Duration::from_millis(1);
    let endless: (_, Request) = match case.good() {
        Request::Tensors(_) => {
            (Fake::echo(selvedge::DType::F32).delay(quick * 600).build(), fixtures::request("echo_f32.onnx").into())
        }
        Request::Embed(_) => (Fake::embedding(4).delay(quick).build(), Embed::new(vec!["a"; 600]).into()),
        _ => {
            let fake = Fake::text("on and on").prompt_slices(600).delay(quick).build();
            (fake, Generate::text("word ".repeat(600)).into())
        }
    };
    let engine = of(case.engine.clone());
    let again = engine.clone();
    Case {
        name: "liar",
        engine,
        fresh: Box::new(move || again.clone()),
        requests: case.requests.clone(),
        right: case.right,
        endless: (of(endless.0), endless.1),
        file: None,
        route: &[],
    }
}

fn answer(step: Result<Step>, lie: fn(&mut Answer)) -> Result<Step> {
    step.map(|step| match step {
        Step::Done(mut answer) => {
            lie(&mut answer);
            Step::Done(answer)
        }
        other => other,
    })
}

fn generate(mut request: Request, lie: fn(&mut Generate)) -> Request {
    if let Request::Generate(generate) = &mut request {
        lie(generate);
    }
    request
}

type Promise = fn(&Case);

/// The lie, reported by which engine of the fake's, and the promise that it breaks.
fn lies() -> Vec<(&'static str, usize, Lie, Promise)> {
    const TEXT: usize = 0;
    const TENSORS: usize = 1;
    const EMBEDDING: usize = 2;
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let truth = Lie::default;
    let said = |lie| Lie { step: Some(lie), ..truth() };
    let asked = |lie| Lie { request: Some(lie), ..truth() };
    let deaf = Lie { call: Some(|call| Call::new().id(call.id)), ..truth() };
    let late = |mut call: Call| {
        call.deadline = None;
        call
    };
    let timeless = Lie { call: Some(late), ..truth() };
    vec![
        (
            "a wrong number",
            TENSORS,
            said(|s| answer(s, |a| a.outputs[0].1 = Tensor::scalar(0.5f32))),
            serving::right_answer,
        ),
        ("an empty text", TEXT, said(|s| answer(s, |a| a.text.clear())), serving::right_answer),
        (
            "an answer that is wrong at times",
            EMBEDDING,
            said(|s| {
                // Only answers count: how many steps stand before one depends on the request.
                let done = matches!(s, Ok(Step::Done(_)));
                let odd = done && CALLS.fetch_add(1, Ordering::SeqCst) % 397 == 396;
                if odd { answer(s, |a| a.outputs.clear()) } else { s }
            }),
            serving::concurrent_calls_equal_serial_ones,
        ),
        ("no usage", TEXT, said(|s| answer(s, |a| a.usage = Usage::default())), serving::usage_is_told),
        (
            "another model's name",
            TENSORS,
            said(|s| answer(s, |a| a.provenance = Arc::new(Provenance::new("x", a.provenance.digest, "fake", "fake")))),
            serving::provenance_is_told,
        ),
        ("no id", EMBEDDING, said(|s| answer(s, |a| a.id = 0)), serving::the_call_comes_back),
        (
            "outputs of another rank",
            TENSORS,
            said(|s| answer(s, |a| a.outputs[0].1 = Tensor::scalar(0.5f32))),
            serving::outputs_fit_the_spec,
        ),
        (
            "pieces that are lost",
            TEXT,
            said(|s| match s {
                Ok(Step::Event(_)) => Ok(Step::Working(Progress::new(0, None))),
                other => other,
            }),
            generating::pieces_make_the_answer,
        ),
        ("no limit", TEXT, asked(|r| generate(r, |g| g.max_tokens = None)), generating::max_tokens_end_the_text),
        ("no stop", TEXT, asked(|r| generate(r, |g| g.stop.clear())), generating::stop_texts_end_the_text),
        ("no logprobs", TEXT, asked(|r| generate(r, |g| g.logprobs = false)), generating::logprobs_come_when_asked_for),
        (
            "logprobs for all",
            TEXT,
            asked(|r| generate(r, |g| g.logprobs = true)),
            generating::logprobs_come_when_asked_for,
        ),
        (
            "any parameter",
            TEXT,
            asked(|r| generate(r, |g| g.sampling = Sampling::default())),
            generating::parameters_have_ranges,
        ),
        ("any tensors", TENSORS, asked(|_| fixtures::request("linear.onnx").into()), refusing::wrong_tensors_are_told),
        (
            "any output",
            TENSORS,
            asked(|mut r| {
                if let Request::Tensors(tensors) = &mut r {
                    tensors.outputs = None;
                }
                r
            }),
            refusing::wrong_tensors_are_told,
        ),
        ("any request", TEXT, asked(|_| Generate::text("a").into()), refusing::what_is_not_served_is_unsupported),
        (
            "another code",
            EMBEDDING,
            Lie { refusal: Some(|e| Error::new(Code::Backend, e.to_string())), ..truth() },
            refusing::what_is_not_served_is_unsupported,
        ),
        ("deaf to a call that is over", TENSORS, deaf, ending::a_call_that_is_over_does_not_start),
        ("late, and it starts", TENSORS, timeless, ending::a_call_that_is_over_does_not_start),
        ("deaf before its first step", TEXT, deaf, ending::cancel_ends_a_run_before_its_first_step),
        ("late before its first step", TEXT, timeless, ending::cancel_ends_a_run_before_its_first_step),
        ("deaf between steps", TEXT, deaf, ending::cancel_ends_a_run_between_steps),
        ("deaf between texts", EMBEDDING, deaf, ending::cancel_ends_a_run_between_steps),
        ("deaf under way", TENSORS, deaf, ending::cancel_ends_a_run_under_way),
        ("late under way", TENSORS, timeless, ending::a_deadline_ends_a_run_under_way),
        (
            "a second life",
            TEXT,
            Lie { after: Some(|| Err(Error::new(Code::Cancelled, "still"))), ..truth() },
            ending::an_ended_run_stays_ended,
        ),
        ("a leak", TENSORS, Lie { leaks: true, ..truth() }, ending::dropped_runs_leave_an_engine_that_serves),
    ]
}

#[test]
fn every_lie_is_noticed() {
    let fakes = cases::of("fake");
    let noticed = |case: usize, lie, promise: Promise| {
        let case = lying(&fakes[case], lie);
        catch_unwind(AssertUnwindSafe(|| promise(&case))).is_err()
    };
    let unnoticed: Vec<_> =
        lies().into_iter().filter(|(_, case, lie, promise)| !noticed(*case, *lie, *promise)).map(|l| l.0).collect();
    assert!(unnoticed.is_empty(), "{unnoticed:?}");
    // And who tells the truth through the same wrapper is not accused.
    for (_, case, _, promise) in lies() {
        assert!(!noticed(case, Lie::default(), promise));
    }
}
