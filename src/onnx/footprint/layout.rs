//! In which form a value is: the operators of pictures compute on blocks of channels, and those of a quantized graph on
//! bytes.

use super::super::graph::{Graph, Node};
use super::known::Known;

/// Channels of a block.
const BLOCK: u64 = 16;

/// Readers of a value, and inputs of each, that are looked at.
const MOST_READERS: usize = 64;

/// Whether a node computes with the bytes that are quantized before it and dequantized after it.
fn takes_bytes(node: &Node<'_>) -> bool {
    const OPS: &[&str] = &[
        "Conv",
        "ConvTranspose",
        "MatMul",
        "Gemm",
        "Add",
        "Mul",
        "MaxPool",
        "AveragePool",
        "GlobalAveragePool",
        "Relu",
        "LeakyRelu",
        "Clip",
        "Sigmoid",
        "Softmax",
        "Concat",
        "Resize",
        "Reshape",
        "Transpose",
        "Squeeze",
        "Unsqueeze",
        "Flatten",
        "Split",
        "Gather",
        "QuantizeLinear",
    ];
    node.domain.is_empty() && OPS.contains(&node.op)
}

/// Whether a node is an activation that the one before it computes too.
pub(super) fn is_activation(node: &Node<'_>) -> bool {
    matches!(node.op, "Relu" | "Clip" | "LeakyRelu" | "Sigmoid" | "Tanh" | "HardSigmoid")
}

impl Known<'_> {
    /// Whether all that read a value compute with bytes and read nothing that is not.
    pub(super) fn is_read_as_bytes(&self, graph: &Graph<'_>, name: &str) -> bool {
        let computes = |at: &usize| {
            let node = &graph.nodes[*at];
            takes_bytes(node)
                && node.inputs.len() <= MOST_READERS
                && node.inputs.first().is_some_and(|x| self.comes_from_bytes(graph, x))
                && node
                    .inputs
                    .iter()
                    .all(|x| self.values.get(x).is_none_or(|v| v.constant) || self.comes_from_bytes(graph, x))
        };
        let readers = self.readers(name);
        (1..=MOST_READERS).contains(&readers.len()) && readers.iter().all(computes)
    }

    fn comes_from_bytes(&self, graph: &Graph<'_>, name: &str) -> bool {
        self.maker(name).is_some_and(|at| graph.nodes[at].is("DequantizeLinear"))
    }

    /// Whether a value is quantized at once, or after an activation, and read by no other.
    pub(super) fn becomes_bytes(&self, graph: &Graph<'_>, name: &str) -> bool {
        let mut name = name;
        for _ in 0..2 {
            let [reader] = self.readers(name) else { return false };
            let node = &graph.nodes[*reader];
            match (node.is("QuantizeLinear"), is_activation(node), node.outputs.first()) {
                (true, ..) => return true,
                (_, true, Some(output)) => name = output,
                _ => return false,
            }
        }
        false
    }

    pub(super) fn takes_bytes(&self, graph: &Graph<'_>, node: &Node<'_>) -> bool {
        takes_bytes(node) && node.inputs.first().is_some_and(|x| self.comes_from_bytes(graph, x))
    }

    /// Whether the output of a node is in blocks of channels, if those of its inputs are that `blocked` says.
    pub(super) fn is_blocked(&self, node: &Node<'_>, blocked: impl Fn(&str) -> bool) -> bool {
        let Some((x, output)) = node.inputs.first().zip(node.outputs.first()) else { return false };
        let Some(value) = self.values.get(output) else { return false };
        if value.bits != 32 || value.dims.as_ref().is_none_or(|dims| dims.len() != 4) {
            return false;
        }
        let all = || node.inputs.iter().all(|x| blocked(x));
        let whole = |x: &&str| self.values.dims(x).and_then(|dims| dims.get(1)).is_some_and(|c| c % BLOCK == 0);
        match node.op {
            "Conv" => true,
            "MaxPool" | "AveragePool" | "GlobalAveragePool" | "BatchNormalization" | "Resize" | "Upsample" => {
                blocked(x)
            }
            "Add" | "Sum" | "Mul" => all(),
            "Concat" => all() && node.int("axis", 0) == 1 && node.inputs.iter().all(whole),
            _ => is_activation(node) && blocked(x),
        }
    }

    /// Whether a node reads blocks where it is given some; a convolution takes a few channels as they are.
    pub(super) fn wants_blocks(&self, node: &Node<'_>) -> bool {
        let channels = node.inputs.first().and_then(|x| self.values.dims(x)).and_then(|dims| dims.get(1));
        node.op == "Conv" && channels.is_some_and(|c| *c >= BLOCK)
    }

    /// Bytes of a value in blocks.
    pub(super) fn blocked_bytes(&self, name: &str) -> u64 {
        let dims = self.values.dims(name).unwrap_or_default();
        match dims.get(1).filter(|c| **c > 0) {
            Some(c) => (self.values.bytes(name) / c).saturating_mul(c.div_ceil(BLOCK).saturating_mul(BLOCK)),
            None => 0,
        }
    }
}
