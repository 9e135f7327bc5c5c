//! Disk: files that are whole after a crash, and the seam where the tests put a disk that fails.
//!
//! Enters: bytes, and names in a folder. Leaves: files and folders that are there whole, or as they were; the lock of a
//! folder. May import: nothing of the crate.
//!
//! `folder` is the file system, `sim` a disk whose power may go at any moment. `replace` writes a file beside its place
//! and moves it there. `open` is how a file of ours is opened, wherever that is done.

mod folder;
mod lock;
mod open;
mod replace;
#[cfg(test)]
pub(crate) mod sim;
#[cfg(test)]
mod tests;

use std::io;

pub(crate) use folder::Folder;
pub(crate) use lock::{Lock, lock};
pub(crate) use open::{Access, create_folders, fill_holes, has_holes, open, read};
pub(crate) use replace::{NewFile, NewFolder, replace};

/// A folder of files, and of folders of files: `NAME`, or `FOLDER/NAME`. The folder itself is `""`.
pub(crate) trait Disk: Send {
    /// The names of all that is in a folder.
    fn list(&mut self, folder: &str) -> io::Result<Vec<String>>;
    /// What has this name, if anything has.
    fn find(&mut self, name: &str) -> io::Result<Option<Entry>>;
    /// The whole of a file. `InvalidData` for one that is larger than `most`, and for what is no regular file.
    fn read(&mut self, name: &str, most: u64) -> io::Result<Vec<u8>>;
    /// Puts bytes at the end of a file; of a new one, which must not be there yet, or of one that is there.
    fn append(&mut self, name: &str, bytes: &[u8], is_new: bool) -> io::Result<()>;
    /// Makes a folder, which must not be there yet.
    fn create_folder(&mut self, name: &str) -> io::Result<()>;
    /// Makes the bytes of a file survive a loss of power.
    fn sync(&mut self, name: &str) -> io::Result<()>;
    /// Makes the names in a folder survive a loss of power.
    fn sync_names(&mut self, folder: &str) -> io::Result<()>;
    /// Deletes a file, or a folder with all that is in it.
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// Gives a file another name, in place of whatever had it; or a folder, where nothing has it.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A file, or a link to anything.
    File,
    Folder,
    /// A pipe, a socket or a device.
    Other,
}

/// A disk that is lent.
impl<D: Disk + ?Sized> Disk for &mut D {
    fn list(&mut self, folder: &str) -> io::Result<Vec<String>> {
        (**self).list(folder)
    }

    fn find(&mut self, name: &str) -> io::Result<Option<Entry>> {
        (**self).find(name)
    }

    fn read(&mut self, name: &str, most: u64) -> io::Result<Vec<u8>> {
        (**self).read(name, most)
    }

    fn append(&mut self, name: &str, bytes: &[u8], is_new: bool) -> io::Result<()> {
        (**self).append(name, bytes, is_new)
    }

    fn create_folder(&mut self, name: &str) -> io::Result<()> {
        (**self).create_folder(name)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        (**self).sync(name)
    }

    fn sync_names(&mut self, folder: &str) -> io::Result<()> {
        (**self).sync_names(folder)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        (**self).remove(name)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        (**self).rename(from, to)
    }
}
