//! Products of 8-bit integers with weights of the file: by the formula, and where tract's own take over.

use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::DataType;

use super::craft::{self, graph, model, node};
use super::{ask, open};
use crate::{Engine, Tensor};

/// A tensor of 8-bit integers.
pub(super) fn bytes(name: &str, dims: &[i64], signed: bool, bytes: &[u8]) -> TensorProto {
    let data_type = if signed { DataType::Int8 } else { DataType::Uint8 };
    TensorProto { raw_data: bytes.into(), ..craft::tensor(name, dims, data_type) }
}

fn number(byte: u8, signed: bool) -> i32 {
    if signed { i32::from(byte.cast_signed()) } else { i32::from(byte) }
}

/// Bytes of every kind, the ends among them.
fn noise(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|i| ((i + seed) * 167 % 256) as u8).collect()
}

/// `x` of one type or the other.
fn input(dims: &[usize], signed: bool, bytes: &[u8]) -> Tensor {
    if signed {
        Tensor::new(dims, bytes.iter().map(|byte| byte.cast_signed()).collect::<Vec<i8>>()).unwrap()
    } else {
        Tensor::new(dims, bytes.to_vec()).unwrap()
    }
}

const DEPTH: usize = 37;
const COLUMNS: usize = 19;

/// The product of `x` and `w`, row by row.
fn product(x: &[u8], w: &[u8], signed: [bool; 2], zero: u8, zeros: &dyn Fn(usize) -> u8) -> Vec<i32> {
    let rows = x.chunks_exact(DEPTH).flat_map(|row| {
        (0..COLUMNS).map(move |n| {
            let weight = |k: usize| number(w[k * COLUMNS + n], signed[1]) - number(zeros(n), signed[1]);
            row.iter().enumerate().map(|(k, x)| (number(*x, signed[0]) - number(zero, signed[0])) * weight(k)).sum()
        })
    });
    rows.collect()
}

fn engine_of(
    op: &str,
    inputs: &str,
    ports: &[&str],
    out: &str,
    initializers: Vec<TensorProto>,
) -> std::sync::Arc<dyn Engine> {
    open(model(graph(vec![node(op, inputs, "y")], ports, &[&format!("y {out}")], initializers), &[]))
}

#[test]
fn sums_are_those_of_the_formula() {
    let (x, w) = (noise(2 * 3 * DEPTH, 5), noise(DEPTH * COLUMNS, 11));
    let sizes = [DEPTH as i64, COLUMNS as i64];
    for signed in [[false, false], [false, true], [true, false], [true, true]] {
        let port = format!("x {} 2,n,{DEPTH}", if signed[0] { "i8" } else { "u8" });
        let weights = || bytes("w", &sizes, signed[1], &w);
        let of_column = noise(COLUMNS, 3);
        type Case<'a> = (&'a str, Vec<TensorProto>, u8, &'a dyn Fn(usize) -> u8);
        let one = |name, byte| bytes(name, &[], signed[usize::from(name == "b")], &[byte]);
        let cases: [Case<'_>; 4] = [
            ("x w", vec![], 0, &|_| 0),
            ("x w a", vec![one("a", 0x83)], 0x83, &|_| 0),
            ("x w a b", vec![one("a", 0x83), one("b", 0x79)], 0x83, &|_| 0x79),
            ("x w _ b", vec![bytes("b", &[COLUMNS as i64], signed[1], &of_column)], 0, &|n| of_column[n]),
        ];
        for (inputs, zeros, zero, of_weights) in cases {
            let initializers = [vec![weights()], zeros].concat();
            let engine = engine_of("MatMulInteger", inputs, &[&port], &format!("i32 2,n,{COLUMNS}"), initializers);
            let y = ask(&*engine, [("x", input(&[2, 3, DEPTH], signed[0], &x))]).unwrap();
            assert_eq!(&**y.shape(), [2, 3, COLUMNS]);
            assert_eq!(y.as_slice::<i32>().unwrap(), product(&x, &w, signed, zero, of_weights), "{inputs}, {signed:?}");
        }
    }
}

/// As `DynamicQuantizeLinear` gives it.
#[test]
fn a_zero_point_may_come_with_the_call() {
    let (x, w) = (noise(3 * DEPTH, 5), noise(DEPTH * COLUMNS, 11));
    let ports = [&*format!("x u8 m,{DEPTH}"), "a u8"];
    let weights = bytes("w", &[DEPTH as i64, COLUMNS as i64], true, &w);
    let engine = engine_of("MatMulInteger", "x w a", &ports, &format!("i32 m,{COLUMNS}"), vec![weights]);
    for zero in [0, 7, 128, 255] {
        let y = ask(&*engine, [("x", input(&[3, DEPTH], false, &x)), ("a", input(&[], false, &[zero]))]).unwrap();
        assert_eq!(y.as_slice::<i32>().unwrap(), product(&x, &w, [false, true], zero, &|_| 0), "{zero}");
    }
}

/// The weights are an input, or a layer for each batch.
#[test]
fn other_weights_are_left_to_tract() {
    let (x, w) = (noise(3 * DEPTH, 5), noise(DEPTH * COLUMNS, 11));
    let ports = [&*format!("x u8 3,{DEPTH}"), &*format!("w u8 {DEPTH},{COLUMNS}")];
    let engine = engine_of("MatMulInteger", "x w", &ports, &format!("i32 3,{COLUMNS}"), vec![]);
    let expected = product(&x, &w, [false; 2], 0, &|_| 0);
    let of_call = input(&[DEPTH, COLUMNS], false, &w);
    let y = ask(&*engine, [("x", input(&[3, DEPTH], false, &x)), ("w", of_call)]).unwrap();
    assert_eq!(y.as_slice::<i32>().unwrap(), expected);

    let twice = bytes("w", &[2, DEPTH as i64, COLUMNS as i64], false, &[&*w, &*w].concat());
    let port = format!("x u8 2,3,{DEPTH}");
    let engine = engine_of("MatMulInteger", "x w", &[&port], &format!("i32 2,3,{COLUMNS}"), vec![twice]);
    let y = ask(&*engine, [("x", input(&[2, 3, DEPTH], false, &[&*x, &*x].concat()))]).unwrap();
    assert_eq!(y.as_slice::<i32>().unwrap(), [&*expected, &*expected].concat());
}

#[test]
fn requantized_sums_are_rounded_to_even_and_saturate() {
    let (x, w) = (noise(4 * DEPTH, 5), noise(DEPTH * COLUMNS, 11));
    let (zero, of_weights, of_outputs) = (120, 130, 100);
    // So that quotients have halves, and some are beyond a byte.
    for (signed, weight_scales) in
        [(false, vec![0.25_f32]), (true, (0..COLUMNS).map(|n| 0.125 * (n % 3 + 1) as f32).collect())]
    {
        let lens = [weight_scales.len() as i64];
        let dims: &[i64] = if weight_scales.len() == 1 { &[] } else { &lens };
        let initializers = vec![
            craft::f32s("as", &[], &[0.5]),
            bytes("az", &[], signed, &[zero]),
            bytes("w", &[DEPTH as i64, COLUMNS as i64], signed, &w),
            craft::f32s("ws", dims, &weight_scales),
            bytes("wz", dims, signed, &vec![of_weights; weight_scales.len()]),
            craft::f32s("ys", &[], &[64.0]),
            bytes("yz", &[], signed, &[of_outputs]),
        ];
        let element = if signed { "i8" } else { "u8" };
        let port = format!("x {element} 4,{DEPTH}");
        let engine = engine_of(
            "QLinearMatMul",
            "x as az w ws wz ys yz",
            &[&port],
            &format!("{element} 4,{COLUMNS}"),
            initializers,
        );
        let y = ask(&*engine, [("x", input(&[4, DEPTH], signed, &x))]).unwrap();
        let sums = product(&x, &w, [signed; 2], zero, &|_| of_weights);
        let expected = sums.iter().enumerate().map(|(i, sum)| {
            let scale = f64::from(weight_scales[i % COLUMNS % weight_scales.len()]) * 0.5 / 64.0;
            let (low, high) = if signed { (-128.0, 127.0) } else { (0.0, 255.0) };
            let rounded = (f64::from(*sum) * scale).round_ties_even() + f64::from(number(of_outputs, signed));
            rounded.clamp(low, high) as i32
        });
        let expected: Vec<i32> = expected.collect();
        let got: Vec<i32> = if signed {
            y.as_slice::<i8>().unwrap().iter().map(|v| i32::from(*v)).collect()
        } else {
            y.as_slice::<u8>().unwrap().iter().map(|v| i32::from(*v)).collect()
        };
        assert_eq!(got, expected, "{element}");
        let ends = if signed { [-128, 127] } else { [0, 255] };
        assert!(ends.iter().any(|end| expected.contains(end)), "{expected:?}");
    }
}
