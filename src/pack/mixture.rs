//! Mixture of an int4 packing: the matrices that take 8 bits.

use super::options::Packing;
use super::select::{Plan, fills_blocks};
use crate::kernel::BlockFormat;
use crate::onnx::Graph;
use crate::{Error, Result};

/// Gives matrices Q8_0 instead of Q4_0, the one that is read last first, as far as all blocks together keep to
/// [`Packing::mean_bits`]; one that does not fit is passed over. Tables of Gather stay in Q4_0.
///
/// The order needs no data: later layers add to an early error's signal and so dilute it, while the error of the last
/// ones stands in the answer as it is. Of what all-MiniLM-L6-v2 loses at 4 bits throughout, 1 - cosine of its sentences,
/// the last of six layers costs five times what the first does, and the table of words, half of all weights, a twentieth
/// of the whole.
///
/// # Errors
///
/// `InvalidArgument` if the bits are fewer than Q4_0 has.
pub(super) fn mix(plans: &mut [Plan<'_>], graph: &Graph<'_>, packing: &Packing) -> Result<()> {
    let mean = packing.mean_bits;
    let least = Packing::MIN_MEAN_BITS;
    if mean.is_nan() || mean < least {
        return Err(Error::invalid(format!("mean_bits: expected {least} or more, got {mean}")));
    }
    let weights: f64 = plans.iter().map(|plan| plan.weights() as f64).sum();
    let mut left = weights * mean - plans.iter().map(|plan| plan.bits(plan.format)).sum::<f64>();
    let mut matrices: Vec<(usize, usize)> = plans
        .iter()
        .enumerate()
        .filter(|(_, plan)| plan.format == BlockFormat::Q4_0)
        .filter_map(|(i, plan)| Some((last_product(plan, graph)?, i)))
        .collect();
    matrices.sort_unstable();
    for (_, i) in matrices.into_iter().rev() {
        let plan = &mut plans[i];
        let more = plan.bits(BlockFormat::Q8_0) - plan.bits(BlockFormat::Q4_0);
        if more <= left && fills_blocks(BlockFormat::Q8_0, &plan.dims, plan.layout, plan.tensor.element) {
            plan.format = BlockFormat::Q8_0;
            left -= more;
        }
    }
    Ok(())
}

/// The last node that multiplies with the tensor.
fn last_product(plan: &Plan<'_>, graph: &Graph<'_>) -> Option<usize> {
    plan.uses.iter().map(|(node, _)| *node).filter(|node| !graph.nodes[*node].is("Gather")).max()
}

impl Plan<'_> {
    fn weights(&self) -> usize {
        let (rows, columns, _) = self.rows();
        rows * columns
    }

    /// Bits of all its blocks in that format.
    fn bits(&self, format: BlockFormat) -> f64 {
        let (rows, _, padded) = self.rows();
        // Both formats have blocks of the same length.
        (rows * padded / format.block_elements() * format.block_bytes()) as f64 * 8.0
    }
}
