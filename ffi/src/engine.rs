//! Engines: open, describe, ask, trim, close.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::ffi::c_char;
use std::sync::{Arc, OnceLock};

use selvedge::{Ask, Engine, Result, Trim, open};

use crate::abi::*;
use crate::answer::AnswerObject;
use crate::handle::{self, Tag, object};
use crate::loan::Loan;
use crate::memory::{NO_PLACE, Out, OutText, invalid};
use crate::output::Outputs;
use crate::run::RunObject;
use crate::source::{self, Given};
use crate::text::Text;
use crate::{generate, guard, json, options, request};

/// Opens a model file.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_engine_open(
    path: *const c_char,
    path_len: usize,
    options: *const selvedge_options,
    out: *mut *mut selvedge_engine,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        // SAFETY: as above.
        let (path, options) = unsafe { (source::path("path", path, path_len)?, options::read(options)?) };
        export(open(path, options)?)
    })
}

/// Opens a model from a path, an open file or memory.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_engine_open_source(
    source: *const selvedge_source,
    options: *const selvedge_options,
    out: *mut *mut selvedge_engine,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (source, out, err) = unsafe { (Given::take(source), Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        // SAFETY: as above.
        let (source, options) = unsafe { (source?.open()?, options::read(options)?) };
        export(open(source, options)?)
    })
}

/// Gives an engine made in Rust (with layers, or of another kind) a handle, for code in other
/// languages in the same process. It is closed with [`selvedge_engine_close`].
///
/// # Errors
///
/// `OutOfMemory` above 16 million live engines.
pub fn export(engine: Arc<dyn Engine>) -> Result<*mut selvedge_engine> {
    handle::publish(EngineObject { engine, spec: OnceLock::new() })
}

/// Closes the handle.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_engine_close(engine: *mut selvedge_engine) -> selvedge_status {
    guard::status(|| handle::retire::<EngineObject>(engine).map(drop))
}

/// The engine's spec as JSON: what it takes, gives, can do and costs.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_engine_spec_json(
    engine: *const selvedge_engine,
    json: *mut *const c_char,
    len: *mut usize,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (json, err) = unsafe { (OutText::zeroed("json", json, len), Out::optional(err)) };
    guard::give(json, err, || {
        let object = handle::resolve::<EngineObject>(engine)?;
        Ok(object.spec.get_or_init(|| json::spec(object.engine.spec()).as_str().into()).raw())
    })
}

/// Runs tensors through the engine.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_engine_run(
    engine: *const selvedge_engine,
    request: *const selvedge_tensors,
    call: *const selvedge_call,
    out: *mut *mut selvedge_answer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let engine = of(engine)?;
        // Declared before all that may hold what is lent, and so dropped after it, also in a panic.
        let loan = Loan::new();
        // SAFETY: as above; the caller's memory outlives `loan`, which is dropped before the call returns.
        let (call, request) = unsafe { (request::call(call)?, request::tensors(request, Some(&loan))?) };
        let mut answer = engine.run_with(request, call)?;
        loan.detach(&mut answer)?;
        handle::publish(AnswerObject::from(answer))
    })
}

/// Runs tensors through the engine, into the caller's memory.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_engine_run_into(
    engine: *const selvedge_engine,
    request: *const selvedge_tensors,
    outputs: *mut selvedge_output,
    output_count: usize,
    call: *const selvedge_call,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (outputs, err) = unsafe { (Outputs::read(outputs, output_count), Out::optional(err)) };
    guard::give(NO_PLACE, err, || {
        let mut outputs = outputs?;
        let engine = of(engine)?;
        // As in `selvedge_engine_run`.
        let loan = Loan::new();
        // SAFETY: as above.
        let (call, mut request) = unsafe { (request::call(call)?, request::tensors(request, Some(&loan))?) };
        if request.outputs.is_some() {
            return Err(invalid(
                "selvedge_tensors.outputs: expected NULL beside outputs of their own, got some".into(),
            ));
        }
        request.outputs = Some(outputs.names());
        let mut answer = engine.run_with(request, call)?;
        // Inputs may be read until here; from here on nothing of the answer is the caller's.
        loan.detach(&mut answer)?;
        outputs.fill(&answer)
    })
}

/// Starts to run tensors.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_engine_start(
    engine: *const selvedge_engine,
    request: *const selvedge_tensors,
    call: *const selvedge_call,
    out: *mut *mut selvedge_run,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let engine = of(engine)?;
        // SAFETY: as above; without a loan all is copied.
        let (call, request) = unsafe { (request::call(call)?, request::tensors(request, None)?) };
        handle::publish(RunObject::start(engine, request, call)?)
    })
}

/// Starts to generate text.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_engine_generate(
    engine: *const selvedge_engine,
    request: *const selvedge_generate,
    call: *const selvedge_call,
    out: *mut *mut selvedge_run,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let engine = of(engine)?;
        // SAFETY: as above.
        let (call, request) = unsafe { (request::call(call)?, generate::generate(request)?) };
        handle::publish(RunObject::start(engine, request, call)?)
    })
}

/// Embeds texts.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_engine_embed(
    engine: *const selvedge_engine,
    request: *const selvedge_embed,
    call: *const selvedge_call,
    out: *mut *mut selvedge_answer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let engine = of(engine)?;
        // SAFETY: as above.
        let (call, request) = unsafe { (request::call(call)?, request::embed(request)?) };
        let answer = engine.run_with(request, call)?;
        handle::publish(AnswerObject::from(answer))
    })
}

/// Scores continuations of a prompt.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_engine_score(
    engine: *const selvedge_engine,
    request: *const selvedge_score,
    call: *const selvedge_call,
    out: *mut *mut selvedge_answer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let engine = of(engine)?;
        // SAFETY: as above.
        let (call, request) = unsafe { (request::call(call)?, generate::score(request)?) };
        handle::publish(AnswerObject::from(engine.run_with(request, call)?))
    })
}

/// Judges documents by a query.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_engine_rerank(
    engine: *const selvedge_engine,
    request: *const selvedge_rerank,
    call: *const selvedge_call,
    out: *mut *mut selvedge_answer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let engine = of(engine)?;
        // SAFETY: as above.
        let (call, request) = unsafe { (request::call(call)?, request::rerank(request)?) };
        handle::publish(AnswerObject::from(engine.run_with(request, call)?))
    })
}

/// Gives memory back.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_engine_trim(
    engine: *const selvedge_engine,
    level: i32,
    freed: *mut u64,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (freed, err) = unsafe { (Out::zeroed("freed", freed), Out::optional(err)) };
    guard::give(freed, err, || {
        let engine = of(engine)?;
        engine.trim(match level {
            SELVEDGE_TRIM_CACHES => Trim::Caches,
            SELVEDGE_TRIM_ALL => Trim::All,
            other => return Err(request::unknown("selvedge_trim", other)),
        })
    })
}

/// The engine of a handle.
pub(crate) fn of(engine: *const selvedge_engine) -> Result<Arc<dyn Engine>> {
    handle::read::<EngineObject, _>(engine, |object| object.engine.clone())
}

/// An engine behind its handle.
struct EngineObject {
    engine: Arc<dyn Engine>,
    /// Made when first asked for.
    spec: OnceLock<Text>,
}

object!(EngineObject, selvedge_engine, Tag::Engine);
