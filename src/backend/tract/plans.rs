//! The plans of one engine: made when inputs of a new shape come, kept within bounds.
//!
//! A plan for exactly the shapes at hand is the fastest, and the only one that tract can make of many
//! graphs; but it holds its own copy of the weights and takes a fraction of a second to make. So the
//! first few shapes get plans of their own; when more come, one plan with symbolic dimensions is tried,
//! and serves all further shapes; where tract has no such plan, the least recently used one makes room.
//! A shape keeps the kind of plan that it got, so the same inputs give the same bits until a trim.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::guard::on_large_stack;
use super::plan::{Given, Plan, Planner};
use crate::engine::{Dim, Kind, Trim};
use crate::{Code, DType, Error, Result, Tensor};

/// The most plans of exact shapes.
const MOST: usize = 8;
/// About how many bytes of constants all plans may hold; one plan is always kept.
const BUDGET: u64 = 256 << 20;
/// The most elements of an input that becomes a constant of a plan.
const CONSTANT: usize = 64;
/// The most values of a switch that get plans of their own.
const SWITCHED: usize = 4;

/// The plans of one engine.
pub(super) struct Plans {
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

impl Plans {
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

    /// Finds at open what can be found without inputs. Plans a model whose shapes are all fixed;
    /// `forget` then gives the file's bytes back, if no other plan can ever be wanted.
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
        match fixed {
            Some(given) if self.switches.is_empty() => {
                let only = !planner.inputs.iter().any(|port| port.optional);
                match on_large_stack(|| planner.plan(given)) {
                    Ok(plan) => {
                        self.add(plan, 0);
                        if forget && only {
                            maker.planner = None;
                        }
                        Ok(())
                    }
                    // It may need the value of an input, which only a run knows.
                    Err(_) if planner.inputs.iter().any(|port| may_be_constant(&port.kind)) => Ok(()),
                    Err(e) => Err(e),
                }
            }
            _ => on_large_stack(|| planner.file.parse(&[]).map(drop)),
        }
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
        on_large_stack(move || self.make(maker, inputs))
    }

    /// Another plan for these inputs, in place of `failed`: of their exact shapes if that one was symbolic,
    /// else with the values of small ones. `None` if tract has none.
    pub(super) fn instead_of(&self, failed: &Arc<Plan>, inputs: &[Option<Tensor>]) -> Option<Arc<Plan>> {
        let maker = self.maker();
        let planner = maker.planner.as_ref()?;
        let (_, slots) = self.slots();
        let plan = on_large_stack(|| {
            if failed.is_symbolic() {
                return planner.plan(self.given(inputs, |_, _| false));
            }
            self.with_values(planner, inputs).ok_or_else(|| Error::unsupported("no input is small"))
        });
        let plan = plan.ok()?;
        if !failed.is_symbolic() {
            self.ready.write().unwrap_or_else(PoisonError::into_inner).retain(|plan| !Arc::ptr_eq(plan, failed));
        }
        Some(self.add(plan, slots))
    }

    /// Drops plans, all but the one last used or all; counts the bytes of those that no run uses.
    pub(super) fn trim(&self, level: Trim) -> u64 {
        let mut maker = self.maker();
        if maker.planner.is_none() {
            return 0;
        }
        (maker.not_symbolic, maker.switched) = Default::default();
        let mut ready = self.ready.write().unwrap_or_else(PoisonError::into_inner);
        ready.sort_by_key(|plan| plan.used.load(Ordering::Relaxed));
        let last = if level == Trim::Caches { ready.pop() } else { None };
        let freed = ready.iter().filter(|plan| Arc::strong_count(plan) == 1).map(|plan| plan.bytes).sum();
        *ready = last.into_iter().collect();
        freed
    }

    fn find(&self, inputs: &[Option<Tensor>]) -> Option<Arc<Plan>> {
        let ready = self.ready.read().unwrap_or_else(PoisonError::into_inner);
        let plan = ready.iter().find(|plan| plan.fits(inputs))?;
        plan.touch(self.clock.fetch_add(1, Ordering::Relaxed));
        Some(plan.clone())
    }

    fn make(&self, maker: &mut Maker, inputs: &[Option<Tensor>]) -> Result<Arc<Plan>> {
        let Maker { planner, not_symbolic, switched } = maker;
        let planner = planner.as_ref().ok_or_else(|| Error::backend("a model of fixed shapes got others"))?;
        let (exact, slots) = self.slots();
        let pattern: Vec<bool> = inputs.iter().map(Option::is_some).collect();
        let symbolic = || planner.plan(pattern.iter().map(|&is| if is { Given::Any } else { Given::Default }).collect());
        if exact >= slots.div_ceil(2) && !not_symbolic.contains(&pattern) {
            match symbolic() {
                Ok(plan) => return Ok(self.add(plan, slots)),
                Err(e) => tracing::debug!("no plan for inputs of any shape: {e}"),
            }
            not_symbolic.push(pattern.clone());
        }
        let values: Vec<&Tensor> = self.switches.iter().filter_map(|&i| inputs[i].as_ref()).collect();
        let known = values.iter().all(|v| switched.contains(v));
        if !values.is_empty() && (known || switched.len() < SWITCHED) {
            match planner.plan(self.given(inputs, |i, _| self.switches.contains(&i))) {
                Ok(plan) => {
                    switched.extend(values.into_iter().filter(|_| !known).cloned());
                    return Ok(self.add(plan, slots));
                }
                Err(e) => tracing::debug!("no plan for these values of the switches: {e}"),
            }
        }
        let first = match planner.plan(self.given(inputs, |_, _| false)) {
            Ok(plan) => return Ok(self.add(plan, slots)),
            Err(e) if e.code() != Code::Unsupported && e.code() != Code::Panic => return Err(e),
            Err(e) => e,
        };
        if let Some(plan) = self.with_values(planner, inputs) {
            return Ok(self.add(plan, slots));
        }
        if !not_symbolic.contains(&pattern)
            && let Ok(plan) = symbolic()
        {
            return Ok(self.add(plan, slots));
        }
        Err(first)
    }

    /// A plan with the small inputs as constants: those that may be shapes and axes, or all.
    fn with_values(&self, planner: &Planner, inputs: &[Option<Tensor>]) -> Option<Plan> {
        [is_count as fn(&Tensor) -> bool, is_small].into_iter().find_map(|constant| {
            let given = self.given(inputs, |_, tensor| constant(tensor));
            if given.iter().any(|given| matches!(given, Given::Value(_))) { planner.plan(given).ok() } else { None }
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

    /// How many plans of exact shapes there are, and how many there may be.
    fn slots(&self) -> (usize, usize) {
        let ready = self.ready.read().unwrap_or_else(PoisonError::into_inner);
        let largest = ready.iter().map(|plan| plan.bytes).max().unwrap_or(0);
        let slots = BUDGET.checked_div(largest).map_or(MOST, |n| usize::try_from(n).unwrap_or(MOST).clamp(1, MOST));
        (ready.iter().filter(|plan| !plan.is_symbolic()).count(), slots)
    }

    /// Adds a plan, over the least recently used ones if there is no room; exact ones are found first.
    fn add(&self, plan: Plan, slots: usize) -> Arc<Plan> {
        plan.touch(self.clock.fetch_add(1, Ordering::Relaxed));
        let plan = Arc::new(plan);
        let mut ready = self.ready.write().unwrap_or_else(PoisonError::into_inner);
        ready.push(plan.clone());
        while slots > 0 && ready.iter().filter(|plan| !plan.is_symbolic()).count() > slots {
            let exact = ready.iter().enumerate().filter(|(_, plan)| !plan.is_symbolic());
            let Some((oldest, _)) = exact.min_by_key(|(_, plan)| plan.used.load(Ordering::Relaxed)) else { break };
            ready.remove(oldest);
        }
        ready.sort_by_key(|plan| plan.is_symbolic());
        plan
    }

    fn maker(&self) -> MutexGuard<'_, Maker> {
        self.maker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fixed(dims: &[Dim]) -> Option<crate::Shape> {
    let dims: Option<Vec<usize>> = dims.iter().map(|dim| if let Dim::Fixed(n) = dim { Some(*n) } else { None }).collect();
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
