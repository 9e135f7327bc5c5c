//! What a graph takes when it runs: the weights that stay, and the buffers of a run, without running it.
//!
//! ONNX Runtime is the model: constants are folded, but for weights that are dequantized where they are read; bytes
//! between a `QuantizeLinear` and a `DequantizeLinear` stay bytes in the operators that compute with them; an activation
//! is computed in place; nodes run depth first from the last output; buffers come from an arena, and are used again for
//! values of which it is known before a run that their shape is the same.

mod arena;
mod fused;
mod known;
mod layout;
mod marks;
mod order;
mod plan;
mod shapes;
#[cfg(test)]
mod tests;
mod values;

use super::Declared;
use super::graph::Graph;
use known::Known;
use plan::Plan;
pub(crate) use values::assumed;

/// A graph with more nodes is not followed; its weights are what the file has.
const MAX_NODES: usize = 100_000;

/// What a graph takes when it runs, in bytes.
///
/// A dimension that the file leaves open counts as 1 if it is the first, as 224 in a picture (an input of four or more
/// dimensions), and as 128 elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footprint {
    /// Weights after constants were folded, f16 widened to f32.
    pub weights: u64,
    /// Weights in 8 bits that are dequantized: their bytes in the file.
    pub dequantized: u64,
    /// Buffers of one run, outputs included, as an arena hands them out.
    pub buffers: u64,
    /// What the arena writes beside them to know its chunks.
    pub arena: u64,
    /// Nodes that are left after folding.
    pub nodes: u64,
    /// Bytes of tables that operators have as attributes: the trees of an ensemble.
    pub tables: u64,
}

impl Footprint {
    /// Of a model and what [`read`](super::read) found in it.
    pub(crate) fn of(model: &[u8], declared: &Declared) -> Self {
        let (nodes, weights) = (declared.nodes, declared.weight_bytes);
        let graph = if nodes > MAX_NODES { None } else { Graph::read(model).ok() };
        let Some(graph) = graph else {
            return Self { weights, nodes: nodes as u64, ..Self::default() };
        };
        let mut known = Known::new(&graph);
        known.infer(&graph);
        let own = known.weights(&graph);
        let mut footprint = Self { weights: own.kept, dequantized: own.dequantized, ..Self::default() };
        // The rest are weights of sub-graphs.
        footprint.weights = footprint.weights.saturating_add(weights.saturating_sub(own.in_file));
        let arena = Plan::new(&graph, &known).run();
        (footprint.buffers, footprint.arena) = (arena.touched(), arena.tables());
        footprint.nodes = nodes.saturating_sub(graph.nodes.len()) as u64 + known.running() as u64;
        let trees = graph.nodes.iter().filter(|node| node.domain == "ai.onnx.ml");
        footprint.tables = trees.map(|node| node.len() as u64).sum();
        footprint
    }
}
