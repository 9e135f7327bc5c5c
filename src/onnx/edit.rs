//! Changes to a model, spliced into its bytes: every field that is not named stays as it is, known or not.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::name_of;
use super::tensor::TensorHead;
use super::wire::fields;
use super::write::{entry, put, put_int};
use crate::Result;

/// What to change in a model and its outermost graph.
#[derive(Default)]
pub(crate) struct Edit<'a> {
    /// Graph fields to put before the first.
    pub first: Vec<u8>,
    /// Graph fields in place of nodes, by the node's position; none to take it away.
    pub nodes: BTreeMap<usize, Vec<u8>>,
    /// Initializers to take away, with what the graph says of their names elsewhere.
    pub without: BTreeSet<&'a str>,
    /// Initializers to add: `TensorProto` messages.
    pub initializers: Vec<Vec<u8>>,
    /// Inputs to take away.
    pub without_inputs: BTreeSet<&'a str>,
    /// Entries of the metadata, in place of those with the same key.
    pub metadata: Vec<(&'a str, String)>,
    /// Entries of the metadata to take away.
    pub without_metadata: BTreeSet<&'a str>,
    /// An operator set that the model must import: domain and version.
    pub opset: Option<(&'a str, i64)>,
    /// The least IR version of the result.
    pub ir_version: i64,
}

impl Edit<'_> {
    /// The changed model.
    pub(crate) fn apply(&self, model: &[u8]) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let (mut ir, mut has_opset) = (0, false);
        for field in fields(model, "model").with_bytes() {
            match field? {
                (1, v, _) => ir = v.int("ir_version")?,
                (7, v, _) => put(&mut out, 7, &self.graph(v.bytes("graph")?)?),
                (8, v, bytes) => {
                    let mut domain = "";
                    for field in fields(v.bytes("opset_import")?, "opset_import") {
                        if let (1, v) = field? {
                            domain = v.text("opset domain")?;
                        }
                    }
                    has_opset |= self.opset.is_some_and(|(wanted, _)| wanted == domain);
                    out.extend_from_slice(bytes);
                }
                (14, v, bytes) => {
                    let (key, _) = super::entry(v.bytes("metadata_props")?, "metadata_props")?;
                    let replaced = self.metadata.iter().any(|(new, _)| *new == key);
                    if !replaced && !self.without_metadata.contains(key) {
                        out.extend_from_slice(bytes);
                    }
                }
                (_, _, bytes) => out.extend_from_slice(bytes),
            }
        }
        put_int(&mut out, 1, ir.max(self.ir_version));
        if let Some((domain, version)) = self.opset.filter(|_| !has_opset) {
            let mut import = Vec::new();
            put(&mut import, 1, domain.as_bytes());
            put_int(&mut import, 2, version);
            put(&mut out, 8, &import);
        }
        for (key, value) in &self.metadata {
            put(&mut out, 14, &entry(key, value));
        }
        Ok(out)
    }

    fn graph(&self, graph: &[u8]) -> Result<Vec<u8>> {
        let mut out = self.first.clone();
        let mut position = 0;
        for field in fields(graph, "graph").with_bytes() {
            let (tag, value, bytes) = field?;
            let gone = match tag {
                1 => {
                    let new = self.nodes.get(&position);
                    position += 1;
                    out.extend(new.into_iter().flatten());
                    new.is_some()
                }
                5 => self.without.contains(TensorHead::read(value.bytes("initializer")?)?.name),
                11 => self.without_inputs.contains(name_of(value.bytes("input")?)?),
                13 => self.without.contains(name_of(value.bytes("value info")?)?),
                _ => false,
            };
            if !gone {
                out.extend_from_slice(bytes);
            }
        }
        self.initializers.iter().for_each(|tensor| put(&mut out, 5, tensor));
        Ok(out)
    }
}
