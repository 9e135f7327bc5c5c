//! Small models, made in memory.

use crate::onnx::{NewNode, put, put_int};

/// `TensorProto.DataType`.
pub(super) const F32: i64 = 1;
pub(super) const I64: i64 = 7;
pub(super) const F64: i64 = 11;

/// A node without attributes.
pub(super) fn node<'a>(op: &'a str, inputs: &'a [&'a str], output: &'a str) -> NewNode<'a> {
    NewNode { op, inputs, output, ..NewNode::default() }
}

/// A `ValueInfoProto`: a dimension below zero is open.
pub(super) fn port(name: &str, element: i64, dims: &[i64]) -> Vec<u8> {
    let (mut shape, mut tensor, mut kind, mut info) = (vec![], vec![], vec![], vec![]);
    for (axis, size) in dims.iter().enumerate() {
        let mut dim = Vec::new();
        match size {
            0.. => put_int(&mut dim, 1, *size),
            _ => put(&mut dim, 2, format!("{name}{axis}").as_bytes()),
        }
        put(&mut shape, 1, &dim);
    }
    put_int(&mut tensor, 1, element);
    put(&mut tensor, 2, &shape);
    put(&mut kind, 1, &tensor);
    put(&mut info, 1, name.as_bytes());
    put(&mut info, 2, &kind);
    info
}

/// A model of operator set 17 from its nodes, initializers, inputs and outputs.
pub(super) fn model(nodes: &[NewNode<'_>], weights: &[Vec<u8>], inputs: &[Vec<u8>], outputs: &[Vec<u8>]) -> Vec<u8> {
    let mut fields = Vec::new();
    nodes.iter().for_each(|node| node.put(&mut fields));
    model_of(fields, weights, inputs, outputs)
}

/// The same, of nodes as fields of a graph.
pub(super) fn model_of(nodes: Vec<u8>, weights: &[Vec<u8>], inputs: &[Vec<u8>], outputs: &[Vec<u8>]) -> Vec<u8> {
    let (mut graph, mut set, mut model) = (nodes, Vec::new(), Vec::new());
    put(&mut graph, 2, b"crafted");
    weights.iter().for_each(|weight| put(&mut graph, 5, weight));
    inputs.iter().for_each(|input| put(&mut graph, 11, input));
    outputs.iter().for_each(|output| put(&mut graph, 12, output));
    put_int(&mut set, 2, 17);
    put_int(&mut model, 1, 8);
    put(&mut model, 8, &set);
    put(&mut model, 7, &graph);
    model
}

pub(super) fn le<const N: usize, T: Copy>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|value| bytes(*value)).collect()
}
