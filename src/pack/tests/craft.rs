//! Small models, made in memory.

use half::f16;

use crate::onnx::{FLOAT, FLOAT16, NewNode, external_tensor, inline_tensor, put, put_int};

/// A field that no reader of ours knows.
pub(super) const UNKNOWN: u32 = 77;

/// A graph, as the fields of its message.
#[derive(Clone, Default)]
pub(super) struct Craft {
    pub fields: Vec<u8>,
    pub ir: i64,
    pub opset: i64,
}

impl Craft {
    pub(super) fn new() -> Self {
        Self { fields: Vec::new(), ir: 8, opset: 17 }
    }

    pub(super) fn input(mut self, name: &str, element: i64, dims: &[i64]) -> Self {
        put(&mut self.fields, 11, &value(name, element, dims));
        self
    }

    pub(super) fn output(self, name: &str, dims: &[i64]) -> Self {
        self.output_of(name, FLOAT, dims)
    }

    pub(super) fn output_of(mut self, name: &str, element: i64, dims: &[i64]) -> Self {
        put(&mut self.fields, 12, &value(name, element, dims));
        self
    }

    pub(super) fn node(self, op: &str, inputs: &[&str], output: &str) -> Self {
        self.node_with(NewNode { op, inputs, output, ..NewNode::default() })
    }

    pub(super) fn node_with(mut self, node: NewNode<'_>) -> Self {
        node.put(&mut self.fields);
        self
    }

    pub(super) fn weight(mut self, name: &str, dims: &[i64], values: &[f32]) -> Self {
        put(&mut self.fields, 5, &weight(name, dims, values));
        self
    }

    /// In half precision.
    pub(super) fn half(mut self, name: &str, dims: &[i64], values: &[f32]) -> Self {
        put(&mut self.fields, 5, &inline_tensor(name, FLOAT16, dims, &halves(values)));
        self
    }

    pub(super) fn outside(mut self, name: &str, dims: &[u64], location: &str, offset: &str) -> Self {
        let entries = [("location", location), ("offset", offset)];
        put(&mut self.fields, 5, &external_tensor(name, FLOAT, dims, &entries));
        self
    }

    pub(super) fn model(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_int(&mut out, 1, self.ir);
        put(&mut out, UNKNOWN, b"of the model");
        let mut opset = Vec::new();
        put_int(&mut opset, 2, self.opset);
        put(&mut out, 8, &opset);
        put(&mut out, 7, &self.fields);
        out
    }
}

/// `TensorProto` of f32.
pub(super) fn weight(name: &str, dims: &[i64], values: &[f32]) -> Vec<u8> {
    let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    inline_tensor(name, FLOAT, dims, &data)
}

/// The bytes of numbers in half precision.
pub(super) fn halves(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect()
}

/// `ValueInfoProto`; a dimension 0 is one that is not known.
fn value(name: &str, element: i64, dims: &[i64]) -> Vec<u8> {
    let mut shape = Vec::new();
    for dim in dims {
        let mut message = Vec::new();
        if *dim != 0 {
            put_int(&mut message, 1, *dim);
        }
        put(&mut shape, 1, &message);
    }
    let (mut tensor, mut kind, mut out) = (Vec::new(), Vec::new(), Vec::new());
    put_int(&mut tensor, 1, element);
    put(&mut tensor, 2, &shape);
    put(&mut kind, 1, &tensor);
    put(&mut out, 1, name.as_bytes());
    put(&mut out, 2, &kind);
    out
}

/// Weights that look random, within ±1.
pub(super) fn weights(n: usize) -> Vec<f32> {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}
