//! Files of a package that come piece by piece, and over several processes.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::ffi::{c_char, c_void};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use selvedge::store::{Staged, Store};
use selvedge::{Code, Error, Result};

use crate::abi::*;
use crate::handle::{self, Tag, object};
use crate::memory::{self, NO_PLACE, Out, invalid};
use crate::{guard, store};

/// Begins a file, or goes on with one.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_store_stage(
    store: *const selvedge_store,
    digest: *const c_char,
    digest_len: usize,
    size: u64,
    out: *mut *mut selvedge_staged,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let store = store::resolve(store)?;
        // SAFETY: as above.
        let staged = store.stage(unsafe { store::id("digest", digest, digest_len) }?, size)?;
        handle::publish(StagedObject { staged: Mutex::new(Some(staged)), _store: store })
    })
}

/// The byte at which to go on, and how many there will be.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_staged_offset(
    staged: *mut selvedge_staged,
    offset: *mut u64,
    size: *mut u64,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (offset, size, err) = unsafe { (Out::zeroed("offset", offset), Out::zeroed("size", size), Out::optional(err)) };
    guard::give(memory::both(offset, size), err, || {
        let object = handle::resolve::<StagedObject>(staged)?;
        let mut state = object.lock()?;
        let staged = open(&mut state)?;
        Ok((staged.offset(), staged.size()))
    })
}

/// Writes on.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_staged_write(
    staged: *mut selvedge_staged,
    bytes: *const c_void,
    len: usize,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let err = unsafe { Out::optional(err) };
    guard::give(NO_PLACE, err, || {
        let object = handle::resolve::<StagedObject>(staged)?;
        // SAFETY: as above.
        let bytes = unsafe { memory::bytes("bytes", bytes.cast(), len) }?;
        let mut state = object.lock()?;
        open(&mut state)?.write_all(bytes).map_err(failed)
    })
}

/// Ends the file.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_staged_finish(
    staged: *mut selvedge_staged,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointer.
    let err = unsafe { Out::optional(err) };
    guard::give(NO_PLACE, err, || {
        let object = handle::resolve::<StagedObject>(staged)?;
        let mut state = object.lock()?;
        let (offset, size) = {
            let staged = open(&mut state)?;
            (staged.offset(), staged.size())
        };
        if offset < size {
            return Err(invalid(format!("staged file: expected {size} bytes, got {offset}")));
        }
        state.take().ok_or_else(ended)?.finish()
    })
}

/// Frees the handle.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_staged_free(staged: *mut selvedge_staged) -> selvedge_status {
    guard::status(|| handle::retire::<StagedObject>(staged).map(drop))
}

/// A file that is being received, behind its handle.
struct StagedObject {
    /// `None` once it has ended.
    staged: Mutex<Option<Staged>>,
    /// Declared after the file, for nobody else may write in the folder as long as it is there.
    _store: Arc<Store>,
}

impl StagedObject {
    fn lock(&self) -> Result<MutexGuard<'_, Option<Staged>>> {
        match self.staged.try_lock() {
            Ok(state) => Ok(state),
            Err(TryLockError::Poisoned(state)) => Ok(state.into_inner()),
            Err(TryLockError::WouldBlock) => Err(Error::new(Code::Busy, "the staged file is in use by another thread")),
        }
    }
}

fn open(state: &mut Option<Staged>) -> Result<&mut Staged> {
    state.as_mut().ok_or_else(ended)
}

fn ended() -> Error {
    invalid("staged file: expected one that has not ended, got one that has".into())
}

/// What a writer says is the store's own error, or that there are too many bytes.
fn failed(e: io::Error) -> Error {
    let kind = e.kind();
    match e.downcast::<Error>() {
        Ok(e) => e,
        Err(e) if kind == io::ErrorKind::InvalidInput => invalid(format!("staged file: {e}")),
        Err(e) => Error::new(Code::Io, "staged file: writing it").because(e),
    }
}

object!(StagedObject, selvedge_staged, Tag::Staged);
