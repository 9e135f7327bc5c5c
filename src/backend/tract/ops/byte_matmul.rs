//! Products of numbers with weights of 8 bits and their scales, with kernels of this library.
//!
//! No operator of ONNX is this one: `byte_weights` puts it in place of a `MatMul` and what makes numbers of its weights. tract
//! would make them anew in each run, and all of them at once.

use std::sync::Arc;

use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::integer_matmul::integers;
use crate::kernel::int8::Weights;

/// Inputs: activations, weights, scales, and zero points if there are any; all but the first in the file.
pub(in crate::backend::tract) const NAME: &str = "selvedge.ByteMatMul";

pub(super) fn register(operators: &mut OnnxOpRegister) {
    operators.insert(NAME, parse);
}

fn parse(_: &ParsingContext, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    Ok((expand(ByteMatMul { inputs: node.input.len() }), vec![]))
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ByteMatMul {
    inputs: usize,
}

impl Expansion for ByteMatMul {
    fn name(&self) -> StaticName {
        "ByteMatMul".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> TractResult<()> {
        check_input_arity(inputs, self.inputs)?;
        check_output_arity(outputs, 1)?;
        s.equals(&inputs[0].datum_type, f32::datum_type())?;
        s.equals(&outputs[0].datum_type, f32::datum_type())?;
        s.given_2(&inputs[0].shape, &inputs[1].shape, move |s, a, b| {
            let (_, _, shape, _) = tract_onnx::tract_hir::ops::matmul::compute_shapes(a, b, false, false, false)?;
            s.equals(&outputs[0].shape, shape)
        })
    }

    fn wire(&self, prefix: &str, target: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let constant = |input: usize| {
            let value = target.outlet_fact(inputs[input])?.konst.clone();
            value.with_context(|| format!("{prefix}: input {input} is no constant"))
        };
        let weights = constant(1)?;
        let &[depth, columns] = weights.shape() else { bail!("{prefix}: weights {:?}", weights.shape()) };
        let zeros = if self.inputs > 3 { Some(constant(3)?) } else { None };
        let zeros = match &zeros {
            None => &[],
            Some(zeros) => integers(zeros).context("zero points: expected integers of 8 bits")?.bytes,
        };
        let bytes = integers(&weights).context("weights: expected integers of 8 bits")?;
        let scales = constant(2)?;
        let scales = scales.try_as_plain_ram()?.as_slice::<f32>()?.iter().map(|scale| scale.to_bits()).collect();
        let weights = Arc::new(Weights::pack(bytes, depth, columns, zeros)?);
        target.wire_node(prefix, ScaledProduct { weights, scales }, &[inputs[0]])
    }
}

/// A product of numbers and packed weights, with the bits of their scales in `f32`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ScaledProduct {
    pub(super) weights: Arc<Weights>,
    scales: Vec<u32>,
}

impl Op for ScaledProduct {
    fn name(&self) -> StaticName {
        "ByteMatMul".into()
    }

    op_as_typed_op!();
}

impl EvalOp for ScaledProduct {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let mut shape: TVec<usize> = inputs[0].shape().into();
        let depth = self.weights.depth();
        ensure!(shape.last() == Some(&depth), "activations {shape:?}: expected {depth} in a row");
        *shape.last_mut().context("no dimensions")? = self.weights.columns();
        let scales: Vec<f32> = self.scales.iter().map(|bits| f32::from_bits(*bits)).collect();
        let mut out = Tensor::zero::<f32>(&shape)?;
        let activations = inputs[0].try_as_plain_ram()?.as_slice::<f32>()?;
        self.weights.multiply_numbers(activations, &scales, out.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?)?;
        Ok(tvec!(out.into_tvalue()))
    }
}

impl TypedOp for ScaledProduct {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let mut shape = inputs[0].shape.to_tvec();
        *shape.last_mut().context("no dimensions")? = self.weights.columns().to_dim();
        Ok(tvec!(DatumType::F32.fact(shape)))
    }

    as_op!();
}
