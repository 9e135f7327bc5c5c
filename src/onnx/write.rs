//! Fields of a protocol-buffers message, written; and the messages of ONNX that the house makes itself.

use std::collections::BTreeSet;

use prost::encoding::{WireType, encode_key, encode_varint};

/// `AttributeProto.type` of an integer.
const INT: i64 = 2;
/// `TensorProto.data_location` of data in another file.
const EXTERNAL: i64 = 1;

/// Appends a length-delimited field.
pub(crate) fn put(out: &mut Vec<u8>, tag: u32, content: &[u8]) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

/// Appends a varint field.
pub(crate) fn put_int(out: &mut Vec<u8>, tag: u32, value: i64) {
    encode_key(tag, WireType::Varint, out);
    encode_varint(value as u64, out);
}

/// A `StringStringEntryProto`.
pub(crate) fn entry(key: &str, value: &str) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, 1, key.as_bytes());
    put(&mut out, 2, value.as_bytes());
    out
}

/// A node to write. An input "" is left out, as ONNX spells it.
#[derive(Default)]
pub(crate) struct NewNode<'a> {
    pub domain: &'a str,
    pub op: &'a str,
    /// For messages and profiles: unique in the graph, or none.
    pub name: &'a str,
    pub inputs: &'a [&'a str],
    pub output: &'a str,
    /// Integers by name.
    pub ints: &'a [(&'a str, i64)],
    /// Lists of integers by name.
    pub lists: &'a [(&'a str, &'a [i64])],
}

impl NewNode<'_> {
    /// Appends it as field `node` of a graph.
    pub(crate) fn put(&self, graph: &mut Vec<u8>) {
        let mut node = Vec::new();
        self.inputs.iter().for_each(|input| put(&mut node, 1, input.as_bytes()));
        put(&mut node, 2, self.output.as_bytes());
        if !self.name.is_empty() {
            put(&mut node, 3, self.name.as_bytes());
        }
        put(&mut node, 4, self.op.as_bytes());
        for (name, value) in self.ints {
            let mut attribute = Vec::new();
            put(&mut attribute, 1, name.as_bytes());
            put_int(&mut attribute, 3, *value);
            put_int(&mut attribute, 20, INT);
            put(&mut node, 5, &attribute);
        }
        for (name, values) in self.lists {
            put(&mut node, 5, &list(name, values));
        }
        if !self.domain.is_empty() {
            put(&mut node, 7, self.domain.as_bytes());
        }
        put(graph, 1, &node);
    }
}

/// An `AttributeProto` of integers.
pub(super) fn list(name: &str, values: &[i64]) -> Vec<u8> {
    const INTS: i64 = 7;
    let mut attribute = Vec::new();
    put(&mut attribute, 1, name.as_bytes());
    values.iter().for_each(|value| put_int(&mut attribute, 8, *value));
    put_int(&mut attribute, 20, INTS);
    attribute
}

/// A `TensorProto` whose data lies in another file: `entries` say where.
pub(crate) fn external(name: &str, element: i64, dims: &[u64], entries: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    dims.iter().for_each(|dim| put_int(&mut out, 1, *dim as i64));
    put_int(&mut out, 2, element);
    put(&mut out, 8, name.as_bytes());
    entries.iter().for_each(|(key, value)| put(&mut out, 13, &entry(key, value)));
    put_int(&mut out, 14, EXTERNAL);
    out
}

/// A `TensorProto` with its data.
pub(crate) fn inline(name: &str, element: i64, dims: &[i64], data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    dims.iter().for_each(|dim| put_int(&mut out, 1, *dim));
    put_int(&mut out, 2, element);
    put(&mut out, 8, name.as_bytes());
    put(&mut out, 9, data);
    out
}

/// A name like this that nothing has yet; it is taken then.
pub(crate) fn unique(names: &mut BTreeSet<String>, like: &str) -> String {
    let (mut name, mut n) = (like.to_string(), 1);
    while !names.insert(name.clone()) {
        n += 1;
        name = format!("{like}.{n}");
    }
    name
}
