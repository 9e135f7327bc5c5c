//! Run of a request: feeds a plan, runs it and takes its outputs.

use std::time::Instant;

use super::Model;
use super::convert::take;
use crate::engine::{Admitted, Call, Computed, Kind, Usage};
use crate::{Code, Error, Result};

/// The outputs asked for, and the time they took.
pub(super) fn compute(model: &Model, admitted: Admitted, call: &Call) -> Result<Computed> {
    let begun = Instant::now();
    let plans = &model.plans;
    let plan = plans.plan_for(&admitted.inputs)?;
    let values = plan.feed(&admitted.inputs)?;
    let mut prepared = Instant::now();
    let mut values = match plan.run(values, call) {
        // Some graphs can be planned, but not run, without the values of their small inputs.
        Err(e) if matches!(e.code(), Code::Backend | Code::Panic) && plan.is_tentative() => {
            let Some(other) = plans.instead_of(&plan, &admitted.inputs) else { return Err(e) };
            let values = other.feed(&admitted.inputs)?;
            prepared = Instant::now();
            other.run(values, call)?
        }
        result => result?,
    };
    let mut outputs = Vec::with_capacity(admitted.outputs.len());
    for i in admitted.outputs {
        let port = &model.spec.outputs[i];
        let Kind::Tensor { dtype, .. } = port.kind else {
            return Err(Error::unsupported(format!("output '{}': tract gives no {}", port.name, port.kind)));
        };
        let value = values.get_mut(i).ok_or_else(|| Error::backend(format!("tract gave no output '{}'", port.name)))?;
        let tensor = take(value.clone(), dtype).map_err(|e| e.during(format!("reading output '{}'", port.name)))?;
        outputs.push((port.name.clone(), tensor));
    }
    let usage = Usage { prepare: prepared - begun, compute: prepared.elapsed(), ..Usage::default() };
    Ok((outputs, usage))
}
