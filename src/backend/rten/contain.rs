//! Containment of faults in rten's code: a panic becomes an error, and what recurses over a model's graph gets a stack of a
//! size we choose.

use rten::{LoadError, LoadErrorKind, RunError, RunErrorKind};

use crate::error::shortened;
use crate::{Code, Error, Result, threads};

/// Reserved, not used, until a deep graph needs it.
const STACK: usize = 64 << 20;
/// Graphs of so many nodes are planned on the stack that a thread has anyway.
const SHALLOW: usize = 512;

/// Runs `f`, which may recurse as deep as a graph of so many nodes; a panic of it becomes an error.
pub(super) fn contained<T: Send>(nodes: usize, doing: &str, f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let quiet = move || {
        threads::contained(f).unwrap_or_else(|message| {
            Err(Error::new(Code::Panic, format!("rten panicked, {doing}: {}", shortened(message))))
        })
    };
    if nodes <= SHALLOW { quiet() } else { threads::on_stack("selvedge-rten", STACK, quiet) }
}

/// Why rten does not load a model that [`onnx`](crate::onnx) has read before: it lacks something.
pub(super) fn not_loaded(e: &LoadError) -> Error {
    let code = if e.kind() == LoadErrorKind::ParseError { Code::Corrupt } else { Code::Unsupported };
    Error::new(code, format!("rten, loading the model: {}", shortened(e.to_string())))
}

/// Why a run failed. What an operator does not support rten finds when it meets it.
pub(super) fn not_run(e: &RunError) -> Error {
    // The kind alone does not tell a missing feature from a value that an operator cannot take.
    let lacks = ["error: Unsupported", "error: CastFailed", "error: InputCastFailed"];
    let debug = format!("{e:?}");
    let code = match e.kind() {
        RunErrorKind::InvalidInput => Code::InvalidArgument,
        RunErrorKind::PlanningError => Code::Corrupt,
        RunErrorKind::OperatorError if lacks.iter().any(|lack| debug.contains(lack)) => Code::Unsupported,
        _ => Code::Backend,
    };
    Error::new(code, format!("rten, running the model: {}", shortened(e.to_string())))
}
