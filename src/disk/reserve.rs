//! Room for a file before it is written: a full disk is an error then, and not half way.

#![cfg_attr(
    any(target_os = "linux", target_os = "android"),
    expect(unsafe_code, reason = "the standard library has no call that reserves room")
)]

use std::fs::File;
use std::io;

/// Reserves room for `len` bytes; the file's length stays. A file system that cannot do it is none that fails.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn reserve(file: &File, len: u64) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    // The kernel has no word for room of nothing.
    if len == 0 {
        return Ok(());
    }
    let len = libc::off64_t::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    loop {
        // SAFETY: the descriptor is that of an open file, and no memory is handed over.
        if unsafe { libc::fallocate64(file.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE, 0, len) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::EOPNOTSUPP | libc::ENOSYS) => return Ok(()),
            _ => return Err(error),
        }
    }
}

/// Elsewhere a full disk is found while the file is written.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn reserve(_: &File, _: u64) -> io::Result<()> {
    Ok(())
}
