//! A model as rten holds it, and the files whose bytes it uses where they are.
//!
//! rten takes bytes that it may keep as `'static` ones. Lent here are those of [`Bytes`], which stay where they are and are
//! released after the model.

#![expect(unsafe_code, reason = "lends bytes to rten for as long as the model lives")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rten::{Model, ModelOptions, NodeId, RunOptions, ThreadPool, Value, ValueOrView};

use super::contain::{contained, not_loaded, not_run};
use super::defaults::completed;
use crate::engine::{Kind, Port};
use crate::onnx::{Edit, FLOAT16, Graph, NewNode, Node, TensorHead, external_tensor, inline_tensor};
use crate::source::release_pages;
use crate::tensor::Bytes;
use crate::{Error, Result};

/// `TensorProto.DataType` of 64-bit integers.
const INT64: i64 = 7;
/// So near to the ends of 64 bits a number stands for "to the end", in which rten reads it.
const ENDLESS: i64 = i64::MAX - (1 << 32);
/// Integers of one tensor that are looked at; what has more is a table of something else than shapes and ids.
const MAX_INTEGERS: usize = 1 << 24;
/// What rten takes for a file of its own format.
const OWN_FORMAT: &[u8] = b"RTEN";

/// A model's bytes, with those of the files beside it.
pub(super) struct OnnxFile {
    pub bytes: Bytes,
    /// By location, as the model spells it.
    pub external: BTreeMap<String, Bytes>,
    /// Nodes, those of sub-graphs included.
    pub nodes: usize,
}

/// A loaded model.
pub(super) struct Loaded {
    // First, so that it is dropped before what it borrows.
    model: Model,
    inputs: Vec<NodeId>,
    outputs: Vec<NodeId>,
    nodes: usize,
    _files: Vec<Bytes>,
}

impl OnnxFile {
    /// The model with inputs for those of `ports` that are `given`; the others keep their defaults.
    pub(super) fn load(&self, ports: &[Port], given: &[bool], outputs: usize) -> Result<Loaded> {
        let names = ports.iter().zip(given).filter(|(_, given)| **given).map(|(port, _)| &*port.name);
        let expected = names.clone().count();
        let graph = Graph::read(self.bytes.as_slice())?;
        if graph.is_sparse {
            return Err(Error::unsupported("rten has no sparse initializers"));
        }
        is_complete(&graph)?;
        fits_32_bits(&graph)?;
        let edited = self.edited(&graph, names.collect(), ports)?;
        let graph = edited.as_ref().unwrap_or(&self.bytes);
        if graph.as_slice().starts_with(OWN_FORMAT) {
            return Err(Error::unsupported("rten would read the file in its own format"));
        }
        let model = contained(self.nodes, "loading the model", || self.give(graph))?;
        // What it copied of the file it reads no more.
        release_pages(graph);
        let (inputs, got) = (model.input_ids().to_vec(), model.output_ids().to_vec());
        if inputs.len() != expected || got.len() != outputs {
            return Err(Error::corrupt(format!(
                "rten reads the file in another way: expected {expected} inputs and {outputs} outputs, got {} and {}",
                inputs.len(),
                got.len()
            )));
        }
        let files = self.external.values().chain([graph]).cloned().collect();
        Ok(Loaded { model, inputs, outputs: got, nodes: self.nodes, _files: files })
    }

    fn give(&self, graph: &Bytes) -> Result<Model> {
        let mut options = ModelOptions::with_all_ops();
        for (place, bytes) in self.external.values().enumerate() {
            // SAFETY: `load` keeps a clone of these bytes beside the model, which is dropped first. The options do not
            // outlive this call, and values that a run gives own their memory.
            options.external_data_static(&named(place), unsafe { lent(bytes) });
        }
        // SAFETY: as above.
        options.load_static_slice(unsafe { lent(graph) }).map_err(|e| not_loaded(&e))
    }

    /// The graph without the defaults of `given` inputs, with tensors of other files where rten finds them, with attributes that
    /// were left out, and without Dropout; `None` if that is the graph itself.
    fn edited(&self, graph: &Graph<'_>, given: BTreeSet<&str>, ports: &[Port]) -> Result<Option<Bytes>> {
        let mut edit = Edit::default();
        for tensor in &graph.initializers {
            if given.contains(tensor.name) {
                edit.without.insert(tensor.name);
            } else if let Some(beside) = self.beside(tensor)? {
                edit.without.insert(tensor.name);
                edit.initializers.push(beside);
            }
        }
        let weights = graph.initializers.iter().map(|tensor| (tensor.name, tensor.dims.len()));
        let mut ranks: BTreeMap<&str, usize> = weights.chain(ports.iter().filter_map(rank)).collect();
        for (i, node) in graph.nodes.iter().enumerate() {
            follow(node, &mut ranks)?;
            let other = identity(node).or_else(|| completed(node, |name| ranks.get(name).copied()));
            edit.nodes.extend(other.map(|other| (i, other)));
        }
        if edit.without.is_empty() && edit.nodes.is_empty() {
            return Ok(None);
        }
        Ok(Some(Bytes::shared(edit.apply(self.bytes.as_slice())?)))
    }

    /// A tensor of another file, by the file's number: in rten a name is bound by more rules than in ONNX, and none of the
    /// entries may be missing. A copy of it where it does not lie aligned.
    fn beside(&self, tensor: &TensorHead<'_>) -> Result<Option<Vec<u8>>> {
        let Some(external) = tensor.external(tensor.check()?)? else { return Ok(None) };
        let place = self.external.keys().position(|name| *name == external.location);
        let file = self.external.get(&external.location).map(Bytes::as_slice).unwrap_or_default();
        let begin = usize::try_from(external.offset).ok();
        let end = begin.zip(usize::try_from(external.length).ok()).and_then(|(begin, len)| begin.checked_add(len));
        let data = begin.zip(end).and_then(|(begin, end)| file.get(begin..end));
        let (Some(place), Some(data)) = (place, data) else {
            return Err(Error::corrupt(format!("external data of '{}' is not there", external.tensor)));
        };
        let align = match tensor.element {
            1 | 6 => 4,
            FLOAT16 => 2,
            _ => 1,
        };
        if !data.as_ptr().addr().is_multiple_of(align) {
            return Ok(Some(inline_tensor(tensor.name, tensor.element, &tensor.dims, data)));
        }
        let dims: Vec<u64> = tensor.dims.iter().map(|dim| dim.unsigned_abs()).collect();
        let (place, offset, length) = (named(place), external.offset.to_string(), external.length.to_string());
        let entries = [("location", &*place), ("offset", &*offset), ("length", &*length)];
        Ok(Some(external_tensor(tensor.name, tensor.element, &dims, &entries)))
    }
}

/// What a Dropout is out of training; what else it may be was refused before.
fn identity(node: &Node<'_>) -> Option<Vec<u8>> {
    let ([x, ..], [y]) = (&*node.inputs, &*node.outputs) else { return None };
    let mut identity = Vec::new();
    NewNode { op: "Identity", name: node.name, inputs: &[x], output: y, ..NewNode::default() }.put(&mut identity);
    node.is("Dropout").then_some(identity)
}

/// Weights on their way to who reads them; fails for a product that rten gives a dimension too many.
fn follow<'a>(node: &Node<'a>, ranks: &mut BTreeMap<&'a str, usize>) -> Result<()> {
    let of = |input: usize| node.inputs.get(input).and_then(|name| ranks.get(name)).copied();
    let keeps = ["Cast", "DequantizeLinear", "Identity", "Mul", "Transpose"].iter().any(|op| node.is(op));
    let rank = match node.constant()? {
        Some(tensor) => Some(tensor.dims.len()),
        None => of(0).filter(|_| keeps),
    };
    if node.is("MatMul") && of(1) == Some(1) && !matches!(of(0), Some(1 | 2)) {
        let name = node.name;
        return Err(Error::unsupported(format!("node '{name}': rten has no MatMul of several matrices by a vector")));
    }
    if let (Some(output), Some(rank)) = (node.outputs.first(), rank) {
        ranks.insert(output, rank);
    }
    Ok(())
}

/// The name of a port, and its dimensions, where they are known.
fn rank(port: &Port) -> Option<(&str, usize)> {
    let Kind::Tensor { shape: Some(dims), .. } = &port.kind else { return None };
    Some((&port.name, dims.len()))
}

/// The name of a file to rten, which looks at how it ends.
fn named(place: usize) -> String {
    format!("{place}.data")
}

/// The bytes, for ever.
///
/// # Safety
///
/// Nobody may use them once the last clone of `bytes` is dropped.
unsafe fn lent(bytes: &Bytes) -> &'static [u8] {
    let bytes = bytes.as_slice();
    // SAFETY: shared bytes do not move and are not written to; how long they are there, the caller answers for.
    unsafe { std::slice::from_raw_parts(bytes.as_ptr(), bytes.len()) }
}

/// Refuses values that nothing gives, of which rten would know in a run only.
fn is_complete(graph: &Graph<'_>) -> Result<()> {
    let made = graph.nodes.iter().flat_map(|node| &node.outputs).copied();
    let weights = graph.initializers.iter().map(|tensor| tensor.name);
    let known: BTreeSet<&str> = made.chain(weights).chain(graph.inputs.iter().copied()).collect();
    let read = graph.nodes.iter().flat_map(|node| &node.inputs).copied().filter(|name| !name.is_empty());
    match read.chain(graph.outputs.iter().copied()).find(|name| !known.contains(name)) {
        Some(missing) => Err(Error::corrupt(format!("ONNX model: nothing gives the value '{missing}'"))),
        None => Ok(()),
    }
}

/// Refuses 64-bit integers that rten would cut, in the outermost graph.
fn fits_32_bits(graph: &Graph<'_>) -> Result<()> {
    let constants: Vec<TensorHead<'_>> =
        graph.nodes.iter().filter_map(|node| node.constant().transpose()).collect::<Result<_>>()?;
    for tensor in graph.initializers.iter().chain(&constants).filter(|tensor| tensor.element == INT64) {
        let cut = |n: &i64| i32::try_from(*n).is_err() && (-ENDLESS..ENDLESS).contains(n);
        if let Some(number) = tensor.integers(MAX_INTEGERS).into_iter().flatten().find(cut) {
            let name = tensor.name;
            return Err(Error::unsupported(format!("tensor '{name}': rten has 32 bits for an i64, it holds {number}")));
        }
    }
    Ok(())
}

impl Loaded {
    /// The outputs of these numbers.
    pub(super) fn run(
        &self,
        inputs: Vec<ValueOrView<'_>>,
        outputs: &[usize],
        pool: &Arc<ThreadPool>,
    ) -> Result<Vec<Value>> {
        let inputs: Vec<_> = self.inputs.iter().copied().zip(inputs).collect();
        let outputs: Vec<NodeId> = outputs.iter().map(|output| self.outputs[*output]).collect();
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(pool)));
        let values = contained(self.nodes, "running the model", || {
            self.model.run(inputs, &outputs, Some(options)).map_err(|e| not_run(&e))
        })?;
        if values.len() != outputs.len() {
            return Err(Error::backend(format!("rten: expected {} outputs, got {}", outputs.len(), values.len())));
        }
        Ok(values)
    }
}
