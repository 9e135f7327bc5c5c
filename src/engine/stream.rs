//! Streams of steps, for async code, without a runtime of any kind.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::{Call, Cancel, Run, Step};
use crate::{Code, Error, Result};

/// Steps that may wait for their reader before the run pauses.
const AHEAD: usize = 8;

/// The steps of a run as a stream; the last item is `Done` or an error. Dropping it cancels the run.
pub struct StepStream {
    steps: Pin<Box<async_channel::Receiver<Result<Step>>>>,
    cancel: Cancel,
}

impl StepStream {
    /// The call with a switch that the stream may set by itself, without touching the caller's.
    pub(super) fn terms(mut call: Call) -> (Call, Cancel) {
        let cancel = call.cancel.as_ref().map(Cancel::child).unwrap_or_default();
        call.cancel = Some(cancel.clone());
        (call, cancel)
    }

    pub(super) fn spawn(mut run: Box<dyn Run>, cancel: Cancel) -> Result<Self> {
        let (sender, receiver) = async_channel::bounded(AHEAD);
        let work = move || {
            loop {
                // Nobody joins this thread: without this, a panic would look like the end of the stream.
                let step = catch_unwind(AssertUnwindSafe(|| run.step()))
                    .unwrap_or_else(|_| Err(Error::new(Code::Panic, "a step of the run panicked")));
                let last = matches!(step, Ok(Step::Done(_)) | Err(_));
                // A failed send means that the stream is gone.
                if sender.send_blocking(step).is_err() || last {
                    return;
                }
            }
        };
        std::thread::Builder::new()
            .name("selvedge-stream".into())
            .spawn(work)
            .map_err(|e| Error::backend("no thread for a stream").because(e))?;
        Ok(Self { steps: Box::pin(receiver), cancel })
    }
}

impl Stream for StepStream {
    type Item = Result<Step>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.steps.as_mut().poll_next(cx)
    }
}

impl Drop for StepStream {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl std::fmt::Debug for StepStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StepStream").finish_non_exhaustive()
    }
}
