//! Small files that are there twice. Each is replaced as one; the copy is written second, and read only where the first is
//! lost or damaged: by a disk that forgets, since a crash leaves it whole.

use super::files::Files;
use crate::disk::{Disk, replace};
use crate::{Code, Result};

/// What a small file says; `None` if neither it nor its copy is there.
///
/// # Errors
///
/// That of `parse`, if neither can be read; `Io`.
pub(super) fn read<T>(files: &Files, name: &str, most: u64, parse: impl Fn(&[u8]) -> Result<T>) -> Result<Option<T>> {
    let one = |name: &str| match files.call(name, |disk, name| disk.read(name, most)) {
        Err(e) if e.code() == Code::NotFound => Ok(None),
        bytes => parse(&bytes?).map(Some),
    };
    match (one(name), one(&copy_of(name))) {
        (Ok(Some(first)), _) => Ok(Some(first)),
        (Ok(None) | Err(_), Ok(Some(copy))) => Ok(Some(copy)),
        (Err(e), _) | (_, Err(e)) => Err(e),
        (Ok(None), Ok(None)) => Ok(None),
    }
}

/// Replaces a small file and its copy. After an error it is the old one or the new one.
pub(super) fn write(files: &Files, name: &str, bytes: &[u8]) -> Result<()> {
    let part = format!(".{name}.part");
    let put = |disk: &mut dyn Disk, name: &str| replace(disk, name, &part, bytes);
    files.call(name, put)?;
    files.call(&copy_of(name), put)
}

/// Whether both are these bytes.
pub(super) fn has_both(files: &Files, name: &str, bytes: &[u8]) -> bool {
    let most = bytes.len() as u64;
    let is_it = |name: &str| files.call(name, |disk, name| disk.read(name, most)).is_ok_and(|got| got == bytes);
    is_it(name) && is_it(&copy_of(name))
}

fn copy_of(name: &str) -> String {
    format!("{name}.copy")
}
