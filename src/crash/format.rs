//! The bytes of marks and of records; the room's doc draws them.

use super::Death;
use super::death::{CrashPhase, seconds_of, time_of};
use super::way::Way;
use crate::{Digest, Error, Result};

const MARK_MAGIC: &[u8; 8] = b"SLVMARK1";
const DEATHS_MAGIC: &[u8; 8] = b"SLVDEAD1";
/// Bytes of a mark, those before its checksum, and the first of the words that a living process changes.
pub(super) const MARK_BYTES: usize = 336;
const MARK_HEAD: usize = 276;
const WORDS: usize = 280;
const HEAD: usize = 176;
const DEATH: usize = 128;
const CRC: usize = 4;
/// The deaths that are kept, the last ones.
pub(super) const MAX_DEATHS: usize = 32;
/// Bytes of the largest record.
pub(super) const MAX_RECORD: usize = HEAD + MAX_DEATHS * DEATH + CRC;
const NAME: usize = 64;
const APP: usize = 32;
const RUNTIME: usize = 64;
const BACKEND: usize = 8;
/// The backends by name, so that a file names no other.
const BACKENDS: [&str; 5] = ["llama", "ort", "rten", "tract", "table"];

/// Places of the words of a mark, counted in words from the beginning of the file.
pub(super) mod word {
    pub(in crate::crash) const THREAD: usize = super::WORDS / 8;
    pub(in crate::crash) const TIME: usize = THREAD + 1;
    pub(in crate::crash) const PHASE: usize = THREAD + 2;
    pub(in crate::crash) const RUNS: usize = THREAD + 3;
    pub(in crate::crash) const SIGNAL: usize = THREAD + 4;
    pub(in crate::crash) const EVIDENCE: usize = THREAD + 5;
    /// Values of `EVIDENCE`.
    pub(in crate::crash) const SURE: u64 = 1;
    pub(in crate::crash) const UNSURE: u64 = 2;
}

const _: () = assert!(WORDS.is_multiple_of(8) && (word::EVIDENCE + 2) * 8 == MARK_BYTES && MARK_HEAD + CRC == WORDS);

/// What a record is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    /// SHA-256 of the model's digest, the options that matter and the app's version.
    pub(super) key: Digest,
    pub(super) digest: Digest,
    pub(super) model: String,
    pub(super) app_version: String,
}

/// A mark as it lies on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MarkFile {
    pub(super) subject: Subject,
    pub(super) runtime: String,
    pub(super) way: Way,
    pub(super) rung: u8,
    pub(super) id: [u8; 16],
    /// Seconds since 1970.
    pub(super) begun: u64,
    pub(super) process: u32,
    pub(super) phase: CrashPhase,
    pub(super) runs: u64,
    /// 0 for none.
    pub(super) signal: u64,
    pub(super) is_sure: bool,
    /// Seconds since 1970; 0 for a death that nobody noted.
    pub(super) died: u64,
}

impl MarkFile {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(MARK_BYTES);
        put_subject(&mut bytes, MARK_MAGIC, &self.subject);
        put_text(&mut bytes, &self.runtime, RUNTIME);
        put_text(&mut bytes, self.way.backend, BACKEND);
        bytes.extend(self.id);
        bytes.extend(self.begun.to_le_bytes());
        bytes.extend(self.process.to_le_bytes());
        bytes.extend(self.way.threads.to_le_bytes());
        bytes.extend([self.way.bits(), self.rung, 0, 0]);
        put_crc(&mut bytes);
        let evidence = match self.signal {
            0 => 0,
            _ if self.is_sure => word::SURE,
            _ => word::UNSURE,
        };
        let phase = u64::from(self.phase.number());
        for word in [0, self.died, phase, self.runs, self.signal, evidence, 0] {
            bytes.extend(word.to_le_bytes());
        }
        bytes
    }

    /// # Errors
    ///
    /// `Corrupt`.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        if bytes.len() != MARK_BYTES || !has_crc(&bytes[..WORDS]) {
            return Err(Error::corrupt("crash record: a mark that was not written by this version, or is torn"));
        }
        let mut read = Read(bytes);
        let subject = read.subject(MARK_MAGIC)?;
        let runtime = read.text(RUNTIME)?;
        let backend = read.backend()?;
        let (id, begun, process, threads) = (read.array()?, read.u64()?, read.u32()?, read.u32()?);
        let [bits, rung, _, _] = read.array()?;
        let way = Way::of(backend, threads, bits);
        let word = |at: usize| Read(bytes.get(at * 8..).unwrap_or_default()).u64();
        let phase = word(word::PHASE)?;
        let phase = CrashPhase::of_number(phase)
            .ok_or_else(|| Error::corrupt(format!("crash record: a mark with phase {phase}: expected 1 to 4")))?;
        let (runs, signal, died) = (word(word::RUNS)?, word(word::SIGNAL)?, word(word::TIME)?);
        let is_sure = word(word::EVIDENCE)? == word::SURE;
        Ok(Self { subject, runtime, way, rung, id, begun, process, phase, runs, signal, is_sure, died })
    }

    /// The death of its process, which ended with this signal, if with any.
    pub(super) fn death(&self, signal: Option<i32>, is_sure: bool) -> Death {
        Death {
            time: time_of(if self.died > 0 { self.died } else { self.begun }),
            phase: self.phase,
            signal,
            backend: self.way.backend.into(),
            runtime: self.runtime.clone(),
            rung: self.rung.into(),
            is_sure,
            id: self.id,
            way: self.way,
        }
    }
}

/// The deaths of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Deaths {
    pub(super) subject: Subject,
    pub(super) deaths: Vec<Death>,
}

impl Deaths {
    pub(super) fn encode(&self) -> Vec<u8> {
        let kept = &self.deaths[self.deaths.len().saturating_sub(MAX_DEATHS)..];
        let mut bytes = Vec::with_capacity(MAX_RECORD);
        put_subject(&mut bytes, DEATHS_MAGIC, &self.subject);
        bytes.extend((kept.len() as u32).to_le_bytes());
        bytes.extend([0; 4]);
        for death in kept {
            bytes.extend(death.id);
            bytes.extend(seconds_of(death.time).to_le_bytes());
            put_text(&mut bytes, &death.runtime, RUNTIME);
            put_text(&mut bytes, death.way.backend, BACKEND);
            bytes.extend(death.signal.unwrap_or(0).to_le_bytes());
            bytes.extend(death.way.threads.to_le_bytes());
            let rung = u8::try_from(death.rung).unwrap_or(u8::MAX);
            bytes.extend([death.way.bits(), rung, death.phase.number(), u8::from(death.is_sure)]);
            bytes.extend([0; 20]);
        }
        put_crc(&mut bytes);
        bytes
    }

    /// # Errors
    ///
    /// `Corrupt`.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let corrupt = || Error::corrupt("crash record: deaths that were not written by this version, or are torn");
        if bytes.len() > MAX_RECORD || bytes.len() < HEAD + CRC || !has_crc(bytes) {
            return Err(corrupt());
        }
        let mut read = Read(bytes);
        let subject = read.subject(DEATHS_MAGIC)?;
        let (count, _) = (read.u32()? as usize, read.u32()?);
        if count > MAX_DEATHS || bytes.len() != HEAD + count * DEATH + CRC {
            return Err(corrupt());
        }
        let deaths = (0..count).map(|_| read.death()).collect::<Result<_>>()?;
        Ok(Self { subject, deaths })
    }
}

fn put_subject(bytes: &mut Vec<u8>, magic: &[u8; 8], subject: &Subject) {
    bytes.extend(magic);
    bytes.extend(subject.key.0);
    bytes.extend(subject.digest.0);
    put_text(bytes, &subject.model, NAME);
    put_text(bytes, &subject.app_version, APP);
}

/// A text, cut to so many bytes between two characters, and zeros.
fn put_text(bytes: &mut Vec<u8>, text: &str, len: usize) {
    let text = cut(text, len);
    bytes.extend(text.as_bytes());
    bytes.resize(bytes.len() + len - text.len(), 0);
}

/// The beginning of a text up to its first NUL, in whole characters of at most `len` bytes.
fn cut(text: &str, len: usize) -> &str {
    let text = text.split('\0').next().unwrap_or_default();
    let end = (0..=len.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

/// The runtime as files have it: what is compared with what was read.
pub(super) fn cut_runtime(runtime: &str) -> &str {
    cut(runtime, RUNTIME)
}

fn put_crc(bytes: &mut Vec<u8>) {
    let crc = crc32c::crc32c(bytes);
    bytes.extend(crc.to_le_bytes());
}

/// Whether the last four bytes are the checksum of those before.
fn has_crc(bytes: &[u8]) -> bool {
    bytes.split_last_chunk::<CRC>().is_some_and(|(rest, crc)| crc32c::crc32c(rest) == u32::from_le_bytes(*crc))
}

/// What is left to read.
struct Read<'a>(&'a [u8]);

impl Read<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (array, rest) =
            self.0.split_first_chunk().ok_or_else(|| Error::corrupt("crash record: it ends too early"))?;
        self.0 = rest;
        Ok(*array)
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self, len: usize) -> Result<String> {
        let (text, rest) =
            self.0.split_at_checked(len).ok_or_else(|| Error::corrupt("crash record: it ends too early"))?;
        self.0 = rest;
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        // It goes into messages and logs, whoever wrote it.
        Ok(String::from_utf8_lossy(text).replace(char::is_control, "\u{FFFD}"))
    }

    fn backend(&mut self) -> Result<&'static str> {
        let name = self.text(BACKEND)?;
        let known = BACKENDS.into_iter().find(|backend| *backend == name);
        known.ok_or_else(|| Error::corrupt(format!("crash record: backend '{name}': expected one of {BACKENDS:?}")))
    }

    fn subject(&mut self, magic: &[u8; 8]) -> Result<Subject> {
        if self.array()? != *magic {
            return Err(Error::corrupt("crash record: a file of another kind or version"));
        }
        let (key, digest) = (Digest(self.array()?), Digest(self.array()?));
        Ok(Subject { key, digest, model: self.text(NAME)?, app_version: self.text(APP)? })
    }

    fn death(&mut self) -> Result<Death> {
        let (id, time, runtime) = (self.array()?, self.u64()?, self.text(RUNTIME)?);
        let backend = self.backend()?;
        let (signal, threads) = (self.u32()?.cast_signed(), self.u32()?);
        let [bits, rung, phase, evidence] = self.array()?;
        self.array::<20>()?;
        let phase = CrashPhase::of_number(phase.into())
            .ok_or_else(|| Error::corrupt(format!("crash record: a death in phase {phase}: expected 1 to 4")))?;
        Ok(Death {
            time: time_of(time),
            phase,
            signal: (signal != 0).then_some(signal),
            backend: backend.into(),
            runtime,
            rung: rung.into(),
            is_sure: evidence == 1,
            id,
            way: Way::of(backend, threads, bits),
        })
    }
}
