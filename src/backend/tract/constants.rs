//! The constants of a plan: the weights.
//!
//! PlanCache for different shapes hold the same ones, and each makes them anew. What stands in a graph as it is
//! (tables of embeddings above all) a new plan takes over from an older one.

use std::sync::Arc;

use tract_onnx::prelude::{Tensor, TractResult, TypedModel, TypedNode};
use tract_onnx::tract_core::dyn_clone::clone_box;
use tract_onnx::tract_core::ops::konst::Const;

use super::ops::packed_weights;
use crate::kernel::int8::Weights;

/// Smaller ones are not worth the search.
const LARGE: u64 = 4096;

/// Bytes of all constants, and of packed weights. After optimisation most are inside of operators, where nobody counts them.
pub(super) fn bytes(model: &mut TypedModel) -> u64 {
    let packed = packed_weights(model).map(|weights| weights.bytes()).sum::<u64>();
    packed + model.nodes.iter().filter(|node| node.op_is::<Const>()).map(size).sum::<u64>()
}

/// Replaces packed weights of `model` by equal ones among `known`. Returns all its own, and the bytes of those that were replaced.
pub(super) fn share_packed(model: &mut TypedModel, known: &[Arc<Weights>]) -> (Vec<Arc<Weights>>, u64) {
    let (mut all, mut shared) = (Vec::new(), 0);
    for weights in packed_weights(model) {
        if let Some(same) = known.iter().find(|known| *known == weights) {
            *weights = same.clone();
            shared += weights.bytes();
        }
        all.push(weights.clone());
    }
    (all, shared)
}

/// Replaces large constants of `model` by equal ones among `known`. Returns all its large ones, and the
/// bytes of those that were replaced.
pub(super) fn share(model: &mut TypedModel, known: &[Arc<Tensor>]) -> TractResult<(Vec<Arc<Tensor>>, u64)> {
    let (mut large, mut shared) = (Vec::new(), 0);
    for node in &mut model.nodes {
        let size = size(node);
        let Some(constant) = node.op_as::<Const>().filter(|_| size >= LARGE) else { continue };
        let value = constant.val().clone();
        let Some(same) = known.iter().find(|known| alike(known, &value)).cloned() else {
            large.push(value);
            continue;
        };
        let exotic = constant.exotic_fact().map(clone_box);
        node.op = Box::new(Const::new_with_opt_exotic_fact(same.clone(), exotic)?);
        if node.outputs[0].fact.konst.is_some() {
            node.outputs[0].fact.konst = Some(same.clone());
        }
        large.push(same);
        shared += size;
    }
    Ok((large, shared))
}

fn size(node: &TypedNode) -> u64 {
    node.outputs[0].fact.mem_size().as_i64().map_or(0, |bytes| bytes as u64)
}

/// Equal to the last bit.
fn alike(a: &Tensor, b: &Tensor) -> bool {
    if a.datum_type() != b.datum_type() || a.shape() != b.shape() {
        return false;
    }
    match (a.as_plain_ram(), b.as_plain_ram()) {
        // The bytes of other types are addresses.
        (Some(x), Some(y)) => a.datum_type().is_copy() && x.as_bytes() == y.as_bytes(),
        (None, None) => a == b,
        _ => false,
    }
}
