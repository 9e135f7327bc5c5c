//! Models of a process within one budget of memory.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::ffi::c_char;
use std::sync::{Arc, Mutex, PoisonError};

use selvedge::backend::{self, Inspection};
use selvedge::layer::schedule::{Models, Pressure, PressureWatch};
use selvedge::{Cancel, Code, Engine, Error, MemoryEstimate, Options, Result, Source, Trim, open};
use serde_json::json;

use crate::abi::*;
use crate::buffer::Buffer;
use crate::handle::{self, Tag, object};
use crate::memory::{self, NO_PLACE, Out, invalid};
use crate::request::unknown;
use crate::{engine, guard, options, source, store};

/// A budget without models.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_models_new(
    budget: u64,
    out: *mut *mut selvedge_models,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || handle::publish(ModelsObject { models: Models::new(budget), watch: Mutex::default() }))
}

/// Adds a model that is in a file.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_models_add(
    models: *const selvedge_models,
    name: *const c_char,
    name_len: usize,
    path: *const c_char,
    path_len: usize,
    options: *const selvedge_options,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let err = unsafe { Out::optional(err) };
    guard::give(NO_PLACE, err, || {
        let models = of(models)?;
        // SAFETY: as above.
        let (name, path) = unsafe { (self::name(name, name_len)?, source::path("path", path, path_len)?) };
        // SAFETY: as above.
        let options = unsafe { options::for_later(options) }?;
        let estimate = estimate(backend::inspect(path, &options)?, &options)?;
        let path = path.to_owned();
        models.add(name, estimate, move |cancel| opened(&*path, &options, cancel))
    })
}

/// Adds a model that is a version of a store.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_models_add_version(
    models: *const selvedge_models,
    name: *const c_char,
    name_len: usize,
    store: *const selvedge_store,
    id: *const c_char,
    id_len: usize,
    options: *const selvedge_options,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let err = unsafe { Out::optional(err) };
    guard::give(NO_PLACE, err, || {
        let (models, store) = (of(models)?, store::resolve(store)?);
        // SAFETY: as above.
        let (name, id) = unsafe { (self::name(name, name_len)?, store::id("id", id, id_len)?) };
        // SAFETY: as above.
        let options = unsafe { options::for_later(options) }?;
        let version = store.version(id)?;
        let estimate = estimate(backend::inspect(version.model()?, &options)?, &options)?;
        // The store stays open, so that nobody takes the version away meanwhile.
        models.add(name, estimate, move |cancel| {
            let _store = &store;
            opened(version.model()?, &options, cancel)
        })
    })
}

/// A model as an engine.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_models_engine(
    models: *const selvedge_models,
    name: *const c_char,
    name_len: usize,
    out: *mut *mut selvedge_engine,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let models = of(models)?;
        // SAFETY: as above.
        let name = unsafe { self::name(name, name_len) }?;
        engine::export(models.engine(name)?)
    })
}

/// Trims the models that are open.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_models_trim(
    models: *const selvedge_models,
    level: i32,
    freed: *mut u64,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (freed, err) = unsafe { (Out::zeroed("freed", freed), Out::optional(err)) };
    guard::give(freed, err, || {
        let models = of(models)?;
        Ok(models.trim(match level {
            SELVEDGE_TRIM_CACHES => Trim::Caches,
            SELVEDGE_TRIM_ALL => Trim::All,
            other => return Err(unknown("selvedge_trim", other)),
        }))
    })
}

/// Gives memory back, as much as the pressure asks for.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_models_pressure(
    models: *const selvedge_models,
    pressure: i32,
    freed: *mut u64,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (freed, err) = unsafe { (Out::zeroed("freed", freed), Out::optional(err)) };
    guard::give(freed, err, || {
        let models = of(models)?;
        Ok(models.pressure(match pressure {
            SELVEDGE_PRESSURE_WARNING => Pressure::Warning,
            SELVEDGE_PRESSURE_CRITICAL => Pressure::Critical,
            other => return Err(unknown("selvedge_pressure", other)),
        }))
    })
}

/// Watches the memory of the system until the handle is freed.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_models_watch_pressure(
    models: *const selvedge_models,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointer.
    let err = unsafe { Out::optional(err) };
    guard::give(NO_PLACE, err, || {
        let object = handle::resolve::<ModelsObject>(models)?;
        let mut watch = object.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if watch.is_none() {
            *watch = Some(object.models.watch_pressure()?);
        }
        Ok(())
    })
}

/// What is open and what it takes, as JSON.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_models_status_json(
    models: *const selvedge_models,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let s = of(models)?.status();
        let json = json!({
            "budget": s.budget, "used": s.used, "open": s.open, "opened": s.opened, "evicted": s.evicted,
        });
        handle::publish(Buffer::from(json.to_string().as_str()))
    })
}

/// Frees the handle.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_models_free(models: *mut selvedge_models) -> selvedge_status {
    guard::status(|| handle::retire::<ModelsObject>(models).map(drop))
}

fn of(models: *const selvedge_models) -> Result<Models> {
    handle::read::<ModelsObject, _>(models, |object| object.models.clone())
}

/// # Safety
///
/// As of [`memory::name`].
unsafe fn name<'a>(place: *const c_char, len: usize) -> Result<&'a str> {
    // SAFETY: the caller vouches for it.
    match unsafe { memory::name("name", place, len) }? {
        "" => Err(invalid("name: expected a name, got none".into())),
        name => Ok(name),
    }
}

/// Opens a model for a run, whose switch ends it.
fn opened(source: impl Into<Source>, options: &Options, cancel: &Cancel) -> Result<Arc<dyn Engine>> {
    open(source, options.clone().cancel(cancel))
}

/// What the backend that opens the model thinks that it needs.
fn estimate(inspection: Inspection, options: &Options) -> Result<MemoryEstimate> {
    if let Some(flaw) = inspection.flaw {
        return Err(flaw);
    }
    let format = inspection.format.name();
    let mut refusal = None;
    for (backend, estimate) in inspection.backends {
        match estimate {
            _ if options.backend.is_some_and(|asked| asked != backend) => {}
            Ok(estimate) => return Ok(estimate),
            // The first is the one that `open` tries first.
            Err(e) => refusal = refusal.or(Some(e)),
        }
    }
    let none =
        || Error::new(Code::Unsupported, format!("expected a model that a backend of this build takes, got {format}"));
    Err(refusal.unwrap_or_else(none))
}

/// A budget behind its handle.
struct ModelsObject {
    models: Models,
    watch: Mutex<Option<PressureWatch>>,
}

object!(ModelsObject, selvedge_models, Tag::Models);
