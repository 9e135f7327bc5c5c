//! Files that are not yet of any version: received, whole or in part.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use super::files::{CHUNK, Files};
use super::package::PackageFile;
use crate::digest::Hasher;
use crate::threads::unpoisoned;
use crate::{Code, Digest, Error, Result};

pub(super) const STAGING: &str = "staging";
/// A file whose digest is not known before its end.
const UNNAMED: &str = "staging/unnamed.part";

/// Where files are received.
pub(super) struct Staging {
    files: Arc<Files>,
    /// The digests of files that are being written.
    open: Arc<Mutex<HashSet<Digest>>>,
}

/// A file of a store that is being received: by a downloader, which goes on where an earlier one ended.
///
/// Of one that is dropped before its end, what was written stays for the next try.
///
/// ```no_run
/// use std::io::Write;
/// # use selvedge::store::{Artifact, Store};
/// # fn get(name: &str, from: u64) -> selvedge::Result<Vec<u8>> { Ok(vec![]) }
/// # fn pull(store: &Store, artifact: &Artifact) -> Result<(), Box<dyn std::error::Error>> {
/// for file in artifact.files() {
///     let mut staged = store.stage(file.blob().digest(), file.blob().size())?;
///     if !staged.is_whole() {
///         let rest = get(file.name(), staged.offset())?;
///         staged.write_all(&rest)?;
///     }
///     staged.finish()?;
/// }
/// let version = store.import_artifact(artifact, |_| Ok(()))?;
/// # Ok(())
/// # }
/// ```
pub struct Staged {
    files: Arc<Files>,
    open: Arc<Mutex<HashSet<Digest>>>,
    digest: Digest,
    size: u64,
    /// How many bytes are there.
    at: u64,
    /// Of those bytes, where the caller writes them.
    hash: Hasher,
    /// Whether the file has its name.
    is_whole: bool,
}

impl Staging {
    pub(super) fn new(files: Arc<Files>) -> Self {
        Self { files, open: Arc::default() }
    }

    /// Begins a file, or goes on with one.
    pub(super) fn stage(&self, digest: Digest, size: u64) -> Result<Staged> {
        let mut staged = self.begin(digest, size)?;
        if !staged.is_whole {
            staged.hash = self.files.hash(&part(digest), staged.at, &mut |_| Ok(()))?;
        }
        Ok(staged)
    }

    fn begin(&self, digest: Digest, size: u64) -> Result<Staged> {
        if !unpoisoned(self.open.lock()).insert(digest) {
            return Err(Error::new(Code::Busy, format!("staged file sha256:{digest}: it is being written already")));
        }
        let (files, open) = (self.files.clone(), self.open.clone());
        let mut staged = Staged { files, open, digest, size, at: 0, hash: Hasher::default(), is_whole: false };
        staged.find()?;
        Ok(staged)
    }

    /// Receives a file of a package, whose digest is `expected` if the signature came before it.
    pub(super) fn receive(
        &self,
        file: &mut PackageFile<'_>,
        expected: Option<Digest>,
        check: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<Digest> {
        if let Some(digest) = expected {
            let mut staged = self.begin(digest, file.size)?;
            if !staged.is_whole() {
                staged.fill(file, check)?;
            }
            return Ok(digest);
        }
        self.receive_unnamed(file, check)
    }

    /// One whose digest is known only at its end cannot be gone on with.
    fn receive_unnamed(&self, file: &mut PackageFile<'_>, check: &mut dyn FnMut(u64) -> Result<()>) -> Result<Digest> {
        self.files.remove(UNNAMED)?;
        self.files.call(UNNAMED, |disk, name| disk.append(name, &[], true))?;
        let done = (|| {
            self.files.call(UNNAMED, |disk, name| disk.reserve(name, file.size))?;
            let (mut chunk, mut at) = (vec![0; CHUNK], 0);
            loop {
                check(at)?;
                let read = file.read(&mut chunk)?;
                if read == 0 {
                    break;
                }
                self.files.call(UNNAMED, |disk, name| disk.append(name, &chunk[..read], false))?;
                at += read as u64;
            }
            let digest =
                file.digest().ok_or_else(|| Error::internal("a file was read to its end and has no digest"))?;
            publish(&self.files, UNNAMED, digest)?;
            Ok(digest)
        })();
        if done.is_err() {
            // Nothing of it is of use; the error that counts is the first.
            let _ = self.files.remove(UNNAMED);
        }
        done
    }

    /// A staged file that is whole.
    pub(super) fn verify(&self, digest: Digest, size: u64, check: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
        self.files.verify(&whole(digest), size, digest, check)
    }

    /// Removes all that is staged, but for what is being written.
    pub(super) fn clear(&self) -> Result<()> {
        let open = unpoisoned(self.open.lock());
        for name in self.files.call(STAGING, |disk, name| disk.list(name))? {
            let is_open = open.iter().any(|digest| name.starts_with(&digest.to_string()));
            if !is_open {
                self.files.remove(&format!("{STAGING}/{name}"))?;
            }
        }
        Ok(())
    }
}

impl Staged {
    /// The byte at which to go on: what is before it is there already.
    pub fn offset(&self) -> u64 {
        self.at
    }

    /// Bytes that the whole file has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether the file is there already: nothing more is to be written.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Ends the file, which is durable then.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if bytes are missing, which may be written later; `Corrupt` for another digest, and `Io` where the
    /// disk does not keep the file: both remove what was written.
    pub fn finish(mut self) -> Result<()> {
        self.end()?;
        self.files.sync_names(STAGING)
    }

    /// Looks for what is there already.
    fn find(&mut self) -> Result<()> {
        let (whole, part) = (whole(self.digest), part(self.digest));
        match self.files.verify(&whole, self.size, self.digest, &mut |_| Ok(())) {
            Ok(()) => {
                (self.at, self.is_whole) = (self.size, true);
                return Ok(());
            }
            Err(e) if e.code() == Code::NotFound => {}
            Err(e) if e.code() == Code::Corrupt => self.files.remove(&whole)?,
            Err(e) => return Err(e),
        }
        match self.files.call(&part, |disk, part| disk.stamp(part)) {
            Ok(stamp) if stamp.len <= self.size && stamp.names == 1 => self.at = stamp.len,
            Err(e) if e.code() == Code::NotFound => {}
            Ok(_) => self.files.remove(&part)?,
            Err(e) if e.code() == Code::Corrupt => self.files.remove(&part)?,
            Err(e) => return Err(e),
        }
        if self.at == 0 {
            self.files.remove(&part)?;
            self.files.call(&part, |disk, part| disk.append(part, &[], true))?;
        }
        let reserved = self.files.call(&part, |disk, part| disk.reserve(part, self.size));
        self.or_remove(reserved)
    }

    /// Writes what a package has of this file. What is there already is compared with it, and cut off where it differs: a
    /// loss of power may have left anything.
    fn fill(&mut self, file: &mut PackageFile<'_>, check: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
        let name = part(self.digest);
        let (mut chunk, mut own, mut done) = (vec![0; CHUNK], vec![0; CHUNK], 0);
        loop {
            check(done)?;
            let read = file.read(&mut chunk)?;
            let got = &chunk[..read];
            if read == 0 {
                break;
            }
            let end = done + read as u64;
            if done < self.at {
                let there = self.files.call(&name, |disk, name| disk.read_at(name, done, &mut own[..read]))?;
                if there < read || end > self.at || own[..there] != *got {
                    self.files.call(&name, |disk, name| disk.truncate(name, done))?;
                    self.at = done;
                }
            }
            if done == self.at {
                let written = self.files.call(&name, |disk, name| disk.append(name, got, false));
                self.or_remove(written)?;
                self.at = end;
            }
            done = end;
        }
        let got = file.digest().ok_or_else(|| Error::internal("a file was read to its end and has no digest"))?;
        self.publish_as(got)
    }

    fn end(&mut self) -> Result<()> {
        if self.is_whole {
            return Ok(());
        }
        if self.at < self.size {
            let (digest, size, at) = (self.digest, self.size, self.at);
            return Err(Error::invalid(format!("staged file sha256:{digest}: expected {size} bytes, got {at}")));
        }
        let hash = std::mem::take(&mut self.hash);
        self.publish_as(hash.digest())
    }

    fn publish_as(&mut self, got: Digest) -> Result<()> {
        let part = part(self.digest);
        if got != self.digest {
            self.files.remove(&part)?;
            let expected = self.digest;
            return Err(Error::corrupt(format!("staged file: expected sha256:{expected}, got sha256:{got}")));
        }
        let published = publish(&self.files, &part, self.digest);
        self.or_remove(published)?;
        self.is_whole = true;
        Ok(())
    }

    /// A file that the disk did not keep is of no use: what a second sync says of it is not to be believed.
    fn or_remove<T>(&self, done: Result<T>) -> Result<T> {
        if done.is_err() {
            let _ = self.files.remove(&part(self.digest));
        }
        done
    }
}

impl Write for Staged {
    /// Writes on. `InvalidInput` for more bytes than the file has.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.size - self.at {
            let what = format!("sha256:{}: expected {} bytes, got more", self.digest, self.size);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let written = self.files.call(&part(self.digest), |disk, part| disk.append(part, bytes, false));
        if let Err(e) = written {
            // How much of it was written is not known.
            let _ = self.files.call(&part(self.digest), |disk, part| disk.truncate(part, self.at));
            return Err(io::Error::other(e));
        }
        self.hash.update(bytes);
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        unpoisoned(self.open.lock()).remove(&self.digest);
    }
}

impl fmt::Debug for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (digest, size, at) = (self.digest, self.size, self.at);
        f.debug_struct("Staged").field("digest", &digest).field("size", &size).field("offset", &at).finish()
    }
}

/// Makes the bytes of a file durable, for ever, and gives it the name of its digest.
fn publish(files: &Files, part: &str, digest: Digest) -> Result<()> {
    files.call(part, |disk, part| disk.set_read_only(part))?;
    files.call(part, |disk, part| disk.sync(part))?;
    files.rename_known(part, &whole(digest), digest)
}

pub(super) fn whole(digest: Digest) -> String {
    format!("{STAGING}/{digest}")
}

fn part(digest: Digest) -> String {
    format!("{STAGING}/{digest}.part")
}
