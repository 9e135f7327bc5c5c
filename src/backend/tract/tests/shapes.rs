//! PlanCache for shapes, for values, and for anything.

use std::sync::Arc;

use super::super::{Model, load};
use super::craft::{self, graph, int, ints, model, node};
use super::{ask, data, f32s, i64s, integers, open, options, refused};
use crate::backend::model::OnnxModel;
use crate::source::OpenedFile;
use crate::{Call, Code, Engine, Loading, Request, Source, Step, Tensor, Tensors, Trim};

fn loaded(source: impl Into<Source>, loading: Loading) -> Model {
    let options = options().loading(loading);
    let file = OpenedFile::open(source.into(), loading).unwrap();
    load(&OnnxModel::open(file, &options).unwrap(), &options, false).unwrap()
}

/// Runs on a model whose plans can be looked at.
fn run(model: &Arc<Model>, inputs: Vec<(&str, Tensor)>) -> Tensor {
    let engine = super::super::Tract(model.clone());
    let mut run = engine.start(Request::from(Tensors::new(inputs)), Call::new()).unwrap();
    let Step::Done(mut answer) = run.step().unwrap() else { panic!("one step") };
    answer.outputs.swap_remove(0).1
}

/// The answer of linear.onnx, whose weights stand in tests/data/make.py.
fn linear(x: &[f32]) -> Vec<f32> {
    const W: [[f32; 3]; 4] = [[1., 0., -1.], [0.5, 2., 0.], [-3., 0.25, 1.], [0., -1., 4.]];
    let y = |row: &[f32], j: usize| [0.5, -1., 2.][j] + row.iter().zip(&W).map(|(x, w)| x * w[j]).sum::<f32>();
    x.chunks(4).flat_map(|row| [y(row, 0), y(row, 1), y(row, 2)]).collect()
}

#[test]
fn many_shapes_end_in_one_plan() {
    let model = Arc::new(loaded(data("linear.onnx"), Loading::Mapped));
    for round in 0..2 {
        for n in 1..10 {
            let x: Vec<f32> = (0..n * 4).map(|i| i as f32 - 3.5).collect();
            let y = run(&model, vec![("x", f32s(&[n, 4], &x))]);
            assert_eq!(y, f32s(&[n, 3], &linear(&x)), "{n} rows, round {round}");
        }
        assert_eq!(model.plans.kinds(), (4, 1));
    }
}

#[test]
fn where_there_is_no_plan_for_all_shapes_the_oldest_makes_room() {
    let model = Arc::new(loaded(super::branches::squeeze_if_one(), Loading::Mapped));
    for m in [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 2, 11] {
        let x = f32s(&[1, m], &vec![m as f32; m]);
        assert_eq!(run(&model, vec![("x", x.clone())]), x);
    }
    assert_eq!(model.plans.kinds(), (8, 0));
}

#[test]
fn a_plan_for_all_shapes_takes_no_symbol_for_a_number() {
    // y = 1 if the last dimension is 1, else 0, for any number of dimensions: both branches have its shape.
    let nodes = vec![
        node("Shape", "x", "shape"),
        node("Gather", "shape one", "m"),
        node("Equal", "m one", "is_one"),
        int(node("Cast", "is_one", "y"), "to", 1),
    ];
    let bytes = model(graph(nodes, &["x f32 n,m"], &["y f32"], vec![craft::i64s("one", &[], &[1])]), &[]);
    let model = Arc::new(loaded(bytes, Loading::Mapped));
    for m in [2, 3, 4, 5, 6, 7, 8, 1] {
        let y = run(&model, vec![("x", f32s(&[1, m], &vec![0.; m]))]);
        assert_eq!(y, f32s(&[], &[if m == 1 { 1. } else { 0. }]), "m = {m}");
    }
}

#[test]
fn trimmed_plans_are_made_again() {
    let model = Arc::new(loaded(data("linear.onnx"), Loading::Mapped));
    let x = |n: usize| vec![("x", f32s(&[n, 4], &vec![1.; n * 4]))];
    let before: Vec<Tensor> = (1..4).map(|n| run(&model, x(n))).collect();
    assert_eq!(model.plans.kinds(), (3, 0));
    assert!(model.plans.trim(Trim::Caches) > 0);
    assert_eq!(model.plans.kinds(), (1, 0));
    assert!(model.plans.trim(Trim::All) > 0);
    assert_eq!(model.plans.kinds(), (0, 0));
    assert_eq!(model.plans.trim(Trim::All), 0);
    let after: Vec<Tensor> = (1..4).map(|n| run(&model, x(n))).collect();
    assert_eq!(before, after);
}

#[test]
fn plans_share_what_they_hold() {
    let table = craft::f32s("table", &[4096, 4], &[0.5; 16384]);
    let bytes = model(graph(vec![node("Gather", "table i", "y")], &["i i64 n"], &["y f32 n,4"], vec![table]), &[]);
    let model = Arc::new(loaded(bytes, Loading::Mapped));
    for n in 1..4 {
        run(&model, vec![("i", i64s(&[n], &vec![1; n]))]);
    }
    assert_eq!(model.plans.kinds(), (3, 0));
    let freed = model.plans.trim(Trim::All);
    assert!((65536..100_000).contains(&freed), "{freed} bytes");
}

#[test]
fn plans_share_packed_weights() {
    let weights = integers::bytes("w", &[512, 512], true, &[7; 512 * 512]);
    let product = node("MatMulInteger", "x w", "y");
    let bytes = model(graph(vec![product], &["x u8 n,512"], &["y i32 n,512"], vec![weights]), &[]);
    let model = Arc::new(loaded(bytes, Loading::Mapped));
    for n in 1..4 {
        let y = run(&model, vec![("x", Tensor::new(&[n, 512], vec![2u8; n * 512]).unwrap())]);
        assert!(y.as_slice::<i32>().unwrap().iter().all(|sum| *sum == 7 * 2 * 512));
    }
    assert!(model.plans.kinds().0 > 1, "{:?}", model.plans.kinds());
    let freed = model.plans.trim(Trim::All);
    assert!((262_144..300_000).contains(&freed), "{freed} bytes");
}

#[test]
fn fixed_shapes_are_planned_at_open() {
    let negate = model(graph(vec![node("Neg", "x", "y")], &["x f32 2,3"], &["y f32 2,3"], vec![]), &[]);
    let x = || vec![("x", f32s(&[2, 3], &[1., 2., 3., 4., 5., 6.]))];
    let y = f32s(&[2, 3], &[-1., -2., -3., -4., -5., -6.]);
    let model = Arc::new(loaded(negate.clone(), Loading::Mapped));
    assert_eq!(model.plans.kinds(), (1, 0));
    model.plans.trim(Trim::All);
    assert_eq!(model.plans.kinds(), (0, 0));
    assert_eq!(run(&model, x()), y);
    // Bytes that were read are given back: there is nothing to make the plan again from.
    let model = Arc::new(loaded(negate, Loading::Read));
    assert_eq!(model.plans.trim(Trim::All), 0);
    assert_eq!(model.plans.kinds(), (1, 0));
    assert_eq!(run(&model, x()), y);
}

#[test]
fn what_is_wrong_with_fixed_shapes_is_told_at_open() {
    let product = graph(vec![node("MatMul", "a b", "y")], &["a f32 2,3", "b f32 2,4"], &["y f32 2,4"], vec![]);
    let error = refused(model(product, &[]));
    assert_eq!(error.code(), Code::Unsupported);
    assert!(error.to_string().contains("a: [2, 3], b: [2, 4]"), "{error}");
}

#[test]
fn an_input_may_be_a_shape() {
    let reshape = graph(vec![node("Reshape", "x s", "y")], &["x f32 n", "s i64 2"], &["y f32 a,b"], vec![]);
    let engine = open(model(reshape, &[]));
    for (a, b) in [(2, 3), (3, 2), (6, 1), (2, 3)] {
        let values = [1., 2., 3., 4., 5., 6.];
        let inputs = [("x", f32s(&[6], &values)), ("s", i64s(&[2], &[a, b]))];
        assert_eq!(ask(&*engine, inputs).unwrap(), f32s(&[a as usize, b as usize], &values));
    }
}

#[test]
fn an_input_may_be_where_to_cut() {
    // tract plans this, but cannot run the plan without the values.
    let slice =
        graph(vec![node("Slice", "x from to", "y")], &["x f32 6", "from i64 1", "to i64 1"], &["y f32 n"], vec![]);
    let engine = open(model(slice, &[]));
    for (from, to) in [(0, 2), (2, 5), (1, 2)] {
        let inputs =
            [("x", f32s(&[6], &[0., 1., 2., 3., 4., 5.])), ("from", i64s(&[1], &[from])), ("to", i64s(&[1], &[to]))];
        let expected: Vec<f32> = (from..to).map(|v| v as f32).collect();
        assert_eq!(ask(&*engine, inputs).unwrap(), f32s(&[expected.len()], &expected));
    }
}

#[test]
fn an_input_with_a_default_may_be_given() {
    let default = vec![craft::f32s("w", &[2], &[10., 20.]), craft::f32s("v", &[2], &[10., 20.])];
    let nodes = vec![node("Add", "x w", "xw"), node("Sub", "xw v", "y")];
    let engine = open(model(graph(nodes, &["x f32 2", "w f32 2", "v f32 2"], &["y f32 2"], default), &[]));
    assert!(engine.spec().inputs.iter().map(|p| p.optional).eq([false, true, true]));
    let x = || ("x", f32s(&[2], &[1., 2.]));
    assert_eq!(ask(&*engine, [x()]).unwrap(), f32s(&[2], &[1., 2.]));
    // The two defaults are equal, but two.
    let w = || ("w", f32s(&[2], &[100., 200.]));
    assert_eq!(ask(&*engine, [x(), w()]).unwrap(), f32s(&[2], &[91., 182.]));
    assert_eq!(ask(&*engine, [x(), w(), ("v", f32s(&[2], &[0., 0.]))]).unwrap(), f32s(&[2], &[101., 202.]));
    assert_eq!(ask(&*engine, [x()]).unwrap(), f32s(&[2], &[1., 2.]));
}

#[test]
fn threads_that_bring_new_shapes_at_once_get_their_own_answers() {
    let engine = open(data("linear.onnx"));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let engine = &engine;
            scope.spawn(move || {
                for call in 0..50 {
                    let n = 1 + (thread + call) % 7;
                    let x: Vec<f32> = (0..n * 4).map(|i| (i + thread) as f32).collect();
                    let y = ask(&**engine, [("x", f32s(&[n, 4], &x))]).unwrap();
                    assert_eq!(y, f32s(&[n, 3], &linear(&x)));
                }
            });
        }
    });
}

#[test]
fn symbols_are_names_and_not_formulas() {
    // A parser of formulas would recurse a million deep, and 0/0 is none.
    for name in ["(".repeat(1_000_000), "0/0".into(), "2*n+1".into(), "batch size".into()] {
        let mut relu = graph(vec![node("Relu", "x", "y")], &["x f32 n"], &["y f32 n"], vec![]);
        rename(&mut relu.input[0], &name);
        let engine = open(model(relu, &[]));
        for n in 1..7 {
            assert_eq!(ask(&*engine, [("x", f32s(&[n], &vec![-1.; n]))]).unwrap(), f32s(&[n], &vec![0.; n]));
        }
    }
}

fn rename(port: &mut tract_onnx::pb::ValueInfoProto, symbol: &str) {
    use tract_onnx::pb::tensor_shape_proto::dimension::Value::DimParam;
    use tract_onnx::pb::type_proto::Value::TensorType;
    let Some(TensorType(tensor)) = port.r#type.as_mut().unwrap().value.as_mut() else { panic!("a tensor") };
    tensor.shape.as_mut().unwrap().dim[0].value = Some(DimParam(symbol.into()));
}

#[test]
fn names_of_nodes_may_repeat() {
    let mut nodes = vec![node("Neg", "x", "a"), node("Neg", "a", "b"), node("Neg", "b", "y")];
    for node in &mut nodes {
        node.name = "x".into();
    }
    let engine = open(model(graph(nodes, &["x f32 n"], &["y f32 n"], vec![]), &[]));
    assert_eq!(ask(&*engine, [("x", f32s(&[1], &[3.]))]).unwrap(), f32s(&[1], &[-3.]));
}

#[test]
fn a_pool_at_the_border_is_no_attack() {
    let pool = ints(ints(node("MaxPool", "x", "y"), "kernel_shape", &[3]), "pads", &[1, 1]);
    let engine = open(model(graph(vec![pool], &["x f32 1,1,n"], &["y f32 1,1,n"], vec![]), &[]));
    let y = ask(&*engine, [("x", f32s(&[1, 1, 4], &[1., 4., 2., 3.]))]).unwrap();
    assert_eq!(y, f32s(&[1, 1, 4], &[4., 4., 4., 3.]));
}

/// A text model of the corpus: texts of ever new lengths are served by few plans.
#[test]
fn texts_of_any_length_end_in_one_plan() {
    let Some(corpus) = std::env::var_os("SELVEDGE_CORPUS") else { return };
    let file = std::path::Path::new(&corpus).join("minilm-onnx/all-MiniLM-L6-v2.onnx");
    let model = Arc::new(loaded(file, Loading::Mapped));
    for len in 4..14 {
        let ids: Vec<i64> = (0..len as i64).map(|i| 1000 + 7 * i).collect();
        let inputs = model.spec.inputs.iter().map(|port| {
            let values = match &*port.name {
                "input_ids" => ids.clone(),
                "attention_mask" => vec![1; len],
                _ => vec![0; len],
            };
            (&*port.name, i64s(&[1, len], &values))
        });
        assert_eq!(run(&model, inputs.collect()).shape().elements() % 384, 0);
    }
    assert_eq!(model.plans.kinds(), (1, 1));
}
