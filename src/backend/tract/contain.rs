//! Keeps the faults of tract's code from the host: a panic becomes an error, and what recurses over
//! a model's graph gets a stack of a size we choose. No process-wide panic hook is touched, so the
//! host's own hook still reports a contained panic.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tract_onnx::prelude::{TractError, TractResult};

use crate::{Code, Error, Result};

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
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(e)) => Err(Fault::Error(e)),
        Err(payload) => Err(Fault::Panic(message(&*payload))),
    }
}

/// Runs `f` on a thread of its own with a large stack.
pub(super) fn on_large_stack<T: Send>(f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("selvedge-plan".into())
            .stack_size(STACK)
            .spawn_scoped(scope, f)
            .map_err(|e| Error::io("a thread to plan the model on", e))?;
        thread.join().unwrap_or_else(|payload| {
            Err(Error::new(Code::Panic, format!("planning the model panicked: {}", message(&*payload))))
        })
    })
}

/// tract's messages may hold a whole operator in its debug form.
const LONGEST: usize = 600;

fn chain(e: &TractError) -> String {
    shortened(format!("{e:#}"))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = match payload.downcast_ref::<&str>() {
        Some(text) => (*text).to_owned(),
        None => payload.downcast_ref::<String>().cloned().unwrap_or_else(|| "no message".into()),
    };
    shortened(text)
}

fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    text
}
