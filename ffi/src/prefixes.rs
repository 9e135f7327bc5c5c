//! Prefix caches: what an engine has computed of earlier prompts, saved and restored.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::ffi::c_char;
use std::path::Path;

use selvedge::{Code, Engine, Error, PrefixCache, Prefixes, Result};

use crate::abi::*;
use crate::memory::{Out, OutStruct};
use crate::{engine, guard, source};

/// Writes the prefix cache to a file.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_engine_save_prefixes(
    engine: *const selvedge_engine,
    path: *const c_char,
    path_len: usize,
    saved: *mut selvedge_prefixes,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (saved, err) = unsafe { (OutStruct::zeroed(saved), Out::optional(err)) };
    guard::give(saved, err, || {
        let engine = engine::of(engine)?;
        // SAFETY: as above.
        let path = unsafe { source::path("path", path, path_len) }?;
        cache(&*engine)?.save(Path::new(path)).map(told)
    })
}

/// Takes prefixes of a file into the cache.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_engine_restore_prefixes(
    engine: *const selvedge_engine,
    path: *const c_char,
    path_len: usize,
    restored: *mut selvedge_prefixes,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (restored, err) = unsafe { (OutStruct::zeroed(restored), Out::optional(err)) };
    guard::give(restored, err, || {
        let engine = engine::of(engine)?;
        // SAFETY: as above.
        let path = unsafe { source::path("path", path, path_len) }?;
        cache(&*engine)?.restore(Path::new(path)).map(told)
    })
}

fn cache(engine: &dyn Engine) -> Result<&dyn PrefixCache> {
    engine.prefix_cache().ok_or_else(|| {
        let model = &engine.spec().provenance.model;
        Error::new(Code::Unsupported, format!("'{model}' has no prefix cache: expected an engine that reuses prefixes"))
    })
}

fn told(prefixes: Prefixes) -> selvedge_prefixes {
    let Prefixes { prefixes, tokens, bytes, .. } = prefixes;
    selvedge_prefixes { struct_size: 0, prefixes, tokens, bytes }
}
