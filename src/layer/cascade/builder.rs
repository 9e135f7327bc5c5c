//! Builder of a cascade.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::{Cascade, Check, LAYER, Routed, Stage, Stages};
use crate::engine::{Engine, Kind, Port, Spec};
use crate::layer::route;
use crate::{DType, Error, Result};

/// What becomes of a call that an engine before the last one fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnError {
    /// The next engine is asked, whatever the error, as long as the call goes on: a request that the cheap engine cannot
    /// serve may fit the next one. What the last engine says stands.
    #[default]
    Escalate,
    /// The call ends with the error.
    Return,
}

/// A builder of a [`Cascade`].
#[must_use = "a builder does nothing until it is built"]
pub struct CascadeBuilder {
    stages: Vec<(Arc<dyn Engine>, Vec<Check>)>,
    on_error: OnError,
}

impl CascadeBuilder {
    pub(super) fn new() -> Self {
        Self { stages: Vec::new(), on_error: OnError::default() }
    }

    /// The next engine, costlier than those before it, and the checks that its answer must pass, all of them.
    pub fn stage(mut self, engine: Arc<dyn Engine>, checks: impl IntoIterator<Item = Check>) -> Self {
        self.stages.push((engine, checks.into_iter().collect()));
        self
    }

    /// What becomes of a call that an engine before the last one fails; [`OnError::Escalate`] if not set.
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.on_error = on_error;
        self
    }

    /// The cascade, with the engine that answers what is left.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` without an engine before the last one, for one of these without a check, and for two engines of
    /// tensors that do not take and give tensors of the same names and dtypes.
    pub fn build(self, last: Arc<dyn Engine>) -> Result<Cascade> {
        if self.stages.is_empty() {
            return Err(Error::invalid("cascade: expected at least one engine before the last, got none"));
        }
        for (engine, checks) in &self.stages {
            if checks.is_empty() {
                let model = &engine.spec().provenance.model;
                return Err(Error::invalid(format!("stage '{model}': expected at least one check, got none")));
            }
            compatible(engine.spec(), last.spec())?;
        }
        let spec = spec(&self.stages, last.spec());
        let mut asked = String::new();
        let all = self.stages.into_iter().chain([(last, Vec::new())]);
        let all = all.map(|(engine, checks)| stage(engine, checks, &mut asked));
        let stages = Stages { all: all.collect(), on_error: self.on_error, calls: AtomicU64::new(0) };
        Ok(Cascade { stages: Arc::new(stages), spec })
    }
}

/// `asked` holds the names of the engines before, and gets this one's.
fn stage(engine: Arc<dyn Engine>, checks: Vec<Check>, asked: &mut String) -> Stage {
    let spec = engine.spec();
    let model = &spec.provenance.model;
    let separator = if asked.is_empty() { "" } else { ", " };
    *asked += &format!("{separator}{model}");
    let routed = |names: &str| {
        let layer = format!("{LAYER}({names})");
        let provenance = route::spec(&layer, spec).provenance;
        Routed { layer, provenance }
    };
    let count = || AtomicU64::new(0);
    Stage {
        inner: spec.provenance.clone(),
        up_to: routed(asked),
        alone: routed(model),
        checks: checks.into_iter().map(|check| (check, count())).collect(),
        asked: count(),
        accepted: count(),
        failed: count(),
        engine,
    }
}

/// The last engine's spec; the memory is that of all, and interrupting is what all can.
fn spec(stages: &[(Arc<dyn Engine>, Vec<Check>)], last: &Spec) -> Spec {
    let mut spec = route::spec(LAYER, last);
    for other in stages.iter().map(|(engine, _)| engine.spec()) {
        spec.abilities.interrupt &= other.abilities.interrupt;
        let (sum, more) = (&mut spec.memory, &other.memory);
        sum.weights = sum.weights.saturating_add(more.weights);
        sum.context = sum.context.saturating_add(more.context);
        sum.scratch = sum.scratch.saturating_add(more.scratch);
    }
    spec
}

fn compatible(stage: &Spec, last: &Spec) -> Result<()> {
    if !(stage.abilities.tensors && last.abilities.tensors) {
        return Ok(());
    }
    for (what, got, expected) in [("inputs", &stage.inputs, &last.inputs), ("outputs", &stage.outputs, &last.outputs)] {
        if sorted(got) != sorted(expected) {
            let (model, last) = (&stage.provenance.model, &last.provenance.model);
            let (expected, got) = (list(expected), list(got));
            return Err(Error::invalid(format!(
                "stage '{model}': expected the {what} of '{last}', [{expected}], got [{got}]"
            )));
        }
    }
    Ok(())
}

fn sorted(ports: &[Port]) -> Vec<(&str, Option<DType>)> {
    let dtype = |port: &Port| match port.kind {
        Kind::Tensor { dtype, .. } => Some(dtype),
        Kind::Other(_) => None,
    };
    let mut sorted: Vec<_> = ports.iter().map(|port| (&*port.name, dtype(port))).collect();
    sorted.sort_by_key(|(name, _)| *name);
    sorted
}

fn list(ports: &[Port]) -> String {
    ports.iter().map(Port::to_string).collect::<Vec<_>>().join(", ")
}
