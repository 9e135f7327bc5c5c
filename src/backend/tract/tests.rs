mod branches;
mod craft;
mod hostile;
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
fn rain_is_predicted_as_its_trainer_wrote_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart");
    let engine = open(folder.join("rain.onnx"));
    let expected: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("expected.json")).unwrap()).unwrap();
    let days = expected["days"].as_array().expect("days");
    assert!(days.len() >= 10);
    for day in days {
        let numbers = |key: &str| day[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
        let today: Vec<f32> = numbers("weather");
        let got = ask(&*engine, [("weather", f32s(&[1, 4], &today))]).unwrap();
        let probability = day["rain_tomorrow"].as_f64().unwrap() as f32;
        assert!((got.as_slice::<f32>().unwrap()[0] - probability).abs() < 1e-5, "{day}");
    }
}

#[test]
fn threads_change_nothing_but_the_time() {
    let x: Vec<f32> = (0..64 * 256).map(|i| (i % 100) as f32).collect();
    // The chain moves every column by 300 places, which is by 44.
    let moved: Vec<f32> = (0..64 * 256).map(|i| x[i / 256 * 256 + (i % 256 + 256 - 300 % 256) % 256]).collect();
    for threads in [1, 2] {
        let engine = crate::open(data("slow_chain.onnx"), options().threads(threads)).unwrap();
        let got = ask(&*engine, [("x", f32s(&[64, 256], &x))]).unwrap();
        assert_eq!(got.as_slice::<f32>().unwrap(), moved, "{threads} threads");
    }
}

#[test]
fn threads_have_a_range() {
    for threads in [0, 1_000_000] {
        let error = crate::open(data("linear.onnx"), options().threads(threads)).err().unwrap();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(error.to_string().contains(&threads.to_string()), "{error}");
    }
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
