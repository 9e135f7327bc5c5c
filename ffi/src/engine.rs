//! Engines: open, describe, ask, close.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::ffi::c_char;
use std::sync::{Arc, OnceLock};

use selvedge::{Ask, Engine, Result, open};

use crate::abi::{
    selvedge_answer, selvedge_call, selvedge_embed, selvedge_engine, selvedge_error, selvedge_generate,
    selvedge_options, selvedge_run, selvedge_status, selvedge_tensors,
};
use crate::answer::AnswerObject;
use crate::handle::{self, Tag, object};
use crate::loan::Loan;
use crate::memory::{self, Out, OutText, invalid};
use crate::run::Generation;
use crate::text::Text;
use crate::{guard, json, request};

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
        let (path, options) = unsafe { (memory::name("path", path, path_len)?, request::options(options)?) };
        if path.is_empty() || path.contains('\0') {
            return Err(invalid(format!("path: expected the name of a file, got {path:?}")));
        }
        export(open(path, options)?)
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
        let object = handle::resolve::<EngineObject>(engine)?;
        // Declared before all that may hold what is lent, and so dropped after it, also in a panic.
        let loan = Loan::new();
        // SAFETY: as above; the caller's memory outlives `loan`, which is dropped before the call returns.
        let (call, request) = unsafe { (request::call(call)?, request::tensors(request, &loan)?) };
        let mut answer = object.engine.run_with(request, call)?;
        loan.detach(&mut answer)?;
        handle::publish(AnswerObject::from(answer))
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
        let object = handle::resolve::<EngineObject>(engine)?;
        // SAFETY: as above.
        let (call, request) = unsafe { (request::call(call)?, request::generate(request)?) };
        handle::publish(Generation::start(object.engine.clone(), request, call)?)
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
        let object = handle::resolve::<EngineObject>(engine)?;
        // SAFETY: as above.
        let (call, request) = unsafe { (request::call(call)?, request::embed(request)?) };
        let answer = object.engine.run_with(request, call)?;
        handle::publish(AnswerObject::from(answer))
    })
}

/// An engine behind its handle.
struct EngineObject {
    engine: Arc<dyn Engine>,
    /// Made when first asked for.
    spec: OnceLock<Text>,
}

object!(EngineObject, selvedge_engine, Tag::Engine);
