//! Models in half precision.

use std::fs;

use half::f16;
use prost::encoding::{WireType, encode_key, encode_varint};

use super::craft::{Craft, halves, weights};
use super::{INT64, Packed, formats, given, in_arena, kept, read};
use crate::onnx::{BLOCKS_ENTRY, FLOAT, FLOAT16, Graph, NewNode, external_tensor, put, put_int};
use crate::pack::{Packing, Runtime, Scheme};

/// y = (x · W) · Gᵀ + b, rows of the table T, and a convolution of z; all of f16.
fn model() -> Craft {
    Craft::new()
        .input("x", FLOAT16, &[0, 64])
        .input("ids", INT64, &[0])
        .input("z", FLOAT16, &[0, 16, 8, 8])
        .node("MatMul", &["x", "W"], "h")
        .node_with(NewNode {
            op: "Gemm",
            inputs: &["h", "G", "b"],
            output: "y",
            ints: &[("transB", 1)],
            ..<_>::default()
        })
        .node("Gather", &["T", "ids"], "rows")
        .node("Conv", &["z", "K"], "c")
        .half("W", &[64, 96], &weights(64 * 96))
        .half("G", &[64, 96], &weights(64 * 96))
        .half("T", &[50, 64], &weights(50 * 64))
        .half("K", &[8, 16, 3, 3], &weights(8 * 16 * 9))
        .half("b", &[64], &weights(64))
        .output_of("y", FLOAT16, &[0, 64])
        .output_of("rows", FLOAT16, &[0, 64])
        .output_of("c", FLOAT16, &[0, 8, 6, 6])
}

fn rounded(n: usize) -> Vec<f32> {
    weights(n).iter().map(|w| f16::from_f32(*w).to_f32()).collect()
}

#[test]
fn weights_of_f16_become_blocks() {
    assert_eq!(formats(&model(), &Packing::new(Scheme::Int8)), ["W q8_0", "G q8_0", "T q8_0", "K q8_0"]);
    let int4 = Packing::new(Scheme::Int4).mean_bits(4.5);
    assert_eq!(formats(&model(), &int4), ["W q4_0", "G q4_0", "T q4_0"]);
    let packed = Packed::of(model().model(), &Packing::new(Scheme::Int8));
    let report = packed.report();
    assert_eq!((report.packed[0].before, report.packed[0].after), (64 * 96 * 2, 64 * 96 / 32 * 34));
    assert!(report.packed.iter().all(|t| t.row_error > 0.0 && t.row_error < 0.01), "{report:?}");
    assert_eq!(kept(report, "b"), "it has only 64 elements");
    let got = read(&packed.file(), "G", 96);
    assert!(got.iter().zip(rounded(64 * 96)).all(|(g, w)| (g - w).abs() < 0.005));
    let bytes = packed.graph();
    let graph = Graph::read(&bytes).unwrap();
    let blocks: Vec<_> = graph.initializers.iter().filter(|t| t.entry(BLOCKS_ENTRY).is_some()).collect();
    assert!(blocks.len() == 4 && blocks.iter().all(|t| t.element == FLOAT16));
    // What is f16 cannot become it, and to make more of it is of no use.
    let nothing = Packed::of(model().model(), &Packing::new(Scheme::F16)).error();
    assert!(nothing.message().contains("'W': it is f16 already"), "{nothing}");
    let finer = Packed::of(model().model(), &Packing::new(Scheme::Int8).finer("T"));
    assert_eq!(kept(finer.report(), "T"), "it is f16 already");
}

#[test]
fn a_runtime_gets_f16_where_the_graph_has_it() {
    let packed = Packed::of(model().model(), &Packing::new(Scheme::Int4).mean_bits(4.5));
    let given_to = given(&packed, Runtime::Ort);
    let graph = Graph::read(given_to.graph.as_slice()).unwrap();
    let ops: Vec<&str> = graph.nodes.iter().map(|n| n.op).collect();
    let products = ["Cast", "MatMulNBits", "Cast", "Cast", "MatMulNBits", "Cast", "Add"];
    let table = ["Gather", "GatherBlockQuantized", "Cast", "Conv"];
    assert_eq!(ops, [&products[..], &table].concat());
    for (i, node) in graph.nodes.iter().enumerate().filter(|(_, node)| node.op == "Cast") {
        let is_before = graph.nodes.get(i + 1).is_some_and(|next| next.op == "MatMulNBits");
        assert_eq!(node.int("to", 0), if is_before { FLOAT } else { FLOAT16 }, "{}", node.name);
    }
    let outputs: Vec<&str> = graph.nodes.iter().flat_map(|n| n.outputs.clone()).collect();
    assert!(["h", "y", "rows", "c"].iter().all(|name| outputs.iter().filter(|o| *o == name).count() == 1));
    assert!(
        graph.nodes.iter().all(|n| n.name.is_empty() || graph.nodes.iter().filter(|m| m.name == n.name).count() == 1)
    );

    // What is floats to a runtime is narrowed before anything reads it.
    let packed = Packed::of(model().model(), &Packing::new(Scheme::Int8));
    for runtime in [Runtime::Ort, Runtime::Tract] {
        let given_to = given(&packed, runtime);
        let graph = Graph::read(given_to.graph.as_slice()).unwrap();
        let narrowed = graph.nodes.iter().find(|n| n.outputs == ["K"]).expect("something gives K");
        assert_eq!((narrowed.op, narrowed.inputs[0], narrowed.int("to", 0)), ("Cast", "K.f32", FLOAT16));
        let kernel = graph.initializers.iter().find(|t| t.name == "K.f32").unwrap();
        assert_eq!((kernel.element, &*kernel.dims), (FLOAT, &[8, 16, 3, 3][..]));
        assert_eq!(in_arena(&given_to, "K.f32"), read(&packed.file(), "K", 144));
    }
    // A matrix that is stored transposed is turned first, and narrowed then.
    let given_to = given(&packed, Runtime::Tract);
    let graph = Graph::read(given_to.graph.as_slice()).unwrap();
    let at = |output: &str| graph.nodes.iter().position(|n| n.outputs == [output]).unwrap();
    assert!(at("W.f32") < at("W") && graph.nodes[at("W.f32")].op == "Transpose" && graph.nodes[at("W")].op == "Cast");
    assert!(at("W") < at("h"));
}

/// A model whose weights are spelled in another way.
fn spelled(initializer: &[u8]) -> Vec<u8> {
    let mut craft = Craft::new().input("x", FLOAT16, &[0, 64]).node("MatMul", &["x", "W"], "y");
    put(&mut craft.fields, 5, initializer);
    craft.output_of("y", FLOAT16, &[0, 48]).model()
}

#[test]
fn every_spelling_of_f16_is_read() {
    let values = weights(64 * 48);
    let bits: Vec<u64> = values.iter().map(|v| f16::from_f32(*v).to_bits().into()).collect();
    let head = |name: &str| {
        let mut out = Vec::new();
        [64, 48].iter().for_each(|dim| put_int(&mut out, 1, *dim));
        put_int(&mut out, 2, FLOAT16);
        put(&mut out, 8, name.as_bytes());
        out
    };
    let mut packed_ints = Vec::new();
    bits.iter().for_each(|n| encode_varint(*n, &mut packed_ints));
    let mut packed = head("W");
    put(&mut packed, 5, &packed_ints);
    let mut single = head("W");
    for n in &bits {
        encode_key(5, WireType::Varint, &mut single);
        encode_varint(*n, &mut single);
    }
    let raw = crate::onnx::inline_tensor("W", FLOAT16, &[64, 48], &halves(&values));
    let int8 = Packing::new(Scheme::Int8);
    let blocks = |model: Vec<u8>| {
        let packed = Packed::of(model, &int8);
        packed.report();
        packed.file().tensor("W").unwrap().bytes().to_vec()
    };
    let expected = blocks(spelled(&raw));
    assert!(blocks(spelled(&packed)) == expected && blocks(spelled(&single)) == expected);
    // In a file beside it.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("w.bin"), halves(&values)).unwrap();
    let outside = external_tensor("W", FLOAT16, &[64, 48], &[("location", "w.bin")]);
    fs::write(folder.path().join("m.onnx"), spelled(&outside)).unwrap();
    let beside = Packed::of(folder.path().join("m.onnx"), &int8);
    beside.report();
    assert_eq!(beside.file().tensor("W").unwrap().bytes(), expected);
    // One number fewer, one more, and none.
    for n in [bits.len() - 1, bits.len() + 1, 0] {
        let mut ints = Vec::new();
        bits.iter().chain(&bits).take(n).for_each(|n| encode_varint(*n, &mut ints));
        let mut short = head("W");
        put(&mut short, 5, &ints);
        let error = Packed::of(spelled(&short), &int8).error();
        assert_eq!(error.code(), crate::Code::Corrupt, "{error}");
        assert!(error.message().contains("expected [64, 48] of f16"), "{error}");
    }
}

#[test]
fn old_graphs_of_f16_stay() {
    let mut craft =
        model().weight("F", &[64, 64], &weights(4096)).node("MatMul", &["f", "F"], "g").input("f", FLOAT, &[0, 64]);
    craft.opset = 5;
    let packed = Packed::of(craft.model(), &Packing::new(Scheme::Int8));
    assert_eq!(formats(&craft, &Packing::new(Scheme::Int8)), ["F q8_0"]);
    assert!(kept(packed.report(), "W").contains("operator set before 6"), "{:?}", packed.report());
}

#[test]
fn names_of_any_script_are_packed() {
    let long = "\u{5c64}".repeat(40);
    let craft = Craft::new()
        .input("x", FLOAT, &[0, 64])
        .node("MatMul", &["x", "gewicht.\u{fc}"], "h")
        .node("MatMul", &["h", &long], "y")
        .weight("gewicht.\u{fc}", &[64, 64], &weights(4096))
        .weight(&long, &[64, 64], &weights(4096))
        .output("y", &[0, 64]);
    let packed = Packed::of(craft.model(), &Packing::new(Scheme::Int8));
    let names: Vec<(&str, &str)> = packed.report().packed.iter().map(|t| (&*t.name, &*t.stored)).collect();
    // GGUF takes 63 bytes.
    assert_eq!(names, [("gewicht.\u{fc}", "gewicht.\u{fc}"), (&*long, "tensor.1")]);
    given(&packed, Runtime::Ort);
}
