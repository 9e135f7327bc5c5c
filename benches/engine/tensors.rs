//! A tensor call through Selvedge and through the bare runtime: a tiny model and MobileNetV2.

use std::path::Path;
use std::time::Duration;

use selvedge::{Answer, Ask, Backend, Engine, Options, Tensor, Tensors, open};

use crate::corpus;
use crate::rounds::{Pair, alternate};

/// A model with one f32 input and one f32 output of fixed shapes.
struct Model {
    name: &'static str,
    file: &'static str,
    input: &'static str,
    dims: &'static [usize],
    /// Calls per round.
    calls: u32,
    rounds: usize,
}

const MODELS: [Model; 2] = [
    Model {
        name: "mnist",
        file: "mnist-conv/model.onnx",
        input: "Input3",
        dims: &[1, 1, 28, 28],
        calls: 2000,
        rounds: 15,
    },
    Model {
        name: "mobilenetv2",
        file: "mobilenetv2/mobilenetv2-7.onnx",
        input: "data",
        dims: &[1, 3, 224, 224],
        calls: 8,
        rounds: 25,
    },
];

pub(crate) fn bench() {
    for model in &MODELS {
        let Some(path) = corpus::path(model.file) else { return };
        for threads in [1, 2] {
            report(model, "ort", threads, &compare(model, &path, Backend::Ort, threads, Ort::open(&path, threads)));
            if threads == 1 {
                report(
                    model,
                    "tract",
                    threads,
                    &compare(model, &path, Backend::Tract, threads, Tract::open(&path, model.dims)),
                );
            }
        }
    }
}

fn report(model: &Model, backend: &str, threads: u32, pair: &Pair) {
    if model.name == "mnist" {
        pair.overhead(&format!("mnist_{backend}_{threads}t_overhead_us"), Duration::from_micros(1));
    } else {
        pair.at_most(&format!("{}_{backend}_{threads}t_time_over_bare", model.name), 1.01);
    }
}

/// The runtime without Selvedge: the fastest way that its own documentation shows.
trait Bare {
    /// Runs once and gives the output.
    fn run(&mut self, input: &[f32], dims: &[usize]) -> Vec<f32>;
}

fn compare(model: &Model, path: &Path, backend: Backend, threads: u32, mut bare: impl Bare) -> Pair {
    let engine = open(path, Options::new().backend(backend).threads(threads)).expect("the model opens");
    let pixels: Vec<f32> =
        (0..model.dims.iter().product()).map(|i: usize| (i * 37 % 255) as f32 / 64.0 - 2.0).collect();
    let input = Tensor::new(model.dims, pixels.clone()).expect("fits");

    let ours = with_selvedge(&*engine, model.input, &input);
    let ours = ours.outputs[0].1.as_slice::<f32>().expect("f32").to_vec();
    let theirs = bare.run(&pixels, model.dims);
    assert!(
        ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() <= 1e-4 * b.abs().max(1.0)),
        "both must give one answer"
    );

    alternate(
        model.rounds,
        model.calls,
        threads,
        || drop(std::hint::black_box(with_selvedge(&*engine, model.input, &input))),
        || drop(std::hint::black_box(bare.run(&pixels, model.dims))),
    )
}

fn with_selvedge(engine: &dyn Engine, name: &'static str, input: &Tensor) -> Answer {
    engine.run(Tensors::from([(name, input.clone())])).expect("runs")
}

struct Ort {
    session: ort::session::Session,
    _environment: ort::environment::Environment,
}

impl Ort {
    fn open(path: &Path, threads: u32) -> Self {
        use std::sync::OnceLock;
        static ENVIRONMENT: OnceLock<ort::environment::Environment> = OnceLock::new();
        let environment = ENVIRONMENT.get_or_init(|| {
            let library = std::env::var("SELVEDGE_ONNXRUNTIME").expect("tests/run --setup says how to set it");
            ort::init_from(library).expect("loads").with_telemetry(false).build().expect("the first of this process")
        });
        let session = ort::session::Session::builder(environment)
            .and_then(|b| Ok(b.with_intra_threads(threads as usize)?))
            .and_then(|mut b| b.commit_from_file(path))
            .expect("the model opens");
        Self { session, _environment: environment.clone() }
    }
}

impl Bare for Ort {
    fn run(&mut self, input: &[f32], dims: &[usize]) -> Vec<f32> {
        let input = ort::value::TensorRef::from_array_view((dims, input)).expect("a view");
        let outputs = self.session.run(ort::inputs![input]).expect("runs");
        let (_, output) = outputs[0].try_extract_tensor::<f32>().expect("f32");
        output.to_vec()
    }
}

struct Tract(std::sync::Arc<tract_onnx::prelude::TypedRunnableModel>);

impl Tract {
    fn open(path: &Path, dims: &[usize]) -> Self {
        use tract_onnx::prelude::*;
        let plan = onnx()
            .model_for_path(path)
            .and_then(|m| m.with_input_fact(0, f32::fact(dims).into()))
            .and_then(|m| m.into_optimized())
            .and_then(|m| m.into_runnable())
            .expect("the model is planned");
        Self(plan)
    }
}

impl Bare for Tract {
    fn run(&mut self, input: &[f32], dims: &[usize]) -> Vec<f32> {
        use tract_onnx::prelude::*;
        let input = Tensor::from_shape(dims, input).expect("fits");
        let outputs = self.0.run(tvec!(input.into_tvalue())).expect("runs");
        outputs[0].to_plain_array_view::<f32>().expect("f32").as_slice().expect("contiguous").to_vec()
    }
}
