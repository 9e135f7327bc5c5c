//! Shapes, folding and buffers of graphs made by hand.

use super::Footprint;
use super::arena::Arena;
use crate::onnx::{NewNode, inline_tensor, put, put_int};

/// `ValueInfoProto` of an f32 tensor as a field of a graph; a dimension 0 is left open.
fn value(tag: u32, name: &str, dims: &[i64]) -> Vec<u8> {
    let (mut shape, mut tensor, mut kind, mut info, mut out) = (vec![], vec![], vec![], vec![], vec![]);
    for dim in dims {
        let mut one = Vec::new();
        if *dim != 0 {
            put_int(&mut one, 1, *dim);
        }
        put(&mut shape, 1, &one);
    }
    put_int(&mut tensor, 1, 1);
    put(&mut tensor, 2, &shape);
    put(&mut kind, 1, &tensor);
    put(&mut info, 1, name.as_bytes());
    put(&mut info, 2, &kind);
    put(&mut out, tag, &info);
    out
}

fn tensor(name: &str, element: i64, dims: &[i64], data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, 5, &inline_tensor(name, element, dims, data));
    out
}

fn node(op: &str, inputs: &[&str], output: &str, lists: &[(&str, &[i64])]) -> Vec<u8> {
    let mut out = Vec::new();
    NewNode { op, inputs, output, lists, ..NewNode::default() }.put(&mut out);
    out
}

fn footprint(graph: &[Vec<u8>]) -> Footprint {
    let (mut model, mut opset) = (Vec::new(), Vec::new());
    put_int(&mut opset, 2, 17);
    put_int(&mut model, 1, 8);
    put(&mut model, 8, &opset);
    put(&mut model, 7, &graph.concat());
    Footprint::of(&model, &crate::onnx::read(&model).unwrap())
}

#[test]
fn a_map_counts_at_its_size() {
    let conv = node("Conv", &["x", "w"], "y", &[("pads", &[1; 4])]);
    let pool = node("MaxPool", &["y"], "z", &[("kernel_shape", &[2, 2]), ("strides", &[2, 2])]);
    let w = tensor("w", 1, &[16, 3, 3, 3], &[0; 16 * 27 * 4]);
    let got = footprint(&[conv, pool, w, value(11, "x", &[1, 3, 320, 320]), value(12, "z", &[])]);
    let map = 16 * 320 * 320 * 4;
    assert_eq!((got.weights, got.nodes), (16 * 27 * 4, 2));
    // A second run begins with the younger of two regions that are as large.
    assert_eq!(got.buffers, 2 * map);
    assert_eq!(got.arena, 2 * (8 << 20) / 32);
}

#[test]
fn an_activation_takes_the_place_of_what_is_known_to_be_of_its_shape() {
    let nodes = [node("Neg", &["x"], "a", &[]), node("Relu", &["a"], "b", &[]), node("ReduceMax", &["b"], "y", &[])];
    let of = |dims: &[i64]| footprint(&[nodes.concat(), value(11, "x", dims), value(12, "y", &[])]).buffers;
    assert_eq!(of(&[1, 128, 64]), 128 * 64 * 4 + 256);
    assert_eq!(of(&[1, 0, 64]), 2 * 128 * 64 * 4, "a dimension without a name may be another one each time");
}

#[test]
fn nodes_run_when_they_are_needed_the_newest_first() {
    let weights: Vec<Vec<u8>> = ["p", "q"].iter().map(|name| tensor(name, 3, &[512, 512], &[1; 1 << 18])).collect();
    let scale = tensor("s", 1, &[], &[0; 4]);
    let dequantize = |name: &str, to: &str| node("DequantizeLinear", &[name, "s"], to, &[]);
    let nodes = [
        dequantize("p", "f"),
        node("MatMul", &["x", "f"], "h", &[]),
        dequantize("q", "g"),
        node("MatMul", &["h", "g"], "y", &[]),
    ];
    let got = footprint(&[nodes.concat(), weights.concat(), scale, value(11, "x", &[1, 512]), value(12, "y", &[])]);
    // The weights of the last product are ready before those of the first, and wait.
    assert_eq!(got.buffers, 2 * (1 << 20) + 2 * 512 * 4);
}

#[test]
fn a_dimension_left_open_has_a_size() {
    let of =
        |dims: &[i64]| footprint(&[node("Neg", &["x"], "y", &[]), value(11, "x", dims), value(12, "y", &[])]).buffers;
    assert_eq!(of(&[0, 1000]), 4000u64.next_multiple_of(256));
    assert_eq!(of(&[0, 0, 10]), 128 * 10 * 4);
    assert_eq!(of(&[0, 3, 0, 0]), 3 * 224 * 224 * 4);
}

#[test]
fn weights_that_are_computed_from_weights_count_as_what_they_become() {
    let (cast, mul) =
        (NewNode { op: "Cast", inputs: &["b"], output: "f", ints: &[("to", 1)], ..NewNode::default() }, "Mul");
    let mut graph = Vec::new();
    cast.put(&mut graph);
    let nodes = [graph, node(mul, &["f", "s"], "w", &[]), node("MatMul", &["x", "w"], "y", &[])];
    let weights = [tensor("b", 3, &[64, 64], &[1; 4096]), tensor("s", 1, &[], &[0; 4])];
    let got = footprint(&[nodes.concat(), weights.concat(), value(11, "x", &[1, 64]), value(12, "y", &[])]);
    assert_eq!((got.weights, got.nodes, got.dequantized), (4096 * 4, 1, 0));
}

#[test]
fn sizes_that_no_machine_has_do_not_overflow() {
    let huge = i64::MAX;
    let nodes = [
        node("MatMul", &["x", "x"], "y", &[]),
        node("Concat", &["y", "x"], "z", &[]),
        node("Add", &["z", "y"], "w", &[]),
    ];
    let got = footprint(&[nodes.concat(), value(11, "x", &[huge, huge, huge]), value(12, "w", &[])]);
    assert!(got.buffers > 1 << 60);
}

#[test]
fn an_arena_takes_the_smallest_chunk_that_fits() {
    let mut arena = Arena::new();
    let [a, b, c] = [300, 700_000, 1000].map(|bytes| arena.take(bytes));
    arena.give_back(a);
    arena.give_back(b);
    assert_eq!(arena.take(500_000), a, "neighbours that are free are one");
    arena.give_back(c);
    assert!((700_000..1 << 20).contains(&arena.touched()));
}
