//! The disk, as the log needs it: the seam where the tests put one that fails.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::PathBuf;

/// A folder of small files.
pub(in crate::telemetry) trait Disk: Send {
    /// The names of all files.
    fn list(&mut self) -> io::Result<Vec<String>>;
    /// The whole of a file. `InvalidData` for one that is larger than `most`.
    fn read(&mut self, name: &str, most: u64) -> io::Result<Vec<u8>>;
    /// Puts bytes at the end of a file; of a new one, which must not be there yet, or of one that is there.
    fn append(&mut self, name: &str, bytes: &[u8], is_new: bool) -> io::Result<()>;
    /// Makes the bytes of a file survive a loss of power.
    fn sync(&mut self, name: &str) -> io::Result<()>;
    /// Makes the names of the folder survive a loss of power.
    fn sync_names(&mut self) -> io::Result<()>;
    /// Deletes a file.
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// Gives a file another name, in place of whatever had it.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
}

/// A folder of the file system.
pub(in crate::telemetry) struct Folder {
    path: PathBuf,
    /// The file that was appended to last.
    open: Option<(String, File)>,
}

impl Folder {
    pub(in crate::telemetry) fn new(path: PathBuf) -> Self {
        Self { path, open: None }
    }

    fn file(&mut self, name: &str, is_new: bool) -> io::Result<&mut File> {
        let file = match self.open.take() {
            Some((open, file)) if open == name && !is_new => file,
            _ => OpenOptions::new().append(true).create_new(is_new).open(self.path.join(name))?,
        };
        Ok(&mut self.open.insert((name.into(), file)).1)
    }

    fn close(&mut self, name: &str) {
        self.open.take_if(|(open, _)| open == name);
    }
}

impl Disk for Folder {
    fn list(&mut self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.path)?.map(|e| e.map(|e| e.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    }

    fn read(&mut self, name: &str, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.path.join(name))?.take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most { Err(io::ErrorKind::InvalidData.into()) } else { Ok(bytes) }
    }

    fn append(&mut self, name: &str, bytes: &[u8], is_new: bool) -> io::Result<()> {
        self.file(name, is_new)?.write_all(bytes)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        // On Apple systems this is F_FULLFSYNC, which the drive's own cache honours.
        self.file(name, false)?.sync_all()
    }

    fn sync_names(&mut self) -> io::Result<()> {
        // Elsewhere a folder cannot be opened as a file, and its entries are logged by the file system.
        if cfg!(unix) { File::open(&self.path)?.sync_all() } else { Ok(()) }
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.close(name);
        fs::remove_file(self.path.join(name))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.close(from);
        fs::rename(self.path.join(from), self.path.join(to))
    }
}
