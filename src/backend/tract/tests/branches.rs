//! `If`: conditions known from shapes, from inputs, and from data.

use tract_onnx::pb::{GraphProto, NodeProto};

use super::craft::{branch, f32s as floats, graph, i64s as initializer, int, model, node};
use super::{ask, f32s, open, refused};
use crate::{Code, Tensor};

/// `If` without declared types inside.
fn side(nodes: Vec<NodeProto>, output: &str) -> GraphProto {
    graph(nodes, &[], &[&format!("{output} f32")], vec![])
}

/// y = x without dimension 1 if that is 1, else x.
pub(super) fn squeeze_if_one() -> Vec<u8> {
    let nodes = vec![
        node("Shape", "x", "shape"),
        node("Gather", "shape one", "m"),
        node("Equal", "m one", "is_one"),
        branch(
            "is_one",
            "y",
            side(vec![node("Squeeze", "x axis", "a")], "a"),
            side(vec![node("Identity", "x", "b")], "b"),
        ),
    ];
    let constants = vec![initializer("one", &[], &[1]), initializer("axis", &[1], &[1])];
    model(graph(nodes, &["x f32 n,m"], &["y f32 ?"], constants), &[])
}

#[test]
fn a_branch_that_the_shapes_rule_out_does_no_harm() {
    let engine = open(squeeze_if_one());
    let got = ask(&*engine, [("x", f32s(&[2, 1], &[1., 2.]))]).unwrap();
    assert_eq!(got, f32s(&[2], &[1., 2.]));
    let x = f32s(&[1, 3], &[1., 2., 3.]);
    assert_eq!(ask(&*engine, [("x", x.clone())]).unwrap(), x);
}

#[test]
fn a_branch_may_depend_on_data() {
    let nodes = vec![
        node("ReduceSum", "x", "sum"),
        node("Squeeze", "sum", "total"),
        node("Sub", "total total", "zero"),
        node("Greater", "total zero", "positive"),
        branch("positive", "y", side(vec![node("Add", "x x", "a")], "a"), side(vec![node("Mul", "x x", "b")], "b")),
    ];
    let engine = open(model(graph(nodes, &["x f32 n"], &["y f32 n"], vec![]), &[]));
    assert_eq!(ask(&*engine, [("x", f32s(&[2], &[5., -1.]))]).unwrap(), f32s(&[2], &[10., -2.]));
    assert_eq!(ask(&*engine, [("x", f32s(&[2], &[-5., 1.]))]).unwrap(), f32s(&[2], &[25., 1.]));
    // The same, from a state that served before.
    assert_eq!(ask(&*engine, [("x", f32s(&[2], &[5., -1.]))]).unwrap(), f32s(&[2], &[10., -2.]));
}

#[test]
fn branches_of_different_shapes_must_not_depend_on_data() {
    let twice = int(node("Concat", "x x", "a"), "axis", 0);
    let nodes = vec![
        node("ReduceSum", "x", "sum"),
        node("Squeeze", "sum", "total"),
        node("Greater", "total one", "positive"),
        branch("positive", "y", side(vec![twice], "a"), side(vec![node("Identity", "x", "b")], "b")),
    ];
    let constants = vec![floats("one", &[], &[1.])];
    let engine = open(model(graph(nodes, &["x f32 n"], &["y f32 m"], constants), &[]));
    let x = f32s(&[70], &[1.; 70]);
    let error = ask(&*engine, [("x", x)]).unwrap_err();
    assert_eq!(error.code(), Code::Unsupported);
    assert!(error.to_string().contains("which one runs depends on the data"), "{error}");
}

#[test]
fn a_condition_that_is_an_input_is_planned_for_its_values() {
    // `then` does not fit: no plan could have both.
    let choose = branch(
        "cond",
        "y",
        side(vec![node("Squeeze", "x axis", "a")], "a"),
        side(vec![node("Identity", "x", "b")], "b"),
    );
    let constants = vec![initializer("axis", &[1], &[0])];
    let engine = open(model(graph(vec![choose], &["cond bool", "x f32 n"], &["y f32 ?"], constants), &[]));
    let cond = Tensor::scalar;
    let three = f32s(&[3], &[1., 2., 3.]);
    assert_eq!(ask(&*engine, [("cond", cond(false)), ("x", three.clone())]).unwrap(), three);
    assert_eq!(ask(&*engine, [("cond", cond(true)), ("x", f32s(&[1], &[7.]))]).unwrap(), f32s(&[], &[7.]));
    let error = ask(&*engine, [("cond", cond(true)), ("x", three)]).unwrap_err();
    assert_eq!(error.code(), Code::Unsupported);
}

#[test]
fn a_switch_with_many_values_stays_right() {
    let nodes = vec![
        node("Equal", "k three", "is_three"),
        branch("is_three", "y", side(vec![node("Add", "x x", "a")], "a"), side(vec![node("Mul", "x x", "b")], "b")),
    ];
    let constants = vec![initializer("three", &[], &[3])];
    let engine = open(model(graph(nodes, &["k i64", "x f32 n"], &["y f32 n"], constants), &[]));
    for k in [0, 1, 2, 3, 4, 5, 6, 3, 0] {
        let y = if k == 3 { 10. } else { 25. };
        let got = ask(&*engine, [("k", Tensor::scalar(k as i64)), ("x", f32s(&[1], &[5.]))]).unwrap();
        assert_eq!(got, f32s(&[1], &[y]), "k = {k}");
    }
}

#[test]
fn branches_nest_and_hand_outer_values_through() {
    let inner = branch("q", "o", side(vec![node("Add", "x w", "a")], "a"), side(vec![], "x"));
    let outer = branch("p", "y", side(vec![inner], "o"), side(vec![], "w"));
    let ports = ["p bool", "q bool", "x f32 n", "w f32 n"];
    let engine = open(model(graph(vec![outer], &ports, &["y f32 n"], vec![]), &[]));
    let (x, w) = (f32s(&[2], &[1., 2.]), f32s(&[2], &[10., 20.]));
    let cases = [(true, true, f32s(&[2], &[11., 22.])), (true, false, x.clone()), (false, true, w.clone())];
    for (p, q, y) in cases {
        let inputs = [("p", Tensor::scalar(p)), ("q", Tensor::scalar(q)), ("x", x.clone()), ("w", w.clone())];
        assert_eq!(ask(&*engine, inputs).unwrap(), y, "p {p}, q {q}");
    }
}

#[test]
fn branches_nest_only_so_deep() {
    let mut body = side(vec![node("Identity", "x", "o0")], "o0");
    for depth in 1..=12 {
        let output = format!("o{depth}");
        body = side(vec![branch("p", &output, body.clone(), body)], &output);
    }
    let nodes = vec![branch("p", "y", body.clone(), body)];
    let error = refused(model(graph(nodes, &["p bool", "x f32 n"], &["y f32 n"], vec![]), &[]));
    assert_eq!(error.code(), Code::Unsupported);
    assert!(error.to_string().contains("nested"), "{error}");
}
