//! Opening of a file: never through a link, never one that makes the caller wait, and for its owner's eyes alone.
//!
//! A folder may hold what others have put there. So a name is only ever opened as the regular file that it should be:
//! links, pipes, sockets, devices and folders are refused, whenever they took the name.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reading it.
    Read,
    /// Putting bytes at its end.
    Append,
    /// Reading it and changing it where it is.
    Change,
    /// Putting bytes at the end of a new one. `AlreadyExists` if anything has the name, be it a link to nowhere.
    New,
    /// Locking it, or a new one. Nothing is read or written.
    Lock,
}

/// Opens a regular file; a new one is readable and writable for its owner alone.
///
/// `IsADirectory` for a folder; `InvalidData` for what else is no regular file, and for one that is to be written and has a
/// second name, as one that another folder shares with this one has.
pub(crate) fn open(path: &Path, access: Access) -> io::Result<File> {
    let mut options = OpenOptions::new();
    match access {
        Access::Read => options.read(true),
        Access::Append => options.append(true),
        Access::Change => options.read(true).write(true),
        Access::New => options.append(true).create_new(true),
        Access::Lock => options.write(true).create(true).truncate(false),
    };
    guard(&mut options);
    let file = options.open(path).map_err(|e| match path.symlink_metadata() {
        Ok(meta) if access != Access::New && !meta.is_file() => not_regular(&meta),
        _ => e,
    })?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(not_regular(&meta));
    }
    if matches!(access, Access::Append | Access::Change) && names(&meta) > 1 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "expected a file of one name, got one of several"));
    }
    if matches!(access, Access::Change | Access::Lock) {
        close_to_others(&file, &meta);
    }
    Ok(file)
}

/// The whole of a file; `InvalidData` for one of more than `most` bytes. Of a file with holes, up to the first large one:
/// a file that takes no room on the disk takes none in memory.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path, Access::Read)?;
    let len = file.metadata()?.len();
    if len > most {
        let what = format!("expected a file of at most {most} bytes, got {len}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    if has_holes(&file)? {
        return read_to_hole(file, most);
    }
    let mut bytes = Vec::new();
    // It may have grown since.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(io::ErrorKind::InvalidData.into()) } else { Ok(bytes) }
}

/// A file that begins with a chunk of zeros, or goes on with one, ends there.
fn read_to_hole(file: File, most: u64) -> io::Result<Vec<u8>> {
    const CHUNK: u64 = 8 << 10;
    let (mut file, mut bytes) = (file.take(most), Vec::new());
    loop {
        let before = bytes.len();
        let read = file.by_ref().take(CHUNK).read_to_end(&mut bytes)?;
        if bytes[before..].iter().all(|byte| *byte == 0) {
            bytes.truncate(before);
            return Ok(bytes);
        }
        if (read as u64) < CHUNK {
            return Ok(bytes);
        }
    }
}

/// Makes folders that are not there, each for its owner alone.
pub(crate) fn create_folders(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    private_folder(&mut builder);
    builder.create(path)
}

/// Makes one folder, which must not be there yet, for its owner alone.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    private_folder(&mut builder);
    builder.create(path)
}

fn not_regular(meta: &Metadata) -> io::Error {
    let (kind, got) = match meta.file_type() {
        kind if kind.is_dir() => (io::ErrorKind::IsADirectory, "a folder"),
        kind if kind.is_symlink() => (io::ErrorKind::InvalidData, "a link"),
        _ => (io::ErrorKind::InvalidData, "a pipe, a socket or a device"),
    };
    io::Error::new(kind, format!("expected a regular file, got {got}"))
}

#[cfg(unix)]
fn guard(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY);
}

#[cfg(windows)]
fn guard(options: &mut OpenOptions) {
    use std::os::windows::fs::OpenOptionsExt;
    const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
    options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
}

#[cfg(unix)]
fn private_folder(builder: &mut DirBuilder) {
    use std::os::unix::fs::DirBuilderExt;
    builder.mode(0o700);
}

#[cfg(not(unix))]
fn private_folder(_: &mut DirBuilder) {}

#[cfg(unix)]
pub(super) fn names(meta: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    meta.nlink()
}

#[cfg(not(unix))]
pub(super) fn names(_: &Metadata) -> u64 {
    1
}

/// Device and inode, and the times of the last changes in nanoseconds.
#[cfg(unix)]
pub(super) fn identity(meta: &Metadata) -> ((u64, u64), (i128, i128)) {
    use std::os::unix::fs::MetadataExt;
    let time = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    ((meta.dev(), meta.ino()), (time(meta.mtime(), meta.mtime_nsec()), time(meta.ctime(), meta.ctime_nsec())))
}

#[cfg(not(unix))]
pub(super) fn identity(meta: &Metadata) -> ((u64, u64), (i128, i128)) {
    let since = |time: std::time::SystemTime| time.duration_since(std::time::UNIX_EPOCH).ok();
    let nanos = |time: io::Result<_>| time.ok().and_then(since).map_or(0, |t| t.as_nanos() as i128);
    ((0, 0), (nanos(meta.modified()), nanos(meta.created())))
}

/// Files that earlier versions made may be readable for others.
#[cfg(unix)]
fn close_to_others(file: &File, meta: &Metadata) {
    use std::os::unix::fs::PermissionsExt;
    if meta.permissions().mode() & 0o077 != 0 {
        // Somebody else's file stays as it is.
        let _ = file.set_permissions(std::fs::Permissions::from_mode(0o600));
    }
}

#[cfg(not(unix))]
fn close_to_others(_: &File, _: &Metadata) {}

/// Whether the file takes less room on the disk than it has bytes. One that the file system compresses looks the same.
#[cfg(unix)]
pub(crate) fn has_holes(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let meta = file.metadata()?;
    Ok(meta.blocks().saturating_mul(512) < meta.len())
}

#[cfg(not(unix))]
pub(crate) fn has_holes(_: &File) -> io::Result<bool> {
    Ok(false)
}

/// Fills the holes of a file with the zeros that they read as, so that a full disk is an error now and not a signal once
/// the file is mapped. Only for the one who may write it.
#[cfg(unix)]
pub(crate) fn fill_holes(file: &File) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    const BLOCK: usize = 4096;
    if !has_holes(file)? {
        return Ok(());
    }
    let (len, mut buffer, mut at) = (file.metadata()?.len(), vec![0; 16 * BLOCK], 0);
    while at < len {
        let part = &mut buffer[..usize::try_from(len - at).unwrap_or(usize::MAX).min(16 * BLOCK)];
        file.read_exact_at(part, at)?;
        for block in part.chunks(BLOCK) {
            if block.iter().all(|byte| *byte == 0) {
                file.write_all_at(block, at)?;
            }
            at += block.len() as u64;
        }
    }
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn fill_holes(_: &File) -> io::Result<()> {
    Ok(())
}
