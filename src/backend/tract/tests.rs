mod branches;
mod byte_weights;
mod craft;
mod hostile;
mod integers;
mod out_of_range;
mod shapes;
mod values;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Ask, Backend, Code, Engine, Error, Options, Source, Tensor, Tensors};

fn options() -> Options {
    Options::new().backend(Backend::Tract)
}

fn open(source: impl Into<Source>) -> Arc<dyn Engine> {
    crate::open(source, options()).expect("opens")
}

/// A file of `tests/data`.
fn data(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file)
}

fn refused(source: impl Into<Source>) -> Error {
    match crate::open(source, options()) {
        Ok(_) => panic!("opened"),
        Err(e) => e,
    }
}

/// The only output.
fn ask<const N: usize>(engine: &dyn Engine, inputs: [(&str, Tensor); N]) -> crate::Result<Tensor> {
    Ok(engine.run(Tensors::from(inputs))?.outputs.swap_remove(0).1)
}

fn f32s(dims: &[usize], values: &[f32]) -> Tensor {
    Tensor::new(dims, values.to_vec()).unwrap()
}

fn i64s(dims: &[usize], values: &[i64]) -> Tensor {
    Tensor::new(dims, values.to_vec()).unwrap()
}

#[test]
fn the_runtime_is_the_version_that_cargo_pins() {
    let version = super::RUNTIME.strip_prefix("tract ").unwrap();
    let pinned = format!("tract-onnx = {{ version = \"={version}\"");
    assert!(include_str!("../../../Cargo.toml").contains(&pinned), "{pinned}");
}

#[test]
fn operators_that_tract_has_not_are_named() {
    let error = refused(data("unknown_op.onnx"));
    assert_eq!(error.code(), Code::Unsupported);
    assert!(error.to_string().contains("made.up:Frobnicate"), "{error}");
    assert!(refused(data("map.onnx")).to_string().contains("ai.onnx.ml:ZipMap"));
}

#[test]
fn an_operator_of_another_domain_is_another_operator() {
    // tract itself would look up the bare name: the sum of x and x for the first.
    for (domain, op) in [("made.up", "Add"), ("com.microsoft", "Attention"), ("ai.onnx.ml", "TreeEnsembleClassifier")] {
        let node = craft::in_domain(domain, craft::node(op, "x x", "y"));
        let graph = craft::graph(vec![node], &["x f32 n"], &["y f32 n"], vec![]);
        let error = refused(craft::model(graph, &[(domain, 1)]));
        assert_eq!(error.code(), Code::Unsupported);
        assert!(error.to_string().contains(&format!("{domain}:{op}")), "{error}");
    }
}

#[test]
fn memory_is_estimated_before_anything_is_loaded() {
    // 1024 bytes of weights: 64 by 4 floats. Twice, and the ports.
    let weights = craft::f32s("w", &[4, 64], &[0.5; 256]);
    let graph = craft::graph(vec![craft::node("MatMul", "x w", "y")], &["x f32 2,4"], &["y f32 2,64"], vec![weights]);
    let model = craft::model(graph, &[]);
    let engine = open(model.clone());
    assert_eq!(engine.spec().memory, crate::MemoryEstimate::new(1024, 0, 1024 + 4 * (8 + 128)));
    let error = crate::open(model, options().memory_limit(2048)).err().unwrap();
    assert_eq!(error.code(), Code::OutOfMemory);
}
