//! The plans of one engine: made when inputs of a new shape come, kept within bounds.
//!
//! A plan for exactly the shapes at hand is the fastest, and the only one that tract can make of many
//! graphs; but it holds its own copy of the weights and takes a fraction of a second to make. So the
//! first few shapes get plans of their own; when more come, one plan with symbolic dimensions is tried,
//! and serves all further shapes; where tract has no such plan, the least recently used one makes room.
//! A shape keeps the kind of plan that it got, so the same inputs give the same bits until a trim.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};

use super::contain::on_large_stack;
use super::plan::{Given, Plan, Planner};
use crate::engine::{Dim, Kind, Trim};
use crate::threads::unpoisoned;
use crate::{Code, DType, Error, Result, Tensor};

/// The most plans of exact shapes.
const MOST: usize = 8;
/// The most bytes of constants that all plans may hold, unless one alone has more.
const BUDGET: u64 = 256 << 20;
/// So many shapes get plans of their own before one plan for all is tried,
const OWN: usize = 4;
/// and only one shape if a plan holds so many bytes: it takes long to make.
const HEAVY: u64 = 32 << 20;
/// The most elements of an input that becomes a constant of a plan.
const CONSTANT: usize = 64;
/// The most values of a switch that get plans of their own.
const SWITCHED: usize = 4;

/// The plans of one engine.
pub(super) struct PlanCache {
    /// The inputs that an `If` may hang on: a plan for one of their values is without the other branch.
    switches: Vec<usize>,
    ready: RwLock<Vec<Arc<Plan>>>,
    clock: AtomicU64,
    maker: Mutex<Maker>,
}

/// Makes the plans, one at a time.
struct Maker {
    /// `None` once the only plan of fixed shapes is made and the file's bytes are given back.
    planner: Option<Planner>,
    /// Patterns of given inputs for which tract has no symbolic plan.
    not_symbolic: Vec<Vec<bool>>,
    /// Planned values of switches.
    switched: Vec<Tensor>,
}

impl PlanCache {
    pub(super) fn new(planner: Planner, branches: bool) -> Self {
        let is_switch = |kind: &Kind| {
            matches!(kind, Kind::Tensor { dtype: DType::Bool | DType::I32 | DType::I64, shape: Some(shape) }
                if matches!(&**shape, [] | [Dim::Fixed(1)]))
        };
        let switches = planner.inputs.iter().enumerate().filter(|(_, port)| branches && is_switch(&port.kind));
        Self {
            switches: switches.map(|(i, _)| i).collect(),
            ready: RwLock::default(),
            clock: AtomicU64::new(0),
            maker: Mutex::new(Maker { planner: Some(planner), not_symbolic: Vec::new(), switched: Vec::new() }),
        }
    }

    /// Finds at open what can be found without inputs. PlanCache a model whose shapes are all fixed; then
    /// `forget` gives the file's bytes back, if no other plan can ever be wanted.
    pub(super) fn prove(&self, forget: bool) -> Result<()> {
        let mut maker = self.maker();
        let Some(planner) = &maker.planner else { return Ok(()) };
        let fixed: Option<Vec<Given>> = planner
            .inputs
            .iter()
            .map(|port| match &port.kind {
                _ if port.optional => Some(Given::Default),
                Kind::Tensor { shape: Some(shape), .. } => fixed(shape).map(Given::Shape),
                _ => None,
            })
            .collect();
        let may_need_values = planner.inputs.iter().any(|port| may_be_constant(&port.kind));
        let parse = || on_large_stack(|| planner.file.parse(&[]).map(|_| false));
        let proven = match fixed {
            Some(given) if self.switches.is_empty() => {
                let only = !may_need_values && !planner.inputs.iter().any(|port| port.optional);
                match on_large_stack(|| planner.plan(given, &[])) {
                    Ok(plan) => {
                        self.add(plan);
                        Ok(only)
                    }
                    // It may need the value of an input, which only a run knows.
                    Err(_) if may_need_values => parse(),
                    Err(e) => Err(e),
                }
            }
            _ => parse(),
        };
        planner.file.give_back();
        if proven? && forget {
            maker.planner = None;
        }
        Ok(())
    }

    /// The plan for these inputs, made now if there is none.
    pub(super) fn plan_for(&self, inputs: &[Option<Tensor>]) -> Result<Arc<Plan>> {
        if let Some(plan) = self.find(inputs) {
            return Ok(plan);
        }
        let mut maker = self.maker();
        // Another thread may have made it while this one waited.
        if let Some(plan) = self.find(inputs) {
            return Ok(plan);
        }
        let maker = &mut *maker;
        let made = on_large_stack(|| self.make(maker, inputs));
        maker.planner.iter().for_each(|planner| planner.file.give_back());
        made
    }

    /// Another plan for these inputs, in place of `failed`: of their exact shapes if that one was symbolic,
    /// else with the values of small ones. `None` if tract has none.
    pub(super) fn instead_of(&self, failed: &Arc<Plan>, inputs: &[Option<Tensor>]) -> Option<Arc<Plan>> {
        let maker = self.maker();
        let planner = maker.planner.as_ref()?;
        let plan = on_large_stack(|| {
            if failed.is_symbolic() {
                return planner.plan(self.given(inputs, |_, _| false), &self.all());
            }
            self.with_values(planner, inputs).ok_or_else(|| Error::unsupported("no input is small"))
        });
        let plan = plan.ok()?;
        if !failed.is_symbolic() {
            unpoisoned(self.ready.write()).retain(|plan| !Arc::ptr_eq(plan, failed));
        }
        Some(self.add(plan))
    }

    /// Drops plans, all but the one last used or all; counts the bytes of those that no run uses.
    pub(super) fn trim(&self, level: Trim) -> u64 {
        let mut maker = self.maker();
        if maker.planner.is_none() {
            return 0;
        }
        (maker.not_symbolic, maker.switched) = Default::default();
        let mut ready = unpoisoned(self.ready.write());
        ready.sort_by_key(|plan| plan.used.load(Ordering::Relaxed));
        let last = if level == Trim::Caches { ready.pop() } else { None };
        let freed = ready.iter().filter(|plan| Arc::strong_count(plan) == 1).map(|plan| plan.bytes).sum();
        *ready = last.into_iter().collect();
        freed
    }

    /// How many plans there are of exact shapes, and of any.
    #[cfg(test)]
    pub(super) fn kinds(&self) -> (usize, usize) {
        let ready = unpoisoned(self.ready.read());
        let symbolic = ready.iter().filter(|plan| plan.is_symbolic()).count();
        (ready.len() - symbolic, symbolic)
    }

    fn find(&self, inputs: &[Option<Tensor>]) -> Option<Arc<Plan>> {
        let ready = unpoisoned(self.ready.read());
        let plan = ready.iter().find(|plan| plan.fits(inputs))?;
        plan.touch(self.clock.fetch_add(1, Ordering::Relaxed));
        Some(plan.clone())
    }

    fn make(&self, maker: &mut Maker, inputs: &[Option<Tensor>]) -> Result<Arc<Plan>> {
        let Maker { planner, not_symbolic, switched } = maker;
        let planner = planner.as_ref().ok_or_else(|| Error::internal("a model of fixed shapes got others"))?;
        let others = self.all();
        let exact = others.iter().filter(|plan| !plan.is_symbolic()).count();
        let own = if others.iter().any(|plan| plan.bytes > HEAVY) { 1 } else { OWN };
        let pattern: Vec<bool> = inputs.iter().map(Option::is_some).collect();
        let symbolic = || {
            let given = pattern.iter().map(|&is| if is { Given::Any } else { Given::Default });
            planner.plan(given.collect(), &others)
        };
        if exact >= own && !not_symbolic.contains(&pattern) {
            match symbolic() {
                Ok(plan) => return Ok(self.add(plan)),
                Err(e) => tracing::debug!("no plan for inputs of any shape: {e:#}"),
            }
            not_symbolic.push(pattern.clone());
        }
        let values: Vec<&Tensor> = self.switches.iter().filter_map(|&i| inputs[i].as_ref()).collect();
        let known = values.iter().all(|v| switched.contains(v));
        if !values.is_empty() && (known || switched.len() < SWITCHED) {
            match planner.plan(self.given(inputs, |i, _| self.switches.contains(&i)), &others) {
                Ok(plan) => {
                    switched.extend(values.into_iter().filter(|_| !known).cloned());
                    return Ok(self.add(plan));
                }
                Err(e) => tracing::debug!("no plan for these values of the switches: {e:#}"),
            }
        }
        let first = match planner.plan(self.given(inputs, |_, _| false), &others) {
            Ok(plan) => return Ok(self.add(plan)),
            Err(e) if e.code() != Code::Unsupported && e.code() != Code::Panic => return Err(e),
            Err(e) => e,
        };
        if let Some(plan) = self.with_values(planner, inputs) {
            return Ok(self.add(plan));
        }
        if !not_symbolic.contains(&pattern)
            && let Ok(plan) = symbolic()
        {
            return Ok(self.add(plan));
        }
        Err(first)
    }

    /// A plan with the small inputs as constants: those that may be shapes and axes, or all.
    fn with_values(&self, planner: &Planner, inputs: &[Option<Tensor>]) -> Option<Plan> {
        [is_count as fn(&Tensor) -> bool, is_small].into_iter().find_map(|constant| {
            let given = self.given(inputs, |_, tensor| constant(tensor));
            match given.iter().any(|given| matches!(given, Given::Value(_))) {
                true => planner.plan(given, &self.all()).ok(),
                false => None,
            }
        })
    }

    fn given(&self, inputs: &[Option<Tensor>], constant: impl Fn(usize, &Tensor) -> bool) -> Vec<Given> {
        let given = inputs.iter().enumerate().map(|(i, input)| match input {
            None => Given::Default,
            Some(tensor) if constant(i, tensor) => Given::Value(tensor.clone()),
            Some(tensor) => Given::Shape(tensor.shape().clone()),
        });
        given.collect()
    }

    fn all(&self) -> Vec<Arc<Plan>> {
        unpoisoned(self.ready.read()).clone()
    }

    /// Adds a plan, in place of the least recently used ones if there is no room; exact ones are found first.
    fn add(&self, plan: Plan) -> Arc<Plan> {
        plan.touch(self.clock.fetch_add(1, Ordering::Relaxed));
        let plan = Arc::new(plan);
        let mut ready = unpoisoned(self.ready.write());
        ready.push(plan.clone());
        loop {
            let exact = || ready.iter().enumerate().filter(|(_, plan)| !plan.is_symbolic());
            let full = exact().count() > MOST || ready.iter().map(|plan| plan.bytes).sum::<u64>() > BUDGET;
            let oldest = exact().min_by_key(|(_, plan)| plan.used.load(Ordering::Relaxed)).map(|(i, _)| i);
            match oldest.filter(|_| full && exact().count() > 1) {
                Some(oldest) => drop(ready.remove(oldest)),
                None => break,
            }
        }
        ready.sort_by_key(|plan| plan.is_symbolic());
        plan
    }

    fn maker(&self) -> MutexGuard<'_, Maker> {
        unpoisoned(self.maker.lock())
    }
}

fn fixed(dims: &[Dim]) -> Option<crate::Shape> {
    let dims: Option<Vec<usize>> =
        dims.iter().map(|dim| if let Dim::Fixed(n) = dim { Some(*n) } else { None }).collect();
    crate::Shape::new(&dims?).ok()
}

/// A shape, axes, repeats, or a number of steps.
fn is_count(tensor: &Tensor) -> bool {
    is_small(tensor) && matches!(tensor.dtype(), DType::I64 | DType::I32 | DType::Bool)
}

fn is_small(tensor: &Tensor) -> bool {
    tensor.dtype() != DType::String && tensor.shape().rank() <= 1 && tensor.shape().elements() <= CONSTANT
}

fn may_be_constant(kind: &Kind) -> bool {
    matches!(kind, Kind::Tensor { dtype, shape: Some(shape) } if *dtype != DType::String
        && shape.len() <= 1
        && shape.iter().all(|dim| !matches!(dim, Dim::Fixed(n) if *n > CONSTANT)))
}
