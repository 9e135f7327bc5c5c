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
mod reserve;
#[cfg(test)]
pub(crate) mod sim;
#[cfg(test)]
mod tests;

use std::io;

pub(crate) use folder::Folder;
pub(crate) use lock::{Lock, lock, lock_existing};
pub(crate) use open::{Access, create_folders, fill_holes, has_holes, open, read};
pub(crate) use replace::{NewFile, NewFolder, replace};

/// A folder of files and of folders: `NAME`, or `FOLDER/NAME`, as deep as it goes. The folder itself is `""`.
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
    /// What tells a file, as it is now, from any other. What [`read_at`](Disk::read_at) reads next is of this very file.
    fn stamp(&mut self, name: &str) -> io::Result<Stamp>;
    /// Reads the bytes of a file from `offset` on, and says how many there were: fewer than asked for only at its end.
    fn read_at(&mut self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Cuts a file to its first bytes.
    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()>;
    /// Reserves room for a file that is to have so many bytes; its length stays. Where the system cannot, nothing happens.
    fn reserve(&mut self, name: &str, len: u64) -> io::Result<()>;
    /// Lets nobody write to a file any more; durable once the file is synced.
    fn set_read_only(&mut self, name: &str) -> io::Result<()>;
}

/// A file as it was at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) len: u64,
    /// How many names the file has.
    pub(crate) names: u64,
    /// Device and inode, where the system has them.
    pub(crate) file: (u64, u64),
    /// Times of the last change of the bytes, and of anything, in nanoseconds.
    pub(crate) changed: (i128, i128),
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

    fn stamp(&mut self, name: &str) -> io::Result<Stamp> {
        (**self).stamp(name)
    }

    fn read_at(&mut self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(name, offset, into)
    }

    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()> {
        (**self).truncate(name, len)
    }

    fn reserve(&mut self, name: &str, len: u64) -> io::Result<()> {
        (**self).reserve(name, len)
    }

    fn set_read_only(&mut self, name: &str) -> io::Result<()> {
        (**self).set_read_only(name)
    }
}
