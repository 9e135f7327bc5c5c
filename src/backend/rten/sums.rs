//! Sums of 8-bit products, which rten keeps in 16 bits on some processors.
//!
//! On x86-64 without VNNI, rten's kernels add products of a `u8` and an `i8` in pairs, and cut off what exceeds 16 bits
//! (`vpmaddubsw`): the answer is wrong, and nothing says so. Weights that cannot lead there, such as those that were quantized to
//! 7 bits, are taken; all others are refused on such a processor, so that the model goes to another runtime.

use std::collections::BTreeMap;

use rten_gemm::GemmExecutor;

use crate::onnx::{Declared, Graph, TensorHead, UINT8};
use crate::{Error, Result};

/// Operators that multiply so, by domain and name.
const PRODUCTS: [&str; 3] = ["MatMulInteger", "ConvInteger", "com.microsoft:DynamicQuantizeLSTM"];

/// Whether the kernel for this processor may cut off a sum.
pub(super) fn may_saturate() -> bool {
    GemmExecutor::<u8, i8, i32>::default().may_saturate()
}

/// Refuses a model for kernels that may cut off one of its sums.
pub(super) fn check(declared: &Declared, graph: &Graph<'_>) -> Result<()> {
    let Some(op) = PRODUCTS.iter().find(|op| declared.operators.contains(**op)) else { return Ok(()) };
    if graph.nodes.iter().any(|node| node.is("If") || node.is("Loop")) {
        return Err(refused(&format!("{op} in a model with sub-graphs")));
    }
    let weights: BTreeMap<&str, &TensorHead<'_>> = graph.initializers.iter().map(|w| (w.name, w)).collect();
    for node in &graph.nodes {
        let weights = node.inputs.get(1).and_then(|name| weights.get(name));
        let range = weights.and_then(|weights| range(weights));
        let fits = match node.op {
            // Weights are the `i8`, those of a `u8` less 128, beside a byte of up to 255.
            "MatMulInteger" => {
                let zero = if weights.is_some_and(|weights| weights.element == UINT8) { 128 } else { 0 };
                range.is_some_and(|(least, most)| zero - 64 <= least && most <= zero + 64)
            }
            // Weights are the byte, moved up until none is below zero, beside an `i8` of down to -128.
            "ConvInteger" => range.is_some_and(|(least, most)| most - least.min(0) <= 128),
            "DynamicQuantizeLSTM" => false,
            _ => true,
        };
        if !fits {
            return Err(refused(&format!("node '{}': {} with weights of more than 7 bits", node.name, node.op)));
        }
    }
    Ok(())
}

/// Least and largest of some weights; `None` where they cannot be seen.
fn range(weights: &TensorHead<'_>) -> Option<(i32, i32)> {
    let bytes = weights.bytes()?;
    let value = |byte: &u8| match weights.element {
        UINT8 => i32::from(*byte),
        _ => i32::from(*byte as i8),
    };
    Some((bytes.iter().map(value).min()?, bytes.iter().map(value).max()?))
}

fn refused(what: &str) -> Error {
    Error::unsupported(format!("{what}: rten adds its products in 16 bits on this processor, which has no VNNI"))
}
