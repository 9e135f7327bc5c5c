//! The weights of LSTM, GRU and RNN.

use super::craft::{Craft, weights};
use super::{Packed, formats, given, in_arena, kept, read};
use crate::onnx::{FLOAT, Graph, NewNode, put, put_int};
use crate::pack::{Packing, Runtime, Scheme};

const HIDDEN: usize = 32;
const WIDTH: usize = 40;

fn layer(op: &str, gates: usize, directions: usize, size: f32) -> Craft {
    let rows = (directions * gates * HIDDEN) as i64;
    let [w, r] = [WIDTH, HIDDEN].map(|n| weights(rows as usize * n).iter().map(|w| w * size).collect::<Vec<_>>());
    let (ways, rows) = (directions as i64, rows / directions as i64);
    let inputs = &["x", "W", "R", "B"];
    Craft::new()
        .input("x", FLOAT, &[0, 1, WIDTH as i64])
        .node_with(NewNode { op, inputs, output: "y", ints: &[("hidden_size", HIDDEN as i64)], ..<_>::default() })
        .weight("W", &[ways, rows, WIDTH as i64], &w)
        .weight("R", &[ways, rows, HIDDEN as i64], &r)
        .weight("B", &[ways, 2 * rows], &weights(2 * directions * rows as usize))
        .output("y", &[0, ways, 1, HIDDEN as i64])
}

const LAYERS: [(&str, usize); 3] = [("LSTM", 4), ("GRU", 3), ("RNN", 1)];

#[test]
fn gates_become_blocks_along_what_they_sum_over() {
    for ((op, gates), directions) in LAYERS.into_iter().flat_map(|l| [1, 2].map(|d| (l, d))) {
        let craft = layer(op, gates, directions, 1.0);
        let rows = directions * gates * HIDDEN;
        for (scheme, format) in [(Scheme::Int4, "q4_0"), (Scheme::Int8, "q8_0"), (Scheme::F16, "f16")] {
            let packed = Packed::of(craft.model(), &Packing::new(scheme).mean_bits(4.5));
            let report = packed.report();
            assert_eq!(
                formats(&craft, &Packing::new(scheme).mean_bits(4.5)),
                [format!("W {format}"), format!("R {format}")]
            );
            assert_eq!(report.packed[0].operators, [op]);
            let file = packed.file();
            if scheme != Scheme::F16 {
                assert_eq!(file.tensor("W").unwrap().shape()[..], [rows, 64], "a row is padded to whole blocks");
                assert_eq!(file.tensor("R").unwrap().shape()[..], [rows, HIDDEN]);
                for runtime in [Runtime::Tract, Runtime::Ort] {
                    let given = given(&packed, runtime);
                    let graph = Graph::read(given.graph.as_slice()).unwrap();
                    assert_eq!(graph.nodes.iter().map(|n| n.op).collect::<Vec<_>>(), [op], "it reads floats");
                    assert_eq!(in_arena(&given, "W"), read(&file, "W", WIDTH));
                    assert_eq!(in_arena(&given, "R"), read(&file, "R", HIDDEN));
                    let w = graph.initializers.iter().find(|t| t.name == "W").unwrap();
                    assert_eq!(w.dims, [directions as i64, (gates * HIDDEN) as i64, WIDTH as i64]);
                }
            }
            for tensor in &report.packed {
                assert!(tensor.row_error > 0.0 && tensor.row_error < 0.15, "{op}: {tensor:?}");
            }
        }
    }
}

#[test]
fn biases_stay_and_a_layer_of_them_is_told() {
    let report = |packing: &Packing| Packed::of(layer("GRU", 3, 1, 1.0).model(), packing).report().clone();
    let int8 = Packing::new(Scheme::Int8);
    let all = report(&int8);
    assert_eq!(kept(&all, "B"), "it has only 192 elements");
    assert_eq!(kept(&report(&int8.clone().min_elements(1)), "B"), "GRU reads it as input 3 of rank 2");
    assert!(!all.keeps_most(), "{all:?}");
    // Half of the bytes and more are those of W, which stays.
    assert!(report(&int8.clone().keep("W")).keeps_most());
    let half = Packing::new(Scheme::F16);
    assert!(!report(&half).keeps_most(), "half precision leaves half");
    assert!(report(&half.keep("W")).keeps_most());
}

#[test]
fn gates_of_any_size_are_scaled_for_both_runtimes() {
    for size in [1e-9f32, 1e12] {
        let packed = Packed::of(layer("LSTM", 4, 1, size).model(), &Packing::new(Scheme::Int8));
        let scale = packed.report().packed[0].scale;
        assert!(scale != 1.0, "{:?}", packed.report());
        let expected: Vec<f32> = read(&packed.file(), "W", WIDTH).iter().map(|w| w * scale).collect();
        let exact = weights(4 * HIDDEN * WIDTH);
        for runtime in [Runtime::Tract, Runtime::Ort] {
            let got = in_arena(&given(&packed, runtime), "W");
            assert_eq!(got, expected);
            assert!(got.iter().zip(&exact).all(|(g, w)| (g / size - w).abs() < 0.01), "{size:e}");
        }
    }
}

/// As voice detectors have theirs, one branch for each rate.
#[test]
fn weights_of_sub_graphs_are_told() {
    let inner = |name: &str| {
        let mut branch = Craft::new().node("MatMul", &["x", name], "y").output("y", &[0, 64]);
        branch = branch.weight(name, &[64, 64], &weights(64 * 64));
        let mut attribute = Vec::new();
        put(&mut attribute, 1, format!("{name}_branch").as_bytes());
        put(&mut attribute, 6, &branch.fields);
        put_int(&mut attribute, 20, 5);
        attribute
    };
    let mut node = Vec::new();
    put(&mut node, 1, b"yes");
    put(&mut node, 2, b"y");
    put(&mut node, 4, b"If");
    ["then", "else"].iter().for_each(|name| put(&mut node, 5, &inner(name)));
    let mut craft = Craft::new().input("x", FLOAT, &[0, 64]).input("yes", 9, &[]).output("y", &[0, 64]);
    put(&mut craft.fields, 1, &node);
    let craft = craft.weight("b", &[8], &weights(8));
    let error = Packed::of(craft.model(), &Packing::new(Scheme::Int8)).error();
    let expected =
        "there is nothing to pack: most of its bytes lie in sub-graphs, or are no weights; 'b': it has only 8";
    assert!(error.message().starts_with(expected), "{error}");
}
