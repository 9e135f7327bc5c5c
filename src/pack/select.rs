//! Selection of the tensors of a graph that become blocks, and why the others stay.

use std::collections::HashMap;

use super::glob::any_matches;
use super::keys::Layout;
use super::options::{Packing, Scheme};
use crate::kernel::BlockFormat;
use crate::onnx::{FLOAT, FLOAT16, Graph, Node, TensorHead, element_name};

/// Blocks along a row: what GGUF pads a row to.
const BLOCK: usize = 32;
/// Since this operator set `Cast` names its type by number.
pub(super) const NUMBERED_CAST: i64 = 6;

/// A tensor that becomes blocks.
pub(super) struct Plan<'a> {
    pub tensor: TensorHead<'a>,
    /// The `Constant` node that it comes from, if it is no initializer.
    pub constant: Option<usize>,
    pub dims: Vec<u64>,
    pub format: BlockFormat,
    pub layout: Layout,
    /// Of the power of two that the weights are divided by.
    pub exponent: i32,
    /// The operators that read it, by node and input.
    pub uses: Vec<(usize, usize)>,
}

impl Plan<'_> {
    /// Rows, weights per row, and weights per row with the padding of the last block.
    pub(super) fn rows(&self) -> (usize, usize, usize) {
        let (rows, columns) = self.layout.split(&self.dims).unwrap_or((0, 0));
        // The survey has bounded their product.
        let (rows, columns) = (rows as usize, columns as usize);
        (rows, columns, columns.next_multiple_of(self.format.block_elements()))
    }
}

/// A tensor that stays, and why.
pub(super) struct Stays<'a> {
    pub tensor: TensorHead<'a>,
    pub why: String,
}

/// Judges every initializer and constant of the outermost graph.
pub(super) fn survey<'a>(graph: &Graph<'a>, packing: &Packing) -> crate::Result<(Vec<Plan<'a>>, Vec<Stays<'a>>)> {
    let (mut plans, mut stays) = (Vec::new(), Vec::new());
    for Found { tensor, constant, uses } in found(graph)? {
        match judge(graph, packing, &tensor, &uses) {
            Ok((dims, format, layout)) => {
                plans.push(Plan { tensor, constant, dims, format, layout, exponent: 0, uses });
            }
            Err(why) => stays.push(Stays { tensor, why }),
        }
    }
    Ok((plans, stays))
}

/// The patterns that no tensor goes by, each once.
pub(super) fn unmatched(graph: &Graph<'_>, packing: &Packing) -> crate::Result<Vec<String>> {
    let tensors = found(graph)?;
    let mut unmatched: Vec<String> = Vec::new();
    for pattern in packing.only.iter().chain(&packing.keep).chain(&packing.finer) {
        let matches = |found: &Found<'_>| goes_by(graph, std::slice::from_ref(pattern), &found.tensor, &found.uses);
        if !unmatched.contains(pattern) && !tensors.iter().any(matches) {
            unmatched.push(pattern.clone());
        }
    }
    Ok(unmatched)
}

/// A tensor of the outermost graph.
struct Found<'a> {
    tensor: TensorHead<'a>,
    /// As of a [`Plan`].
    constant: Option<usize>,
    uses: Vec<(usize, usize)>,
}

fn found<'a>(graph: &Graph<'a>) -> crate::Result<Vec<Found<'a>>> {
    let mut tensors: Vec<_> = graph.initializers.iter().map(|tensor| (tensor.clone(), None)).collect();
    for (i, node) in graph.nodes.iter().enumerate() {
        tensors.extend(node.constant()?.map(|tensor| (tensor, Some(i))));
    }
    let mut readers: HashMap<&str, Vec<(usize, usize)>> = HashMap::new();
    for (i, node) in graph.nodes.iter().enumerate() {
        for (slot, input) in node.inputs.iter().enumerate() {
            readers.entry(*input).or_default().push((i, slot));
        }
    }
    let uses = |name| readers.get(name).cloned().unwrap_or_default();
    Ok(tensors.into_iter().map(|(tensor, constant)| Found { uses: uses(tensor.name), tensor, constant }).collect())
}

/// Whether a pattern matches the tensor's name, or name or operator of a node that reads it.
fn goes_by(graph: &Graph<'_>, patterns: &[String], tensor: &TensorHead<'_>, uses: &[(usize, usize)]) -> bool {
    let mut nodes = uses.iter().map(|(i, _)| &graph.nodes[*i]);
    any_matches(patterns, tensor.name)
        || nodes.any(|node| any_matches(patterns, node.name) || any_matches(patterns, node.op))
}

fn judge(
    graph: &Graph<'_>,
    packing: &Packing,
    tensor: &TensorHead<'_>,
    uses: &[(usize, usize)],
) -> Result<(Vec<u64>, BlockFormat, Layout), String> {
    let size = match tensor.element {
        FLOAT => 4,
        // What reads it has to be given f16 again.
        FLOAT16 if graph.opset >= NUMBERED_CAST => 2,
        FLOAT16 => {
            return Err(format!("it is f16, which an operator set before {NUMBERED_CAST} cannot be given again"));
        }
        other => return Err(format!("it is {}, not f32 or f16", element_name(other))),
    };
    let dims: Vec<u64> = tensor.dims.iter().map(|d| u64::try_from(*d).unwrap_or(0)).collect();
    let elements = tensor.check().map_err(|e| e.to_string())? / size;
    if elements < packing.min_elements.max(1) {
        return Err(format!("it has only {elements} elements"));
    }
    // Before IR version 4 all initializers are listed as inputs, and are constants.
    if graph.ir_version >= 4 && graph.inputs.contains(tensor.name) {
        return Err("a caller may replace it: it is an input".into());
    }
    if graph.outputs.contains(tensor.name) {
        return Err("it is an output of the model".into());
    }
    let named = |patterns: &[String]| goes_by(graph, patterns, tensor, uses);
    if !packing.only.is_empty() && !named(&packing.only) {
        return Err("no pattern of `only` matches it".into());
    }
    if named(&packing.keep) {
        return Err("a pattern of `keep` matches it".into());
    }
    let scheme = if named(&packing.finer) { packing.scheme.finer() } else { packing.scheme };
    let format = match scheme {
        Scheme::Int4 => BlockFormat::Q4_0,
        Scheme::Int8 => BlockFormat::Q8_0,
        Scheme::F16 => BlockFormat::F16,
    };
    let layout = match scheme {
        Scheme::F16 if tensor.element == FLOAT16 => return Err("it is f16 already".into()),
        Scheme::F16 => half(graph, uses, &dims)?,
        scheme => blocked(graph, tensor.name, scheme, uses, &dims)?,
    };
    let (_, columns) = layout.split(&dims).ok_or("its size overflows")?;
    if scheme != Scheme::F16 && !fills_blocks(format, &dims, layout, tensor.element) {
        return Err(format!("its rows of {columns} do not fill blocks of {BLOCK}"));
    }
    Ok((dims, format, layout))
}

/// Whether blocks, with the padding of the last one of a row, take no more than half of what f32 takes, or three quarters
/// of f16.
pub(super) fn fills_blocks(format: BlockFormat, dims: &[u64], layout: Layout, element: i64) -> bool {
    let bytes = |(rows, columns): (u64, u64)| {
        let padded = rows.checked_mul(columns.checked_next_multiple_of(BLOCK as u64)?)?;
        let bytes = format.bytes(usize::try_from(padded).ok()?)?;
        let weights = rows * columns;
        Some(bytes as u64 <= if element == FLOAT16 { weights + weights / 2 } else { weights * 2 })
    };
    layout.split(dims).and_then(bytes).unwrap_or(false)
}

/// Half precision serves any reader; it is worth it for the large ones.
fn half(graph: &Graph<'_>, uses: &[(usize, usize)], dims: &[u64]) -> Result<Layout, String> {
    let reads = |(i, slot): &(usize, usize)| {
        let node = &graph.nodes[*i];
        match *slot {
            0 => ["MatMul", "Gemm", "Gather"].iter().any(|op| node.is(op)),
            1 => ["MatMul", "Gemm", "Conv"].iter().chain(RECURRENT).any(|op| node.is(op)),
            2 => RECURRENT.iter().any(|op| node.is(op)),
            _ => false,
        }
    };
    if uses.iter().any(reads) {
        let is_recurrent = |(i, _): &(usize, usize)| RECURRENT.contains(&graph.nodes[*i].op);
        return Ok(if dims.len() == 3 && uses.iter().any(is_recurrent) { Layout::Inner } else { Layout::Rows });
    }
    Err("no MatMul, Gemm, Gather, Conv, LSTM, GRU or RNN reads it".into())
}

/// Operators with weights of their inputs, and of their own last outputs, `[directions, gates · hidden, width]`, as inputs
/// 1 and 2.
const RECURRENT: &[&str] = &["LSTM", "GRU", "RNN"];

/// The layout in which every reader can use blocks.
fn blocked(
    graph: &Graph<'_>,
    name: &str,
    scheme: Scheme,
    uses: &[(usize, usize)],
    dims: &[u64],
) -> Result<Layout, String> {
    if uses.is_empty() {
        return Err("no operator reads it".into());
    }
    let mut layout = None;
    for (i, slot) in uses {
        let of_this = wanted(&graph.nodes[*i], *slot, scheme, dims)?;
        if layout.replace(of_this).is_some_and(|before| before != of_this) {
            return Err("operators read it along different dimensions".into());
        }
    }
    if graph.inner.contains(name) {
        return Err("a sub-graph reads it".into());
    }
    layout.ok_or_else(|| "no operator reads it".into())
}

fn wanted(node: &Node<'_>, slot: usize, scheme: Scheme, dims: &[u64]) -> Result<Layout, String> {
    let matrix = dims.len() == 2;
    match (node.op, slot) {
        _ if !node.domain.is_empty() => Err(format!("{}:{} reads it", node.domain, node.op)),
        ("MatMul", 1) if matrix => Ok(Layout::Columns),
        ("Gemm", 1) if matrix => {
            let plain = node.float("alpha", 1.0) == 1.0 && node.float("beta", 1.0) == 1.0 && node.int("transA", 0) == 0;
            match plain {
                true if node.int("transB", 0) != 0 => Ok(Layout::Rows),
                true => Ok(Layout::Columns),
                false => Err("a Gemm with alpha, beta or transA reads it".into()),
            }
        }
        ("Gather", 0) if matrix && node.int("axis", 0) == 0 => Ok(Layout::Rows),
        (op, 1 | 2) if RECURRENT.contains(&op) && dims.len() == 3 => Ok(Layout::Inner),
        ("Conv", 1) if scheme == Scheme::Int8 && dims.len() > 2 => Ok(Layout::Rows),
        ("Conv", 1) => Err("a Conv reads it, which has no 4-bit form".into()),
        ("MatMul" | "Gemm" | "Gather" | "LSTM" | "GRU" | "RNN", _) => {
            Err(format!("{} reads it as input {slot} of rank {}", node.op, dims.len()))
        }
        ("", _) => Err("a node without an operator reads it".into()),
        _ => Err(format!("{} reads it", node.op)),
    }
}
