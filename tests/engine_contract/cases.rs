//! The engines under test, and what is known about each from outside of it.

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use selvedge::fake::Fake;
use selvedge::{
    Answer, Ask, Backend, Code, DType, Dim, Embed, Engine, Finish, Generate, Options, Port, Request, Tensor, Tensors,
    open,
};

use crate::{corpus, fixtures, layers};

/// An engine and what is known about it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) engine: Arc<dyn Engine>,
    /// Another engine like it.
    pub(crate) fresh: Box<dyn Fn() -> Arc<dyn Engine> + Send + Sync>,
    /// Requests that differ from each other and are answered quickly. A model of text is sure of its answers to them,
    /// to the last one for a dozen tokens: what it computes beside others may differ in the last digits, and so may
    /// the choice between words that are equally likely.
    pub(crate) requests: Vec<Request>,
    /// Checks the answer to the first of them.
    pub(crate) right: fn(&Answer),
    /// Takes minutes unless it is ended.
    pub(crate) endless: (Arc<dyn Engine>, Request),
    /// The backend and the file that the engine came from.
    pub(crate) file: Option<(Backend, PathBuf)>,
    /// The layers that a call goes through. One in whose name is a parenthesis says there which engines it has asked,
    /// which its spec cannot know.
    pub(crate) route: &'static [&'static str],
}

/// The engines of a backend, each made once for all tests: they are used side by side, as promised.
pub(crate) fn of(backend: &str) -> &'static [Case] {
    static CASES: [OnceLock<Vec<Case>>; 12] = [const { OnceLock::new() }; 12];
    let (i, make): (_, fn() -> Vec<Case>) = match backend {
        "fake" => (0, fakes),
        "tract" => (1, || onnx_files(Backend::Tract)),
        "ort" => (2, || onnx_files(Backend::Ort)),
        "llama" => (3, gguf_files),
        "table" => (4, static_embeddings),
        "monitor" => (5, layers::monitored),
        "schedule" => (6, layers::scheduled),
        "models" => (7, layers::shelved),
        "cache" => (8, layers::cached),
        "cascade" => (9, layers::cascaded),
        "deployment" => (10, layers::deployed),
        "rten" => (11, || onnx_files(Backend::Rten)),
        other => panic!("no backend {other}"),
    };
    CASES[i].get_or_init(make)
}

/// Tells what is not tested, past the test harness, which keeps the output of tests that pass.
pub(crate) fn skipped(what: &str, why: &str) {
    let mut stderr = std::io::stderr();
    writeln!(stderr, "engine_contract: {what} is not tested: {why}").unwrap();
}

pub(crate) fn fakes() -> Vec<Case> {
    let slow = Duration::from_millis(100);
    let text = || Fake::text("so it goes").name("words").build();
    let prompts = ["and then", "and", "and then what", "one two three four five six"];
    let endless = Fake::text("on and ".repeat(5000)).prompt_slices(10).delay(slow).build();
    let tensors = || linear().name("linear").build();
    let embedding = || Fake::embedding(16).name("vectors").build();
    vec![
        Case {
            name: "fake text",
            engine: text(),
            fresh: Box::new(text),
            requests: prompts.map(|p| Generate::text(p).into()).into(),
            right: |answer| {
                assert_eq!((&*answer.text, &answer.finish), ("so it goes", &Finish::EndOfText));
            },
            endless: (endless, Generate::text("and so ".repeat(10)).max_tokens(None).into()),
            file: None,
            route: &[],
        },
        Case {
            name: "fake tensors",
            engine: tensors(),
            fresh: Box::new(tensors),
            requests: linear_requests(),
            right: right_linear,
            endless: (linear().delay(slow * 6000).build(), fixtures::request("linear.onnx").into()),
            file: None,
            route: &[],
        },
        Case {
            name: "fake embedding",
            engine: embedding(),
            fresh: Box::new(embedding),
            requests: [vec!["a cat", "a dog"], vec!["a cat"], vec!["x"; 5]].map(|t| Embed::new(t).into()).into(),
            right: |answer| assert_eq!(**answer.output(Embed::OUTPUT).unwrap().shape(), [2, 16]),
            endless: (Fake::embedding(16).delay(slow).build(), Embed::new(vec!["a cat"; 6000]).into()),
            file: None,
            route: &[],
        },
    ]
}

/// The same function as `linear.onnx`, with the same ports.
fn linear() -> Fake {
    let port = |name: &str, n| Port::tensor(name, DType::F32, vec![Dim::Symbol("n".into()), Dim::Fixed(n)]);
    Fake::tensors(vec![port("x", 4)], vec![port("y", 3)], |inputs| {
        let x = inputs[0].as_ref().expect("a required input");
        let w = [[1.0, 0.0, -1.0], [0.5, 2.0, 0.0], [-3.0, 0.25, 1.0], [0.0, -1.0, 4.0]];
        let b = [0.5f32, -1.0, 2.0];
        let dot = |row: &[f32], j: usize| b[j] + row.iter().zip(&w).map(|(v, w): (_, &[f32; 3])| v * w[j]).sum::<f32>();
        let y = x.as_slice::<f32>()?.chunks(4).flat_map(|row| [dot(row, 0), dot(row, 1), dot(row, 2)]).collect();
        Ok(vec![Tensor::new(&[x.shape()[0], 3], y)?])
    })
}

fn linear_requests() -> Vec<Request> {
    let batch = |n: usize| Tensor::new(&[n, 4], (0..n * 4).map(|v| v as f32 * 0.5).collect()).unwrap();
    let others = (1..6).map(|n| Tensors::from([("x", batch(n))]));
    std::iter::once(fixtures::request("linear.onnx")).chain(others).map(Request::from).collect()
}

fn right_linear(answer: &Answer) {
    // Sums of few small multiples of 1/4: exact in any order.
    assert_eq!(answer.output("y").unwrap(), fixtures::answer("linear.onnx")[0].1.as_ref().unwrap());
    assert_eq!(answer.finish, Finish::Complete);
}

fn onnx_files(backend: Backend) -> Vec<Case> {
    let file = fixtures::path("linear.onnx");
    let open_as = move |name: &str| open(fixtures::path(name), Options::new().backend(backend).threads(1));
    let engine = match open_as("linear.onnx") {
        // Without the corpus of `tests/run` nothing promises that ONNX Runtime is there.
        Err(e) if e.code() == Code::MissingRuntime && std::env::var_os("SELVEDGE_CORPUS").is_none() => {
            skipped(backend.name(), e.message());
            return vec![];
        }
        opened => opened.unwrap(),
    };
    // Hours of rotating a matrix: by a loop of one step, or through a long chain of nodes.
    let endless = match backend {
        Backend::Ort => {
            let x = Tensor::zeros(DType::F32, &[64, 64]).unwrap();
            let turns = Tensor::scalar(1i64 << 40);
            (open_as("slow.onnx").unwrap(), Tensors::from([("x", x), ("trips", turns)]).into())
        }
        _ => {
            let x = Tensor::zeros(DType::F32, &[40_000, 256]).unwrap();
            (open_as("slow_chain.onnx").unwrap(), Tensors::from([("x", x)]).into())
        }
    };
    vec![Case {
        name: backend.name(),
        engine,
        fresh: Box::new(move || open_as("linear.onnx").unwrap()),
        requests: linear_requests(),
        right: right_linear,
        endless,
        file: Some((backend, file)),
        route: &[],
    }]
}

fn gguf_files() -> Vec<Case> {
    let mut cases = Vec::new();
    let options = || Options::new().backend(Backend::Llama).threads(2);
    match corpus::path("minilm-gguf/all-MiniLM-L6-v2-f16.gguf") {
        None => skipped("llama, embedding", "the corpus is not there"),
        Some(file) => {
            let again = file.clone();
            let fresh = move || open(&again, options()).unwrap();
            let engine = fresh();
            let sentences = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."];
            let long = "the quick brown fox jumps over the lazy dog ".repeat(20);
            cases.push(Case {
                name: "llama embedding",
                endless: (engine.clone(), Embed::new(vec![long; 2000]).into()),
                engine,
                fresh: Box::new(fresh),
                requests: vec![
                    Embed::new(sentences).into(),
                    Embed::new(["one text"]).into(),
                    Embed::new([sentences[2], sentences[0]]).into(),
                ],
                right: right_similarities,
                file: Some((Backend::Llama, file)),
                route: &[],
            });
        }
    }
    match corpus::path("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf") {
        None => skipped("llama, text", "the corpus is not there"),
        Some(file) => {
            let again = file.clone();
            let fresh = move || open(&again, options()).unwrap();
            let engine = fresh();
            let prompts = ["The capital of France is", "10, 20, 30, 40,", "2, 4, 6, 8,", "1, 2, 3, 4,"];
            cases.push(Case {
                name: "llama text",
                endless: (engine.clone(), Generate::text("word ".repeat(1200)).max_tokens(None).into()),
                engine,
                fresh: Box::new(fresh),
                requests: prompts.map(|p| Generate::text(p).max_tokens(2).into()).into(),
                right: |answer| {
                    assert!(answer.text.starts_with(" Paris"), "{:?}", answer.text);
                    assert_eq!(answer.finish, Finish::Length);
                },
                file: Some((Backend::Llama, file)),
                route: &[],
            });
        }
    }
    cases
}

/// Rows of [`fixtures::static_model`]: as many as its vocabulary has tokens.
fn static_embeddings() -> Vec<Case> {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().unwrap());
    let file = folder.path().join("words.gguf");
    fixtures::static_model(&file);
    let again = file.clone();
    let fresh = move || open(&again, Options::new().backend(Backend::Table).threads(1)).unwrap();
    let engine = fresh();
    let long = "rain in the city ".repeat(1 << 14);
    vec![Case {
        name: "static embedding",
        endless: (engine.clone(), Embed::new(vec![long; 200]).into()),
        engine,
        fresh: Box::new(fresh),
        requests: [vec!["rain, rain and RAIN again", "the"], vec!["unbelievably"], vec!["a"; 5]]
            .map(|texts| Embed::new(texts).into())
            .into(),
        right: |answer| {
            let rows = answer.output(Embed::OUTPUT).unwrap();
            assert_eq!(**rows.shape(), [2, 32]);
            let expected = fixtures::static_answer("rain, rain and RAIN again");
            for (got, expected) in rows.as_slice::<f32>().unwrap().iter().zip(expected) {
                assert!((got - expected).abs() < 2e-6, "{got}, {expected}");
            }
        },
        file: Some((Backend::Table, file)),
        route: &[],
    }]
}

/// As published for all-MiniLM-L6-v2 in the README of sentence-transformers: .6660, .1046, .1411.
fn right_similarities(answer: &Answer) {
    let rows = answer.output(Embed::OUTPUT).unwrap();
    assert_eq!(**rows.shape(), [3, 384]);
    let rows: Vec<&[f32]> = rows.as_slice::<f32>().unwrap().chunks(384).collect();
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    for (a, b, published) in [(0, 1, 0.6660), (0, 2, 0.1046), (1, 2, 0.1411), (0, 0, 1.0), (2, 2, 1.0)] {
        let got = dot(rows[a], rows[b]);
        assert!((got - published).abs() < 2e-3, "similarity of {a} and {b}: expected {published}, got {got}");
    }
}

impl Case {
    pub(crate) fn good(&self) -> Request {
        self.requests[0].clone()
    }

    /// Asks the first request and checks the answer: the engine still serves.
    pub(crate) fn serves(&self) {
        (self.right)(&self.engine.run(self.good()).unwrap());
    }

    /// The last request, if it is one for text.
    pub(crate) fn generate(&self) -> Option<Generate> {
        match self.requests.last() {
            Some(Request::Generate(request)) => Some(request.clone()),
            _ => None,
        }
    }
}
