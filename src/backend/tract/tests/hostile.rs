//! Models that are broken, or meant to break something.

use tract_onnx::pb::{FunctionProto, ModelProto, NodeProto, SparseTensorProto};

use prost::Message;

use super::craft::{self, graph, i64s, in_domain, int, ints, model, node};
use super::{ask, f32s, open, options, refused};
use crate::{Code, Tensor};

/// One node that makes gigabytes of a few numbers, of `x`, or of a constant.
fn bombs() -> Vec<(&'static str, NodeProto)> {
    let border = ints(ints(node("MaxPool", "x3", "y"), "kernel_shape", &[2]), "pads", &[1 << 40, 1 << 40]);
    vec![
        ("ConstantOfShape", node("ConstantOfShape", "big", "y")),
        ("Expand of a constant", node("Expand", "one big", "y")),
        ("Expand", node("Expand", "x1 big", "y")),
        ("Tile of a constant", node("Tile", "one big", "y")),
        ("Tile", node("Tile", "x big", "y")),
        ("Pad of a constant", node("Pad", "one borders", "y")),
        ("Pad", node("Pad", "x borders", "y")),
        ("Resize of a constant", node("Resize", "one3 _ _ sizes", "y")),
        ("Resize", node("Resize", "x3 _ _ sizes", "y")),
        ("Range", node("Range", "zero end step", "y")),
        ("OneHot of a constant", node("OneHot", "zeros end off_on", "y")),
        ("a window", ints(node("MaxPool", "x3", "y"), "kernel_shape", &[1 << 33])),
        ("a border", border),
    ]
}

#[test]
fn a_value_larger_than_the_machine_is_an_error() {
    const BIG: i64 = 1 << 40;
    for (what, bomb) in bombs() {
        let one = |name: &str, dims: &[i64]| craft::f32s(name, dims, &[1.]);
        let constants = vec![
            one("one", &[1]),
            one("one3", &[1, 1, 1]),
            i64s("big", &[1], &[BIG]),
            i64s("borders", &[2], &[0, BIG]),
            i64s("sizes", &[3], &[1, 1, BIG]),
            i64s("zero", &[], &[0]),
            i64s("zeros", &[1], &[0]),
            i64s("end", &[], &[BIG]),
            i64s("step", &[], &[1]),
            i64s("axes", &[2], &[0, 1]),
            craft::f32s("off_on", &[2], &[0., 1.]),
        ];
        let nodes = vec![int(node("ReduceSum", "x", "x1"), "keepdims", 1), node("Unsqueeze", "x axes", "x3"), bomb];
        let bytes = model(graph(nodes, &["x f32 n"], &["y f32 m"], constants), &[]);
        let result = crate::open(bytes, options()).and_then(|e| ask(&*e, [("x", f32s(&[4], &[1.; 4]))]));
        let error = result.map(|y| y.shape().clone()).expect_err(what);
        assert!(matches!(error.code(), Code::OutOfMemory | Code::Unsupported), "{what}: {error}");
    }
}

#[test]
fn the_memory_limit_holds_for_every_value() {
    let tile = graph(vec![node("Tile", "x n", "y")], &["x f32 n"], &["y f32 m"], vec![i64s("n", &[1], &[1000])]);
    let engine = crate::open(model(tile, &[]), options().memory_limit(1 << 20)).unwrap();
    assert_eq!(**ask(&*engine, [("x", f32s(&[4], &[1.; 4]))]).unwrap().shape(), [4000]);
    let error = ask(&*engine, [("x", f32s(&[400], &[1.; 400]))]).unwrap_err();
    assert_eq!(error.code(), Code::OutOfMemory);
    assert!(error.to_string().contains("1600000 bytes: expected at most 1048576"), "{error}");
}

#[test]
fn a_graph_that_would_take_minutes_to_plan_is_refused() {
    let names: Vec<String> = std::iter::once("x".into()).chain((1..=20_001).map(|i| format!("h{i}"))).collect();
    let nodes = names.windows(2).map(|pair| node("Neg", &pair[0], &pair[1])).collect();
    let error = refused(model(graph(nodes, &["x f32 n"], &["h20001 f32 n"], vec![]), &[]));
    assert_eq!(error.code(), Code::Unsupported);
}

#[test]
fn a_graph_with_loose_ends_is_corrupt() {
    let port = (["x f32 n"], ["y f32 n"]);
    let no_output = graph(vec![node("Neg", "x", "z")], &port.0, &port.1, vec![]);
    let no_value = graph(vec![node("Add", "x nothing", "y")], &port.0, &port.1, vec![]);
    for (graph, name) in [(no_output, "'y'"), (no_value, "nothing")] {
        let error = refused(model(graph, &[]));
        assert_eq!(error.code(), Code::Corrupt);
        assert!(error.to_string().contains(name), "{error}");
    }
    let circle =
        graph(vec![node("Add", "x b", "a"), node("Neg", "a", "b"), node("Neg", "b", "y")], &port.0, &port.1, vec![]);
    let result = crate::open(model(circle, &[]), options()).and_then(|e| ask(&*e, [("x", f32s(&[1], &[1.]))]));
    assert_eq!(result.unwrap_err().code(), Code::Unsupported);
}

#[test]
fn functions_of_a_model_are_not_mistaken_for_operators() {
    // tract would look up `Add` by its bare name.
    let call = in_domain("mine", node("Add", "x x", "y"));
    let mut message =
        ModelProto::decode(&*model(graph(vec![call], &["x f32 n"], &["y f32 n"], vec![]), &[("mine", 1)])).unwrap();
    let mut function = FunctionProto {
        name: Some("Add".into()),
        input: vec!["a".into(), "b".into()],
        output: vec!["c".into()],
        node: vec![node("Mul", "a b", "c")],
        ..FunctionProto::default()
    }
    .encode_to_vec();
    // tract's copy of the format lacks the domain: field 10, a string.
    function.extend([10 << 3 | 2, 4]);
    function.extend(b"mine");
    message.functions.clear();
    let mut bytes = message.encode_to_vec();
    prost::encoding::bytes::encode(25, &function, &mut bytes);
    let error = refused(bytes);
    assert_eq!(error.code(), Code::Unsupported);
    assert!(error.to_string().contains("mine:Add"), "{error}");
}

#[test]
fn sparse_initializers_are_refused() {
    let mut sum = graph(vec![node("Add", "x w", "y")], &["x f32 2"], &["y f32 2"], vec![]);
    let sparse = SparseTensorProto {
        values: Some(craft::f32s("w", &[1], &[5.])),
        indices: Some(i64s("", &[1], &[1])),
        dims: vec![2],
    };
    sum.sparse_initializer.push(sparse);
    let error = refused(model(sum, &[]));
    assert_eq!(error.code(), Code::Unsupported);
    assert!(error.to_string().contains("sparse"), "{error}");
}

#[test]
fn a_file_that_changes_under_an_engine_is_read_again_with_care() {
    // A map shows what others write to the file; here the bytes are just other ones than were checked.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let relu = graph(vec![node("Relu", "x", "y")], &["x f32 n"], &["y f32 n"], vec![]);
    let bytes = model(relu, &[]);
    std::fs::write(&path, &bytes).unwrap();
    let engine = open(&path);
    let garbage: Vec<u8> = bytes.iter().map(|b| b ^ 0x55).collect();
    std::fs::write(&path, garbage).unwrap();
    let result: crate::Result<Tensor> = ask(&*engine, [("x", f32s(&[2], &[-1., 1.]))]);
    match result {
        Ok(y) => assert_eq!(y, f32s(&[2], &[0., 1.])),
        Err(e) => assert_eq!(e.code(), Code::Corrupt, "{e}"),
    }
}
