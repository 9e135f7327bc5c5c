//! Which version of a store serves: becoming current, going back, misses and quarantine, and making room.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::ffi::c_char;

use selvedge::store::Store;
use selvedge::{Digest, Result};
use serde_json::Value;

use crate::abi::*;
use crate::buffer::Buffer;
use crate::memory::{self, NO_PLACE, Out};
use crate::store::{self, standing_json, version_json};
use crate::{guard, handle};

/// Makes a version the one that serves.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_store_activate(
    store: *const selvedge_store,
    id: *const c_char,
    id_len: usize,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe { change(store, id, id_len, err, |store, id| store.activate(id).map(drop)) }
}

/// Goes back to the version before.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_store_rollback(
    store: *const selvedge_store,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let store = store::resolve(store)?;
        let version = store.rollback()?;
        let json = version_json(&store, &version, Some(version.id()))?;
        handle::publish(Buffer::from(&*json.to_string()))
    })
}

/// Lets a version serve no more.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_store_quarantine(
    store: *const selvedge_store,
    id: *const c_char,
    id_len: usize,
    why: *const c_char,
    why_len: usize,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    unsafe {
        change(store, id, id_len, err, |store, id| {
            // SAFETY: as above.
            let why = memory::name("why", why, why_len)?;
            store.quarantine(id, why)
        })
    }
}

/// Counts a failure of a version.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_store_miss(
    store: *const selvedge_store,
    id: *const c_char,
    id_len: usize,
    why: *const c_char,
    why_len: usize,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let store = store::resolve(store)?;
        // SAFETY: as above.
        let (id, why) = unsafe { (store::id("id", id, id_len)?, memory::name("why", why, why_len)?) };
        handle::publish(Buffer::from(&*standing_json(&store.miss(id, why)?).to_string()))
    })
}

/// Takes back all misses of a version, and its quarantine.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_store_pardon(
    store: *const selvedge_store,
    id: *const c_char,
    id_len: usize,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe { change(store, id, id_len, err, Store::pardon) }
}

/// Removes a version.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_store_remove(
    store: *const selvedge_store,
    id: *const c_char,
    id_len: usize,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    unsafe { change(store, id, id_len, err, Store::remove) }
}

/// Makes room.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_store_gc(
    store: *const selvedge_store,
    keep: usize,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let removed: Value = store::resolve(store)?.gc(keep)?.iter().map(Digest::to_string).collect();
        handle::publish(Buffer::from(&*removed.to_string()))
    })
}

/// A change of one version that gives nothing but its status.
///
/// # Safety
///
/// Pointers are as the header asks.
unsafe fn change(
    store: *const selvedge_store,
    id: *const c_char,
    id_len: usize,
    err: *mut *mut selvedge_error,
    change: impl FnOnce(&Store, Digest) -> Result<()>,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let err = unsafe { Out::optional(err) };
    guard::give(NO_PLACE, err, || {
        let store = store::resolve(store)?;
        // SAFETY: as above.
        let id = unsafe { store::id("id", id, id_len) }?;
        change(&store, id)
    })
}
