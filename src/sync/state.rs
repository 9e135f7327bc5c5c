//! The state that survives a restart: the totals that were given out, how far the log was read, and the batch that is on its way.
//!
//! One file, `sync.state`, replaced as a whole: written beside, synced, renamed over, the folder synced. So it holds
//! the state before a step or after it, never a mix.
//!
//! ```text
//! offset  bytes
//!      0      8  "SLVSYNC" and the version, the digit 1
//!      8      4  CRC-32C of the message, little endian
//!     12      4  length of the message, little endian
//!     16      n  the message, protobuf: `State` below
//! ```

use std::fmt::Display;
use std::io::ErrorKind;
use std::path::Path;

use prost::Message;

use super::bound::is_bounded;
use super::privacy::fill;
use crate::disk::{self, Disk, Folder, replace};
use crate::telemetry::{Exponential, Position};
use crate::{Error, Result};

const MAGIC: &[u8; 7] = b"SLVSYNC";
const VERSION: u8 = b'1';
const HEAD: usize = 16;
/// The largest file that is read: a state of many models, and a batch of the largest size that anybody posts.
const MAX_BYTES: u64 = 64 << 20;
/// Where the next state is written.
const PART: &str = "sync.part";

/// The message of the file. Tags are never reused.
#[derive(Clone, PartialEq, Message)]
pub(super) struct State {
    /// 16 random bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub install: Vec<u8>,
    /// The last record that is in the totals.
    #[prost(message, required, tag = "2")]
    pub through: Through,
    /// Totals per model.
    #[prost(message, repeated, tag = "3")]
    pub models: Vec<Model>,
    /// Which model a slot stood for last.
    #[prost(message, repeated, tag = "4")]
    pub slots: Vec<Slot>,
    /// The latest anchor of each of the last boots.
    #[prost(message, repeated, tag = "5")]
    pub anchors: Vec<Clock>,
    /// What is of the device and of no model.
    #[prost(message, required, tag = "6")]
    pub device: Device,
    /// The batch that was handed out and not acknowledged.
    #[prost(message, optional, tag = "7")]
    pub pending: Option<Pending>,
    /// The batch that was acknowledged last.
    #[prost(bytes = "vec", tag = "8")]
    pub acked: Vec<u8>,
    /// The last key that a model was given; 0 is the device's.
    #[prost(uint32, tag = "9")]
    pub last_key: u32,
    /// SHA-256 of what the app says of itself: the totals are of a stream with these attributes.
    #[prost(bytes = "vec", tag = "10")]
    pub app: Vec<u8>,
    /// What follows the pending batch, where that is a part of one that was split.
    #[prost(message, repeated, tag = "11")]
    pub parts: Vec<Pending>,
    /// Batches and parts of which the receiver refused all content, since it last took something.
    #[prost(uint32, tag = "12")]
    pub refusals: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Through {
    #[prost(uint64, tag = "1")]
    pub epoch: u64,
    #[prost(uint64, tag = "2")]
    pub seq: u64,
    /// The boot of that epoch, which tells this log from one that was begun anew.
    #[prost(bytes = "vec", tag = "3")]
    pub boot: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Model {
    #[prost(uint32, tag = "1")]
    pub key: u32,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(string, optional, tag = "3")]
    pub version: Option<String>,
    #[prost(bytes = "vec", tag = "4")]
    pub digest: Vec<u8>,
    #[prost(string, tag = "5")]
    pub backend: String,
    #[prost(bytes = "vec", tag = "6")]
    pub profile: Vec<u8>,
    #[prost(bytes = "vec", tag = "7")]
    pub profile_digest: Vec<u8>,
    /// When counting began, ns since 1970; 0 before the first window with a time.
    #[prost(uint64, tag = "8")]
    pub start: u64,
    /// The latest time that was given to a window.
    #[prost(uint64, tag = "9")]
    pub last: u64,
    #[prost(message, required, tag = "10")]
    pub totals: Totals,
}

/// Everything a model's windows added up to since `start`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Totals {
    #[prost(uint64, tag = "1")]
    pub windows: u64,
    #[prost(uint64, tag = "2")]
    pub rows: u64,
    #[prost(message, repeated, tag = "3")]
    pub features: Vec<Bins>,
    /// Counts of the classes, in the order of `class_ids`.
    #[prost(message, required, tag = "4")]
    pub classes: Bins,
    #[prost(uint32, repeated, tag = "5")]
    pub class_ids: Vec<u32>,
    #[prost(message, required, tag = "6")]
    pub confidence: Bins,
    #[prost(message, required, tag = "7")]
    pub entropy: Bins,
    #[prost(message, repeated, tag = "8")]
    pub outcomes: Vec<Outcome>,
    #[prost(message, required, tag = "9")]
    pub latency: Spread,
    #[prost(message, required, tag = "10")]
    pub first_token: Spread,
    #[prost(uint64, tag = "11")]
    pub tokens_in: u64,
    #[prost(uint64, tag = "12")]
    pub tokens_out: u64,
    /// Labels by whether the answer was right, that are not in `feedback` yet.
    #[prost(uint64, tag = "13")]
    pub right: u64,
    #[prost(uint64, tag = "14")]
    pub wrong: u64,
    /// Counts of the embeddings' signs, and behind them of the rows that brought one.
    #[prost(message, optional, tag = "15")]
    pub embedding: Option<Bins>,
    /// Labels: right, wrong.
    #[prost(message, optional, tag = "16")]
    pub feedback: Option<Bins>,
}

/// Counts of bins: what was given, and what is held back until it is enough.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Bins {
    #[prost(uint64, repeated, tag = "1")]
    pub given: Vec<u64>,
    #[prost(uint64, repeated, tag = "2")]
    pub held: Vec<u64>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Outcome {
    #[prost(uint32, tag = "1")]
    pub outcome: u32,
    #[prost(uint64, tag = "2")]
    pub count: u64,
}

/// An exponential histogram.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Spread {
    #[prost(sint32, tag = "1")]
    pub scale: i32,
    #[prost(uint64, tag = "2")]
    pub zero_count: u64,
    #[prost(sint32, tag = "3")]
    pub offset: i32,
    #[prost(uint64, repeated, tag = "4")]
    pub buckets: Vec<u64>,
    #[prost(uint64, tag = "5")]
    pub sum: u64,
    #[prost(uint64, tag = "6")]
    pub min: u64,
    #[prost(uint64, tag = "7")]
    pub max: u64,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Slot {
    /// In which it was used last.
    #[prost(uint64, tag = "1")]
    pub epoch: u64,
    #[prost(uint32, tag = "2")]
    pub slot: u32,
    #[prost(uint32, tag = "3")]
    pub model: u32,
    /// It is `ModelInfo::slot_of` of its model, and so never another one's.
    #[prost(bool, tag = "4")]
    pub lasting: bool,
}

/// One moment on two clocks.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Clock {
    #[prost(bytes = "vec", tag = "1")]
    pub boot: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub monotonic: u64,
    #[prost(uint64, tag = "3")]
    pub unix: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Device {
    #[prost(uint64, tag = "1")]
    pub start: u64,
    #[prost(uint64, tag = "2")]
    pub last: u64,
    /// By reason; the telemetry's are its own totals, the others are counted here.
    #[prost(message, repeated, tag = "3")]
    pub losses: Vec<Loss>,
    /// Some of it was not given yet: it comes with the next window.
    #[prost(bool, tag = "4")]
    pub due: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Loss {
    #[prost(string, tag = "1")]
    pub reason: String,
    #[prost(uint64, tag = "2")]
    pub count: u64,
    /// What of it was given under an earlier install id, which this one says nothing of.
    #[prost(uint64, tag = "3")]
    pub before: u64,
}

/// A batch, as it goes out: also after a restart, with newer code or other options.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Pending {
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub metrics: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub logs: Vec<u8>,
    #[prost(uint32, tag = "4")]
    pub encoding: u32,
    #[prost(uint64, tag = "5")]
    pub records: u64,
    #[prost(uint64, tag = "6")]
    pub points: u64,
    #[prost(uint64, tag = "7")]
    pub log_records: u64,
}

impl State {
    /// The state of an install that has given nothing yet.
    pub(super) fn fresh() -> Result<Self> {
        let mut install = vec![0; 16];
        fill(&mut install)?;
        Ok(Self { install, ..Self::default() })
    }

    pub(super) fn position(&self) -> Position {
        Position { epoch: self.through.epoch, seq: self.through.seq }
    }

    pub(super) fn add_loss(&mut self, reason: &str, count: u64) {
        self.device.due = true;
        match self.device.losses.iter_mut().find(|l| l.reason == reason) {
            Some(loss) => loss.count = loss.count.saturating_add(count),
            None => self.device.losses.push(Loss { reason: reason.into(), count, before: 0 }),
        }
    }

    pub(super) fn model(&mut self, key: u32) -> Option<&mut Model> {
        self.models.iter_mut().find(|m| m.key == key)
    }

    /// `None` where there is no file yet.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a file that fails its checksum, is no message or asks for more memory than a state may, and for
    /// what is no regular file; `Unsupported` for one of a later version, `Io`.
    pub(super) fn load(path: &Path) -> Result<Option<Self>> {
        match disk::read(path, MAX_BYTES) {
            Ok(bytes) => Self::read(&bytes, path.display()).map(Some),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) if e.kind() == ErrorKind::InvalidData => Err(Error::corrupt(format!("{}: {e}", path.display()))),
            Err(e) => Err(Error::io(path.display(), e)),
        }
    }

    pub(super) fn read(bytes: &[u8], path: impl Display) -> Result<Self> {
        let bad = |what: &str| Error::corrupt(format!("{path}: {what}"));
        let Some((head, message)) = bytes.split_first_chunk::<HEAD>() else {
            return Err(bad(&format!("expected at least {HEAD} bytes, got {}", bytes.len())));
        };
        if head[..7] != MAGIC[..] {
            return Err(bad("not a state of sync"));
        }
        if head[7] != VERSION {
            let (expected, got) = (VERSION as char, head[7] as char);
            return Err(Error::unsupported(format!("{path}: expected version {expected}, got {got}")));
        }
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        if message.len() != number(12) as usize || crc32c::crc32c(message) != number(8) {
            return Err(bad("it fails its checksum"));
        }
        if !is_bounded(message) {
            return Err(bad("more models, lists or numbers than a state may have"));
        }
        Self::decode(message).map_err(|e| bad(&e.to_string()))
    }

    /// Replaces the file; durable once it returns.
    pub(super) fn store(&self, path: &Path) -> Result<()> {
        let (mut disk, name) = Folder::around(path)
            .ok_or_else(|| Error::invalid(format!("{}: expected the path of a file", path.display())))?;
        self.store_on(&mut disk, &name, path)
    }

    /// The same by a name on a disk; `path` is for errors.
    pub(super) fn store_on(&self, disk: &mut dyn Disk, name: &str, path: &Path) -> Result<()> {
        let message = self.encode_to_vec();
        let length = u32::try_from(message.len())
            .map_err(|_| Error::invalid(format!("{}: {} bytes are too many", path.display(), message.len())))?;
        let mut bytes = Vec::with_capacity(HEAD + message.len());
        bytes.extend(MAGIC);
        bytes.push(VERSION);
        bytes.extend(crc32c::crc32c(&message).to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(message);
        replace(disk, name, PART, &bytes).map_err(|e| Error::io(path.display(), e))
    }
}

impl Spread {
    pub(super) fn merge(&mut self, window: &Exponential) {
        let mut all = self.exponential();
        all.merge(window);
        let Exponential { scale, zero_count, offset, buckets, sum, min, max } = all;
        *self = Self { scale, zero_count, offset, buckets, sum, min, max };
    }

    pub(super) fn exponential(&self) -> Exponential {
        let Self { scale, zero_count, offset, ref buckets, sum, min, max } = *self;
        if zero_count == 0 && buckets.is_empty() {
            return Exponential::default();
        }
        let all = Exponential { scale, zero_count, offset, buckets: buckets.clone(), sum, min, max };
        // What this type cannot have made is damage: it begins anew.
        if all.is_valid() { all } else { Exponential::default() }
    }
}
