//! The folder of a store, and what is known of its files in this process.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::digest::Hasher;
use crate::disk::{Disk, Entry, Stamp};
use crate::threads::unpoisoned;
use crate::{Code, Digest, Error, Result};

/// The bytes that are read or copied at once.
pub(super) const CHUNK: usize = if cfg!(test) { 1 << 10 } else { 1 << 20 };

/// A folder, shared by the threads of a process. One call at a time.
pub(super) struct Files {
    root: PathBuf,
    disk: Mutex<Box<dyn Disk>>,
    /// Files whose digest was computed in this process, as they were then.
    verified: Mutex<BTreeMap<String, (Stamp, Digest)>>,
}

impl Files {
    pub(super) fn new(root: PathBuf, disk: Box<dyn Disk>) -> Self {
        Self { root, disk: Mutex::new(disk), verified: Mutex::default() }
    }

    /// Where a file lies.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        // The same parts on every system.
        name.split('/').fold(self.root.clone(), |path, part| path.join(part))
    }

    /// A call of the disk that is about one file.
    pub(super) fn call<T>(&self, name: &str, call: impl FnOnce(&mut dyn Disk, &str) -> io::Result<T>) -> Result<T> {
        let mut disk = unpoisoned(self.disk.lock());
        call(&mut **disk, name).map_err(|e| failed(&self.path(name), e))
    }

    pub(super) fn find(&self, name: &str) -> Result<Option<Entry>> {
        self.call(name, |disk, name| disk.find(name))
    }

    pub(super) fn sync_names(&self, folder: &str) -> Result<()> {
        self.call(folder, |disk, folder| disk.sync_names(folder))
    }

    /// Makes a folder, unless it is there.
    pub(super) fn create_folder(&self, name: &str) -> Result<()> {
        match self.find(name)? {
            Some(Entry::Folder) => Ok(()),
            Some(_) => Err(Error::corrupt(format!("{}: expected a folder", self.path(name).display()))),
            None => self.call(name, |disk, name| disk.create_folder(name)),
        }
    }

    /// Removes a file or a folder, if it is there.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        match self.call(name, |disk, name| disk.remove(name)) {
            Err(e) if e.code() == Code::NotFound => Ok(()),
            done => done,
        }
    }

    /// The names of all files in a folder and below it, from that folder on. `Corrupt` for what is neither.
    pub(super) fn list_below(&self, folder: &str) -> Result<Vec<String>> {
        let (mut open, mut found) = (vec![String::new()], Vec::new());
        while let Some(inside) = open.pop() {
            let at = format!("{folder}{inside}");
            for name in self.call(&at, |disk, at| disk.list(at))? {
                let below = format!("{inside}/{name}");
                match self.find(&format!("{folder}{below}"))? {
                    Some(Entry::Folder) => open.push(below),
                    _ => found.push(below[1..].to_owned()),
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// A file of this size and digest is there, with one name. It is read whole, unless this process knows it as it is.
    ///
    /// # Errors
    ///
    /// `Corrupt` for another one; `NotFound`; `Io`; those of `check`, which is asked before each MiB.
    pub(super) fn verify(
        &self,
        name: &str,
        size: u64,
        digest: Digest,
        check: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<()> {
        let corrupt = |what: String| Error::corrupt(format!("{}: {what}", self.path(name).display()));
        let stamp = self.call(name, |disk, name| disk.stamp(name))?;
        if stamp.len != size {
            return Err(corrupt(format!("expected {size} bytes, got {}", stamp.len)));
        }
        if stamp.names != 1 {
            return Err(corrupt(format!("expected a file of one name, got one of {}", stamp.names)));
        }
        let known = unpoisoned(self.verified.lock()).get(name).copied();
        let got = match known {
            Some((known, got)) if known == stamp => got,
            _ => {
                let got = self.hash(name, size, check)?.digest();
                if self.call(name, |disk, name| disk.stamp(name))? != stamp {
                    return Err(corrupt("expected that nobody changes it, got a change while it was read".into()));
                }
                got
            }
        };
        if got != digest {
            return Err(corrupt(format!("expected sha256:{digest}, got sha256:{got}")));
        }
        unpoisoned(self.verified.lock()).insert(name.to_owned(), (stamp, got));
        Ok(())
    }

    /// Hashes the first bytes of a file.
    pub(super) fn hash(&self, name: &str, size: u64, check: &mut dyn FnMut(u64) -> Result<()>) -> Result<Hasher> {
        let (mut hash, mut chunk, mut at) = (Hasher::default(), vec![0; CHUNK], 0);
        while at < size {
            check(at)?;
            let part = &mut chunk[..usize::try_from(size - at).unwrap_or(CHUNK).min(CHUNK)];
            match self.call(name, |disk, name| disk.read_at(name, at, part))? {
                0 => return Err(Error::corrupt(format!("{}: it ended at {at}", self.path(name).display()))),
                read => {
                    hash.update(&part[..read]);
                    at += read as u64;
                }
            }
        }
        Ok(hash)
    }

    /// Remembers the digest of a file that this process has just written.
    pub(super) fn remember(&self, name: &str, digest: Digest) -> Result<()> {
        let stamp = self.call(name, |disk, name| disk.stamp(name))?;
        unpoisoned(self.verified.lock()).insert(name.to_owned(), (stamp, digest));
        Ok(())
    }

    /// Gives a file of known digest another name.
    pub(super) fn rename_known(&self, from: &str, to: &str, digest: Digest) -> Result<()> {
        self.call(from, |disk, from| disk.rename(from, to))?;
        unpoisoned(self.verified.lock()).remove(from);
        self.remember(to, digest)
    }

    /// Forgets what is known of a folder's files; those of a folder that moved are known under its new name.
    pub(super) fn moved(&self, from: &str, to: Option<&str>) {
        let mut verified = unpoisoned(self.verified.lock());
        let is_below = |name: &String| name.strip_prefix(from).is_some_and(|rest| rest.starts_with('/'));
        let names: Vec<String> = verified.keys().filter(|name| is_below(name)).cloned().collect();
        for name in names {
            if let (Some(known), Some(to)) = (verified.remove(&name), to) {
                verified.insert(format!("{to}{}", &name[from.len()..]), known);
            }
        }
    }
}

/// What the system said of a file: that it is none is damage, as nobody else writes here.
pub(super) fn failed(path: &Path, e: io::Error) -> Error {
    match e.kind() {
        io::ErrorKind::InvalidData => {
            Error::corrupt(format!("{}: it is no file of a store", path.display())).because(e)
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Error::new(Code::Io, format!("{}: the disk is full", path.display())).because(e)
        }
        _ => Error::io(path.display(), e),
    }
}
