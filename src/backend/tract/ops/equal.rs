//! ONNX's `Equal`, with care for dimensions that are not known yet.
//!
//! tract compares symbolic dimensions as formulas while it plans: `n == 1` is false then, and stays so when
//! an input comes with n = 1. Here such a comparison is left undecided, and a plan that needs it is refused:
//! plans for exact shapes take its place.

use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::wrap::{facts_as_wrapped, stands_for, stock};

/// Puts ours in place of tract's.
pub(super) fn register(operators: &mut OnnxOpRegister) {
    operators.insert("Equal", parse);
}

fn parse(ctx: &ParsingContext, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let build = stock().op_register.0.get("Equal").context("Equal is not registered")?;
    let (op, closures) = build(ctx, node)?;
    Ok((Box::new(Equal(op)), closures))
}

#[derive(Clone, Debug)]
struct Equal(Box<dyn InferenceOp>);

/// Whether two constants compare alike for all values of the symbols in them.
fn decided(a: &Tensor, b: &Tensor) -> TractResult<bool> {
    if a.datum_type() != DatumType::TDim && b.datum_type() != DatumType::TDim {
        return Ok(true);
    }
    let same_shape = a.shape() == b.shape();
    let (a, b) = (a.cast_to::<TDim>()?, b.cast_to::<TDim>()?);
    let (a, b) = (a.try_as_plain_ram()?.as_slice::<TDim>()?, b.try_as_plain_ram()?.as_slice::<TDim>()?);
    // Nothing is compared with nothing, or with one value.
    if a.is_empty() || b.is_empty() {
        return Ok(true);
    }
    // Which elements meet is not looked at: a plan for exact shapes does.
    if !same_shape && a.len() != 1 && b.len() != 1 {
        return Ok(false);
    }
    let differ =
        |a: &TDim, b: &TDim| (a.clone() - b).prove_strict_positive() || (b.clone() - a).prove_strict_positive();
    let pairs = (0..a.len().max(b.len())).map(|i| (&a[i % a.len()], &b[i % b.len()]));
    Ok(pairs.into_iter().all(|(a, b)| a == b || differ(a, b)))
}

stands_for!(Equal, 0);

impl InferenceOp for Equal {
    fn infer(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<(TVec<InferenceFact>, TVec<InferenceFact>, TVec<InferenceFact>)> {
        match (inputs[0].value.concretize(), inputs[1].value.concretize()) {
            (Some(a), Some(b)) if decided(&a, &b)? => self.0.infer(inputs, outputs, observed),
            _ => self.0.infer_facts(inputs, outputs, observed),
        }
    }

    facts_as_wrapped!(0);

    fn to_typed(
        &self,
        source: &InferenceModel,
        node: &InferenceNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
    ) -> TractResult<TVec<OutletId>> {
        let facts = node.inputs.iter().map(|i| Ok(target.outlet_fact(mapping[i])?.clone()));
        let facts = facts.collect::<TractResult<TVec<TypedFact>>>()?;
        if facts.iter().any(|fact| fact.datum_type == DatumType::TDim) {
            let known = match (&facts[0].konst, &facts[1].konst) {
                (Some(a), Some(b)) => decided(a, b)?,
                // Values that are computed when the model runs are numbers by then, unless planning makes
                // formulas of them, which it only can where inputs have symbols; `plan` asserts these.
                _ => target.symbols.all_assertions().is_empty(),
            };
            ensure!(known, "{}: it compares dimensions that are not known before the model runs", node.name);
        }
        self.0.to_typed(source, node, target, mapping)
    }

    as_op!();
}
