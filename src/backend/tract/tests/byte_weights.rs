//! Weights of 8 bits that become numbers for a product: by the formula, whatever is made of them.

use super::craft::{self, graph, int, model, node};
use super::integers::bytes;
use super::{ask, f32s, i64s, open};
use crate::Tensor;

const DEPTH: usize = 70;
const COLUMNS: usize = 65;

fn weights() -> Vec<u8> {
    (0..DEPTH * COLUMNS).map(|i| (i * 167 % 256) as u8).collect()
}

fn x() -> Tensor {
    let values: Vec<f32> = (0..3 * DEPTH).map(|i| (i as f32 * 0.37).sin()).collect();
    f32s(&[3, DEPTH], &values)
}

/// The product with weights `(w - zero) · scale`.
#[track_caller]
fn check(got: &Tensor, signed: bool, zero: &dyn Fn(usize) -> f64, scale: &dyn Fn(usize, usize) -> f64) {
    let (x, w) = (x(), weights());
    let number = |byte: u8| if signed { f64::from(byte.cast_signed()) } else { f64::from(byte) };
    for (i, got) in got.as_slice::<f32>().unwrap().iter().enumerate() {
        let (m, n) = (i / COLUMNS, i % COLUMNS);
        let expected: f64 = (0..DEPTH)
            .map(|k| {
                let x = f64::from(x.as_slice::<f32>().unwrap()[m * DEPTH + k]);
                x * (number(w[k * COLUMNS + n]) - zero(n)) * scale(k, n)
            })
            .sum();
        assert!((f64::from(*got) - expected).abs() < 1e-3, "{m}, {n}: {got}, expected {expected}");
    }
}

#[test]
fn scaled_integers_are_multiplied_by_the_formula() {
    let of_column: Vec<f32> = (0..COLUMNS).map(|n| 0.01 + n as f32 / 1000.0).collect();
    let of_row: Vec<f32> = (0..DEPTH).map(|k| 0.01 + k as f32 / 1000.0).collect();
    let (columns, rows) = (COLUMNS as i64, DEPTH as i64);
    type Scale<'a> = (&'a [i64], &'a [f32], &'a dyn Fn(usize, usize) -> f64);
    let (each, row) = (|_, n: usize| f64::from(of_column[n]), |k: usize, _| f64::from(of_row[k]));
    let scales: [Scale<'_>; 5] = [
        (&[], &[0.02], &|_, _| f64::from(0.02_f32)),
        (&[1], &[0.02], &|_, _| f64::from(0.02_f32)),
        (&[columns], &of_column, &each),
        (&[1, columns], &of_column, &each),
        // A scale for each row is left to tract.
        (&[rows, 1], &of_row, &row),
    ];
    for (dims, values, scale) in scales {
        for (signed, order) in [(true, "wide s"), (false, "s wide")] {
            let nodes =
                vec![int(node("Cast", "w", "wide"), "to", 1), node("Mul", order, "b"), node("MatMul", "x b", "y")];
            let initializers = vec![bytes("w", &[rows, columns], signed, &weights()), craft::f32s("s", dims, values)];
            let ports = [&*format!("x f32 m,{DEPTH}")];
            let engine = open(model(graph(nodes, &ports, &[&format!("y f32 m,{COLUMNS}")], initializers), &[]));
            check(&ask(&*engine, [("x", x())]).unwrap(), signed, &|_| 0.0, scale);
        }
    }
}

#[test]
fn dequantized_integers_are_multiplied_by_the_formula() {
    let of_column: Vec<f32> = (0..COLUMNS).map(|n| 0.01 + n as f32 / 1000.0).collect();
    let zeros: Vec<u8> = (0..COLUMNS).map(|n| (n * 3) as u8).collect();
    let (columns, rows) = (COLUMNS as i64, DEPTH as i64);
    for signed in [true, false] {
        let w = || bytes("w", &[rows, columns], signed, &weights());
        let zero = |byte: u8| if signed { f64::from(byte.cast_signed()) } else { f64::from(byte) };
        let product = |inputs: &str, initializers| {
            let nodes = vec![node("DequantizeLinear", inputs, "b"), node("MatMul", "x b", "y")];
            let ports = [&*format!("x f32 m,{DEPTH}")];
            let engine = open(model(graph(nodes, &ports, &[&format!("y f32 m,{COLUMNS}")], initializers), &[]));
            ask(&*engine, [("x", x())]).unwrap()
        };
        let one = product("w s z", vec![w(), craft::f32s("s", &[], &[0.02]), bytes("z", &[], signed, &[200])]);
        check(&one, signed, &|_| zero(200), &|_, _| f64::from(0.02_f32));
        let initializers = vec![w(), craft::f32s("s", &[columns], &of_column), bytes("z", &[columns], signed, &zeros)];
        check(&product("w s z", initializers), signed, &|n| zero(zeros[n]), &|_, n| f64::from(of_column[n]));
    }
}

/// Rows of a table are what they were, to the last bit, from the front and from the end.
#[test]
fn rows_are_picked_before_they_become_numbers() {
    let of_row: Vec<f32> = (0..DEPTH).map(|k| 0.01 + k as f32 / 1000.0).collect();
    let of_column: Vec<f32> = (0..COLUMNS).map(|n| 0.01 + n as f32 / 1000.0).collect();
    let (columns, rows) = (COLUMNS as i64, DEPTH as i64);
    type Scale<'a> = (&'a [i64], &'a [f32], &'a dyn Fn(usize, usize) -> f32);
    let scales: [Scale<'_>; 4] = [
        (&[rows, 1], &of_row, &|k, _| of_row[k]),
        (&[columns], &of_column, &|_, n| of_column[n]),
        (&[1, columns], &of_column, &|_, n| of_column[n]),
        (&[], &[0.02], &|_, _| 0.02),
    ];
    for (dims, values, scale) in scales {
        let nodes = vec![
            int(node("Cast", "w", "wide"), "to", 1),
            node("Mul", "wide s", "table"),
            int(node("Gather", "table i", "y"), "axis", 0),
        ];
        let initializers = vec![bytes("w", &[rows, columns], true, &weights()), craft::f32s("s", dims, values)];
        let outputs = [&*format!("y f32 a,b,{COLUMNS}")];
        let engine = open(model(graph(nodes, &["i i64 a,b"], &outputs, initializers), &[]));
        let picked = [3, -1, 0, 69, 3, -70];
        let y = ask(&*engine, [("i", i64s(&[2, 3], &picked))]).unwrap();
        assert_eq!(&**y.shape(), [2, 3, COLUMNS]);
        let w = weights();
        let expected = picked.iter().flat_map(|row| {
            let row = row.rem_euclid(rows) as usize;
            let w = &w;
            (0..COLUMNS).map(move |n| f32::from(w[row * COLUMNS + n].cast_signed()) * scale(row, n))
        });
        assert_eq!(y.as_slice::<f32>().unwrap(), expected.collect::<Vec<f32>>(), "{dims:?}");
    }
}

/// Numbers that something else wants stay.
#[test]
fn weights_may_be_used_twice() {
    let nodes = vec![
        int(node("Cast", "w", "wide"), "to", 1),
        node("Mul", "wide s", "b"),
        node("MatMul", "x b", "y"),
        node("Identity", "b", "numbers"),
    ];
    let (columns, rows) = (COLUMNS as i64, DEPTH as i64);
    let initializers = vec![bytes("w", &[rows, columns], true, &weights()), craft::f32s("s", &[], &[0.5])];
    let outputs = [&*format!("y f32 m,{COLUMNS}"), &*format!("numbers f32 {DEPTH},{COLUMNS}")];
    let engine = open(model(graph(nodes, &[&format!("x f32 m,{DEPTH}")], &outputs, initializers), &[]));
    let answer = crate::Ask::run(&*engine, crate::Tensors::from([("x", x())])).unwrap();
    check(&answer.outputs[0].1, true, &|_| 0.0, &|_, _| 0.5);
    let numbers = answer.output("numbers").unwrap().as_slice::<f32>().unwrap();
    let expected = weights().iter().map(|byte| f32::from(byte.cast_signed()) * 0.5).collect::<Vec<f32>>();
    assert_eq!(numbers, expected);
}
