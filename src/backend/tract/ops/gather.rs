//! ONNX Runtime's `GatherBlockQuantized`, with indices as ONNX has them.
//!
//! tract's takes i64 from the front only: i32, and dimensions that it computes with, are refused, a negative index
//! panics, and one beyond the table may wrap around to a row. Here all are brought to what it takes, or refused.

use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::ops::cast::cast;
use tract_onnx::tract_hir::internal::*;

use super::wrap::{facts_as_wrapped, stands_for, stock};

/// Puts ours in place of tract's.
pub(super) fn register(operators: &mut OnnxOpRegister) {
    operators.insert("GatherBlockQuantized", parse);
}

fn parse(ctx: &ParsingContext, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let build = stock().op_register.0.get("GatherBlockQuantized").context("GatherBlockQuantized is not registered")?;
    let (op, closures) = build(ctx, node)?;
    ensure!(node.input.len() >= 3, "GatherBlockQuantized: expected data, indices and scales");
    Ok((Box::new(Gather(op)), closures))
}

#[derive(Clone, Debug)]
struct Gather(Box<dyn InferenceOp>);

stands_for!(Gather, 0);

impl InferenceOp for Gather {
    fn infer(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<(TVec<InferenceFact>, TVec<InferenceFact>, TVec<InferenceFact>)> {
        // Not computed while the graph is analysed: that would skip what `to_typed` does to the indices.
        self.0.infer_facts(inputs, outputs, observed)
    }

    facts_as_wrapped!(0);

    fn to_typed(
        &self,
        source: &InferenceModel,
        node: &InferenceNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
    ) -> TractResult<TVec<OutletId>> {
        let rows = target.outlet_fact(mapping[&node.inputs[0]])?.shape[0].to_i64()?;
        let given = node.inputs[1];
        let wide = target.wire_node(format!("{}.wide", node.name), cast(i64::datum_type()), &[mapping[&given]])?[0];
        let within = target.wire_node(format!("{}.within", node.name), Within { rows }, &[wide])?[0];
        let mut mapping = mapping.clone();
        mapping.insert(given, within);
        self.0.to_typed(source, node, target, &mapping)
    }

    as_op!();
}

/// Indices of `rows` rows, from the front: -1 is the last.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Within {
    rows: i64,
}

impl Op for Within {
    fn name(&self) -> StaticName {
        "Within".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Within {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let mut indices = inputs.into_iter().next().context("no indices")?.into_tensor();
        let rows = self.rows;
        for index in indices.try_as_plain_ram_mut()?.as_slice_mut::<i64>()? {
            ensure!((-rows..rows).contains(index), "index {index}: expected {} to {}", -rows, rows - 1);
            *index = index.rem_euclid(rows);
        }
        Ok(tvec!(indices.into_tvalue()))
    }
}

impl TypedOp for Within {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(inputs[0].without_value()))
    }

    as_op!();
}
