//! Plan of a model, executable: for inputs of certain shapes, or of any.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tract_onnx::prelude::multithread::Executor;
use tract_onnx::prelude::{
    DatumType, InferenceFact, InferenceModel, InferenceModelExt, IntoArcTensor, IntoTValue, OutletId, RunOptions,
    SymbolScope, TValue, TVec, Tensor as TractTensor, ToDim, TractError, TractResult, TypedModel, TypedSimplePlan,
    TypedSimpleState,
};
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::plan::eval;
use tract_onnx::tract_hir::internal::{DimFact, ShapeFactoid, TDim};

use super::constants::{bytes, share, share_packed};
use super::contain::{Fault, contained};
use super::convert::{datum_type, lend};
use super::file::OnnxFile;
use super::guards::Guards;
use super::ops::bounded;
use crate::engine::{Call, Dim, Kind, Port};
use crate::kernel::int8::Weights;
use crate::threads::unpoisoned;
use crate::{Code, Error, Result, Shape, Tensor};

/// What a plan knows of one input.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Given {
    /// It is left out; the file's default is a constant of the plan.
    Default,
    /// Its shape.
    Shape(Shape),
    /// All of it; it is a constant of the plan.
    Value(Tensor),
    /// No more than its port says.
    Any,
}

impl Given {
    fn fits(&self, input: Option<&Tensor>) -> bool {
        match (self, input) {
            (Given::Default, None) | (Given::Any, Some(_)) => true,
            (Given::Shape(shape), Some(tensor)) => tensor.shape() == shape,
            (Given::Value(value), Some(tensor)) => tensor == value,
            _ => false,
        }
    }
}

/// Makes plans of one model.
pub(super) struct Planner {
    pub file: OnnxFile,
    /// The model's input ports.
    pub inputs: Vec<Port>,
    pub executor: Executor,
    /// The most bytes that one value of the graph may have.
    pub largest: u64,
}

impl Planner {
    /// A plan for what is given of each input, in the order of the ports.
    ///
    /// Optimised if tract can; if its optimiser fails the plan is the graph as it was before that.
    /// It shares its constants with `others` where they are equal.
    pub(super) fn plan(&self, given: Vec<Given>, others: &[Arc<Plan>]) -> Result<Plan> {
        let unsupported =
            |fault: Fault| fault.into_error(Code::Unsupported, &format!("planning for {}", self.words(&given)));
        let (model, feeds) = self.graph(&given)?;
        let typed = contained(|| model.into_typed()).map_err(unsupported)?;
        bounded::check(&typed, self.largest)?;
        let (mut model, weights) = optimised(typed);
        bounded::check(&model, self.largest)?;
        let known: Vec<_> = others.iter().flat_map(|plan| plan.constants.iter().cloned()).collect();
        let (constants, shared) = contained(|| share(&mut model, &known)).map_err(unsupported)?;
        let names: Vec<&str> = feeds.iter().map(|(i, _)| &*self.inputs[*i].name).collect();
        let known: Vec<_> = others.iter().flat_map(|plan| plan.packed.iter().cloned()).collect();
        let (packed, also_shared) = share_packed(&mut model, &known);
        let guards = Guards::of(&model, &names);
        let options = RunOptions { executor: Some(self.executor.clone()), ..RunOptions::default() };
        let runnable = contained(|| TypedSimplePlan::new_with_options(model, &options)).map_err(unsupported)?;
        let state = contained(|| runnable.spawn()).map_err(unsupported)?;
        let keeps = state.op_states.iter().any(Option::is_some);
        Ok(Plan {
            given,
            feeds,
            runnable,
            idle: (!keeps).then(|| Mutex::new(vec![state])),
            constants,
            packed,
            guards,
            bytes: weights.saturating_sub(shared + also_shared),
            used: AtomicU64::new(0),
            proven: AtomicBool::new(false),
        })
    }

    /// tract's graph with the inputs that are to be fed, and which ones these are.
    fn graph(&self, given: &[Given]) -> Result<(InferenceModel, Vec<(usize, DatumType)>)> {
        let named: Vec<&str> = self
            .inputs
            .iter()
            .zip(given)
            .filter(|(_, given)| **given != Given::Default)
            .map(|(port, _)| &*port.name)
            .collect();
        let mut parsed = self.file.parse(&named)?;
        let model = &mut parsed.model;
        let (mut sources, mut feeds, mut symbols) = (Vec::new(), Vec::new(), Symbols::default());
        for (i, (port, given)) in self.inputs.iter().zip(given).enumerate().filter(|(_, (_, g))| **g != Given::Default)
        {
            let Kind::Tensor { dtype, shape } = &port.kind else {
                return Err(Error::unsupported(format!("input '{}': tract takes no {}", port.name, port.kind)));
            };
            let to = datum_type(*dtype, self.file.native_half);
            let outlet = *parsed
                .outlets_by_name
                .get(&port.name)
                .ok_or_else(|| Error::backend(format!("tract has no input '{}'", port.name)))?;
            let fact = match given {
                Given::Default => continue,
                Given::Value(value) => {
                    let value = lend(value, to)?.into_arc_tensor();
                    fix(model, outlet, value)
                        .map_err(|e| Fault::Error(e).into_error(Code::Unsupported, "fixing an input"))?;
                    continue;
                }
                Given::Shape(shape) => InferenceFact::dt_shape(to, &**shape),
                Given::Any => {
                    let shape = contained(|| symbols.shape(shape.as_deref(), &model.symbols));
                    InferenceFact::dt_shape(to, shape.map_err(|e| e.into_error(Code::Backend, "naming dimensions"))?)
                }
            };
            contained(|| model.set_outlet_fact(outlet, fact))
                .map_err(|e| e.into_error(Code::Backend, "setting an input"))?;
            sources.push(outlet);
            feeds.push((i, to));
        }
        model.inputs = sources;
        Ok((parsed.model, feeds))
    }

    fn words(&self, given: &[Given]) -> String {
        let words = self.inputs.iter().zip(given).filter_map(|(Port { name, kind, .. }, given)| match given {
            Given::Default => None,
            Given::Any => Some(format!("{name}: {kind}")),
            Given::Shape(shape) => Some(format!("{name}: {shape}")),
            Given::Value(value) => Some(format!("{name}: a constant {}", value.shape())),
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

/// Makes an input a constant.
fn fix(model: &mut InferenceModel, outlet: OutletId, value: Arc<TractTensor>) -> TractResult<()> {
    let fact = InferenceFact::try_from(&value)?;
    model.node_mut(outlet.node).op = Box::new(Const::new(value)?);
    model.set_outlet_fact(outlet, fact)
}

/// Dimensions as symbols. They get names of ours, since tract would read some as formulas.
#[derive(Default)]
struct Symbols<'a>(HashMap<&'a str, TDim>);

impl<'a> Symbols<'a> {
    fn shape(&mut self, dims: Option<&'a [Dim]>, scope: &SymbolScope) -> TractResult<ShapeFactoid> {
        let Some(dims) = dims else { return Ok(ShapeFactoid::default()) };
        let dims = dims.iter().map(|dim| {
            Ok(DimFact::from(match dim {
                Dim::Fixed(n) => n.to_dim(),
                Dim::Any => fresh(scope)?,
                Dim::Symbol(name) => match self.0.get(&**name) {
                    Some(known) => known.clone(),
                    None => self.0.entry(name).or_insert(fresh(scope)?).clone(),
                },
            }))
        });
        Ok(ShapeFactoid::closed(dims.collect::<TractResult<_>>()?))
    }
}

fn fresh(scope: &SymbolScope) -> TractResult<TDim> {
    let symbol = scope.new_with_prefix("dim");
    // Some comparisons can be decided with no more than that.
    scope.add_assertion(format!("{symbol} >= 0"))?;
    Ok(symbol.into())
}

/// The graph as it shall run, and the bytes of its constants.
fn optimised(typed: TypedModel) -> (TypedModel, u64) {
    let mut decluttered = match contained(|| typed.clone().into_decluttered()) {
        Ok(model) => model,
        Err(fault) => {
            tracing::warn!("tract could not simplify the graph, it runs as it is: {fault:?}");
            let mut typed = typed;
            let bytes = bytes(&mut typed);
            return (typed, bytes);
        }
    };
    let bytes = bytes(&mut decluttered);
    let optimised = contained(|| decluttered.clone().into_optimized()).unwrap_or_else(|fault| {
        tracing::warn!("tract could not optimise the graph, it runs unoptimised: {fault:?}");
        decluttered
    });
    (optimised, bytes)
}

/// An executable plan, shared by all runs whose inputs it fits.
pub(super) struct Plan {
    given: Vec<Given>,
    /// The inputs to feed and the type that each is fed in, in the order of tract's graph.
    feeds: Vec<(usize, DatumType)>,
    runnable: Arc<TypedSimplePlan>,
    /// States that wait for their next run, so that a run need not build one. Only of graphs without
    /// operators that keep something from run to run; of others each run has a fresh one.
    idle: Option<Mutex<Vec<TypedSimpleState>>>,
    /// What its operators may be given.
    guards: Guards,
    /// Its large constants, for other plans to take over.
    constants: Vec<Arc<TractTensor>>,
    /// Its packed weights, likewise.
    packed: Vec<Arc<Weights>>,
    /// Bytes of its constants, without those that it took over.
    pub bytes: u64,
    /// When it was last used, in runs of the engine.
    pub used: AtomicU64,
    /// It has given outputs. A plan of a shape that does so once does so again.
    proven: AtomicBool,
}

impl Plan {
    /// Whether it is the plan for these inputs.
    pub(super) fn fits(&self, inputs: &[Option<Tensor>]) -> bool {
        self.given.iter().zip(inputs).all(|(given, input)| given.fits(input.as_ref()))
    }

    /// Whether it serves inputs of any shape.
    pub(super) fn is_symbolic(&self) -> bool {
        self.given.contains(&Given::Any)
    }

    /// Whether another plan may succeed where this one failed.
    pub(super) fn is_tentative(&self) -> bool {
        self.is_symbolic() || !self.proven.load(Ordering::Relaxed)
    }

    /// Marks it as used at `now`.
    pub(super) fn touch(&self, now: u64) {
        self.used.store(now, Ordering::Relaxed);
    }

    /// The inputs as tract takes them.
    pub(super) fn feed(&self, inputs: &[Option<Tensor>]) -> Result<TVec<TValue>> {
        let mut values = TVec::with_capacity(self.feeds.len());
        for &(i, to) in &self.feeds {
            let input = inputs[i].as_ref().ok_or_else(|| Error::internal("a plan lacks an input"))?;
            values.push(lend(input, to)?.into_tvalue());
        }
        Ok(values)
    }

    /// All outputs, in the model's order. Cancel and deadline are looked at before each operator.
    pub(super) fn run(&self, inputs: TVec<TValue>, call: &Call) -> Result<TVec<TValue>> {
        let mut state = match self.idle().and_then(|mut idle| idle.pop()) {
            Some(state) => state,
            None => contained(|| self.runnable.spawn()).map_err(|e| e.into_error(Code::Backend, "preparing a run"))?,
        };
        let mut over = None;
        let watched = call.cancel.is_some() || call.deadline.is_some();
        let result = contained(|| match watched || !self.guards.is_empty() {
            false => state.run(inputs),
            true => state.run_plan_with_eval(inputs, |ctx, op_state, node, values| {
                if let Err(e) = call.check() {
                    over = Some(e);
                    return Err(TractError::msg("the call is over"));
                }
                self.guards.eval(ctx, node, values, &mut over, |values| eval(ctx, op_state, node, values))
            }),
        });
        match (result, over) {
            (Ok(outputs), _) => {
                self.keep(state);
                self.proven.store(true, Ordering::Relaxed);
                Ok(outputs)
            }
            // After a failure the state is in the middle of a run: it is not used again.
            (Err(_), Some(over)) => Err(over),
            (Err(fault), None) => Err(fault.into_error(Code::Backend, "running the model")),
        }
    }

    fn keep(&self, state: TypedSimpleState) {
        const MOST: usize = 16;
        if let Some(mut idle) = self.idle().filter(|idle| idle.len() < MOST) {
            idle.push(state);
        }
    }

    fn idle(&self) -> Option<std::sync::MutexGuard<'_, Vec<TypedSimpleState>>> {
        self.idle.as_ref().map(|idle| unpoisoned(idle.lock()))
    }
}
