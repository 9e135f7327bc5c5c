//! In which form a value is: the operators of pictures compute on blocks of channels, and those of a quantized graph on
//! bytes.

use super::super::graph::{Graph, Node};
use super::known::Known;
use super::values::{Value, count};

/// Channels of a block, as wide as the registers of the CPU; 0 where the runtime has no such form.
fn block() -> u64 {
    #[cfg(target_arch = "x86_64")]
    return if std::is_x86_feature_detected!("avx512f") { 16 } else { 8 };
    #[cfg(not(target_arch = "x86_64"))]
    0
}

/// Whether the CPU adds four products of bytes at once without cutting off a sum (VNNI), which the runtime's convolutions of
/// bytes by pointers want. Without it, those across channels are products of matrices.
fn adds_four_products() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::is_x86_feature_detected!("avx512vnni") || std::is_x86_feature_detected!("avxvnni");
    #[cfg(not(target_arch = "x86_64"))]
    true
}

/// Bytes of a pointer.
const POINTER: u64 = size_of::<usize>() as u64;
/// Channels of a convolution's input are whole numbers of these.
const BLOCK_PART: u64 = 4;

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
    ];
    node.domain.is_empty() && OPS.contains(&node.op)
}

/// Whether blocks are scaled as they are: by the mean of neighbours, or by the pixel at the corner.
fn scales_blocks(node: &Node<'_>, opset: i64) -> bool {
    match node.text("mode") {
        b"linear" => true,
        b"" | b"nearest" if opset < 11 => true,
        b"" | b"nearest" => {
            node.text("coordinate_transformation_mode") == b"asymmetric" && node.text("nearest_mode") == b"floor"
        }
        _ => false,
    }
}

/// Whether a node is an activation that the one before it computes too.
fn is_activation(node: &Node<'_>) -> bool {
    matches!(node.op, "Relu" | "Clip" | "LeakyRelu" | "Sigmoid" | "Tanh" | "HardSigmoid")
}

impl Known<'_> {
    /// Whether all that read a value compute with bytes.
    pub(super) fn is_read_as_bytes(&self, graph: &Graph<'_>, name: &str) -> bool {
        let readers = self.readers(name);
        (1..=MOST_READERS).contains(&readers.len())
            && readers.iter().all(|at| self.computes_bytes(graph, &graph.nodes[*at]))
    }

    /// Whether a node computes with the bytes around it: all that it reads is dequantized, and its output quantized.
    pub(super) fn computes_bytes(&self, graph: &Graph<'_>, node: &Node<'_>) -> bool {
        let from_bytes = |x: &&str| self.maker(x).is_some_and(|at| graph.nodes[at].is("DequantizeLinear"));
        let constant = |x: &&str| self.values.get(x).is_none_or(|value| value.constant);
        let is_product = node.is("MatMul") || node.is("Gemm");
        takes_bytes(node)
            && node.inputs.len() <= MOST_READERS
            && node.inputs.first().is_some_and(from_bytes)
            && node.inputs.iter().all(|x| constant(x) || from_bytes(x))
            && node
                .outputs
                .first()
                .is_some_and(|y| self.becomes_bytes(graph, y) || is_product && !self.is_biased(graph, y))
    }

    /// Whether a constant is added to a value of a fixed shape: with the product before it, that is a product of floats.
    fn is_biased(&self, graph: &Graph<'_>, name: &str) -> bool {
        let [reader] = self.readers(name) else { return false };
        let sum = &graph.nodes[*reader];
        let is_fixed = self.form(name).is_some_and(|form| self.values.dims(name) == Some(&form));
        is_fixed && sum.is("Add") && sum.inputs.iter().any(|x| self.values.get(x).is_some_and(|value| value.constant))
    }

    /// Whether a node dequantizes what a product with a bias reads: it is made anew, with the rows of all batches in one.
    pub(super) fn is_remade(&self, graph: &Graph<'_>, node: &Node<'_>) -> bool {
        let Some((x, output)) = node.inputs.first().zip(node.outputs.first()) else { return false };
        let [reader] = self.readers(output) else { return false };
        let product = &graph.nodes[*reader];
        let is_constant = self.values.get(x).is_some_and(|value| value.constant);
        node.is("DequantizeLinear")
            && !is_constant
            && product.is("MatMul")
            && product.outputs.first().is_some_and(|y| self.is_biased(graph, y))
    }

    /// Whether a value is quantized at once and read by no other, or after an activation that quantizing does anyway.
    pub(super) fn becomes_bytes(&self, graph: &Graph<'_>, name: &str) -> bool {
        let [reader] = self.readers(name) else { return false };
        let node = &graph.nodes[*reader];
        if node.is("QuantizeLinear") {
            return true;
        }
        let (true, Some(output)) = (node.is("Relu") || node.is("Clip"), node.outputs.first()) else { return false };
        let [reader] = self.readers(output) else { return false };
        let quantize = &graph.nodes[*reader];
        quantize.is("QuantizeLinear") && (node.is("Clip") || self.cuts_at_zero(quantize))
    }

    /// Whether a value that is quantized is bytes already: the node that gives it computes with bytes, or the one before an
    /// activation does.
    pub(super) fn is_quantized_with(&self, graph: &Graph<'_>, name: &str) -> bool {
        let Some(node) = self.maker(name).map(|at| &graph.nodes[at]) else { return false };
        let before = || node.inputs.first().and_then(|x| Some((x, &graph.nodes[self.maker(x)?])));
        let computes =
            |name: &str, node: &Node<'_>| self.becomes_bytes(graph, name) && self.computes_bytes(graph, node);
        computes(name, node) || is_activation(node) && before().is_some_and(|(x, node)| computes(x, node))
    }

    /// Whether the least byte stands for 0. Without a zero point it does.
    fn cuts_at_zero(&self, quantize: &Node<'_>) -> bool {
        let zero = quantize.inputs.get(2).filter(|x| !x.is_empty());
        let is_least = |value: &Value| {
            let least = if value.signed_bytes { i64::from(i8::MIN) } else { 0 };
            value.ints.as_ref().is_some_and(|list| list.iter().all(|n| *n == least))
        };
        zero.is_none_or(|x| self.values.get(x).is_some_and(is_least))
    }

    /// Whether a node is computed with the one before it: an activation, or a normalization with constants.
    pub(super) fn is_fused(&self, graph: &Graph<'_>, node: &Node<'_>) -> bool {
        let Some(x) = node.inputs.first() else { return false };
        let follows = |at: usize| graph.nodes[at].is("Conv") || graph.nodes[at].is("BatchNormalization");
        let alone = self.readers(x).len() == 1 && !graph.outputs.contains(x);
        alone
            && (is_activation(node) || node.is("BatchNormalization"))
            && self.maker(x).is_some_and(follows)
            && node.inputs[1..].iter().all(|x| self.values.get(x).is_none_or(|value| value.constant))
    }

    /// The input of a sum that is the output of a convolution, which then computes the sum too.
    pub(super) fn summed<'n>(&self, graph: &Graph<'_>, sum: &Node<'n>) -> Option<&'n str> {
        if !matches!(sum.op, "Add" | "Sum") || sum.inputs.len() != 2 || sum.inputs[0] == sum.inputs[1] {
            return None;
        }
        let is_conv = |x: &&&str| {
            let maker = self.maker(x).map(|at| &graph.nodes[at]);
            let plain = maker
                .is_some_and(|node| node.is("Conv") || node.is("BatchNormalization") && self.is_fused(graph, node));
            plain && self.readers(x).len() == 1 && !graph.outputs.contains(**x)
        };
        sum.inputs.iter().rev().find(is_conv).copied()
    }

    /// Whether the output of a node is in blocks of channels, if those of its inputs are that `blocked` says.
    pub(super) fn is_blocked(&self, graph: &Graph<'_>, node: &Node<'_>, blocked: impl Fn(&str) -> bool) -> bool {
        let Some((x, output)) = node.inputs.first().zip(node.outputs.first()) else { return false };
        let is_map = |name: &str| {
            self.values.get(name).is_some_and(|v| v.bits == 32 && v.dims.as_ref().is_some_and(|dims| dims.len() == 4))
        };
        if block() == 0 || !node.domain.is_empty() || !is_map(output) || !is_map(x) {
            return false;
        }
        let all = || node.inputs.iter().all(|x| blocked(x));
        let whole = |x: &&str| self.channels(x).is_some_and(|c| c.is_multiple_of(block()));
        match node.op {
            "Conv" => self.is_blocked_conv(node),
            "MaxPool" | "AveragePool" | "GlobalMaxPool" | "GlobalAveragePool" => node.outputs.len() == 1 && whole(x),
            "BatchNormalization" => blocked(x),
            "Resize" | "Upsample" => blocked(x) && scales_blocks(node, graph.opset),
            "Add" | "Sum" | "Mul" => all(),
            "Concat" => all() && node.int("axis", 0) == 1 && node.inputs.iter().all(whole),
            "Relu" | "Sigmoid" | "Tanh" => blocked(x),
            _ => blocked(x) && self.is_fused(graph, node),
        }
    }

    /// Whether blocks divide the channels of each group.
    fn is_blocked_conv(&self, node: &Node<'_>) -> bool {
        let Some(w) = node.inputs.get(1).and_then(|w| self.values.get(w)).filter(|w| w.constant) else { return false };
        let Some([outputs, inputs, ..]) = w.dims.as_deref() else { return false };
        match node.int("group", 1).unsigned_abs() {
            0 | 1 => *inputs < block() || inputs.is_multiple_of(BLOCK_PART),
            groups if *inputs == 1 => *outputs == groups && outputs.is_multiple_of(BLOCK_PART),
            groups => inputs.is_multiple_of(block()) && (outputs / groups).is_multiple_of(block()),
        }
    }

    fn channels(&self, name: &str) -> Option<u64> {
        self.values.dims(name)?.get(1).copied()
    }

    /// Whether a node that computes in blocks reads this input in blocks: a convolution takes a few channels as they are.
    pub(super) fn wants_blocks(&self, node: &Node<'_>, slot: usize) -> bool {
        match node.op {
            "Conv" => slot == 0 && self.channels(node.inputs[0]).is_some_and(|c| c >= block()),
            "Add" | "Sum" | "Mul" | "Concat" => true,
            _ => slot == 0,
        }
    }

    /// Buffers that a node has only while it computes.
    pub(super) fn temporary(&self, graph: &Graph<'_>, node: &Node<'_>) -> Vec<u64> {
        let Some(output) = node.outputs.first() else { return Vec::new() };
        let computes = node.is("QLinearConv") || node.is("Conv") && self.computes_bytes(graph, node);
        match node.op {
            // Both sides are computed before they are one.
            "Where" => vec![self.values.bytes(output); 2],
            _ if computes => self.windows(node, output).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// Of a convolution of bytes, pointers to what it reads at each position; where there is no kernel for its channels, what
    /// it reads, beside its sums.
    fn windows(&self, node: &Node<'_>, output: &str) -> Option<Vec<u64>> {
        let w = self.values.dims(node.inputs.get(if node.is("Conv") { 1 } else { 3 })?)?;
        let [outputs, channels, kernel @ ..] = w else { return None };
        let positions = count(self.values.dims(output)?.get(2..)?);
        let groups = node.int("group", 1).unsigned_abs();
        let is_direct = outputs.is_multiple_of(16)
            && if groups > 1 { *channels == 1 } else { channels.is_multiple_of(4) && adds_four_products() };
        let each = if is_direct { POINTER } else { *channels };
        let read = positions.saturating_mul(count(kernel)).saturating_mul(each);
        let sums = positions.saturating_mul(*outputs).saturating_mul(4);
        let parts = [(!is_direct).then_some(sums), (count(kernel) > 1).then_some(read)];
        Some(parts.into_iter().flatten().collect())
    }

    /// Bytes of a value in blocks.
    pub(super) fn blocked_bytes(&self, name: &str) -> u64 {
        let dims = self.values.dims(name).unwrap_or_default();
        match dims.get(1).filter(|c| **c > 0) {
            Some(c) => (self.values.bytes(name) / c).saturating_mul(c.div_ceil(block()).saturating_mul(block())),
            None => 0,
        }
    }
}
