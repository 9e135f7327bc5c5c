//! ONNX files: what one declares, read before any runtime sees a byte; edited and written.
//!
//! Enters: the bytes of a `ModelProto`, and files of external data. Leaves: what is declared, a graph to edit, bytes. May
//! import: engine, tensor, source.
//!
//! The file is a `ModelProto` message (onnx/onnx.proto3 of the ONNX project; field numbers below are
//! from there). It is walked in place, with these limits: a million nodes, sub-graphs 64 deep, 16,384
//! inputs and as many outputs, and every declared size within the file.

mod edit;
mod external;
mod footprint;
mod graph;
mod tensor;
#[cfg(test)]
mod tests;
mod wire;
mod write;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use edit::Edit;
pub(crate) use external::{BLOCKS_ENTRY, External};
pub(crate) use footprint::{Footprint, assumed};
pub(crate) use graph::{Graph, Node};
use prost::encoding::WireType;
#[cfg(feature = "rten")]
pub(crate) use tensor::UINT8;
pub(crate) use tensor::{FLOAT, FLOAT16, TensorHead, element_name};
use wire::{Value, fields};
pub(crate) use write::{NewNode, external as external_tensor, inline as inline_tensor, unique};
#[cfg(test)]
pub(crate) use write::{put, put_int};

use crate::engine::{Dim, Kind, Port};
use crate::{DType, Error, Result};

const MAX_NODES: usize = 1_000_000;
const MAX_DEPTH: usize = 64;
/// Inputs, and outputs, of a graph. A table with a port for each of its columns has some thousands.
const MAX_PORTS: usize = 1 << 14;
/// `ModelProto`'s highest field is 26; a file with one far above is something else.
const MAX_TAG: u32 = 1000;
/// ONNX 1.22 defines operator set 27. A runtime that does not know a set better may take any number,
/// so one from a distant future is refused here.
const MAX_OPSET: i64 = 50;

/// What an ONNX file declares.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    /// Graph inputs in the file's order. Those with a default (an initializer of the same name) are optional.
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    /// `model_version`, if the file sets it.
    pub version: Option<String>,
    /// `metadata_props`, and `producer`, `domain`, `graph` where they are set.
    pub metadata: BTreeMap<String, String>,
    /// Operator-set versions by domain; the default domain is "".
    pub opsets: BTreeMap<String, i64>,
    /// Operators used, sub-graphs and functions included: `Conv`, `com.microsoft:MatMulNBits`.
    pub operators: BTreeSet<String>,
    /// Bytes of all initializers, external ones included.
    pub weight_bytes: u64,
    /// Whether any initializer or port is f16 or bf16.
    pub half: bool,
    /// Initializers, and tensors in attributes, whose bytes lie in other files.
    pub external: Vec<External>,
    /// The initializers of the graph and its sub-graphs and the tensors of its nodes, in the file's order; empty
    /// unless [`list`] read the file.
    pub initializers: Vec<Initializer>,
    /// A tensor that is blocks of a packed model, in a graph that no runtime can read.
    blocks: Option<String>,
    pub ir_version: i64,
    /// Nodes, those of sub-graphs and functions included.
    pub nodes: usize,
    lists: bool,
    functions: BTreeSet<String>,
}

/// A weight of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Initializer {
    pub name: String,
    pub element: String,
    pub dims: Vec<u64>,
    pub bytes: u64,
    /// The file beside the model that has the data, if it is not in the model itself.
    pub location: Option<String>,
}

/// Reads and checks the declarations of an ONNX file.
///
/// # Errors
///
/// `Corrupt` for bytes that are no `ModelProto` with a graph, for tensors whose data does not fit
/// their dimensions, and above the limits of this module.
pub(crate) fn read(bytes: &[u8]) -> Result<Declared> {
    Declared::default().read(bytes)
}

/// As [`read`], and lists the initializers.
pub(crate) fn list(bytes: &[u8]) -> Result<Declared> {
    Declared { lists: true, ..Declared::default() }.read(bytes)
}

/// The value of one entry of a model's metadata; the model need not have been read.
pub(crate) fn metadata<'a>(model: &'a [u8], key: &str) -> Result<Option<&'a str>> {
    let mut found = None;
    for field in fields(model, "not an ONNX model") {
        if let (14, v) = field? {
            let (k, value) = entry(v.bytes("metadata_props")?, "metadata_props")?;
            if k == key {
                found = Some(value);
            }
        }
    }
    Ok(found)
}

/// Whether a file may be an ONNX model, which has no magic: it begins with a field that a `ModelProto` has, or with a
/// whole one of a later version. Four bytes of zeros are no fields, but the upper half of a length.
pub(crate) fn looks_like_onnx(bytes: &[u8]) -> bool {
    if bytes.get(4..bytes.len().min(8)).is_some_and(|upper| !upper.is_empty() && upper.iter().all(|byte| *byte == 0)) {
        return false;
    }
    match prost::encoding::decode_key(&mut &*bytes) {
        Ok((tag, WireType::Varint)) => matches!(tag, 1 | 5),
        Ok((2..=4 | 6..=8 | 14 | 20 | 25 | 26, WireType::LengthDelimited)) => true,
        Ok((tag, WireType::LengthDelimited)) if tag <= MAX_TAG => {
            fields(bytes, "model").next().is_some_and(|f| f.is_ok())
        }
        _ => false,
    }
}

impl Declared {
    fn read(mut self, bytes: &[u8]) -> Result<Self> {
        let declared = &mut self;
        let mut graph = None;
        for field in fields(bytes, "not an ONNX model") {
            match field? {
                (1, v) => declared.ir_version = v.int("ir_version")?,
                (2, v) => declared.note("producer", v.text("producer_name")?),
                (4, v) => declared.note("domain", v.text("domain")?),
                (5, v) => declared.version = Some(v.int("model_version")?).filter(|v| *v != 0).map(|v| v.to_string()),
                (7, v) => once(&mut graph, v.bytes("graph")?, "graph")?,
                (8, v) => declared.opset(v.bytes("opset_import")?)?,
                (14, v) => {
                    let (key, value) = entry(v.bytes("metadata_props")?, "metadata_props")?;
                    declared.metadata.insert(key.into(), value.into());
                }
                (25, v) => declared.function(v.bytes("functions")?)?,
                (tag, _) if tag > MAX_TAG => {
                    return Err(Error::corrupt(format!(
                        "not an ONNX model: expected fields up to 26, got field {tag}"
                    )));
                }
                _ => {}
            }
        }
        let graph = graph.ok_or_else(|| Error::corrupt("not an ONNX model: it has no graph"))?;
        if declared.opsets.is_empty() {
            return Err(Error::corrupt("ONNX model: it imports no operator set"));
        }
        declared.graph(graph, 0)?;
        let functions = std::mem::take(&mut declared.functions);
        declared.operators.retain(|op| !functions.contains(op));
        Ok(self)
    }

    /// Fails if tensors are blocks, which no runtime can read; in a packed model they have been replaced.
    pub(crate) fn refuse_blocks(&self) -> Result<()> {
        match &self.blocks {
            Some(name) => {
                Err(Error::corrupt(format!("tensor '{name}' is blocks, but the model does not say it is packed")))
            }
            None => Ok(()),
        }
    }

    fn note(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.metadata.insert(key.into(), value.into());
        }
    }

    fn opset(&mut self, message: &[u8]) -> Result<()> {
        let (mut domain, mut version) = ("", 0);
        for field in fields(message, "opset_import") {
            match field? {
                (1, v) => domain = v.text("opset domain")?,
                (2, v) => version = v.int("opset version")?,
                _ => {}
            }
        }
        let domain = if domain == "ai.onnx" { "" } else { domain };
        if version < 1 {
            return Err(Error::corrupt(format!("operator set '{domain}': expected a version >= 1, got {version}")));
        }
        if domain.is_empty() && version > MAX_OPSET {
            return Err(Error::unsupported(format!("operator set: expected a version <= {MAX_OPSET}, got {version}")));
        }
        if self.opsets.insert(domain.into(), version).is_some_and(|before| before != version) {
            return Err(Error::corrupt(format!("ONNX model: it imports the operator set '{domain}' twice")));
        }
        Ok(())
    }

    fn function(&mut self, message: &[u8]) -> Result<()> {
        let (mut name, mut domain) = ("", "");
        for field in fields(message, "function") {
            match field? {
                (1, v) => name = v.text("function name")?,
                (7, v) => self.node(v.bytes("function node")?, 1)?,
                (10, v) => domain = v.text("function domain")?,
                _ => {}
            }
        }
        self.functions.insert(operator(domain, name));
        Ok(())
    }

    fn graph(&mut self, message: &[u8], depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(Error::corrupt(format!("ONNX model: sub-graphs are nested deeper than {MAX_DEPTH}")));
        }
        let mut initialized = BTreeSet::new();
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for field in fields(message, "graph") {
            match field? {
                (1, v) => self.node(v.bytes("node")?, depth)?,
                (2, v) if depth == 0 => self.note("graph", v.text("graph name")?),
                (5, v) => {
                    let head = TensorHead::read(v.bytes("initializer")?)?;
                    if !head.name.is_empty() && !initialized.insert(head.name) {
                        return Err(Error::corrupt(format!("initializer '{}' is defined twice", head.name)));
                    }
                    self.tensor(&head)?;
                }
                (11, v) if depth == 0 => inputs.push(v.bytes("input")?),
                (12, v) if depth == 0 => outputs.push(v.bytes("output")?),
                (15, v) => {
                    // values = 1, indices = 2 of SparseTensorProto
                    for field in fields(v.bytes("sparse_initializer")?, "sparse_initializer") {
                        if let (1 | 2, v) = field? {
                            self.tensor(&TensorHead::read(v.bytes("sparse tensor")?)?)?;
                        }
                    }
                }
                _ => {}
            }
        }
        let mut names = BTreeSet::new();
        for message in inputs {
            let mut port = port(message)?;
            port.optional = initialized.contains(&*port.name);
            // Before IR version 4 every initializer had to be listed as an input, so it being one says
            // nothing; ONNX Runtime takes these for constants.
            if !port.optional || self.ir_version >= 4 {
                self.port(port, true, &mut names)?;
            }
        }
        names.clear();
        for message in outputs {
            let port = port(message)?;
            self.port(port, false, &mut names)?;
        }
        Ok(())
    }

    /// Adds a port; `names` are those of the same kind before it.
    fn port(&mut self, port: Port, input: bool, names: &mut BTreeSet<String>) -> Result<()> {
        let (ports, what) = if input { (&mut self.inputs, "input") } else { (&mut self.outputs, "output") };
        if ports.len() == MAX_PORTS {
            return Err(Error::corrupt(format!("ONNX model: it has more than {MAX_PORTS} {what}s")));
        }
        if !names.insert(port.name.clone()) {
            return Err(Error::corrupt(format!("graph {what} '{}' is declared twice", port.name)));
        }
        self.half |= matches!(port.kind, Kind::Tensor { dtype: DType::F16 | DType::BF16, .. });
        ports.push(port);
        Ok(())
    }

    fn node(&mut self, message: &[u8], depth: usize) -> Result<()> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Error::corrupt(format!("ONNX model: it has more than {MAX_NODES} nodes")));
        }
        let (mut op, mut domain, mut output) = ("", "", None);
        let before = self.initializers.len();
        for field in fields(message, "node") {
            match field? {
                (2, v) if output.is_none() => output = Some(v.text("node output")?),
                (4, v) => op = v.text("op_type")?,
                (5, v) => self.attribute(v.bytes("attribute")?, depth)?,
                (7, v) => domain = v.text("node domain")?,
                _ => {}
            }
        }
        // The tensor of a Constant is known by what the node gives.
        for tensor in self.initializers[before..].iter_mut().filter(|t| t.name.is_empty()) {
            tensor.name = output.unwrap_or_default().into();
        }
        let op = operator(domain, op);
        if !self.operators.contains(&op) {
            self.operators.insert(op);
        }
        Ok(())
    }

    fn attribute(&mut self, message: &[u8], depth: usize) -> Result<()> {
        let (mut tensor, mut graph) = (None, None);
        for field in fields(message, "attribute") {
            match field? {
                (5, v) => once(&mut tensor, v.bytes("attribute tensor")?, "attribute tensor")?,
                (6, v) => once(&mut graph, v.bytes("sub-graph")?, "sub-graph")?,
                (10, v) => self.tensor(&TensorHead::read(v.bytes("attribute tensor")?)?)?,
                (11, v) => self.graph(v.bytes("sub-graph")?, depth + 1)?,
                _ => {}
            }
        }
        if let Some(tensor) = tensor {
            self.tensor(&TensorHead::read(tensor)?)?;
        }
        graph.map_or(Ok(()), |graph| self.graph(graph, depth + 1))
    }

    fn tensor(&mut self, head: &TensorHead) -> Result<()> {
        let bytes = head.check()?;
        self.half |= matches!(head.dtype(), Some(DType::F16 | DType::BF16));
        self.weight_bytes = self.weight_bytes.saturating_add(bytes);
        self.external.extend(head.external(bytes)?);
        if self.lists {
            if self.initializers.len() == MAX_NODES {
                return Err(Error::corrupt(format!("ONNX model: it has more than {MAX_NODES} weights")));
            }
            self.initializers.push(head.listed()?);
        }
        if head.is_external && head.entry(BLOCKS_ENTRY).is_some() {
            self.blocks = Some(head.name.into());
        }
        Ok(())
    }
}

/// Keeps a message that may come once. Parsers merge a second one into the first, so what they see would
/// differ from what was checked.
fn once<'a>(place: &mut Option<&'a [u8]>, message: &'a [u8], what: &str) -> Result<()> {
    match place.replace(message) {
        None => Ok(()),
        Some(_) => Err(Error::corrupt(format!("ONNX model: {what}: expected it once, got it twice"))),
    }
}

fn operator(domain: &str, op: &str) -> String {
    match domain {
        "" | "ai.onnx" => op.into(),
        domain => format!("{domain}:{op}"),
    }
}

fn entry<'a>(message: &'a [u8], what: &'static str) -> Result<(&'a str, &'a str)> {
    let (mut key, mut value) = ("", "");
    for field in fields(message, what) {
        match field? {
            (1, v) => key = v.text(what)?,
            (2, v) => value = v.text(what)?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// A `ValueInfoProto`.
fn port(message: &[u8]) -> Result<Port> {
    let (mut name, mut kind) = ("", Kind::Other("a value without a type".into()));
    for field in fields(message, "value info") {
        match field? {
            (1, v) => name = v.text("value name")?,
            (2, v) => kind = value_type(v.bytes("type")?, 0)?,
            _ => {}
        }
    }
    Ok(Port { name: name.into(), kind, optional: false })
}

/// A `TypeProto`.
fn value_type(message: &[u8], depth: usize) -> Result<Kind> {
    if depth > MAX_DEPTH {
        return Err(Error::corrupt(format!("ONNX model: types are nested deeper than {MAX_DEPTH}")));
    }
    let mut kind = Kind::Other("a value without a type".into());
    for field in fields(message, "type") {
        kind = match field? {
            (1, v) => tensor_type(v.bytes("tensor type")?)?,
            (4, v) => Kind::Other(format!("sequence({})", element_type(v, depth)?)),
            (5, v) => map_type(v.bytes("map type")?, depth)?,
            (8, _) => Kind::Other("sparse tensor".into()),
            (9, v) => Kind::Other(format!("optional({})", element_type(v, depth)?)),
            _ => continue,
        };
    }
    Ok(kind)
}

fn tensor_type(message: &[u8]) -> Result<Kind> {
    let (mut element, mut shape) = (0, None);
    for field in fields(message, "tensor type") {
        match field? {
            (1, v) => element = v.int("elem_type")?,
            (2, v) => shape = Some(dims(v.bytes("shape")?)?),
            _ => {}
        }
    }
    Ok(match tensor::dtype(element) {
        Some(dtype) => Kind::Tensor { dtype, shape },
        None => Kind::Other(format!("tensor({})", tensor::element_name(element))),
    })
}

fn dims(message: &[u8]) -> Result<Vec<Dim>> {
    let mut dims = Vec::new();
    for field in fields(message, "shape") {
        if let (1, v) = field? {
            let mut dim = Dim::Any;
            for field in fields(v.bytes("dimension")?, "dimension") {
                match field? {
                    // Exporters write -1, and some 0, for "unknown"; ONNX Runtime reads a negative one so.
                    (1, v) => dim = usize::try_from(v.int("dim_value")?).map_or(Dim::Any, Dim::Fixed),
                    (2, v) => {
                        let name = v.text("dim_param")?;
                        // Paddle's exporter writes `?` for every dimension that it does not know.
                        let unknown = name.is_empty() || name == "?";
                        dim = if unknown { Dim::Any } else { Dim::Symbol(name.into()) };
                    }
                    _ => {}
                }
            }
            dims.push(dim);
        }
    }
    Ok(dims)
}

fn element_type(value: Value<'_>, depth: usize) -> Result<Kind> {
    for field in fields(value.bytes("element type")?, "element type") {
        if let (1, v) = field? {
            return value_type(v.bytes("element type")?, depth + 1);
        }
    }
    Ok(Kind::Other("?".into()))
}

fn map_type(message: &[u8], depth: usize) -> Result<Kind> {
    let (mut key, mut value) = (0, Kind::Other("?".into()));
    for field in fields(message, "map type") {
        match field? {
            (1, v) => key = v.int("key_type")?,
            (2, v) => value = value_type(v.bytes("value type")?, depth + 1)?,
            _ => {}
        }
    }
    Ok(Kind::Other(format!("map({}, {value})", tensor::element_name(key))))
}
