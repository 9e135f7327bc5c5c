mod craft;
mod ends;
mod fixture;
mod hostile;
mod library;
mod memory;
#[cfg(target_os = "linux")]
mod threads;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;

use sha2::Digest as _;

use crate::engine::Step;
use crate::tensor::Bytes;
use crate::{Abilities, Ask, Call, Code, DType, Digest, Embed, Finish, Generate, OpenProgress, Shape, Tensor, Tensors};
use craft::{field, input, int, model, model_of, node, output, tensor};
use fixture::{data, inputs, open, options, runnable};

/// Goes on with the engine of a source, or ends the test where there is no library to test with.
macro_rules! engine {
    ($source:expr) => {
        match open($source) {
            Some(engine) => engine.expect("opens"),
            None => return,
        }
    };
}
use engine;

#[test]
fn every_fixture_gives_what_numpy_gives() {
    for (file, inputs, outputs) in runnable() {
        let engine = engine!(data(&file));
        let names: Vec<&str> = engine.spec().outputs.iter().map(|p| &*p.name).collect();
        assert_eq!(names.len(), outputs.len(), "{file}");
        for (name, expected) in &outputs {
            let answer = engine.run(inputs.clone().only([name]));
            match expected {
                Some(expected) => {
                    assert_eq!(answer.expect(&file).output(name).expect(name), expected, "{file}: {name}")
                }
                None => assert_eq!(answer.expect_err(&file).code(), Code::Unsupported, "{file}: {name}"),
            }
        }
    }
}

#[test]
fn an_answer_says_where_it_came_from() {
    let engine = engine!(data("linear.onnx"));
    let answer = engine.run_with(inputs("linear.onnx"), Call::new().id(7)).unwrap();
    let file = std::fs::read(data("linear.onnx")).unwrap();
    assert_eq!(answer.provenance.digest, Digest(sha2::Sha256::digest(file).into()));
    assert_eq!((&*answer.provenance.model, answer.provenance.backend), ("linear", "ort"));
    assert!(answer.provenance.runtime.starts_with("ONNX Runtime 1."), "{}", answer.provenance.runtime);
    assert_eq!((answer.finish, answer.id), (Finish::Complete, 7));
    assert!(!answer.usage.compute.is_zero());
    let spec = engine.spec();
    assert_eq!(
        (spec.inputs[0].to_string(), spec.outputs[0].to_string()),
        ("x: f32[n, 4]".into(), "y: f32[n, 3]".into())
    );
    assert_eq!(spec.abilities, Abilities { tensors: true, interrupt: true, ..Abilities::default() });
    assert_eq!(spec.memory.weights, (4 * 3 + 3) * 4);
}

#[test]
fn outputs_come_in_the_order_asked_for() {
    let engine = engine!(data("counter.onnx"));
    let answer = engine.run(inputs("counter.onnx").only(["state_out", "y"])).unwrap();
    assert_eq!(answer.outputs.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["state_out", "y"]);
    assert_eq!(engine.run(inputs("counter.onnx").only(["y"])).unwrap().outputs.len(), 1);
    assert_eq!(engine.run(inputs("counter.onnx").only([""; 0])).unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn a_tensor_beside_a_sequence_is_served() {
    let sequence = field(12, [field(1, "s"), field(2, field(4, field(1, field(1, int(1, 1)))))].concat());
    let nodes = [node("Neg", &["x"], &["y"], &[]), node("SequenceConstruct", &["x", "y"], &["s"], &[])];
    let engine = engine!(model(&[nodes.concat(), input("x", &[2]), output("y", &[2]), sequence]));
    let x = || Tensors::from([("x", Tensor::new(&[2], vec![1f32, -2.0]).unwrap())]);
    assert_eq!(engine.run(x().only(["y"])).unwrap().outputs[0].1.as_slice::<f32>().unwrap(), [-1.0, 2.0]);
    let error = engine.run(x()).unwrap_err();
    assert_eq!((error.code(), error.message().contains("sequence")), (Code::Unsupported, true), "{error}");
}

#[test]
fn other_requests_are_unsupported() {
    let engine = engine!(data("linear.onnx"));
    assert_eq!(engine.run(Generate::text("a")).unwrap_err().code(), Code::Unsupported);
    assert_eq!(engine.run(Embed::new(["a"])).unwrap_err().code(), Code::Unsupported);
}

#[test]
fn a_run_has_one_step() {
    let engine = engine!(data("linear.onnx"));
    let mut run = engine.start(inputs("linear.onnx").into(), Call::new()).unwrap();
    assert!(matches!(run.step().unwrap(), Step::Done(_)));
    assert_eq!(run.step().unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn empty_tensors_and_scalars_cross() {
    let engine = engine!(data("pair.onnx"));
    let empty = |dims: &[usize]| Tensor::zeros(DType::F32, dims).unwrap();
    let sum = engine.run(Tensors::from([("a", empty(&[0, 3])), ("b", empty(&[0, 3]))])).unwrap();
    assert_eq!(sum.outputs[0].1.shape()[..], [0, 3]);

    let scalar = |tag: u32, name: &str| {
        field(tag, [field(1, name), field(2, field(1, [int(1, 1), field(2, "")].concat()))].concat())
    };
    let engine = engine!(model(&[node("Neg", &["x"], &["y"], &[]), scalar(11, "x"), scalar(12, "y")]));
    let answer = engine.run(Tensors::from([("x", Tensor::scalar(2.5f32))])).unwrap();
    assert_eq!(answer.outputs[0].1, Tensor::scalar(-2.5f32));
}

#[test]
fn texts_keep_every_byte() {
    let engine = engine!(data("echo_string.onnx"));
    let texts = ["", "a\0b", "雨", "\u{10ffff}", ""].map(String::from).to_vec();
    let x = Tensor::strings(&[5], texts.clone()).unwrap();
    assert_eq!(engine.run(Tensors::from([("x", x)])).unwrap().outputs[0].1.as_strings().unwrap(), texts);
    let none = Tensor::strings(&[0], Vec::new()).unwrap();
    assert_eq!(engine.run(Tensors::from([("x", none.clone())])).unwrap().outputs[0].1, none);
}

#[test]
fn bytes_of_any_alignment_are_taken() {
    struct Odd(Vec<u8>);
    impl AsRef<[u8]> for Odd {
        fn as_ref(&self) -> &[u8] {
            let skip = 1 + self.0.as_ptr().addr() % 2;
            &self.0[skip..skip + 16]
        }
    }
    let engine = engine!(data("echo_f64.onnx"));
    let bytes = Bytes::shared(Odd((0..32).collect()));
    assert_ne!(bytes.as_slice().as_ptr().addr() % 8, 0);
    let x = Tensor::from_bytes(DType::F64, Shape::new(&[2]).unwrap(), bytes).unwrap();
    assert_eq!(engine.run(Tensors::from([("x", x.clone())])).unwrap().outputs[0].1, x);
}

#[test]
fn a_bool_is_0_or_1() {
    let engine = engine!(data("echo_bool.onnx"));
    let x = Tensor::copy_from(DType::Bool, Shape::new(&[2]).unwrap(), &[1, 2]).unwrap();
    assert_eq!(engine.run(Tensors::from([("x", x)])).unwrap_err().code(), Code::InvalidArgument);
}

/// y = x + w, where w has the default 10, 20.
fn with_default(ir: u64) -> Vec<u8> {
    let add = node("Add", &["x", "w"], &["y"], &[]);
    model_of(ir, &[add, input("x", &[2]), input("w", &[2]), output("y", &[2]), field(5, tensor("w", &[10.0, 20.0]))])
}

#[test]
fn an_input_with_a_default_may_be_left_out() {
    let engine = engine!(with_default(8));
    let of = |a: f32, b: f32| Tensor::new(&[2], vec![a, b]).unwrap();
    assert_eq!(engine.spec().inputs.iter().map(|p| p.optional).collect::<Vec<_>>(), [false, true]);
    assert_eq!(engine.run(Tensors::from([("x", of(1.0, 2.0))])).unwrap().outputs[0].1, of(11.0, 22.0));
    let both = Tensors::from([("w", of(0.5, 0.5)), ("x", of(1.0, 2.0))]);
    assert_eq!(engine.run(both).unwrap().outputs[0].1, of(1.5, 2.5));
}

#[test]
fn before_ir_version_4_an_initialized_input_is_a_constant() {
    let engine = engine!(with_default(3));
    assert_eq!(engine.spec().inputs.iter().map(|p| &*p.name).collect::<Vec<_>>(), ["x"]);
    let x = Tensor::new(&[2], vec![1f32, 2.0]).unwrap();
    assert_eq!(engine.run(Tensors::from([("x", x)])).unwrap().outputs[0].1.as_slice::<f32>().unwrap(), [11.0, 22.0]);
}

/// Bytes that say when they are given back.
struct Lent(Vec<f32>, Arc<AtomicBool>);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.0.fill(f32::NAN);
        self.1.store(true, Ordering::SeqCst);
    }
}

fn lent(values: &[f32]) -> (Tensor, Arc<AtomicBool>) {
    let back = Arc::new(AtomicBool::new(false));
    let bytes = Bytes::shared(Lent(values.to_vec(), back.clone()));
    (Tensor::from_bytes(DType::F32, Shape::new(&[values.len()]).unwrap(), bytes).unwrap(), back)
}

#[test]
fn an_output_that_is_an_input_keeps_its_memory() {
    let engine = engine!(model(&[input("x", &[3]), output("x", &[3])]));
    let (x, back) = lent(&[1.0, 2.0, 3.0]);
    let address = x.bytes().unwrap().as_ptr();
    let mut answer = engine.run(Tensors::from([("x", x)])).unwrap();
    drop(engine);
    let (_, x) = answer.outputs.pop().unwrap();
    assert_eq!(x.as_slice::<f32>().unwrap(), [1.0, 2.0, 3.0]);
    assert!(x.bytes().unwrap().as_ptr() == address, "this case is meant to pass the input through");
    assert!(!back.load(Ordering::SeqCst), "the input's memory went while the output still used it");
    drop(x);
    assert!(back.load(Ordering::SeqCst));
}

#[test]
fn an_input_is_given_back_after_the_run() {
    let engine = engine!(model(&[node("Neg", &["x"], &["y"], &[]), input("x", &[3]), output("y", &[3])]));
    let (x, back) = lent(&[1.0, 2.0, 3.0]);
    let answer = engine.run(Tensors::from([("x", x)])).unwrap();
    assert!(back.load(Ordering::SeqCst), "the answer holds on to the input");
    assert_eq!(answer.outputs[0].1.as_slice::<f32>().unwrap(), [-1.0, -2.0, -3.0]);
}

#[test]
fn an_output_outlives_its_engine() {
    let constant = [input("x", &[1]), output("w", &[4]), field(5, tensor("w", &[1.0, 2.0, 3.0, 5.0]))];
    let engine = engine!(model(&constant));
    let answer = engine.run(Tensors::from([("x", Tensor::zeros(DType::F32, &[1]).unwrap())])).unwrap();
    drop(engine);
    assert_eq!(answer.outputs[0].1.as_slice::<f32>().unwrap(), [1.0, 2.0, 3.0, 5.0]);
}

#[test]
fn threads_share_a_session_and_agree_with_serial_runs() {
    let engine = engine!(data("slow_chain.onnx"));
    let x = |i: usize| Tensor::new(&[2, 256], (0..512).map(|k| (i * 512 + k) as f32).collect()).unwrap();
    let run = |i: usize| engine.run(Tensors::from([("x", x(i))])).unwrap().outputs.remove(0).1;
    let serial: Vec<Tensor> = (0..16).map(run).collect();
    std::thread::scope(|scope| {
        for t in 0..8 {
            let (run, serial) = (&run, &serial);
            scope.spawn(move || (0..50).for_each(|i| assert_eq!(run((t + i) % 16), serial[(t + i) % 16])));
        }
    });
}

#[test]
fn an_open_reports_its_progress() {
    let Some(options) = options() else { return };
    let (tell, reported) = channel();
    let tell = std::sync::Mutex::new(tell);
    let options = options.progress(move |p| tell.lock().unwrap().send(p).unwrap());
    crate::open(data("linear.onnx"), options).unwrap();
    let reported: Vec<OpenProgress> = reported.try_iter().collect();
    let len = std::fs::metadata(data("linear.onnx")).unwrap().len();
    assert_eq!(reported, [OpenProgress::Digest(len, len), OpenProgress::Load(0.0), OpenProgress::Load(1.0)]);
}

#[test]
fn options_are_checked() {
    let Some(options) = options() else { return };
    let code = |options| crate::open(data("linear.onnx"), options).err().expect("refused").code();
    assert_eq!(code(options.clone().threads(0)), Code::InvalidArgument);
    assert_eq!(code(options.clone().memory_limit(60)), Code::OutOfMemory);
    assert_eq!(code(options.clone().digest(Digest::default())), Code::Corrupt);
    let limit = crate::open(data("linear.onnx"), options.clone()).unwrap().spec().memory.total();
    assert!(crate::open(data("linear.onnx"), options.threads(1).memory_limit(limit)).is_ok());
}
