//! Run of a request: lends the inputs, runs the model and takes its outputs.

use std::time::Instant;

use super::Model;
use super::convert::{lend, take};
use crate::engine::{Admitted, Call, Computed, Kind, Usage};
use crate::{Error, Result};

/// The outputs asked for, and the time they took.
pub(super) fn compute(model: &Model, admitted: Admitted, call: &Call) -> Result<Computed> {
    let begun = Instant::now();
    let Admitted { inputs, outputs, .. } = admitted;
    let loaded = model.with(&inputs)?;
    let ports = model.spec.inputs.iter().zip(&inputs);
    let lent = ports.filter_map(|(port, tensor)| Some(lend(&port.name, tensor.as_ref()?)));
    let lent = lent.collect::<Result<Vec<_>>>()?;
    let prepared = Instant::now();
    let values = model.pools.with(|pool| loaded.run(lent, &outputs, pool))?;
    // There is no end to a run under way: what is no longer wanted is not given out.
    call.check()?;
    let mut named = Vec::with_capacity(outputs.len());
    for (i, value) in outputs.into_iter().zip(values) {
        let port = &model.spec.outputs[i];
        let Kind::Tensor { dtype, .. } = port.kind else {
            return Err(Error::unsupported(format!("output '{}': rten gives no {}", port.name, port.kind)));
        };
        let tensor = take(value, dtype).map_err(|e| e.during(format!("reading output '{}'", port.name)))?;
        named.push((port.name.clone(), tensor));
    }
    let usage = Usage { prepare: prepared - begun, compute: prepared.elapsed(), ..Usage::default() };
    Ok((named, usage))
}
