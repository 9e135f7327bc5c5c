//! A file of a package while it is read: no byte less, none more, and the digest that was promised.

use std::io::{ErrorKind, Read};

use crate::digest::Hasher;
use crate::{Code, Digest, Error, Result};

/// A file of a package, to be read once, from its first byte to its last.
pub(crate) struct PackageFile<'a> {
    /// Its path in the package; parts are apart by `/`.
    pub(crate) name: &'a str,
    /// Its bytes, as the package says.
    pub(crate) size: u64,
    /// Its digest, as the package says; only an OCI image layout does.
    pub(crate) promised: Option<Digest>,
    reader: &'a mut dyn Read,
    /// Whether the reader's end is the file's.
    ends: bool,
    left: u64,
    state: State,
}

enum State {
    Unread,
    Reading(Hasher),
    Done(Digest),
}

impl<'a> PackageFile<'a> {
    /// A file whose bytes are the reader's first ones.
    pub(super) fn part(name: &'a str, size: u64, reader: &'a mut dyn Read) -> Self {
        Self { name, size, promised: None, reader, ends: false, left: size, state: State::Unread }
    }

    /// A file whose bytes are all of the reader's.
    pub(super) fn whole(name: &'a str, size: u64, promised: Option<Digest>, reader: &'a mut dyn Read) -> Self {
        Self { name, size, promised, reader, ends: true, left: size, state: State::Unread }
    }

    /// Reads on, as far as `into` goes. 0 is the end of a file that was as the package said: whatever was read before may
    /// be another one's.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a file that is too short or too long, or that has another digest; `Io`.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        if into.is_empty() || matches!(self.state, State::Done(_)) {
            return Ok(0);
        }
        if matches!(self.state, State::Unread) {
            self.state = State::Reading(Hasher::default());
        }
        if self.left == 0 {
            return self.end().map(|()| 0);
        }
        let most = usize::try_from(self.left).map_or(into.len(), |left| left.min(into.len()));
        let read = self.read_some(&mut into[..most])?;
        if read == 0 {
            let got = self.size - self.left;
            return Err(self.corrupt(&format!("expected {} bytes, got {got}", self.size)));
        }
        if let State::Reading(hash) = &mut self.state {
            hash.update(&into[..read]);
        }
        self.left -= read as u64;
        Ok(read)
    }

    /// The whole of a file, of at most so many bytes.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read); `Corrupt` for a larger one, which is not read.
    pub(crate) fn read_all(&mut self, most: u64) -> Result<Vec<u8>> {
        if self.size > most {
            return Err(self.corrupt(&format!("expected at most {most} bytes, got {}", self.size)));
        }
        let size = usize::try_from(self.size).map_err(|_| self.corrupt("expected a file that fits into memory"))?;
        let (mut bytes, mut at) = (vec![0; size.saturating_add(1)], 0);
        loop {
            match self.read(&mut bytes[at..])? {
                0 => break,
                read => at += read,
            }
        }
        bytes.truncate(at);
        Ok(bytes)
    }

    /// The digest of the file's bytes, once [`read`](Self::read) has told its end: nobody else need compute it.
    pub(crate) fn digest(&self) -> Option<Digest> {
        match self.state {
            State::Done(digest) => Some(digest),
            _ => None,
        }
    }

    /// Reads what is left of a file that was begun.
    pub(super) fn finish(&mut self) -> Result<()> {
        if matches!(self.state, State::Reading(_)) {
            let mut rest = vec![0; 64 << 10];
            while self.read(&mut rest)? > 0 {}
        }
        Ok(())
    }

    /// Reads what is left, be it begun or not, so that the reader stands behind it.
    pub(super) fn skip(&mut self) -> Result<()> {
        let mut rest = vec![0; 64 << 10];
        while self.read(&mut rest)? > 0 {}
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        if self.ends && self.read_some(&mut [0])? > 0 {
            return Err(self.corrupt(&format!("expected {} bytes, got more", self.size)));
        }
        let State::Reading(hash) = std::mem::replace(&mut self.state, State::Unread) else {
            return Err(Error::internal("a file ended before it was read"));
        };
        let digest = hash.digest();
        if let Some(promised) = self.promised.filter(|promised| *promised != digest) {
            return Err(self.corrupt(&format!("expected sha256:{promised}, got sha256:{digest}")));
        }
        self.state = State::Done(digest);
        Ok(())
    }

    fn read_some(&mut self, into: &mut [u8]) -> Result<usize> {
        loop {
            match self.reader.read(into) {
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                // A stream that knows its length says so itself.
                Err(e) if e.kind() == ErrorKind::UnexpectedEof => {
                    return Err(self.corrupt("expected more bytes, got the end").because(e));
                }
                read => {
                    return read
                        .map_err(|e| Error::io(format!("package: file {:?}", self.name), e).with_code(Code::Io));
                }
            }
        }
    }

    fn corrupt(&self, what: &str) -> Error {
        Error::corrupt(format!("package: file {:?}: {what}", self.name))
    }
}
