//! The outermost graph of a model, taken apart: nodes, initializers and who reads what.

use std::collections::BTreeSet;

use super::tensor::TensorHead;
use super::wire::fields;
use super::write::{list, put};
use super::{MAX_DEPTH, MAX_NODES, entry, once};
use crate::{Error, Result};

/// The outermost graph, borrowed from the model's bytes.
#[derive(Default)]
pub(crate) struct Graph<'a> {
    /// In the file's order, which is one in which they can run.
    pub nodes: Vec<Node<'a>>,
    pub initializers: Vec<TensorHead<'a>>,
    pub inputs: BTreeSet<&'a str>,
    pub outputs: BTreeSet<&'a str>,
    /// Names that nodes in sub-graphs read; some may be of values of the sub-graph's own.
    pub inner: BTreeSet<&'a str>,
    pub ir_version: i64,
    /// Whether it has initializers that are sparse.
    #[cfg_attr(not(feature = "rten"), allow(dead_code, reason = "of the runtimes, rten alone asks for it"))]
    pub is_sparse: bool,
    /// Version of the default operator set.
    pub opset: i64,
    /// The model's `metadata_props`.
    pub metadata: Vec<(&'a str, &'a str)>,
    /// The `ValueInfoProto` messages of inputs, outputs and values between.
    pub values: Vec<&'a [u8]>,
}

/// A node of the outermost graph.
#[derive(Default)]
pub(crate) struct Node<'a> {
    pub op: &'a str,
    /// "" for the default domain.
    pub domain: &'a str,
    pub name: &'a str,
    pub inputs: Vec<&'a str>,
    pub outputs: Vec<&'a str>,
    attributes: Vec<Attribute<'a>>,
    message: &'a [u8],
}

#[derive(Default)]
struct Attribute<'a> {
    name: &'a str,
    int: i64,
    float: f32,
    text: &'a [u8],
    ints: Vec<i64>,
    tensor: Option<&'a [u8]>,
    has_graph: bool,
}

impl<'a> Graph<'a> {
    /// Takes apart a model. What is wrong with it beyond its limits is for [`read`](super::read) to tell.
    pub(crate) fn read(model: &'a [u8]) -> Result<Self> {
        let mut graph = Graph::default();
        for field in fields(model, "model") {
            match field? {
                (1, v) => graph.ir_version = v.int("ir_version")?,
                (7, v) => graph.body(v.bytes("graph")?)?,
                (8, v) => {
                    let (mut domain, mut version) = ("", 0);
                    for field in fields(v.bytes("opset_import")?, "opset_import") {
                        match field? {
                            (1, v) => domain = v.text("opset domain")?,
                            (2, v) => version = v.int("opset version")?,
                            _ => {}
                        }
                    }
                    if matches!(domain, "" | "ai.onnx") {
                        graph.opset = version;
                    }
                }
                (14, v) => graph.metadata.push(entry(v.bytes("metadata_props")?, "metadata_props")?),
                _ => {}
            }
        }
        Ok(graph)
    }

    /// Every name of a node or value in the outermost graph, and those that sub-graphs read.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let of_nodes = self.nodes.iter().flat_map(|node| node.inputs.iter().chain(&node.outputs));
        let ports = self.inputs.iter().chain(&self.outputs).chain(&self.inner);
        let names = of_nodes.chain(ports).copied();
        let names = names.chain(self.initializers.iter().map(|tensor| tensor.name));
        names.chain(self.nodes.iter().map(|node| node.name)).map(String::from).collect()
    }

    fn body(&mut self, message: &'a [u8]) -> Result<()> {
        // Counted first: a node of two bytes takes seventy times as many here.
        for (tag, what) in [(1, "nodes"), (5, "weights")] {
            let count = fields(message, "graph").filter(|field| matches!(field, Ok((t, _)) if *t == tag)).count();
            if count > MAX_NODES {
                return Err(Error::corrupt(format!("ONNX model: it has more than {MAX_NODES} {what}")));
            }
        }
        for field in fields(message, "graph") {
            match field? {
                (1, v) => {
                    let node = Node::read(v.bytes("node")?, &mut self.inner, 0)?;
                    self.nodes.push(node);
                }
                (5, v) => self.initializers.push(TensorHead::read(v.bytes("initializer")?)?),
                (15, _) => self.is_sparse = true,
                (tag @ 11..=13, v) => {
                    let value = v.bytes("value info")?;
                    self.values.push(value);
                    match tag {
                        11 => drop(self.inputs.insert(name_of(value)?)),
                        12 => drop(self.outputs.insert(name_of(value)?)),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The name of a `ValueInfoProto`.
pub(super) fn name_of(message: &[u8]) -> Result<&str> {
    let mut name = "";
    for field in fields(message, "value info") {
        if let (1, v) = field? {
            name = v.text("value name")?;
        }
    }
    Ok(name)
}

impl<'a> Node<'a> {
    fn read(message: &'a [u8], inner: &mut BTreeSet<&'a str>, depth: usize) -> Result<Self> {
        let mut node = Node { message, ..Node::default() };
        for field in fields(message, "node") {
            match field? {
                (1, v) => node.inputs.push(v.text("node input")?),
                (2, v) => node.outputs.push(v.text("node output")?),
                (3, v) => node.name = v.text("node name")?,
                (4, v) => node.op = v.text("op_type")?,
                (5, v) => {
                    let attribute = Attribute::read(v.bytes("attribute")?, inner, depth)?;
                    node.attributes.push(attribute);
                }
                (7, v) => node.domain = v.text("node domain")?,
                _ => {}
            }
        }
        if node.domain == "ai.onnx" {
            node.domain = "";
        }
        Ok(node)
    }

    /// Whether it is this operator of the default domain.
    pub(crate) fn is(&self, op: &str) -> bool {
        self.domain.is_empty() && self.op == op
    }

    /// An integer attribute, or what the operator takes without it.
    pub(crate) fn int(&self, name: &str, default: i64) -> i64 {
        self.attributes.iter().find(|a| a.name == name).map_or(default, |a| a.int)
    }

    /// A float attribute, or what the operator takes without it.
    pub(crate) fn float(&self, name: &str, default: f32) -> f32 {
        self.attributes.iter().find(|a| a.name == name).map_or(default, |a| a.float)
    }

    /// A list of integers, empty without it.
    pub(crate) fn ints(&self, name: &str) -> &[i64] {
        self.attributes.iter().find(|a| a.name == name).map_or(&[], |a| &a.ints)
    }

    /// A text, empty without it.
    pub(crate) fn text(&self, name: &str) -> &'a [u8] {
        self.attributes.iter().find(|a| a.name == name).map_or(&[], |a| a.text)
    }

    /// Whether it has sub-graphs, which may read values of the graph around them.
    pub(super) fn has_graph(&self) -> bool {
        self.attributes.iter().any(|a| a.has_graph)
    }

    /// Bytes of its message.
    pub(super) fn len(&self) -> usize {
        self.message.len()
    }

    /// The node, as a field of a graph, with another name for one of its inputs and for its outputs.
    pub(crate) fn renamed(&self, slot: usize, input: &str, output: &str) -> Result<Vec<u8>> {
        let (mut node, mut inputs) = (Vec::new(), 0);
        for field in fields(self.message, "node").with_bytes() {
            match field? {
                (1, ..) if inputs == slot => {
                    inputs += 1;
                    put(&mut node, 1, input.as_bytes());
                }
                (2, ..) => put(&mut node, 2, output.as_bytes()),
                (tag, _, bytes) => {
                    inputs += usize::from(tag == 1);
                    node.extend_from_slice(bytes);
                }
            }
        }
        let mut out = Vec::new();
        put(&mut out, 1, &node);
        Ok(out)
    }

    /// The node, as a field of a graph, with lists of integers more.
    #[cfg_attr(not(feature = "rten"), allow(dead_code, reason = "of the runtimes, rten alone asks for it"))]
    pub(crate) fn with_lists(&self, lists: &[(&str, Vec<i64>)]) -> Vec<u8> {
        let (mut node, mut out) = (self.message.to_vec(), Vec::new());
        lists.iter().for_each(|(name, values)| put(&mut node, 5, &list(name, values)));
        put(&mut out, 1, &node);
        out
    }

    /// The tensor of a `Constant` node, under the name of its output.
    pub(crate) fn constant(&self) -> Result<Option<TensorHead<'a>>> {
        let (true, [output]) = (self.is("Constant"), &*self.outputs) else { return Ok(None) };
        let Some(message) = self.attributes.iter().find(|a| a.name == "value").and_then(|a| a.tensor) else {
            return Ok(None);
        };
        let mut tensor = TensorHead::read(message)?;
        tensor.name = output;
        Ok(Some(tensor))
    }
}

impl<'a> Attribute<'a> {
    fn read(message: &'a [u8], inner: &mut BTreeSet<&'a str>, depth: usize) -> Result<Self> {
        let mut attribute = Attribute::default();
        for field in fields(message, "attribute") {
            match field? {
                (1, v) => attribute.name = v.text("attribute name")?,
                (2, v) => attribute.float = v.float("attribute f")?,
                (3, v) => attribute.int = v.int("attribute i")?,
                (4, v) => attribute.text = v.bytes("attribute s")?,
                (5, v) => once(&mut attribute.tensor, v.bytes("attribute tensor")?, "attribute tensor")?,
                (6 | 11, v) => {
                    attribute.has_graph = true;
                    inner_graph(v.bytes("sub-graph")?, inner, depth + 1)?;
                }
                (8, v) => v.ints("attribute ints", |i| {
                    attribute.ints.push(i);
                    Ok(())
                })?,
                _ => {}
            }
        }
        Ok(attribute)
    }
}

fn inner_graph<'a>(message: &'a [u8], inner: &mut BTreeSet<&'a str>, depth: usize) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(Error::corrupt(format!("ONNX model: sub-graphs are nested deeper than {MAX_DEPTH}")));
    }
    for field in fields(message, "graph") {
        match field? {
            (1, v) => {
                let node = Node::read(v.bytes("node")?, inner, depth)?;
                inner.extend(node.inputs);
            }
            // An output may hand a value of the surrounding graph through.
            (12, v) => drop(inner.insert(name_of(v.bytes("output")?)?)),
            _ => {}
        }
    }
    Ok(())
}
