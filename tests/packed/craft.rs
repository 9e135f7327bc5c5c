//! Small models, made in memory. Field numbers: onnx/onnx.proto3.

use prost::encoding::{WireType, encode_key, encode_varint};

pub(crate) fn field(tag: u32, content: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    encode_key(tag, WireType::LengthDelimited, &mut out);
    encode_varint(content.as_ref().len() as u64, &mut out);
    out.extend(content.as_ref());
    out
}

pub(crate) fn int(tag: u32, value: i64) -> Vec<u8> {
    let mut out = Vec::new();
    encode_key(tag, WireType::Varint, &mut out);
    encode_varint(value as u64, &mut out);
    out
}

/// A model of operator set 17.
pub(crate) fn model(graph: &[Vec<u8>]) -> Vec<u8> {
    [int(1, 8), field(8, int(2, 17)), field(7, [field(2, "g"), graph.concat()].concat())].concat()
}

/// A dimension 0 is one that is not known.
fn value(name: &str, element: i64, dims: &[i64]) -> Vec<u8> {
    let dim = |d: &i64| field(1, if *d == 0 { Vec::new() } else { int(1, *d) });
    let shape: Vec<u8> = dims.iter().flat_map(dim).collect();
    [field(1, name), field(2, field(1, [int(1, element), field(2, shape)].concat()))].concat()
}

pub(crate) fn input(name: &str, element: i64, dims: &[i64]) -> Vec<u8> {
    field(11, value(name, element, dims))
}

pub(crate) fn output(name: &str, dims: &[i64]) -> Vec<u8> {
    output_of(name, 1, dims)
}

pub(crate) fn output_of(name: &str, element: i64, dims: &[i64]) -> Vec<u8> {
    field(12, value(name, element, dims))
}

/// A node with integer attributes.
pub(crate) fn node(op: &str, inputs: &[&str], output: &str, ints: &[(&str, i64)]) -> Vec<u8> {
    let mut node: Vec<u8> = inputs.iter().flat_map(|name| field(1, name)).collect();
    node.extend([field(2, output), field(3, output), field(4, op)].concat());
    node.extend(ints.iter().flat_map(|(name, i)| field(5, [field(1, name), int(3, *i), int(20, 2)].concat())));
    field(1, node)
}

pub(crate) fn weight(name: &str, dims: &[i64], values: &[f32]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let dims: Vec<u8> = dims.iter().flat_map(|d| int(1, *d)).collect();
    field(5, [dims, int(2, 1), field(8, name), field(9, raw)].concat())
}

/// A weight of f16, of numbers rounded to it.
pub(crate) fn half_weight(name: &str, dims: &[i64], values: &[f32]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
    let dims: Vec<u8> = dims.iter().flat_map(|d| int(1, *d)).collect();
    field(5, [dims, int(2, 10), field(8, name), field(9, raw)].concat())
}

/// Numbers that look random, within ±1; other ones for every seed.
pub(crate) fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut state = 0x2545_f491_4f6c_dd1d ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}
