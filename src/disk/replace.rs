//! A file that is written beside its place and moved there once it is durable.

use std::io::{self, Write};

use super::{Disk, Entry};

/// Bytes that are gathered before they are written: few in tests, so that there is much that a crash can tear.
const BUFFER: usize = if cfg!(test) { 2 << 10 } else { 1 << 20 };

/// Replaces a file, or makes it; durable once this returns. After a crash the file is as it was, or new, and whole. `part`
/// is the name beside it, of a file that nobody else wants.
pub(crate) fn replace(disk: &mut dyn Disk, name: &str, part: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = NewFile::over(disk, name, part)?;
    file.write_all(bytes)?;
    file.publish()
}

/// A new file under another name, until it is complete. Removed if it never is.
#[derive(Debug)]
pub(crate) struct NewFile<D: Disk> {
    disk: D,
    name: String,
    part: String,
    buffer: Vec<u8>,
    is_published: bool,
}

impl<D: Disk> NewFile<D> {
    /// Begins a file that is to have this name, and has the name `part` meanwhile. `AlreadyExists` if something has that;
    /// `InvalidInput` if a file cannot take the place of what has the name. A link gives way itself, and what it leads to
    /// stays as it is.
    pub(crate) fn create(mut disk: D, name: &str, part: &str) -> io::Result<Self> {
        if let Some(got @ (Entry::Folder | Entry::Other)) = disk.find(name)? {
            let got = if got == Entry::Folder { "a folder" } else { "a pipe, a socket or a device" };
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("expected a regular file or none, got {got}"),
            ));
        }
        disk.append(part, &[], true)?;
        Ok(Self { disk, name: name.into(), part: part.into(), buffer: Vec::new(), is_published: false })
    }

    /// The same in place of the file that a crash may have left under the name `part`, or of a link or a pipe that somebody
    /// put there.
    pub(crate) fn over(mut disk: D, name: &str, part: &str) -> io::Result<Self> {
        if let Some(Entry::File | Entry::Other) = disk.find(part)? {
            disk.remove(part)?;
            // Or else the next crash might leave the old one, and move it.
            disk.sync_names(folder_of(part))?;
        }
        Self::create(disk, name, part)
    }

    /// Makes the file durable and gives it its name, in the place of an earlier file.
    pub(crate) fn publish(mut self) -> io::Result<()> {
        self.flush()?;
        self.disk.sync(&self.part)?;
        self.disk.rename(&self.part, &self.name)?;
        self.is_published = true;
        self.disk.sync_names(folder_of(&self.name))
    }
}

impl<D: Disk> Write for NewFile<D> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        if bytes.len() < BUFFER {
            self.buffer.extend_from_slice(bytes);
        } else {
            self.disk.append(&self.part, bytes, false)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.disk.append(&self.part, &self.buffer, false)?;
            self.buffer.clear();
        }
        Ok(())
    }
}

impl<D: Disk> Drop for NewFile<D> {
    fn drop(&mut self) {
        if !self.is_published {
            // Nothing can be done about one that stays.
            let _ = self.disk.remove(&self.part);
        }
    }
}

/// A new folder under another name, until it is complete. Removed if it never is; a process that is killed leaves it there.
pub(crate) struct NewFolder<'d> {
    pub(crate) disk: &'d mut dyn Disk,
    name: String,
    part: String,
}

impl<'d> NewFolder<'d> {
    /// Begins a folder that is to have this name, and has the name `part` meanwhile. `AlreadyExists` if something has that.
    pub(crate) fn create(disk: &'d mut dyn Disk, name: &str, part: &str) -> io::Result<Self> {
        disk.create_folder(part)?;
        Ok(Self { disk, name: name.into(), part: part.into() })
    }

    /// The name of a file in it.
    pub(crate) fn inside(&self, file: &str) -> String {
        format!("{}/{file}", self.part)
    }

    /// Gives it its name, with files that are durable already. What had the name gets the name `old`, and is removed once
    /// the new folder is durable. An error comes with the name of the folder that it is about.
    pub(crate) fn publish(self, old: Option<&str>) -> Result<(), (String, io::Error)> {
        let about = |name: &str| {
            let name = name.to_string();
            move |e| (name, e)
        };
        // Whoever sees the folder under its new name finds all files in it.
        self.disk.sync_names(&self.part).map_err(about(&self.part))?;
        if let Some(old) = old {
            self.disk.rename(&self.name, old).map_err(about(&self.name))?;
        }
        if let Err(e) = self.disk.rename(&self.part, &self.name) {
            if let Some(old) = old {
                // The error that counts is the first.
                let _ = self.disk.rename(old, &self.name);
            }
            return Err(about(&self.name)(e));
        }
        self.disk.sync_names("").map_err(about(&self.name))?;
        old.map_or(Ok(()), |old| self.disk.remove(old).map_err(about(old)))
    }
}

impl Drop for NewFolder<'_> {
    fn drop(&mut self) {
        // After the move there is nothing of this name.
        let _ = self.disk.remove(&self.part);
    }
}

fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}
