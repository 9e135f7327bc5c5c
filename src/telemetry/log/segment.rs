//! Segment: one file of the log.
//!
//! ```text
//!   header   0        8       9       12       16       24              40        48        56       64
//!            ┌────────┬───────┬───────┬────────┬────────┬───────────────┬─────────┬─────────┬────────┐
//!            │SELVSEGM│version│ 0     │ CRC-32C│ epoch  │ boot          │ floor:  │ floor:  │ last   │
//!            │        │       │       │        │        │               │ epoch   │ seq     │ before │
//!            └────────┴───────┴───────┴────────┴────────┴───────────────┴─────────┴─────────┴────────┘
//!   then frames, up to the end of the file
//!            0        4        8        12
//!            ┌────────┬────────┬────────┬───────────────────────────────┐
//!            │ mark   │ length │ CRC-32C│ payload, of that length       │
//!            └────────┴────────┴────────┴───────────────────────────────┘
//!   payload  a record and what goes with it (see `codec`). Or 0, epoch, seq: a floor. What is not above the highest
//!            floor is acknowledged, or was dropped and counted.
//! ```
//!
//! The header's checksum is over the bytes after it and then those before it; a frame's over length and payload. Where a
//! frame is damaged, reading goes on at the next whole one. All numbers of header and frame are little endian.

use std::ops::Range;

use super::super::budget::MAX_SEARCH;
use super::super::record::Position;

pub(super) const VERSION: u8 = 1;
pub(super) const HEADER_BYTES: usize = 64;
pub(super) const FRAME_BYTES: usize = 12;
const MAGIC: &[u8; 8] = b"SELVSEGM";
const MARK: [u8; 4] = [0xf5, b'F', b'R', b'M'];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) epoch: u64,
    pub(super) boot: [u8; 16],
    /// All up to here is done with.
    pub(super) floor: Position,
    /// The number of the record of this epoch that was sealed last before this file; 0 where there was none. If no file
    /// has it and it is above the floor, it is missing.
    pub(super) before: u64,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8] = VERSION;
        bytes[16..24].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[24..40].copy_from_slice(&self.boot);
        bytes[40..48].copy_from_slice(&self.floor.epoch.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.floor.seq.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.before.to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[16..]), &bytes[..12]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None` for bytes that do not begin with a header of this version.
    pub(super) fn decode(file: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u64::from_le_bytes(*file.get(at..)?.first_chunk()?));
        let header = Self {
            epoch: number(16)?,
            boot: *file.get(24..)?.first_chunk()?,
            floor: Position { epoch: number(40)?, seq: number(48)? },
            before: number(56)?,
        };
        (file[..HEADER_BYTES] == header.encode()).then_some(header)
    }
}

/// Appends a frame around what `payload` appends.
pub(super) fn put_frame(out: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    out.extend_from_slice(&[0; FRAME_BYTES]);
    payload(out);
    let len = (out.len() - begin - FRAME_BYTES) as u32;
    out[begin..begin + 4].copy_from_slice(&MARK);
    out[begin + 4..begin + 8].copy_from_slice(&len.to_le_bytes());
    let crc = checksum(&out[begin + 4..begin + 8], &out[begin + FRAME_BYTES..]);
    out[begin + 8..begin + 12].copy_from_slice(&crc.to_le_bytes());
}

fn checksum(len: &[u8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(len), payload)
}

/// The payloads of the whole frames after the header, and how many stretches of bytes are none.
///
/// A frame that is not whole costs a checksum over all that it says it has. Of those only so much is borne (see `budget`):
/// then the rest of the file is one damaged stretch.
pub(super) fn frames(file: &[u8], check: bool) -> (Vec<Range<usize>>, u64) {
    let mut frames = Frames::from(file, check, HEADER_BYTES);
    let whole = frames.by_ref().collect();
    (whole, frames.damaged)
}

/// The payloads one by one.
pub(super) struct Frames<'a> {
    search: Search<'a>,
    at: usize,
    damaged: u64,
}

impl<'a> Frames<'a> {
    /// Those from here on, where a frame begins, or the first one does.
    pub(super) fn from(file: &'a [u8], check: bool, at: usize) -> Self {
        let search = Search { file, check, left: file.len().saturating_mul(MAX_SEARCH) };
        Self { search, at, damaged: 0 }
    }
}

impl Iterator for Frames<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let end = self.search.file.len();
        while self.at < end {
            if let Some(payload) = self.search.frame(self.at) {
                self.at = payload.end;
                return Some(payload);
            }
            self.damaged += 1;
            self.at = self.search.next_frame(self.at + 1).unwrap_or(end);
        }
        None
    }
}

struct Search<'a> {
    file: &'a [u8],
    check: bool,
    /// Bytes over which checksums may still be taken in vain.
    left: usize,
}

impl Search<'_> {
    fn next_frame(&mut self, from: usize) -> Option<usize> {
        let marks = self.file.get(from..)?.windows(MARK.len()).enumerate();
        marks.filter(|(_, bytes)| **bytes == MARK).map(|(i, _)| from + i).find(|at| self.frame(*at).is_some())
    }

    fn frame(&mut self, at: usize) -> Option<Range<usize>> {
        let head: &[u8; FRAME_BYTES] = self.file.get(at..)?.first_chunk()?;
        let len = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let begin = at + FRAME_BYTES;
        let payload = self.file.get(begin..begin.checked_add(len)?)?;
        if head[..4] != MARK {
            return None;
        }
        let crc = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
        let left = self.left.checked_sub(len)?;
        if self.check && crc != checksum(&head[4..8], payload) {
            self.left = left;
            return None;
        }
        Some(begin..begin + len)
    }
}
