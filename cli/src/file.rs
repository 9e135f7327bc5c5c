//! The files that the command makes: there whole or as they were, for their owner alone, and never through a link.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes a file, a new one or in place of one. What has its name and is no file, a link or a device, is left as it is,
/// and an error.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), String> {
    if let Some(other) = fs::symlink_metadata(path).ok().filter(|found| !found.is_file()) {
        let got = if other.is_symlink() { "a link" } else { "none of both" };
        return Err(format!("{}: expected a file or a new name, got {got}", path.display()));
    }
    let during = |e: io::Error| format!("{}: {e}", path.display());
    let (part, mut file) = part_of(path).map_err(during)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    drop(file);
    written.and_then(|()| fs::rename(&part, path)).map_err(|e| {
        // What is left of it is of no use to anyone.
        let _ = fs::remove_file(&part);
        during(e)
    })
}

/// A new file beside the one that it will become, under a name that nobody can foresee.
fn part_of(path: &Path) -> io::Result<(PathBuf, File)> {
    let random = getrandom::u64().map_err(io::Error::other)?;
    let part = path.with_added_extension(format!("{random:016x}.part"));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&part)?;
    Ok((part, file))
}
