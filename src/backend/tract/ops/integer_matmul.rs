//! ONNX's `MatMulInteger` and `QLinearMatMul` by weights that the file has, with kernels of this library.
//!
//! tract multiplies integers element by element. Here the weights are packed when a plan is made; what has another shape than a
//! layer's (weights that are computed, zero points of each row) is left to tract.

use std::sync::Arc;

use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::wrap::{facts_as_wrapped, stands_for, stock};
use crate::kernel::int8::{Bytes, Weights};

/// Puts ours in place of tract's.
pub(super) fn register(operators: &mut OnnxOpRegister) {
    operators.insert("MatMulInteger", parse);
    operators.insert("QLinearMatMul", parse);
}

/// The inputs of an operator, by their places among those that are given.
#[derive(Clone, Copy, Debug)]
struct Places {
    weights: usize,
    zero: Option<usize>,
    weight_zeros: Option<usize>,
    /// Scales of activations, weights and outputs, and the zero point of outputs.
    requantized: Option<[usize; 4]>,
}

fn parse(ctx: &ParsingContext, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let build = stock().op_register.0.get(&node.op_type).context("an operator is not registered")?;
    let (inner, closures) = build(ctx, node)?;
    let given = |input: usize| node.input.get(input).is_some_and(|name| !name.is_empty());
    let places = if node.op_type == "QLinearMatMul" {
        Places { weights: 3, zero: Some(2), weight_zeros: Some(5), requantized: Some([1, 4, 6, 7]) }
    } else {
        let zero = given(2).then_some(2);
        let weight_zeros = given(3).then_some(2 + usize::from(zero.is_some()));
        Places { weights: 1, zero, weight_zeros, requantized: None }
    };
    Ok((Box::new(IntegerMatMul { inner, places }), closures))
}

#[derive(Clone, Debug)]
struct IntegerMatMul {
    inner: Box<dyn InferenceOp>,
    places: Places,
}

stands_for!(IntegerMatMul, inner);

impl InferenceOp for IntegerMatMul {
    fn infer(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<(TVec<InferenceFact>, TVec<InferenceFact>, TVec<InferenceFact>)> {
        self.inner.infer(inputs, outputs, observed)
    }

    facts_as_wrapped!(inner);

    fn to_typed(
        &self,
        source: &InferenceModel,
        node: &InferenceNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
    ) -> TractResult<TVec<OutletId>> {
        let inputs: TVec<OutletId> = node.inputs.iter().map(|input| mapping[input]).collect();
        let facts = inputs.iter().map(|input| Ok(target.outlet_fact(*input)?.clone()));
        let facts = facts.collect::<TractResult<TVec<TypedFact>>>()?;
        let Some(op) = Product::of(&facts, self.places)? else {
            return self.inner.to_typed(source, node, target, mapping);
        };
        let zero = self.places.zero.filter(|_| op.zero.is_none()).map(|zero| inputs[zero]);
        let inputs: TVec<OutletId> = [inputs[0]].into_iter().chain(zero).collect();
        target.wire_node(&node.name, op, &inputs)
    }

    as_op!();
}

/// A product of activations, the first input, and weights; the second input is the activations' zero point, if that is not known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Product {
    pub(super) weights: Arc<Weights>,
    zero: Option<u8>,
    requantized: Option<Requantized>,
}

/// Sums as integers of 8 bits: `round(sum · scale) + zero`, half to even, within the type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Requantized {
    /// The bits of each scale in `f32`: one, or one for each column.
    scales: Vec<u32>,
    zero: u8,
    signed: bool,
}

impl Product {
    /// `None` for what is left to tract.
    fn of(facts: &[TypedFact], places: Places) -> TractResult<Option<Self>> {
        let constant = |place: usize| facts[place].konst.as_ref();
        let Some((b, weights)) = constant(places.weights).and_then(|b| Some((b, integers(b)?))) else {
            return Ok(None);
        };
        let &[depth, columns] = b.shape() else { return Ok(None) };
        let activations = &facts[0];
        if signed(activations.datum_type).is_none() || activations.rank() < 2 {
            return Ok(None);
        }
        let zeros = match places.weight_zeros.map(|zeros| constant(zeros).filter(|zeros| zeros.rank() <= 1)) {
            None => None,
            Some(Some(zeros)) if zeros.len() == 1 || zeros.len() == columns => integers(zeros),
            Some(_) => return Ok(None),
        };
        let zero = match places.zero.map(|zero| (&facts[zero], constant(zero))) {
            None => Some(0),
            Some((_, Some(zero))) if zero.len() == 1 => integers(zero).map(|zero| zero.bytes[0]),
            Some((fact, None)) if fact.shape.volume().is_one() && places.requantized.is_none() => None,
            Some(_) => return Ok(None),
        };
        let requantized = match places.requantized.map(|places| Requantized::of(facts, places, columns)) {
            None => None,
            Some(None) => return Ok(None),
            requantized => requantized.flatten(),
        };
        let weights = Weights::pack(weights, depth, columns, zeros.map_or(&[], |zeros| zeros.bytes))?;
        Ok(Some(Self { weights: Arc::new(weights), zero, requantized }))
    }
}

impl Requantized {
    fn of(
        facts: &[TypedFact],
        [scale, weight_scales, out_scale, out_zero]: [usize; 4],
        columns: usize,
    ) -> Option<Self> {
        let floats = |place: usize| {
            let tensor = facts[place].konst.as_ref().filter(|tensor| tensor.rank() <= 1)?;
            tensor.try_as_plain_ram().ok()?.as_slice::<f32>().ok()
        };
        let (&[scale], &[out_scale]) = (floats(scale)?, floats(out_scale)?) else { return None };
        let weight_scales = floats(weight_scales).filter(|scales| scales.len() == 1 || scales.len() == columns)?;
        let zero = facts[out_zero].konst.as_ref().filter(|zero| zero.len() == 1)?;
        let zero = integers(zero)?;
        let scales = weight_scales.iter().map(|of_weight| (scale * of_weight / out_scale).to_bits()).collect();
        Some(Self { scales, zero: zero.bytes[0], signed: zero.signed })
    }

    /// Sums of rows of so many columns.
    fn of_sums(&self, sums: &[i32], columns: usize) -> Vec<u8> {
        let scale = |column: usize| f32::from_bits(self.scales[column % self.scales.len()]);
        let quantized = |sum: i32, column: usize| {
            let rounded = (sum as f32 * scale(column)).round_ties_even();
            if self.signed {
                let zero = f32::from(self.zero.cast_signed());
                ((rounded + zero).clamp(-128.0, 127.0) as i8).cast_unsigned()
            } else {
                (rounded + f32::from(self.zero)).clamp(0.0, 255.0) as u8
            }
        };
        sums.iter().enumerate().map(|(i, sum)| quantized(*sum, i % columns)).collect()
    }
}

/// Whether integers of 8 bits have a sign; `None` for other types.
fn signed(datum_type: DatumType) -> Option<bool> {
    match datum_type.unquantized() {
        DatumType::I8 => Some(true),
        DatumType::U8 => Some(false),
        _ => None,
    }
}

pub(super) fn integers(tensor: &Tensor) -> Option<Bytes<'_>> {
    let signed = signed(tensor.datum_type())?;
    Some(Bytes { bytes: tensor.try_as_plain_ram().ok()?.as_bytes(), signed })
}

impl Op for Product {
    fn name(&self) -> StaticName {
        "IntegerMatMul".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Product {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let activations = integers(&inputs[0]).context("activations: expected integers of 8 bits")?;
        let zero = match self.zero {
            Some(zero) => zero,
            None => {
                let zero = inputs.get(1).and_then(|zero| integers(zero)).and_then(|zero| zero.bytes.first());
                *zero.context("a zero point: expected an integer of 8 bits")?
            }
        };
        let mut shape: TVec<usize> = inputs[0].shape().into();
        let columns = self.weights.columns();
        ensure!(
            shape.last() == Some(&self.weights.depth()),
            "activations {shape:?}: expected {} in a row",
            self.weights.depth()
        );
        *shape.last_mut().context("no dimensions")? = columns;
        let mut sums = vec![0_i32; shape.iter().product()];
        self.weights.multiply(activations, zero, &mut sums)?;
        let out = match &self.requantized {
            None => Tensor::from_shape(&shape, &sums)?,
            Some(to) if to.signed => {
                let bytes: Vec<i8> = to.of_sums(&sums, columns).into_iter().map(u8::cast_signed).collect();
                Tensor::from_shape(&shape, &bytes)?
            }
            Some(to) => Tensor::from_shape(&shape, &to.of_sums(&sums, columns))?,
        };
        Ok(tvec!(out.into_tvalue()))
    }
}

impl TypedOp for Product {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let mut shape = inputs[0].shape.to_tvec();
        *shape.last_mut().context("no dimensions")? = self.weights.columns().to_dim();
        let datum_type = match &self.requantized {
            None => DatumType::I32,
            Some(to) if to.signed => DatumType::I8,
            Some(_) => DatumType::U8,
        };
        Ok(tvec!(datum_type.fact(shape)))
    }

    as_op!();
}
