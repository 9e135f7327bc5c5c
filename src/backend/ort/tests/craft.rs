//! ONNX files made by hand, for what no exporter writes. Field numbers: onnx/onnx.proto3.

use prost::encoding::{WireType, encode_key, encode_varint};

pub(super) fn field(tag: u32, content: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    encode_key(tag, WireType::LengthDelimited, &mut out);
    encode_varint(content.as_ref().len() as u64, &mut out);
    out.extend(content.as_ref());
    out
}

pub(super) fn int(tag: u32, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    encode_key(tag, WireType::Varint, &mut out);
    encode_varint(value, &mut out);
    out
}

/// A model of IR version 8 and operator set 17 around the fields of a graph.
pub(super) fn model(graph: &[Vec<u8>]) -> Vec<u8> {
    model_of(8, graph)
}

pub(super) fn model_of(ir: u64, graph: &[Vec<u8>]) -> Vec<u8> {
    [int(1, ir), field(8, int(2, 17)), field(7, [field(2, "g"), graph.concat()].concat())].concat()
}

/// `ValueInfoProto` of an f32 tensor; a dimension 0 is one that is not known.
fn value(name: &str, dims: &[u64]) -> Vec<u8> {
    let dim = |d: &u64| field(1, if *d == 0 { Vec::new() } else { int(1, *d) });
    let shape: Vec<u8> = dims.iter().flat_map(dim).collect();
    [field(1, name), field(2, field(1, [int(1, 1), field(2, shape)].concat()))].concat()
}

pub(super) fn input(name: &str, dims: &[u64]) -> Vec<u8> {
    field(11, value(name, dims))
}

pub(super) fn output(name: &str, dims: &[u64]) -> Vec<u8> {
    field(12, value(name, dims))
}

pub(super) fn node(op: &str, inputs: &[&str], outputs: &[&str], attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut node: Vec<u8> = inputs.iter().flat_map(|name| field(1, name)).collect();
    node.extend(outputs.iter().flat_map(|name| field(2, name)));
    node.extend(field(4, op));
    node.extend(attributes.iter().flat_map(|attribute| field(5, attribute)));
    field(1, node)
}

/// `TensorProto` of f32.
pub(super) fn tensor(name: &str, values: &[f32]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    [int(1, values.len() as u64), int(2, 1), field(8, name), field(9, raw)].concat()
}

/// `TensorProto` of `n` f32 in another file.
pub(super) fn external(name: &str, n: u64, location: &str) -> Vec<u8> {
    let entry = |key: &str, value: &str| field(13, [field(1, key), field(2, value)].concat());
    [int(1, n), int(2, 1), field(8, name), entry("location", location), int(14, 1)].concat()
}

/// `AttributeProto` with a tensor.
pub(super) fn with_tensor(name: &str, tensor: Vec<u8>) -> Vec<u8> {
    [field(1, name), field(5, tensor), int(20, 4)].concat()
}

/// `AttributeProto` with a sub-graph.
pub(super) fn with_graph(name: &str, graph: &[Vec<u8>]) -> Vec<u8> {
    [field(1, name), field(6, [field(2, name), graph.concat()].concat()), int(20, 5)].concat()
}
