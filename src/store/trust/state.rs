//! What was seen, as bytes that survive a restart.
//!
//! The caller replaces the file as a whole. If it is lost or damaged, that is no reason to begin anew: whoever can damage it
//! could bring back any old version.
//!
//! ```text
//! offset  bytes
//!      0      8  "SLVTRST" and the version, the digit 1
//!      8      4  CRC-32C of the message, little endian
//!     12      4  length of the message, little endian
//!     16      n  the message, protobuf: `State` below
//! ```

use std::collections::HashMap;

use prost::Message;

use crate::error::{Error, Result};

const MAGIC: &[u8; 7] = b"SLVTRST";
const VERSION: u8 = b'1';
const HEAD: usize = 16;
const WHAT: &str = "ratchet";
/// The largest that is read: many models, and the listings of the largest metadata.
pub(crate) const MAX_BYTES: usize = 16 << 20;

/// What was admitted so far. The caller keeps it: [`to_bytes`](Self::to_bytes) must be durable before a package that it admitted
/// is used.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ratchet {
    pub(super) state: State,
}

impl Ratchet {
    /// What [`to_bytes`](Self::to_bytes) made.
    ///
    /// # Errors
    ///
    /// `Corrupt` for damage, `Unsupported` for a later version.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        State::parse(bytes).map(|state| Self { state })
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.state.to_bytes()
    }
}

/// The message. Tags are never reused.
#[derive(Clone, PartialEq, Message)]
pub(super) struct State {
    /// Seconds since 1970 that are known to have passed.
    #[prost(uint64, tag = "1")]
    pub time: u64,
    #[prost(message, repeated, tag = "2")]
    pub channels: Vec<Channel>,
    #[prost(message, optional, tag = "3")]
    pub repository: Option<Repository>,
}

/// How far the versions of a model are, on one channel and by one signer.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Channel {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub channel: String,
    /// Who signed, in 32 bytes; empty for packages that nobody signed.
    #[prost(bytes = "vec", tag = "3")]
    pub key: Vec<u8>,
    /// The highest number that was admitted, of a version or of a statement that takes one back, and the digest of its package.
    #[prost(uint64, tag = "4")]
    pub number: u64,
    #[prost(bytes = "vec", tag = "5")]
    pub number_digest: Vec<u8>,
    /// The version that stands, lower than the number if one was taken back.
    #[prost(uint64, tag = "6")]
    pub version: u64,
    #[prost(bytes = "vec", tag = "7")]
    pub digest: Vec<u8>,
    /// The lowest version that may still be gone back to.
    #[prost(uint64, tag = "8")]
    pub minimum: u64,
}

/// What was verified of a TUF repository.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Repository {
    /// SHA-256 of the root that the app was shipped with when this began.
    #[prost(bytes = "vec", tag = "1")]
    pub bootstrap: Vec<u8>,
    /// The latest root, as it was signed.
    #[prost(bytes = "vec", tag = "2")]
    pub root: Vec<u8>,
    #[prost(uint64, tag = "3")]
    pub timestamp: u64,
    /// SHA-256 of what of the timestamp is signed.
    #[prost(bytes = "vec", tag = "4")]
    pub timestamp_digest: Vec<u8>,
    #[prost(uint64, tag = "5")]
    pub snapshot: u64,
    /// Versions by file, as the snapshot has them.
    #[prost(map = "string, uint64", tag = "6")]
    pub versions: HashMap<String, u64>,
    /// The earliest time at which one of the four files expires.
    #[prost(uint64, tag = "7")]
    pub expires: u64,
    #[prost(message, repeated, tag = "8")]
    pub listings: Vec<Listed>,
}

/// A target of the repository.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Listed {
    #[prost(string, tag = "1")]
    pub path: String,
    #[prost(bytes = "vec", tag = "2")]
    pub digest: Vec<u8>,
    #[prost(uint64, tag = "3")]
    pub length: u64,
    #[prost(string, tag = "4")]
    pub name: String,
    #[prost(uint64, tag = "5")]
    pub version: u64,
    #[prost(string, tag = "6")]
    pub channel: String,
    #[prost(uint32, tag = "7")]
    pub share: u32,
    #[prost(uint64, tag = "8")]
    pub minimum: u64,
    #[prost(bool, tag = "9")]
    pub rollback: bool,
}

impl State {
    /// # Errors
    ///
    /// `Corrupt` for what fails its checksum or is no such message, `Unsupported` for one of a later version.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let bad = |what: &str| Error::corrupt(format!("{WHAT}: {what}"));
        let Some((head, message)) = bytes.split_first_chunk::<HEAD>() else {
            return Err(bad(&format!("expected at least {HEAD} bytes, got {}", bytes.len())));
        };
        if head[..7] != MAGIC[..] {
            return Err(bad("not what was seen of versions"));
        }
        if head[7] != VERSION {
            let (expected, got) = (VERSION as char, head[7].escape_ascii());
            return Err(Error::unsupported(format!("{WHAT}: expected version {expected}, got {got}")));
        }
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        if bytes.len() > MAX_BYTES || message.len() != number(12) as usize || crc32c::crc32c(message) != number(8) {
            return Err(bad("it fails its checksum"));
        }
        let state = Self::decode(message).map_err(|e| bad(&e.to_string()))?;
        if state.is_whole() { Ok(state) } else { Err(bad("a digest of other than 32 bytes")) }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let message = self.encode_to_vec();
        let mut bytes = Vec::with_capacity(HEAD + message.len());
        bytes.extend(MAGIC);
        bytes.push(VERSION);
        bytes.extend(crc32c::crc32c(&message).to_le_bytes());
        bytes.extend((message.len() as u32).to_le_bytes());
        bytes.extend(message);
        bytes
    }

    fn is_whole(&self) -> bool {
        let channel = |c: &Channel| {
            (c.key.is_empty() || c.key.len() == 32) && c.number_digest.len() == 32 && c.digest.len() == 32
        };
        let repository = |r: &Repository| {
            let digests = [&r.bootstrap, &r.timestamp_digest].into_iter().chain(r.listings.iter().map(|l| &l.digest));
            digests.into_iter().all(|digest| digest.len() == 32)
        };
        self.channels.iter().all(channel) && self.repository.iter().all(repository)
    }
}
