//! Mixtures of int4 packings: the tensors that take 8 bits.

use super::craft::{Craft, weights};
use super::{INT64, Packed, formats};
use crate::Code;
use crate::onnx::{FLOAT, NewNode};
use crate::pack::{Packing, Scheme};

/// Rows of T, then x · A · B · C · D; all five of 64 by 64. A step of 8 bits for one of them is 0.8 bits for each weight.
fn chain() -> Craft {
    let square = |craft: Craft, name: &str| craft.weight(name, &[64, 64], &weights(64 * 64));
    let craft = Craft::new()
        .input("ids", INT64, &[0])
        .node("Gather", &["T", "ids"], "x")
        .node("MatMul", &["x", "A"], "a")
        .node("MatMul", &["a", "B"], "b")
        .node("MatMul", &["b", "C"], "c")
        .node("MatMul", &["c", "D"], "d")
        .output("d", &[0, 64]);
    // Not in the order in which they are read.
    ["D", "B", "T", "A", "C"].into_iter().fold(craft, square)
}

/// The names of the tensors in 8 bits.
fn eights(craft: &Craft, packing: &Packing) -> String {
    let all = formats(craft, packing);
    assert!(all.iter().all(|t| t.ends_with(" q4_0") || t.ends_with(" q8_0")), "{all:?}");
    all.iter().filter_map(|t| t.strip_suffix(" q8_0")).collect()
}

fn int4(bits: f64) -> Packing {
    Packing::new(Scheme::Int4).mean_bits(bits)
}

#[test]
fn matrices_that_are_read_last_take_8_bits_within_the_mean() {
    let chain = chain();
    assert_eq!(eights(&chain, &Packing::new(Scheme::Int4)), "DC");
    for (bits, expected) in
        [(4.5, ""), (5.29, ""), (5.3, "D"), (6.1, "DC"), (7.0, "DBC"), (7.7, "DBAC"), (f64::INFINITY, "DBAC")]
    {
        assert_eq!(eights(&chain, &int4(bits)), expected, "{bits}");
        let packed = Packed::of(chain.model(), &int4(bits));
        let (weights, bytes) = packed.report().packed.iter().fold((0, 0), |(w, b), t| (w + t.before / 4, b + t.after));
        assert!(bytes as f64 * 8.0 <= weights as f64 * bits, "{bytes} bytes for {bits} bits");
    }
}

#[test]
fn patterns_come_first_and_count() {
    let chain = chain();
    assert_eq!(eights(&chain, &int4(6.1).finer("T")), "DT");
    assert_eq!(eights(&chain, &int4(4.5).finer("A")), "A", "a pattern is stronger than the mean");
    assert_eq!(eights(&chain, &int4(6.25).keep("D")), "C");
    assert_eq!(eights(&chain, &int4(8.5).only("B").only("T")), "B");
    assert_eq!(
        formats(&chain, &Packing::new(Scheme::F16).mean_bits(5.0)),
        ["D f16", "B f16", "T f16", "A f16", "C f16"]
    );
    assert_eq!(eights(&chain, &Packing::new(Scheme::Int8).mean_bits(4.5)), "DBTAC");
}

#[test]
fn one_that_does_not_fit_is_passed_over() {
    let large = chain().node("MatMul", &["d", "L"], "e").weight("L", &[64, 640], &weights(64 * 640));
    assert_eq!(eights(&large, &int4(5.0)), "D", "L is 10 of 14 parts, and there is room for less than two");
    // 8 bits for rows of 16 would take more than two bytes a weight.
    let thin = chain().node("MatMul", &["x", "N"], "n").weight("N", &[16, 256], &weights(16 * 256));
    assert_eq!(eights(&thin, &int4(f64::INFINITY)), "DBAC");
}

#[test]
fn a_table_that_is_multiplied_with_too_is_a_matrix() {
    let head = NewNode { op: "Gemm", inputs: &["d", "T"], output: "e", ints: &[("transB", 1)], ..<_>::default() };
    assert_eq!(eights(&chain().node_with(head), &int4(5.3)), "T");
}

#[test]
fn a_lone_matrix_stays_at_4_bits() {
    let lone = Craft::new().input("x", FLOAT, &[0, 64]).node("MatMul", &["x", "W"], "y").output("y", &[0, 64]).weight(
        "W",
        &[64, 64],
        &weights(64 * 64),
    );
    assert_eq!(eights(&lone, &Packing::new(Scheme::Int4)), "");
}

#[test]
fn fewer_bits_than_4_bits_take_are_refused() {
    for bits in [4.4, 0.0, -1.0, f64::NAN] {
        let error = Packed::of(chain().model(), &int4(bits)).error();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
        assert!(error.to_string().contains("mean_bits: expected 4.5 or more"), "{error}");
    }
}
