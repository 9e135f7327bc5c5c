mod craft;
mod files;
mod refused;
mod sums;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use craft::{F32, node, port};

use super::contain::contained;
use crate::onnx::{NewNode, inline_tensor};
use crate::{Ask, Backend, Call, Cancel, Code, DType, Engine, Error, Options, Source, Tensor, Tensors};

fn options() -> Options {
    Options::new().backend(Backend::Rten)
}

fn open(source: impl Into<Source>) -> Arc<dyn Engine> {
    crate::open(source, options()).unwrap_or_else(|e| panic!("{e:#}"))
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

fn f32_weight(name: &str, values: &[f32]) -> Vec<u8> {
    inline_tensor(name, F32, &[values.len() as i64], &craft::le(values, f32::to_le_bytes))
}

#[test]
fn the_runtime_is_the_version_that_cargo_pins() {
    let version = super::RUNTIME.strip_prefix("rten ").unwrap();
    for pinned in ["rten", "rten-gemm", "rten-tensor"].map(|name| format!("{name} = {{ version = \"={version}\"")) {
        assert!(include_str!("../../../../Cargo.toml").contains(&pinned), "{pinned}");
    }
}

#[test]
fn an_input_that_is_given_replaces_its_default() {
    let inputs = ["x", "w", "v"].map(|name| port(name, F32, &[-1]));
    let nodes = [node("Mul", &["x", "w"], "xw"), node("Add", &["xw", "v"], "y")];
    let weights = [f32_weight("w", &[2.0]), f32_weight("v", &[100.0])];
    let engine = open(craft::model(&nodes, &weights, &inputs, &[port("y", F32, &[-1])]));
    let one = |value: f32| f32s(&[1], &[value]);
    let answer = |given: &[(&str, f32)]| {
        let inputs = given.iter().map(|(name, value)| ((*name).to_string(), one(*value)));
        engine.run(Tensors::new(inputs)).unwrap().outputs.swap_remove(0).1
    };
    // More choices than are kept, and back.
    for _ in 0..2 {
        assert_eq!(answer(&[("x", 3.0)]), one(106.0));
        assert_eq!(answer(&[("x", 3.0), ("w", 5.0)]), one(115.0));
        assert_eq!(answer(&[("x", 3.0), ("v", 1.0)]), one(7.0));
        assert_eq!(answer(&[("w", 5.0), ("v", 1.0), ("x", 3.0)]), one(16.0));
        engine.trim(crate::Trim::All).unwrap();
    }
}

#[test]
fn dropout_is_the_identity() {
    let ports = (port("x", F32, &[-1]), port("y", F32, &[-1]));
    let nodes = [node("Neg", &["x"], "a"), node("Dropout", &["a", "ratio"], "b"), node("Neg", &["b"], "y")];
    let engine = open(craft::model(&nodes, &[f32_weight("ratio", &[0.9])], &[ports.0], &[ports.1]));
    let x = f32s(&[64], &[1.5; 64]);
    assert_eq!(ask(&*engine, [("x", x.clone())]).unwrap(), x);
}

#[test]
fn a_convolution_may_leave_out_what_has_a_default() {
    let ports = (port("x", F32, &[1, 1, 3, 3]), port("y", F32, &[1, 1, 1, 1]));
    let weight = inline_tensor("w", F32, &[1, 1, 2, 2], &craft::le(&[1.0f32, 10.0, 100.0, 1000.0], f32::to_le_bytes));
    let pool = NewNode { lists: &[("kernel_shape", &[2, 2])], ..node("MaxPool", &["c"], "y") };
    let engine = open(craft::model(&[node("Conv", &["x", "w"], "c"), pool], &[weight], &[ports.0], &[ports.1]));
    let x: Vec<f32> = (1..=9).map(|n| n as f32).collect();
    assert_eq!(ask(&*engine, [("x", f32s(&[1, 1, 3, 3], &x))]).unwrap(), f32s(&[1, 1, 1, 1], &[9865.0]));
}

#[test]
fn two_outputs_may_be_one_value() {
    let outputs = ["y", "z", "x2"].map(|name| port(name, F32, &[-1]));
    let nodes = [node("Add", &["x", "x"], "x2"), node("Identity", &["x2"], "y"), node("Identity", &["x2"], "z")];
    let engine = open(craft::model(&nodes, &[], &[port("x", F32, &[-1])], &outputs));
    let answer = engine.run(Tensors::from([("x", f32s(&[2], &[1.0, 2.0]))])).unwrap();
    let names: Vec<&str> = answer.outputs.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["y", "z", "x2"]);
    assert!(answer.outputs.iter().all(|(_, value)| *value == f32s(&[2], &[2.0, 4.0])), "{:?}", answer.outputs);
}

#[test]
fn what_is_cancelled_under_way_gives_no_answer() {
    let slow = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/slow.onnx");
    let engine = open(&*slow);
    assert!(!engine.spec().abilities.interrupt);
    let turns = |trips: i64| {
        let x = Tensor::zeros(DType::F32, &[64, 64]).unwrap();
        Tensors::from([("x", x), ("trips", Tensor::scalar(trips))])
    };
    engine.run(turns(1)).unwrap();
    // From within the run: it has begun before the switch is thrown, and takes a second.
    let cancel = Cancel::new();
    let mut run = engine.start(turns(50_000).into(), Call::new().cancel(&cancel)).unwrap();
    let ended = std::thread::scope(|scope| {
        let stepped = scope.spawn(move || run.step().map(|_| ()));
        std::thread::sleep(Duration::from_millis(50));
        cancel.cancel();
        stepped.join().unwrap()
    });
    assert_eq!(ended.unwrap_err().code(), Code::Cancelled);
}

#[test]
fn a_panic_is_an_error_on_either_stack() {
    for nodes in [1, 1 << 20] {
        let error = contained::<()>(nodes, "testing", || panic!("of rten")).unwrap_err();
        assert_eq!(error.code(), Code::Panic);
        assert!(error.message().ends_with("testing: of rten"), "{error}");
    }
}
