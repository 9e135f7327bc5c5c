//! Real models on real inputs, through the public API, on every backend of the build that takes them.
//!
//! Expected values come from the models' makers or from other programs (each test says which). Where two
//! backends answer, their outputs agree.

#![cfg(any(feature = "ort", feature = "rten", feature = "tract"))]

mod agreement;
mod audio;
#[path = "../support/corpus.rs"]
mod corpus;
#[cfg(feature = "llama")]
mod language;
mod shelf;
mod tabular;
mod text;
mod vision;

use std::path::Path;
use std::sync::Arc;

use selvedge::{Answer, Ask, Backend, DType, Engine, Options, Tensor, Tensors};

/// The model, opened by each backend of the build.
fn engines(model: &Path) -> Vec<(Backend, Arc<dyn Engine>)> {
    let built = [Backend::Tract, Backend::Rten, Backend::Ort].into_iter().filter(|b| b.is_built());
    built.map(|b| (b, open(model, b).unwrap_or_else(|e| panic!("{}: {e}", b.name())))).collect()
}

fn open(model: &Path, backend: Backend) -> selvedge::Result<Arc<dyn Engine>> {
    selvedge::open(model, Options::new().backend(backend))
}

/// A request that must be answered; the answer names the model's bytes and the backend.
fn ask<const N: usize>(backend: Backend, engine: &dyn Engine, inputs: [(&str, Tensor); N]) -> Answer {
    let answer = engine.run(Tensors::from(inputs)).unwrap_or_else(|e| panic!("{}: {e}", backend.name()));
    assert_eq!(answer.provenance.backend, backend.name());
    answer
}

fn f32s<'a>(answer: &'a Answer, output: &str) -> &'a [f32] {
    answer.output(output).and_then(|t| t.as_slice()).unwrap_or_else(|e| panic!("{e}"))
}

fn f32_tensor(dims: &[usize], values: Vec<f32>) -> Tensor {
    Tensor::new(dims, values).expect("as many values as the dimensions hold")
}

/// What the backends gave for the same question is the same, within `tolerance` absolutely.
fn agree(answers: &[(Backend, Vec<f32>)], tolerance: f32) {
    for pair in answers.windows(2) {
        let [(a, left), (b, right)] = pair else { continue };
        assert_eq!(left.len(), right.len(), "{} and {}: number of values", a.name(), b.name());
        let worst = left.iter().zip(right).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
        assert!(worst <= tolerance, "{} and {} differ by {worst}", a.name(), b.name());
    }
}

/// The index of the largest value.
fn best(values: &[f32]) -> usize {
    let best = values.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.expect("at least one value").0
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len() as f32
}

/// The dtype of a model's input, as its spec tells it.
fn input_dtype(engine: &dyn Engine, name: &str) -> Option<DType> {
    let port = engine.spec().inputs.iter().find(|port| port.name == name)?;
    match port.kind {
        selvedge::Kind::Tensor { dtype, .. } => Some(dtype),
        _ => None,
    }
}
