//! A folder of the file system.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::open::{self, Access, create_folder, open};
use super::{Disk, Entry, Stamp, reserve};

/// A folder of the file system.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// The one name that is no text, and the text that stands for it.
    alias: Option<(String, OsString)>,
    /// The file that was appended to last.
    open: Option<(String, File)>,
    /// The file that was read last.
    reading: Option<(String, File)>,
}

impl Folder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, alias: None, open: None, reading: None }
    }

    /// The folder that a file lies in or will, and the file's name there; `None` for a path without a name.
    pub(crate) fn around(path: &Path) -> Option<(Self, String)> {
        let name = path.file_name()?;
        let text = name.to_string_lossy().into_owned();
        let alias = name.to_str().is_none().then(|| (text.clone(), name.to_owned()));
        Some((Self { path: path.parent()?.into(), alias, open: None, reading: None }, text))
    }

    /// Where a file lies.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        if name.is_empty() {
            return if self.path.as_os_str().is_empty() { PathBuf::from(".") } else { self.path.clone() };
        }
        let real = |part| match &self.alias {
            Some((text, name)) if text == part => name,
            _ => OsStr::new(part),
        };
        name.split('/').fold(self.path.clone(), |path, part| path.join(real(part)))
    }

    fn file(&mut self, name: &str, is_new: bool) -> io::Result<&mut File> {
        let file = match self.open.take() {
            Some((open, file)) if open == name && !is_new => file,
            _ => open(&self.at(name), if is_new { Access::New } else { Access::Append })?,
        };
        Ok(&mut self.open.insert((name.into(), file)).1)
    }

    fn read_file(&mut self, name: &str) -> io::Result<&mut File> {
        let file = match self.reading.take() {
            Some((open, file)) if open == name => file,
            _ => open(&self.at(name), Access::Read)?,
        };
        Ok(&mut self.reading.insert((name.into(), file)).1)
    }

    /// Closes the file of this name, or one below the folder of this name.
    fn close(&mut self, name: &str) {
        let is_meant = |(open, _): &mut (String, File)| {
            open.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.open.take_if(is_meant);
        self.reading.take_if(is_meant);
    }
}

impl Disk for Folder {
    fn list(&mut self, folder: &str) -> io::Result<Vec<String>> {
        fs::read_dir(self.at(folder))?.map(|e| e.map(|e| e.file_name().to_string_lossy().into_owned())).collect()
    }

    fn find(&mut self, name: &str) -> io::Result<Option<Entry>> {
        let path = self.at(name);
        match if name.is_empty() { path.metadata() } else { path.symlink_metadata() } {
            Ok(meta) if meta.is_dir() => Ok(Some(Entry::Folder)),
            Ok(meta) if meta.is_file() || meta.is_symlink() => Ok(Some(Entry::File)),
            Ok(_) => Ok(Some(Entry::Other)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn read(&mut self, name: &str, most: u64) -> io::Result<Vec<u8>> {
        open::read(&self.at(name), most)
    }

    fn append(&mut self, name: &str, bytes: &[u8], is_new: bool) -> io::Result<()> {
        self.file(name, is_new)?.write_all(bytes)
    }

    fn create_folder(&mut self, name: &str) -> io::Result<()> {
        create_folder(&self.at(name))
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let file = match self.file(name, false) {
            // One that nobody may write any more.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                // Windows flushes only what may be written; it was, before it became so.
                if cfg!(windows) {
                    return Ok(());
                }
                self.read_file(name)?
            }
            file => file?,
        };
        // On Apple systems this is F_FULLFSYNC, which the drive's own cache honours.
        file.sync_all()
    }

    fn sync_names(&mut self, folder: &str) -> io::Result<()> {
        // Elsewhere a folder cannot be opened as a file, and its entries are logged by the file system.
        if cfg!(unix) { File::open(self.at(folder))?.sync_all() } else { Ok(()) }
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.close(name);
        let path = self.at(name);
        #[cfg(windows)]
        make_removable(&path);
        match fs::remove_file(&path) {
            Err(_) if path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) => fs::remove_dir_all(&path),
            done => done,
        }
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.close(from);
        self.close(to);
        #[cfg(windows)]
        make_removable(&self.at(to));
        fs::rename(self.at(from), self.at(to))
    }

    fn stamp(&mut self, name: &str) -> io::Result<Stamp> {
        self.reading = None;
        let meta = self.read_file(name)?.metadata()?;
        let (file, changed) = open::identity(&meta);
        Ok(Stamp { len: meta.len(), names: open::names(&meta), file, changed })
    }

    fn read_at(&mut self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let file = self.read_file(name)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut filled = 0;
        while filled < into.len() {
            match file.read(&mut into[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(filled)
    }

    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()> {
        self.close(name);
        open(&self.at(name), Access::Change)?.set_len(len)
    }

    fn reserve(&mut self, name: &str, len: u64) -> io::Result<()> {
        reserve::reserve(self.file(name, false)?, len)
    }

    fn set_read_only(&mut self, name: &str) -> io::Result<()> {
        let file = match self.file(name, false) {
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => self.read_file(name)?,
            file => file?,
        };
        let mut permissions = file.metadata()?.permissions();
        read_only(&mut permissions);
        file.set_permissions(permissions)
    }
}

/// Readable for all whom the folder lets in.
#[cfg(unix)]
fn read_only(permissions: &mut fs::Permissions) {
    use std::os::unix::fs::PermissionsExt;
    permissions.set_mode(0o444);
}

#[cfg(not(unix))]
fn read_only(permissions: &mut fs::Permissions) {
    permissions.set_readonly(true);
}

/// Lets a file, or all files of a folder, be removed or replaced: Windows does neither with one that may only be read.
#[cfg(windows)]
fn make_removable(path: &Path) {
    // What cannot be asked or changed here is told by the removal.
    let Ok(meta) = path.symlink_metadata() else { return };
    if meta.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            make_removable(&entry.path());
        }
    } else if meta.is_file() && meta.permissions().readonly() {
        let mut permissions = meta.permissions();
        #[expect(
            clippy::permissions_set_readonly_false,
            reason = "of Windows, where that is an attribute of the file"
        )]
        permissions.set_readonly(false);
        _ = fs::set_permissions(path, permissions);
    }
}
