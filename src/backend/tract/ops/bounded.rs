//! Bounds of values: tract makes none that are huge, which a few bytes of a file can ask for.
//!
//! tract computes an operator while it analyses the graph if all its inputs are constants, and only then
//! looks how large the result is; some operators abort the process when there is no memory for it. The
//! operators that make much of little are wrapped here, so that their results are measured first; and
//! every value of a graph is measured before the graph is simplified, and again before it runs.

use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::wrap::{facts_as_wrapped, stands_for, stock};
use crate::{Code, Error, Result};

/// Those whose results may be larger than their inputs by any factor.
const GROWING: [&str; 6] = ["ConstantOfShape", "Expand", "OneHot", "Pad", "Resize", "Tile"];
/// The most elements that one of them computes during analysis.
const FOLDED: f64 = (1 << 24) as f64;
/// The most elements of a constant that one of them makes.
const CONSTANT: f64 = (1 << 28) as f64;
/// tract reads such numbers as 32 bits, and gives something small for a larger one.
const COUNTED: f64 = i32::MAX as f64;

/// Wraps the growing operators.
pub(super) fn register(operators: &mut OnnxOpRegister) {
    for name in GROWING {
        operators.insert(name, parse);
    }
}

/// `OutOfMemory` if a value of the graph has more than `most` bytes.
pub(in crate::backend::tract) fn check(model: &TypedModel, most: u64) -> Result<()> {
    for node in model.nodes() {
        for output in &node.outputs {
            let fact = &output.fact;
            let size = fact.shape.as_concrete().map(|dims| bytes(dims.iter().map(|&d| d as u64), fact.datum_type));
            if let Some(size) = size.filter(|size| *size > most) {
                let (name, shape) = (&node.name, &fact.shape);
                return Err(Error::new(
                    Code::OutOfMemory,
                    format!("'{name}' gives {shape:?}, {size} bytes: expected at most {most}"),
                ));
            }
        }
    }
    Ok(())
}

fn parse(ctx: &ParsingContext, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let build = stock().op_register.0.get(&node.op_type).context("an operator is not registered")?;
    let (inner, closures) = build(ctx, node)?;
    let grows = match &*node.op_type {
        "ConstantOfShape" => Grows::FromNothing,
        "Pad" => Grows::BySum,
        _ => Grows::ByProduct,
    };
    Ok((Box::new(Bounded { inner, grows }), closures))
}

fn bytes(mut dims: impl Iterator<Item = u64>, datum_type: DatumType) -> u64 {
    dims.try_fold(datum_type.size_of() as u64, u64::checked_mul).unwrap_or(u64::MAX)
}

/// An operator that is not computed during analysis if its result is large.
#[derive(Clone, Debug)]
struct Bounded {
    inner: Box<dyn InferenceOp>,
    grows: Grows,
}

/// How the numbers in an operator's constant inputs enlarge its first input.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Grows {
    FromNothing,
    BySum,
    ByProduct,
}

impl Bounded {
    /// About how many elements the constant inputs ask for.
    fn asked(&self, inputs: &[&InferenceFact]) -> f64 {
        let numbers = |fact: &InferenceFact| -> Vec<f64> {
            let value = fact.value.concretize().filter(|v| v.rank() <= 1 && v.datum_type().is_number());
            let wide = value.as_ref().and_then(|v| v.cast_to::<f64>().ok());
            let view = wide.as_ref().and_then(|v| v.as_plain_ram());
            view.and_then(|v| v.as_slice::<f64>().ok().map(<[f64]>::to_vec)).unwrap_or_default()
        };
        let product = |numbers: &[f64]| numbers.iter().map(|v| v.abs().max(1.0)).product::<f64>();
        if self.grows == Grows::FromNothing {
            return inputs.first().map_or(1.0, |shape| product(&numbers(shape)));
        }
        let data = inputs.first().and_then(|fact| fact.value.concretize()).map_or(1.0, |value| value.volume() as f64);
        let asked = inputs.iter().skip(1).map(|fact| match self.grows {
            Grows::BySum => numbers(fact).iter().map(|v| v.abs()).sum::<f64>().max(1.0),
            _ => product(&numbers(fact)),
        });
        data * asked.fold(1.0, f64::max)
    }
}

stands_for!(Bounded, inner);

impl InferenceOp for Bounded {
    fn infer(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<(TVec<InferenceFact>, TVec<InferenceFact>, TVec<InferenceFact>)> {
        let asked = self.asked(&inputs);
        ensure!(asked <= COUNTED, "{} asks for about {asked:.0} elements", self.inner.name());
        if asked > FOLDED {
            return self.inner.infer_facts(inputs, outputs, observed);
        }
        self.inner.infer(inputs, outputs, observed)
    }

    facts_as_wrapped!(inner);

    fn observe_outlets(&self, model: &InferenceModel, node: &InferenceNode) -> TractResult<Vec<OutletId>> {
        self.inner.observe_outlets(model, node)
    }

    fn incorporate(&self, model: &InferenceModel, node: &InferenceNode) -> TractResult<Option<InferenceModelPatch>> {
        self.inner.incorporate(model, node)
    }

    fn nboutputs(&self) -> TractResult<usize> {
        self.inner.nboutputs()
    }

    fn to_typed(
        &self,
        source: &InferenceModel,
        node: &InferenceNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
    ) -> TractResult<TVec<OutletId>> {
        let inputs = node.inputs.iter().map(|i| source.outlet_fact(*i)).collect::<TractResult<TVec<_>>>()?;
        // What follows computes it, too, if all inputs are constants.
        let asked = self.asked(&inputs);
        let constant = inputs.iter().all(|fact| fact.value.is_concrete());
        ensure!(!constant || asked <= CONSTANT, "{} makes a constant of about {asked:.0} elements", node.name);
        self.inner.to_typed(source, node, target, mapping)
    }

    as_op!();
}
