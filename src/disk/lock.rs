//! The lock of a folder: a file in it that one handle has locked.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::open::{Access, open};
use crate::{Code, Error, Result};

/// A file that is locked, until this is dropped or the process dies.
#[derive(Debug)]
pub(crate) struct Lock {
    pub(super) file: File,
    /// Whose lock it is: a process that was forked off has the same open file.
    process: u32,
}

impl Drop for Lock {
    /// Unlocks it. To close the file is not enough: a child that another thread forks has it open, too, until it runs its
    /// program, and the lock would be held so long.
    fn drop(&mut self) {
        if std::process::id() == self.process {
            // What fails here ends with the file.
            let _ = self.file.unlock();
        }
    }
}

/// Locks a file, which is made where there is none. `Busy`, with what `busy` says, if another handle has it; `Io` for what
/// is no regular file.
pub(crate) fn lock(path: &Path, busy: impl FnOnce() -> String) -> Result<Lock> {
    lock_with(path, Access::Lock, busy)
}

/// Locks a file that is there; else `NotFound`, and otherwise as [`lock`].
pub(crate) fn lock_existing(path: &Path, busy: impl FnOnce() -> String) -> Result<Lock> {
    lock_with(path, Access::Change, busy)
}

fn lock_with(path: &Path, access: Access, busy: impl FnOnce() -> String) -> Result<Lock> {
    let io = |e| Error::io(path.display(), e);
    let file = open(path, access).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock { file, process: std::process::id() }),
        Err(TryLockError::WouldBlock) => Err(Error::new(Code::Busy, busy())),
        Err(TryLockError::Error(e)) => Err(io(e)),
    }
}
