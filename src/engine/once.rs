//! Runs of one step: the request is admitted, and all work is done at once.

use std::sync::Arc;

use super::{Answer, Call, Finish, Provenance, Run, Step, Usage};
use crate::{Error, Result, Tensor};

/// Outputs by name, in the order asked for, and what they cost.
pub(crate) type Computed = (Vec<(String, Tensor)>, Usage);

/// A run whose only step does `work`, unless the call is over by then.
#[cfg_attr(
    not(any(feature = "ort", feature = "rten", feature = "tract")),
    allow(dead_code, reason = "the runtimes of ONNX run in one step")
)]
pub(crate) fn once<W>(provenance: Arc<Provenance>, call: Call, work: W) -> Box<dyn Run>
where
    W: FnOnce(&Call) -> Result<Computed> + Send + 'static,
{
    Box::new(Once { provenance, call, work: Some(work) })
}

struct Once<W> {
    provenance: Arc<Provenance>,
    call: Call,
    /// Taken by the one step.
    work: Option<W>,
}

impl<W: FnOnce(&Call) -> Result<Computed> + Send> Run for Once<W> {
    fn step(&mut self) -> Result<Step> {
        let work = self.work.take().ok_or_else(|| Error::invalid("the run has ended"))?;
        self.call.check()?;
        let (outputs, usage) = work(&self.call)?;
        let mut answer = Answer::new(Finish::Complete, usage, self.provenance.clone());
        (answer.outputs, answer.id) = (outputs, self.call.id);
        Ok(Step::Done(answer))
    }
}
