//! Containment of faults in tract's code: a panic becomes an error, and what recurses over
//! a model's graph gets a stack of a size we choose. A contained panic is an error like others, so the host's panic hook does not hear
//! of it.

use tract_onnx::prelude::{TractError, TractResult};

use crate::error::shortened;
use crate::{Code, Error, Result, threads};

/// Reserved, not used, until a deep graph needs it.
const STACK: usize = 64 << 20;

/// How a call into tract failed.
#[derive(Debug)]
pub(super) enum Fault {
    Error(TractError),
    Panic(String),
}

impl Fault {
    /// As our own error: a contained panic is `Panic`, anything else gets `code`.
    pub(super) fn into_error(self, code: Code, doing: &str) -> Error {
        match self {
            Fault::Error(e) => Error::new(code, format!("tract, {doing}: {}", chain(&e))),
            // tract's way to say so.
            Fault::Panic(message) if message.starts_with("failed to allocate") => {
                Error::new(Code::OutOfMemory, format!("tract, {doing}: {message}"))
            }
            Fault::Panic(message) => Error::new(Code::Panic, format!("tract panicked, {doing}: {message}")),
        }
    }
}

/// Runs `f`; an error or a panic of it becomes a [`Fault`].
pub(super) fn contained<T>(f: impl FnOnce() -> TractResult<T>) -> Result<T, Fault> {
    match threads::contained(f) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(e)) => Err(Fault::Error(e)),
        Err(message) => Err(Fault::Panic(shortened(message))),
    }
}

/// Runs `f` on a thread of its own with a large stack.
pub(super) fn on_large_stack<T: Send>(f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    threads::on_stack("selvedge-plan", STACK, f)
}

fn chain(e: &TractError) -> String {
    shortened(format!("{e:#}"))
}
