//! Which runtime opens a model that multiplies 8-bit integers, where the build has several.

mod measured;

use crate::onnx::{NewNode, inline_tensor, put, put_int};
use crate::{Answer, Ask, Backend, Code, Engine, Options, Tensor, Tensors, open};

/// A product of bytes, in an IR version and operator set; `None`, said aloud, without an ONNX Runtime to test with.
fn product(ir: i64, opset: i64, more: &[u8]) -> Option<Vec<u8>> {
    if std::env::var_os("SELVEDGE_ONNXRUNTIME").is_none() {
        println!("skipped: no ONNX Runtime to test with, run tests/run");
        return None;
    }
    let mut graph = Vec::new();
    NewNode { op: "MatMulInteger", inputs: &["x", "w"], output: "y", ..NewNode::default() }.put(&mut graph);
    graph.extend_from_slice(more);
    put(&mut graph, 2, b"product");
    put(&mut graph, 5, &inline_tensor("w", 3, &[2, 2], &[1, 2, 3, 0xFC]));
    put(&mut graph, 11, &value("x", 2, &[1, 2]));
    put(&mut graph, 12, &value("y", 6, &[1, 2]));
    Some(model(ir, opset, &graph))
}

fn model(ir: i64, opset: i64, graph: &[u8]) -> Vec<u8> {
    let (mut set, mut model) = (Vec::new(), Vec::new());
    put_int(&mut set, 2, opset);
    put_int(&mut model, 1, ir);
    put(&mut model, 8, &set);
    put(&mut model, 7, graph);
    model
}

/// `ValueInfoProto` of a tensor of fixed size.
fn value(name: &str, element: i64, dims: &[i64]) -> Vec<u8> {
    let (mut shape, mut tensor, mut kind, mut info) = (vec![], vec![], vec![], vec![]);
    for size in dims {
        let mut dim = Vec::new();
        put_int(&mut dim, 1, *size);
        put(&mut shape, 1, &dim);
    }
    put_int(&mut tensor, 1, element);
    put(&mut tensor, 2, &shape);
    put(&mut kind, 1, &tensor);
    put(&mut info, 1, name.as_bytes());
    put(&mut info, 2, &kind);
    info
}

/// What `[200, 3]` gives, which wraps where bytes are taken for signed ones.
fn answer(engine: &dyn Engine) -> Answer {
    let x = Tensor::new(&[1, 2], vec![200u8, 3]).unwrap();
    let answer = engine.run(Tensors::from([("x", x)])).unwrap();
    assert_eq!(answer.output("y").unwrap().as_slice::<i32>().unwrap(), [209, 388]);
    answer
}

#[test]
fn products_of_bytes_go_to_the_runtime_that_is_fast_at_them() {
    let Some(model) = product(8, 17, &[]) else { return };
    let engine = open(model, Options::new()).unwrap();
    assert_eq!(answer(&*engine).provenance.backend, "ort");
    let choice = engine.spec().choice.as_deref().unwrap();
    assert!(choice.starts_with("ort: ") && choice.contains("as fast as tract"), "{choice}");
}

#[test]
fn products_of_bytes_that_onnx_runtime_refuses_go_to_the_next() {
    let next = if Backend::Rten.is_built() { "rten: it multiplies" } else { "tract: it is slow" };
    for (ir, opset, why) in [(8, 40, "Opset 40 is under development"), (40, 17, "Unsupported model IR version: 40")] {
        let Some(model) = product(ir, opset, &[]) else { return };
        let engine = open(model.clone(), Options::new()).unwrap_or_else(|e| panic!("{why}: {e}"));
        assert!(next.starts_with(answer(&*engine).provenance.backend), "{why}");
        let choice = engine.spec().choice.as_deref().unwrap();
        assert!(choice.starts_with(next) && choice.contains(why), "{choice}");
        let asked = open(model, Options::new().backend(Backend::Ort)).err().unwrap();
        assert_eq!(asked.code(), Code::Unsupported, "{asked}");
    }
}

#[test]
fn what_the_others_lack_goes_to_onnx_runtime_and_is_told() {
    if product(8, 17, &[]).is_none() {
        return;
    }
    let mut graph = Vec::new();
    NewNode { op: "Det", inputs: &["x"], output: "y", ..NewNode::default() }.put(&mut graph);
    put(&mut graph, 2, b"determinant");
    put(&mut graph, 11, &value("x", 1, &[2, 2]));
    put(&mut graph, 12, &value("y", 1, &[]));
    let engine = open(model(8, 17, &graph), Options::new()).unwrap();
    assert_eq!(engine.spec().provenance.backend, "ort");
    let choice = engine.spec().choice.as_deref().unwrap();
    let asked = [Backend::Tract, Backend::Rten].into_iter().filter(|backend| backend.is_built());
    assert!(asked.clone().count() > 0 && choice.starts_with("ort: "), "{choice}");
    for lacks in asked.map(|backend| format!("{} has no operator Det", backend.name())) {
        assert!(choice.contains(&lacks), "{choice}");
    }
}

#[test]
fn what_all_runtimes_refuse_is_refused_in_the_words_of_the_fast_one() {
    let mut node = Vec::new();
    NewNode { op: "NoSuchOne", inputs: &["y"], output: "z", ..NewNode::default() }.put(&mut node);
    let Some(model) = product(8, 17, &node) else { return };
    let error = open(model, Options::new()).err().unwrap();
    assert_eq!(error.code(), Code::Unsupported, "{error}");
    assert!(error.message().starts_with("ONNX Runtime"), "{error}");
}
