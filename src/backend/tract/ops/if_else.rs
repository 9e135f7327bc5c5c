//! ONNX's `If`, in place of tract's own.
//!
//! tract's demands that both branches fit the shapes at hand, even when the condition is known while
//! planning and the other branch never runs (exporters guard a `Squeeze` with an `If` on the shape).
//! And it plans the branch anew, unoptimised, in every run. Here a known condition leaves its branch
//! in the graph, and an unknown one has both branches planned once.

use std::sync::Arc;

use tract_onnx::model::{ParseResult, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::tract_itertools::Itertools;
use tract_onnx::tract_hir::internal::*;

/// A graph in a branch is analysed about three times as often as the graph around it.
const DEEPEST: usize = 8;

/// Reads an `If` node.
pub(super) fn parse(ctx: &ParsingContext, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    ensure!(ctx.parent_graphs.len() <= DEEPEST, "If: branches are nested deeper than {DEEPEST}");
    let then = ctx.parse_graph(node.get_attr("then_branch")?)?;
    let otherwise = ctx.parse_graph(node.get_attr("else_branch")?)?;
    ensure!(
        then.model.outputs.len() == otherwise.model.outputs.len(),
        "If: one branch gives {} values, the other {}",
        then.model.outputs.len(),
        otherwise.model.outputs.len()
    );
    let closures: Vec<String> =
        then.unresolved_inputs.iter().chain(&otherwise.unresolved_inputs).unique().cloned().collect();
    let sides = [Side::new(otherwise, &closures)?, Side::new(then, &closures)?];
    Ok((Box::new(Branch { sides }), closures))
}

/// `If` before types and shapes are known. Its inputs are the condition and the values of the
/// surrounding graph that either branch uses.
#[derive(Clone, Debug)]
struct Branch {
    /// `else`, then `then`: indexed by the condition.
    sides: [Side; 2],
}

#[derive(Clone, Debug)]
struct Side {
    body: InferenceModel,
    /// For each input of the body, the input of the node that feeds it.
    feeds: Vec<usize>,
}

impl Side {
    fn new(parsed: ParseResult, closures: &[String]) -> TractResult<Self> {
        let feeds = parsed
            .unresolved_inputs
            .iter()
            .map(|name| closures.iter().position(|c| c == name).map(|i| i + 1).context("If: a value without a name"))
            .collect::<TractResult<Vec<usize>>>()?;
        ensure!(parsed.model.inputs.len() == feeds.len(), "If: a branch has inputs of its own");
        Ok(Self { body: parsed.model, feeds })
    }

    fn learn(&mut self, inputs: &[&InferenceFact]) -> TractResult<()> {
        for (i, &feed) in self.feeds.iter().enumerate() {
            self.body.input_fact_mut(i)?.unify_with(inputs[feed])?;
        }
        self.body.analyse(false)?;
        Ok(())
    }

    fn output(&self, i: usize) -> TractResult<&InferenceFact> {
        self.body.output_fact(i)
    }

    fn typed(&self, inputs: &[&InferenceFact]) -> TractResult<TypedModel> {
        let mut side = self.clone();
        side.learn(inputs)?;
        side.body.into_typed()
    }
}

fn known(condition: &InferenceFact) -> TractResult<Option<usize>> {
    condition.value.concretize().map(|value| Ok(usize::from(value.cast_to_scalar::<bool>()?))).transpose()
}

/// What holds whichever branch runs.
fn common(a: &InferenceFact, b: &InferenceFact) -> InferenceFact {
    let mut fact = InferenceFact::default();
    if a.datum_type == b.datum_type {
        fact.datum_type = a.datum_type;
    }
    if let (Some(ra), Some(rb)) = (a.shape.rank().concretize(), b.shape.rank().concretize())
        && ra == rb
    {
        let dims = a.shape.dims().zip(b.shape.dims()).map(|(a, b)| if a == b { a.clone() } else { DimFact::default() });
        fact.shape = ShapeFactoid::closed(dims.collect());
    }
    fact
}

impl PartialEq for Branch {
    fn eq(&self, _: &Self) -> bool {
        false
    }
}

impl Eq for Branch {}

impl Op for Branch {
    fn name(&self) -> StaticName {
        "If".into()
    }

    not_a_typed_op!();
}

impl EvalOp for Branch {
    not_out_of_plan!();
}

impl InferenceOp for Branch {
    fn infer_facts(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<(TVec<InferenceFact>, TVec<InferenceFact>, TVec<InferenceFact>)> {
        let mut outputs: TVec<InferenceFact> = outputs.into_iter().cloned().collect();
        match known(inputs[0])? {
            Some(taken) => {
                let side = &mut self.sides[taken];
                side.learn(&inputs)?;
                for (i, output) in outputs.iter_mut().enumerate() {
                    output.unify_with(side.output(i)?)?;
                }
            }
            None => {
                // A branch may not fit the shapes at hand, and never run. If the condition stays
                // unknown, `to_typed` reports it.
                let [a, b] = &mut self.sides;
                if a.learn(&inputs).is_ok() & b.learn(&inputs).is_ok() {
                    for (i, output) in outputs.iter_mut().enumerate() {
                        output.unify_with(&common(a.output(i)?, b.output(i)?))?;
                    }
                }
            }
        }
        Ok((inputs.into_iter().cloned().collect(), outputs, observed.into_iter().cloned().collect()))
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.sides[0].body.outputs.len())
    }

    fn to_typed(
        &self,
        source: &InferenceModel,
        node: &InferenceNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
    ) -> TractResult<TVec<OutletId>> {
        let facts = node.inputs.iter().map(|i| source.outlet_fact(*i)).collect::<TractResult<TVec<_>>>()?;
        let wires: TVec<OutletId> = node.inputs.iter().map(|i| mapping[i]).collect();
        if let Some(taken) = known(facts[0])? {
            let side = &self.sides[taken];
            return inline(&node.name, &side.typed(&facts)?, &side.feeds, &wires, target);
        }
        let [a, b] = &self.sides;
        let either = Either::new([(a.typed(&facts)?, &a.feeds), (b.typed(&facts)?, &b.feeds)])?;
        target.wire_node(&node.name, either, &wires)
    }

    as_op!();
}

/// Wires the nodes of `body` into `target`.
fn inline(
    prefix: &str,
    body: &TypedModel,
    feeds: &[usize],
    wires: &[OutletId],
    target: &mut TypedModel,
) -> TractResult<TVec<OutletId>> {
    let mut mapping: HashMap<OutletId, OutletId> =
        body.input_outlets()?.iter().zip(feeds).map(|(inner, &feed)| (*inner, wires[feed])).collect();
    for id in body.eval_order()? {
        let node = body.node(id);
        if TypedModel::is_source(&node.op) {
            continue;
        }
        let inputs: TVec<OutletId> = node.inputs.iter().map(|i| mapping[i]).collect();
        let outputs = target.wire_node(format!("{prefix}.{}", node.name), node.op.clone(), &inputs)?;
        mapping.extend(outputs.into_iter().enumerate().map(|(slot, outlet)| (OutletId::new(id, slot), outlet)));
    }
    Ok(body.output_outlets()?.iter().map(|o| mapping[o]).collect())
}

/// `If` on a condition that is known only when it runs.
#[derive(Clone, Debug)]
struct Either {
    /// `else`, then `then`, each with the inputs that it takes.
    sides: [(Arc<TypedSimplePlan>, Vec<usize>); 2],
    facts: TVec<TypedFact>,
}

impl Either {
    fn new([a, b]: [(TypedModel, &Vec<usize>); 2]) -> TractResult<Self> {
        let facts = (0..a.0.outputs.len())
            .map(|i| {
                let (a, b) = (a.0.output_fact(i)?.without_value(), b.0.output_fact(i)?.without_value());
                ensure!(a == b, "If: its branches give {a:?} and {b:?}, and which one runs depends on the data");
                Ok(a)
            })
            .collect::<TractResult<TVec<_>>>()?;
        let plan = |(body, feeds): (TypedModel, &Vec<usize>)| -> TractResult<_> {
            Ok((TypedSimplePlan::new(body.into_optimized()?)?, feeds.clone()))
        };
        Ok(Self { sides: [plan(a)?, plan(b)?], facts })
    }
}

impl PartialEq for Either {
    fn eq(&self, _: &Self) -> bool {
        false
    }
}

impl Eq for Either {}

impl Op for Either {
    fn name(&self) -> StaticName {
        "Either".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Either {
    not_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (plan, feeds) = &self.sides[usize::from(inputs[0].cast_to_scalar::<bool>()?)];
        plan.run(feeds.iter().map(|&feed| inputs[feed].clone()).collect())
    }
}

impl TypedOp for Either {
    fn output_facts(&self, _: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(self.facts.clone())
    }

    as_op!();
}
