//! The lock of a folder: a file in it that one handle has locked.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::open::{Access, open};
use crate::{Code, Error, Result};

/// Locks a file, which is made where there is none. The lock goes with the handle, also when the process dies. `Busy`, with
/// what `busy` says, if another handle has it; `Io` for what is no regular file.
pub(crate) fn lock(path: &Path, busy: impl FnOnce() -> String) -> Result<File> {
    let io = |e| Error::io(path.display(), e);
    let file = open(path, Access::Lock).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::new(Code::Busy, busy())),
        Err(TryLockError::Error(e)) => Err(io(e)),
    }
}
