//! What rten has not, and what it would do harm with.

use super::super::operators::{MICROSOFT, STANDARD, WRONG};
use super::craft::{self, F32, F64, I64, node, port};
use super::{ask, f32s, open, refused};
use crate::onnx::{NewNode, inline_tensor, put, put_int};
use crate::{Code, Tensor};

/// One node, which gives `y` of `x`.
fn of(node: NewNode<'_>) -> Vec<u8> {
    craft::model(&[node], &[], &[port("x", F32, &[-1])], &[port("y", F32, &[-1])])
}

/// What rten says of a node without attributes.
fn said_of(op: &str, domain: &str) -> String {
    let model = of(NewNode { domain, ..node(op, &["x"], "y") });
    rten::Model::load(model).err().map(|e| e.to_string()).unwrap_or_default()
}

#[test]
fn the_list_of_operators_is_that_of_rten() {
    let lacks = |said: &str| said.contains("not supported or not enabled") || said.contains("was compiled without");
    // Read as a constant; made the identity.
    let ours = |op: &&&str| !["Constant", "Dropout"].contains(*op);
    for (list, domain) in [(STANDARD, ""), (MICROSOFT, "com.microsoft")] {
        for op in list.iter().filter(ours) {
            let said = said_of(op, domain);
            assert!(!lacks(&said), "{op}: {said}");
        }
    }
    for op in ["Det", "Scan", "RNN", "QLinearMatMul", "GroupNormalization", "RandomNormal"] {
        let said = said_of(op, "");
        assert!(lacks(&said) && !STANDARD.contains(&op), "{op}: {said}");
    }
}

#[test]
fn all_operators_that_rten_has_not_are_named() {
    let nodes = [node("Det", &["x"], "a"), node("Hardmax", &["a"], "b"), node("Neg", &["b"], "y")];
    let error = refused(craft::model(&nodes, &[], &[port("x", F32, &[-1])], &[port("y", F32, &[-1])]));
    assert_eq!(error.code(), Code::Unsupported);
    assert!(error.message().starts_with("rten has no operator Det, Hardmax"), "{error}");
}

#[test]
fn what_rten_answers_otherwise_than_onnx_is_refused() {
    for (op, how) in WRONG {
        assert!(!STANDARD.contains(op));
        let error = refused(of(node(op, &["x"], "y")));
        assert_eq!(error.code(), Code::Unsupported);
        assert!(error.message().contains(op) && error.message().contains(how), "{error}");
    }
    // Forms of operators: cubic curves, and padding before rather than behind.
    for (op, name, value) in [("Resize", "mode", "cubic"), ("MaxPool", "auto_pad", "SAME_LOWER")] {
        let (mut attribute, mut fields, mut nodes) = (Vec::new(), Vec::new(), Vec::new());
        put(&mut attribute, 1, name.as_bytes());
        put(&mut attribute, 4, value.as_bytes());
        put_int(&mut attribute, 20, 3);
        for (tag, field) in [(1, &b"x"[..]), (2, b"y"), (4, op.as_bytes()), (5, &attribute)] {
            put(&mut fields, tag, field);
        }
        put(&mut nodes, 1, &fields);
        let error = refused(craft::model_of(nodes, &[], &[port("x", F32, &[-1])], &[port("y", F32, &[-1])]));
        assert_eq!(error.code(), Code::Unsupported);
        assert!(error.message().contains(value), "{error}");
    }
    // `Sign` is what the list says, else it is time to take it off.
    let model = rten::Model::load(of(node("Sign", &["x"], "y"))).unwrap();
    let zero = rten::Value::from_shape([1], vec![0.0f32]).unwrap();
    let sign = model.run_one(zero.into(), None).unwrap();
    assert_eq!(sign.into_shape_vec::<f32, 1>().unwrap(), ([1], vec![1.0]));
}

#[test]
fn types_that_rten_has_not_are_named() {
    let ports = |element| (port("x", element, &[-1]), port("y", F32, &[-1]));
    let (x, y) = ports(F64);
    let error = refused(craft::model(&[node("Neg", &["x"], "y")], &[], &[x], &[y]));
    assert_eq!(error.code(), Code::Unsupported);
    assert!(error.message().contains("input 'x': rten has no f64"), "{error}");
    // bf16 inside.
    let (x, y) = ports(F32);
    let weight = inline_tensor("w", 16, &[1], &[0x80, 0x3F]);
    let nodes = [node("CastLike", &["x", "w"], "a"), node("CastLike", &["a", "x"], "y")];
    let error = refused(craft::model(&nodes, &[weight], &[x], &[y]));
    assert_eq!(error.code(), Code::Unsupported);
    assert!(error.message().contains("unsupported data type"), "{error}");
}

#[test]
fn integers_of_more_than_32_bits_are_refused_where_they_are_seen() {
    let ports = || ([port("x", I64, &[-1])], [port("y", I64, &[-1])]);
    let number = |n: i64| inline_tensor("w", I64, &[1], &n.to_le_bytes());
    let engine = {
        let (x, y) = ports();
        open(craft::model(&[node("Add", &["x", "w"], "y")], &[number(1)], &x, &y))
    };
    let x = |n: i64| Tensor::new(&[1], vec![n]).unwrap();
    assert_eq!(ask(&*engine, [("x", x(-5))]).unwrap(), x(-4));
    let error = ask(&*engine, [("x", x(1 << 31))]).unwrap_err();
    assert_eq!(error.code(), Code::Unsupported);
    assert!(error.message().contains("input 'x'") && error.message().contains("2147483648"), "{error}");
    let (x, y) = ports();
    let error = refused(craft::model(&[node("Add", &["x", "w"], "y")], &[number(-1 << 40)], &x, &y));
    assert_eq!(error.code(), Code::Unsupported);
    assert!(error.message().contains("tensor 'w'"), "{error}");
}

#[test]
fn the_end_of_64_bits_is_that_of_a_dimension() {
    let number = |name: &str, n: i64| inline_tensor(name, I64, &[1], &n.to_le_bytes());
    let weights = [number("begin", 1), number("end", i64::MAX)];
    let nodes = [node("Slice", &["x", "begin", "end"], "y")];
    let engine = open(craft::model(&nodes, &weights, &[port("x", F32, &[-1])], &[port("y", F32, &[-1])]));
    assert_eq!(ask(&*engine, [("x", f32s(&[3], &[1.0, 2.0, 3.0]))]).unwrap(), f32s(&[2], &[2.0, 3.0]));
}

#[test]
fn a_value_that_an_operator_cannot_take_is_an_error_of_the_runtime() {
    let nodes = [node("Gather", &["x", "at"], "y")];
    let inputs = [port("x", F32, &[-1]), port("at", I64, &[-1])];
    let engine = open(craft::model(&nodes, &[], &inputs, &[port("y", F32, &[-1])]));
    let at = |i: i64| [("x", f32s(&[2], &[5.0, 6.0])), ("at", Tensor::new(&[1], vec![i]).unwrap())];
    assert_eq!(ask(&*engine, at(-1)).unwrap(), f32s(&[1], &[6.0]));
    for beyond in [2, -3] {
        let error = ask(&*engine, at(beyond)).unwrap_err();
        assert_eq!(error.code(), Code::Backend, "{error}");
    }
}

#[test]
fn a_deep_graph_is_planned_and_a_deeper_one_refused() {
    let chain = |len: usize| {
        let names: Vec<String> = std::iter::once("x".into()).chain((1..=len).map(|i| format!("h{i}"))).collect();
        let inputs: Vec<[&str; 1]> = names.iter().map(|name| [&**name]).collect();
        let nodes: Vec<NewNode<'_>> =
            inputs.iter().zip(&names[1..]).map(|(input, output)| node("Neg", input, output)).collect();
        craft::model(&nodes, &[], &[port("x", F32, &[-1])], &[port(&names[len], F32, &[-1])])
    };
    let engine = open(chain(20_000));
    assert_eq!(ask(&*engine, [("x", f32s(&[1], &[7.0]))]).unwrap(), f32s(&[1], &[7.0]));
    let error = refused(chain(20_001));
    assert_eq!(error.code(), Code::Unsupported);
    assert!(error.message().contains("20001"), "{error}");
}

#[test]
fn a_graph_with_loose_ends_is_corrupt() {
    let ports = || ([port("x", F32, &[-1])], [port("y", F32, &[-1])]);
    for (nodes, name) in
        [(vec![node("Neg", &["x"], "z")], "'y'"), (vec![node("Add", &["x", "nothing"], "y")], "'nothing'")]
    {
        let (x, y) = ports();
        let error = refused(craft::model(&nodes, &[], &x, &y));
        assert_eq!(error.code(), Code::Corrupt);
        assert!(error.message().contains(name), "{error}");
    }
    let circle = [node("Add", &["x", "b"], "a"), node("Neg", &["a"], "b"), node("Neg", &["b"], "y")];
    let (x, y) = ports();
    let result = crate::open(craft::model(&circle, &[], &x, &y), super::options())
        .and_then(|engine| ask(&*engine, [("x", f32s(&[1], &[1.0]))]));
    let code = result.unwrap_err().code();
    assert!(matches!(code, Code::Corrupt | Code::Unsupported), "{code:?}");
}

#[test]
fn a_constant_larger_than_the_machine_is_an_error() {
    let big = inline_tensor("big", I64, &[2], &craft::le(&[1i64 << 30, 1 << 30], i64::to_le_bytes));
    let nodes = [node("ConstantOfShape", &["big"], "c"), node("Add", &["x", "c"], "y")];
    let bytes = craft::model(&nodes, &[big], &[port("x", F32, &[1])], &[port("y", F32, &[-1, -1])]);
    let error = refused(bytes);
    assert_eq!(error.code(), Code::OutOfMemory, "{error}");
}
