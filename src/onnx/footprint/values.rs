//! What is known of the values of a graph.

use std::collections::HashMap;

use super::super::graph::Graph;
use super::super::tensor::{FLOAT, INT8, TensorHead, element_bits};
use crate::engine::{Dim, Kind};

/// What a dimension that the file leaves open is taken for: the first is a batch, the others are the length of a text or
/// a signal, or the height and width of a picture.
const BATCH: u64 = 1;
const LENGTH: u64 = 128;
const SIDE: u64 = 224;

/// Elements of a list of numbers that is followed through the graph.
pub(super) const MAX_INTS: usize = 64;

#[derive(Clone, Default)]
pub(super) struct Value {
    pub dims: Option<Vec<u64>>,
    /// Bits of an element.
    pub bits: u32,
    /// The numbers of a short list.
    pub ints: Option<Vec<i64>>,
    /// The numbers of a short list of f32.
    pub floats: Option<Vec<f32>>,
    /// It is the same in every run.
    pub constant: bool,
    /// Its elements are signed bytes, as the file has them.
    pub signed_bytes: bool,
}

impl Value {
    pub(super) fn bytes(&self) -> u64 {
        let bits = u128::from(self.dims.as_deref().map_or(0, count)) * u128::from(self.bits);
        u64::try_from(bits.div_ceil(8)).unwrap_or(u64::MAX)
    }

    pub(super) fn of_tensor(tensor: &TensorHead<'_>) -> Self {
        let dims = tensor.dims.iter().map(|d| d.unsigned_abs()).collect::<Vec<u64>>();
        let few = count(&dims) <= MAX_INTS as u64;
        let floats =
            |bytes: &[u8]| bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        Self {
            ints: tensor.integers(MAX_INTS),
            floats: (few && tensor.element == FLOAT).then(|| tensor.float_bytes()).flatten().map(|b| floats(&b)),
            dims: Some(dims),
            bits: element_bits(tensor.element).unwrap_or(0),
            constant: true,
            signed_bytes: tensor.element == INT8,
        }
    }
}

/// The values of a graph by name.
#[derive(Default)]
pub(super) struct Values<'a> {
    by_name: HashMap<&'a str, Value>,
    /// What the file says of values between; taken where a shape is not known otherwise.
    pub stated: HashMap<&'a str, Value>,
}

impl<'a> Values<'a> {
    /// Inputs and initializers. `sizes` gives the dimensions of an input, or what the file says of another value.
    pub(super) fn new(graph: &Graph<'a>, mut sizes: impl FnMut(&[Dim], bool) -> Option<Vec<u64>>) -> Self {
        let mut values = Values::default();
        for message in graph.values.iter().copied() {
            let (Ok(name), Ok(port)) = (super::super::graph::name_of(message), super::super::port(message)) else {
                continue;
            };
            let Kind::Tensor { dtype, shape } = port.kind else { continue };
            let bits = dtype.size().unwrap_or(0) as u32 * 8;
            let is_input = graph.inputs.contains(name);
            let dims = shape.and_then(|dims| sizes(&dims, is_input));
            let value = Value { dims, bits, ..Value::default() };
            if is_input {
                values.by_name.insert(name, value)
            } else {
                values.stated.insert(name, value)
            };
        }
        for tensor in &graph.initializers {
            values.put(tensor.name, Value::of_tensor(tensor));
        }
        values
    }

    pub(super) fn put(&mut self, name: &'a str, value: Value) {
        self.by_name.insert(name, value);
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.by_name.get(name)
    }

    pub(super) fn dims(&self, name: &str) -> Option<&[u64]> {
        self.get(name)?.dims.as_deref()
    }

    pub(super) fn ints(&self, name: &str) -> Option<&[i64]> {
        self.get(name)?.ints.as_deref()
    }

    pub(super) fn bytes(&self, name: &str) -> u64 {
        self.get(name).map_or(0, Value::bytes)
    }
}

/// Elements of these dimensions.
pub(super) fn count(dims: &[u64]) -> u64 {
    dims.iter().fold(1, |n: u64, d| n.saturating_mul(*d))
}

/// The sizes that an estimate is made with.
pub(super) fn sizes(dims: &[Dim], is_input: bool) -> Option<Vec<u64>> {
    if is_input { Some(assumed(dims)) } else { fixed(dims) }
}

fn fixed(dims: &[Dim]) -> Option<Vec<u64>> {
    dims.iter().map(|dim| if let Dim::Fixed(n) = dim { Some(*n as u64) } else { None }).collect()
}

/// The sizes of an input, with what is assumed where the file leaves one open.
pub(crate) fn assumed(dims: &[Dim]) -> Vec<u64> {
    let open = |i: usize| match (i, dims.len()) {
        (0, _) => BATCH,
        (_, 4..) => SIDE,
        _ => LENGTH,
    };
    let size = |(i, dim): (usize, &Dim)| if let Dim::Fixed(n) = dim { *n as u64 } else { open(i) };
    dims.iter().enumerate().map(size).collect()
}
