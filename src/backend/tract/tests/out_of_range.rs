//! Values of inputs that no operator can compute with: an error that names the input, or what ONNX says; never a panic.

use tract_onnx::pb::NodeProto;

use super::craft::{self, graph, int, model, node};
use super::{ask, f32s, i64s, open};
use crate::{Code, Engine, Tensor};

/// What a count, an index or an axis is never checked for.
const VALUES: [i64; 17] = [
    i64::MIN,
    -(1 << 62),
    -(1 << 40),
    -(1 << 31) - 1,
    -100,
    -5,
    -4,
    -1,
    0,
    1,
    2,
    3,
    5,
    100,
    1 << 31,
    1 << 40,
    i64::MAX,
];

/// One node, and the shape of the input `v` that gets the values.
fn nodes() -> Vec<(&'static str, NodeProto, &'static str)> {
    let one = "v i64 1";
    let scalar = "v i64";
    vec![
        ("Gather", node("Gather", "x v", "y"), one),
        ("Gather of a matrix", int(node("Gather", "m v", "y"), "axis", 1), one),
        ("GatherElements", node("GatherElements", "x v", "y"), one),
        ("GatherND", node("GatherND", "x v", "y"), "v i64 1,1"),
        ("ScatterElements", node("ScatterElements", "x v f1", "y"), one),
        ("ScatterND", node("ScatterND", "x v f1", "y"), "v i64 1,1"),
        ("OneHot", node("OneHot", "v depth off_on", "y"), one),
        ("Div", node("Div", "i v", "y"), one),
        ("Div of many", node("Div", "i3 v", "y"), one),
        ("Mod", node("Mod", "i v", "y"), one),
        ("Mod of many", node("Mod", "i3 v", "y"), one),
        ("Pow", node("Pow", "i v", "y"), one),
        ("Range, end", node("Range", "zero v step", "y"), scalar),
        ("Range, step", node("Range", "zero depth v", "y"), scalar),
        ("TopK", node("TopK", "x v", "y z"), one),
        ("Slice, begin", node("Slice", "x v i", "y"), one),
        ("Slice, end", node("Slice", "x z1 v", "y"), one),
        ("Slice, step", node("Slice", "x z1 i z1 v", "y"), one),
        ("Tile", node("Tile", "x v", "y"), one),
        ("Expand", node("Expand", "f1 v", "y"), one),
        ("ConstantOfShape", node("ConstantOfShape", "v", "y"), one),
        ("Reshape", node("Reshape", "x v", "y"), one),
        ("Pad", node("Pad", "x v2", "y"), "v2 i64 2"),
        ("CumSum", node("CumSum", "x v", "y"), scalar),
        ("Squeeze", node("Squeeze", "m v", "y"), one),
        ("Unsqueeze", node("Unsqueeze", "x v", "y"), one),
        ("Trilu", node("Trilu", "m v", "y"), scalar),
        ("Split", node("Split", "x v2", "y z"), "v2 i64 2"),
        ("Resize", node("Resize", "x4 _ _ v4", "y"), "v4 i64 4"),
        ("ReduceSum", node("ReduceSum", "m v", "y"), one),
        ("ReduceMax of a gathered row", node("Gather", "m v", "y"), one),
    ]
}

fn engine(op: NodeProto, port: &str) -> Option<Box<dyn Fn(i64) -> crate::Result<Tensor>>> {
    let constants = vec![
        craft::f32s("x", &[3], &[1., 2., 3.]),
        craft::f32s("m", &[1, 3], &[1., 2., 3.]),
        craft::f32s("x4", &[1, 1, 1, 3], &[1., 2., 3.]),
        craft::f32s("f1", &[1], &[9.]),
        craft::f32s("off_on", &[2], &[0., 1.]),
        craft::i64s("depth", &[], &[4]),
        craft::i64s("i", &[1], &[i64::MIN]),
        craft::i64s("i3", &[3], &[7, -7, i64::MIN]),
        craft::i64s("zero", &[], &[0]),
        craft::i64s("z1", &[1], &[0]),
        craft::i64s("step", &[], &[1]),
    ];
    let used: Vec<_> = constants.into_iter().filter(|c| op.input.contains(&c.name)).collect();
    let output = if op.op_type == "Div" || op.op_type == "Mod" || op.op_type == "Pow" || op.op_type == "Range" {
        "y i64"
    } else {
        "y f32"
    };
    let (name, dims) = port.split_once(" i64").unwrap();
    let dims: Vec<usize> = dims.trim().split(',').filter_map(|d| d.parse().ok()).collect();
    let bytes = model(graph(vec![op], &[port], &[output], used), &[]);
    // Some values ask for more memory than a test should take.
    let engine = crate::open(bytes, super::options().memory_limit(64 << 20)).ok()?;
    let name = name.to_owned();
    Some(Box::new(move |value| {
        let count = dims.iter().product::<usize>();
        // Sizes of four dimensions: one is wrong.
        let values: Vec<i64> = (0..count).map(|k| if k + 1 == count { value } else { i64::from(count == 4) }).collect();
        ask(&*engine, [(&*name, i64s(&dims, &values))])
    }))
}

#[test]
fn no_value_of_an_input_is_a_panic() {
    let (mut opened, mut panics) = (0, Vec::new());
    for (what, op, port) in nodes() {
        let Some(ask) = engine(op, port) else { continue };
        opened += 1;
        for value in VALUES {
            if let Err(error) = ask(value)
                && error.code() == Code::Panic
            {
                panics.push(format!("{what}, {value}: {error}"));
            }
        }
    }
    assert!(opened >= 20, "{opened} of {} opened", nodes().len());
    assert!(panics.is_empty(), "{} panics:\n{}", panics.len(), panics.join("\n"));
}

#[test]
fn what_is_out_of_range_is_named_with_its_range() {
    let said = |what: &str, value: i64| {
        let (_, op, port) = nodes().into_iter().find(|(name, _, _)| *name == what).unwrap();
        let error = engine(op, port).unwrap()(value).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{what}: {error}");
        error.to_string()
    };
    for what in ["Gather", "Gather of a matrix", "GatherElements", "GatherND", "ScatterElements", "ScatterND"] {
        for value in [3, -4, i64::MAX, i64::MIN] {
            let text = said(what, value);
            assert!(text.contains(&format!("input 'v': expected -3 to 2, got {value}")), "{what}: {text}");
        }
    }
    assert!(said("Div", 0).contains("input 'v': expected a divisor that is not 0, got 0"));
    assert!(said("Mod of many", 0).contains("a divisor that is not 0"));
    assert!(said("Div", -1).contains("by -1 is beyond"));
    assert!(said("TopK", 4).contains("input 'v': expected 0 to 3, got 4"));
}

#[test]
fn what_onnx_counts_from_the_end_is_right() {
    let run = |what: &str, value: i64| {
        let (_, op, port) = nodes().into_iter().find(|(name, _, _)| *name == what).unwrap();
        engine(op, port).unwrap()(value)
            .unwrap_or_else(|e| panic!("{what} {value}: {e}"))
            .as_slice::<f32>()
            .unwrap()
            .to_vec()
    };
    for (value, element) in [(-3, 1.), (-1, 3.), (0, 1.), (2, 3.)] {
        assert_eq!(run("Gather", value), [element]);
        assert_eq!(run("GatherElements", value), [element]);
        assert_eq!(run("GatherND", value), [element]);
        let mut scattered = [1., 2., 3.];
        scattered[value.rem_euclid(3) as usize] = 9.;
        assert_eq!(run("ScatterND", value), scattered);
        assert_eq!(run("ScatterElements", value), scattered);
    }
    for (value, hot) in
        [(0, Some(0)), (3, Some(3)), (-1, Some(3)), (-4, Some(0)), (4, None), (-5, None), (i64::MAX, None)]
    {
        let mut row = [0.; 4];
        hot.iter().for_each(|i: &usize| row[*i] = 1.);
        assert_eq!(run("OneHot", value), row, "{value}");
    }
    // Ends beyond the data are cut.
    for (value, rows) in [(0, 0), (2, 2), (3, 3), (100, 3), (-1, 2), (-100, 0), (i64::MAX, 3)] {
        assert_eq!(run("Slice, end", value), [1., 2., 3.][..rows], "{value}");
    }
}

#[test]
fn what_panics_all_the_same_is_not_reported_by_the_hosts_hook() {
    // In a process of its own, since the hook is the process's.
    const CHILD: &str = "SELVEDGE_TEST_PANICS";
    if std::env::var_os(CHILD).is_some() {
        let fault =
            super::super::contain::contained(|| -> tract_onnx::prelude::TractResult<()> { panic!("inside of tract") });
        assert!(fault.is_err());
        assert!(std::panic::catch_unwind(|| panic!("the host's own")).is_err());
        return;
    }
    let name = "backend::tract::tests::out_of_range::what_panics_all_the_same_is_not_reported_by_the_hosts_hook";
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{words}");
    assert!(words.contains("the host's own") && !words.contains("inside of tract"), "{words}");
}

#[test]
fn an_engine_serves_on_after_a_refusal() {
    let gather = graph(vec![node("Gather", "x i", "y")], &["x f32 3", "i i64 1"], &["y f32 1"], vec![]);
    let engine = open(model(gather, &[]));
    let ask = |i| ask(&*engine as &dyn Engine, [("x", f32s(&[3], &[1., 2., 3.])), ("i", i64s(&[1], &[i]))]);
    assert_eq!(ask(2).unwrap(), f32s(&[1], &[3.]));
    assert_eq!(ask(7).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(ask(0).unwrap(), f32s(&[1], &[1.]));
}

#[test]
fn the_least_number_and_minus_one_may_stand_apart() {
    let divide = graph(vec![node("Div", "a b", "y")], &["a i64 2", "b i64 2"], &["y i64 2"], vec![]);
    let engine = open(model(divide, &[]));
    let ask = |b: [i64; 2]| ask(&*engine, [("a", i64s(&[2], &[i64::MIN, 4])), ("b", i64s(&[2], &b))]);
    assert_eq!(ask([2, -1]).unwrap(), i64s(&[2], &[i64::MIN / 2, -4]));
    assert_eq!(ask([-1, 2]).unwrap_err().code(), Code::InvalidArgument);
}
