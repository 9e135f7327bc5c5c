//! Options of opening a model: the header's struct becomes that of the crate.

#![expect(unsafe_code, reason = "follows the pointers in the caller's structs")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use selvedge::{Accelerator, Backend, Digest, Loading, OpenProgress, Options, Result};

use crate::abi::*;
use crate::memory::{self, invalid};
use crate::progress::Told;
use crate::request::{check_flags, unknown};
use crate::{cancel, crash, source};

/// # Safety
///
/// As of [`memory::read_optional`], and the pointers within are as the header asks.
pub(crate) unsafe fn read(place: *const selvedge_options) -> Result<Options> {
    // SAFETY: the caller vouches for it.
    let Some(o) = (unsafe { memory::read_optional(place) })? else { return Ok(Options::new()) };
    let known = SELVEDGE_OPTIONS_NO_SYMLINKS | SELVEDGE_OPTIONS_SEARCH_PYTHON | SELVEDGE_OPTIONS_OWN_PRODUCTS;
    check_flags("selvedge_options.flags", o.flags, known)?;
    check_flags("selvedge_options.reserved", o.reserved, 0)?;
    check_flags("selvedge_options.accelerator_flags", o.accelerator_flags, 0)?;
    let mut options = Options::new().loading(match o.loading {
        SELVEDGE_LOADING_MAPPED => Loading::Mapped,
        SELVEDGE_LOADING_READ => Loading::Read,
        other => return Err(unknown("selvedge_loading", other)),
    });
    options.backend = match o.backend {
        SELVEDGE_BACKEND_AUTO => None,
        SELVEDGE_BACKEND_LLAMA => Some(Backend::Llama),
        SELVEDGE_BACKEND_ORT => Some(Backend::Ort),
        SELVEDGE_BACKEND_TRACT => Some(Backend::Tract),
        SELVEDGE_BACKEND_TABLE => Some(Backend::Table),
        SELVEDGE_BACKEND_RTEN => Some(Backend::Rten),
        other => return Err(unknown("selvedge_backend", other)),
    };
    let given = |n: u32| (n > 0).then_some(n);
    options.threads = given(o.threads);
    options.context_tokens = given(o.context_tokens);
    options.parallel = given(o.parallel);
    options.prompt_threads = given(o.prompt_threads);
    options.memory_limit = (o.memory_limit > 0).then_some(o.memory_limit);
    if !o.sha256.is_null() {
        let mut digest = Digest::default();
        // SAFETY: the header asks for 32 bytes.
        digest.0.copy_from_slice(unsafe { memory::bytes("selvedge_options.sha256", o.sha256, 32) }?);
        options.digest = Some(digest);
    }
    // SAFETY: the caller vouches for it.
    let library = unsafe { memory::name("selvedge_options.onnxruntime", o.onnxruntime.data, o.onnxruntime.len) }?;
    options.onnxruntime = (!library.is_empty()).then(|| library.into());
    options.cancel = cancel::optional(o.cancel)?;
    options.no_symlinks = o.flags & SELVEDGE_OPTIONS_NO_SYMLINKS != 0;
    options.search_python = o.flags & SELVEDGE_OPTIONS_SEARCH_PYTHON != 0;
    options.own_products = o.flags & SELVEDGE_OPTIONS_OWN_PRODUCTS != 0;
    // SAFETY: the caller vouches for it.
    let folder = unsafe { memory::name("selvedge_options.measurements", o.measurements.data, o.measurements.len) }?;
    options.measurements = (!folder.is_empty()).then(|| folder.into());
    // SAFETY: as above.
    options.accelerator = unsafe { accelerator(&o) }?;
    // SAFETY: as above.
    options.session_entries =
        unsafe { pairs("selvedge_options.session_entries", o.session_entries, o.session_entry_count) }?;
    // SAFETY: as above.
    options.adapters = unsafe { adapters(&o) }?;
    // SAFETY: as above.
    options.crash_record = unsafe { crash::of_options(&o) }?;
    // SAFETY: as above.
    let told = unsafe { Told::new(o.progress, o.on_progress, o.user_data) }?;
    Ok(match told {
        Some(told) => options.progress(bytes_of_open(told)),
        None => options,
    })
}

/// Options of an open that comes after the call, and perhaps more than once: nothing of the caller's can be told or asked
/// then.
///
/// # Safety
///
/// As of [`read`].
pub(crate) unsafe fn for_later(place: *const selvedge_options) -> Result<Options> {
    // SAFETY: the caller vouches for it, here and below.
    let options = unsafe { read(place) }?;
    // SAFETY: as above.
    let Some(o) = (unsafe { memory::read_optional(place) })? else { return Ok(options) };
    let given = [
        ("cancel", !o.cancel.is_null()),
        ("progress", !o.progress.is_null()),
        ("on_progress", o.on_progress.is_some()),
    ];
    match given.into_iter().find(|(_, is_given)| *is_given) {
        None => Ok(options),
        Some((field, _)) => {
            Err(invalid(format!("selvedge_options.{field}: expected NULL for a model that is opened later")))
        }
    }
}

/// # Safety
///
/// The pointers are as the header asks.
unsafe fn accelerator(o: &selvedge_options) -> Result<Option<Accelerator>> {
    // SAFETY: the caller vouches for it.
    let device = unsafe {
        memory::name("selvedge_options.accelerator_device", o.accelerator_device.data, o.accelerator_device.len)
    }?;
    let asked = Accelerator::new();
    let asked = match o.accelerator_layers {
        0 if device.is_empty() => return Ok(None),
        0 => return Err(invalid("selvedge_options.accelerator_layers: expected some for a device, got 0".into())),
        SELVEDGE_ACCELERATOR_ALL => asked,
        layers => asked.layers(layers),
    };
    Ok(Some(if device.is_empty() { asked } else { asked.device(device) }))
}

/// Names of adapters, and their files.
///
/// # Safety
///
/// The pointers are as the header asks.
unsafe fn adapters(o: &selvedge_options) -> Result<Vec<(String, PathBuf)>> {
    // SAFETY: the caller vouches for it, here and below.
    let pairs = unsafe { memory::read_values("selvedge_options.adapters", o.adapters, o.adapter_count) }?;
    let adapter = |pair: selvedge_pair| {
        // SAFETY: as above.
        let name = unsafe { memory::name("selvedge_options.adapters", pair.name.data, pair.name.len) }?;
        // SAFETY: as above.
        let path = unsafe { source::path("selvedge_options.adapters", pair.value.data, pair.value.len) }?;
        Ok((name.to_owned(), path.into()))
    };
    pairs.into_iter().map(adapter).collect()
}

/// Names and their values.
///
/// # Safety
///
/// As of [`memory::read_values`], and each text is as the header asks.
pub(crate) unsafe fn pairs(name: &str, place: *const selvedge_pair, count: usize) -> Result<Vec<(String, String)>> {
    // SAFETY: the caller vouches for it, here and below.
    let pairs = unsafe { memory::read_values(name, place, count) }?;
    let pair = |pair: selvedge_pair| {
        // SAFETY: as above.
        let key = unsafe { memory::name(name, pair.name.data, pair.name.len) }?;
        // SAFETY: as above.
        let value = unsafe { memory::text(name, pair.value.data, pair.value.len) }?;
        Ok((key.to_owned(), value.to_owned()))
    };
    pairs.into_iter().map(pair).collect()
}

/// Tells the progress of an open in bytes: those of a file that are hashed, then those that the runtime has loaded, of
/// which it only says a share.
fn bytes_of_open(told: Told) -> impl Fn(OpenProgress) + Send + Sync + 'static {
    let bytes = AtomicU64::new(0);
    move |progress| match progress {
        OpenProgress::Digest(done, total) => {
            bytes.store(total, Ordering::Relaxed);
            told.tell(done, total);
        }
        OpenProgress::Load(share) => {
            let total = bytes.load(Ordering::Relaxed);
            told.tell((f64::from(share.clamp(0.0, 1.0)) * total as f64) as u64, total);
        }
        // A phase that this file does not know yet.
        _ => {}
    }
}
