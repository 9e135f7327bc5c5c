//! Keeps the faults of tract's code from the host: a panic becomes an error, and what recurses over
//! a model's graph gets a stack of a size we choose. A contained panic is an error like others, so the host's panic hook does not
//! hear of it: ours is put before it, and passes on all panics but these.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use tract_onnx::prelude::{TractError, TractResult};

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
    let _quiet = Quiet::begin();
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(e)) => Err(Fault::Error(e)),
        Err(payload) => Err(Fault::Panic(message(&*payload))),
    }
}

thread_local! {
    /// Whether this thread is inside of [`contained`].
    static CONTAINS: Cell<bool> = const { Cell::new(false) };
}

/// What the threads of tract's pools are named by.
pub(super) const POOL: &str = "selvedge-tract";

/// While it lives, a panic of this thread is not reported.
struct Quiet {
    before: bool,
}

impl Quiet {
    fn begin() -> Self {
        static HOOK: Once = Once::new();
        // A thread that panics may not change the hook.
        if !std::thread::panicking() {
            HOOK.call_once(|| {
                let hook = panic::take_hook();
                panic::set_hook(Box::new(move |info| {
                    let in_pool = || std::thread::current().name().is_some_and(|name| name.starts_with(POOL));
                    if !CONTAINS.try_with(Cell::get).unwrap_or(false) && !in_pool() {
                        hook(info);
                    }
                }));
            });
        }
        Self { before: CONTAINS.replace(true) }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        CONTAINS.set(self.before);
    }
}

/// Runs `f` on a thread of its own with a large stack.
pub(super) fn on_large_stack<T: Send>(f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    threads::on_stack("planning the model", STACK, f)
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
