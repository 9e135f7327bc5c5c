//! A version of a store: its engine, its files, and whether they are as they were signed.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::ffi::c_char;

use selvedge::store::{Store, Version};
use selvedge::{Call, Code, Error, Result, Source, open};

use crate::abi::*;
use crate::buffer::Buffer;
use crate::memory::{self, NO_PLACE, Out};
use crate::{cancel, engine, guard, handle, options, store};

/// Opens the model of a version.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_store_open_engine(
    store: *const selvedge_store,
    id: *const c_char,
    id_len: usize,
    options: *const selvedge_options,
    out: *mut *mut selvedge_engine,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let store = store::resolve(store)?;
        // SAFETY: as above.
        let (options, version) = unsafe { (options::read(options)?, version(&store, id, id_len)?) };
        engine::export(open(version.model()?, options)?)
    })
}

/// The path of a file of a version.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_store_path(
    store: *const selvedge_store,
    id: *const c_char,
    id_len: usize,
    name: *const c_char,
    name_len: usize,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let store = store::resolve(store)?;
        // SAFETY: as above.
        let (name, version) = unsafe { (memory::name("name", name, name_len)?, version(&store, id, id_len)?) };
        let source = if name.is_empty() { version.model()? } else { version.file(name)? };
        let no_path = |what: &str| Error::new(Code::Unsupported, format!("a file of a version: {what}"));
        let Source::Path(path) = source else { return Err(no_path("it has no path")) };
        let none = || no_path("expected a path of UTF-8").during(format!("giving out '{}'", path.display()));
        handle::publish(Buffer::from(path.to_str().ok_or_else(none)?))
    })
}

/// The bytes of a file of a version.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_store_file(
    store: *const selvedge_store,
    id: *const c_char,
    id_len: usize,
    name: *const c_char,
    name_len: usize,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let store = store::resolve(store)?;
        // SAFETY: as above.
        let (name, version) = unsafe { (memory::name("name", name, name_len)?, version(&store, id, id_len)?) };
        handle::publish(Buffer::from(&*version.contents(name)?))
    })
}

/// Checks that the files of a version are as they were signed.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_store_verify(
    store: *const selvedge_store,
    id: *const c_char,
    id_len: usize,
    cancel: *const selvedge_cancel,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let err = unsafe { Out::optional(err) };
    guard::give(NO_PLACE, err, || {
        let store = store::resolve(store)?;
        let mut call = Call::new();
        call.cancel = cancel::optional(cancel)?;
        // SAFETY: as above.
        let version = unsafe { version(&store, id, id_len) }?;
        call.check()?;
        version.verify_with(&mut || call.check())
    })
}

/// The version of an id; the one that serves, if it is empty.
///
/// # Safety
///
/// As of [`memory::name`].
unsafe fn version(store: &Store, id: *const c_char, id_len: usize) -> Result<Version> {
    if id_len == 0 {
        let none = || Error::new(Code::NotFound, "the store: expected a version that serves, got none");
        return store.current()?.ok_or_else(none);
    }
    // SAFETY: the caller vouches for it.
    store.version(unsafe { store::id("id", id, id_len) }?)
}
