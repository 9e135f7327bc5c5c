//! The fields of a record, read from bytes that may be anything.

use super::super::alert::AlertCode;
use super::super::budget::Room;
use super::super::exponential::Exponential;
use super::super::outcome::Outcome;
use super::super::record::{AlertRecord, FeedbackRecord, ModelInfo, ModelSlot, RolloutRecord, Stamp, Window};
use super::super::rollout::RolloutFinding;
use super::{take_number, unzigzag};

/// The most counts that a record may have: far above any profile, far below any harm.
const MAX_COUNTS: usize = 1 << 18;

/// Reads the fields of a record, within what a record of its length may take.
pub(super) struct Reader<'a> {
    left: &'a [u8],
    of: Stamp,
    /// Counts that may still come.
    counts: usize,
    /// Memory that the lists may still take.
    room: Room,
    /// Whether lists and texts are kept, or only checked.
    keeps: bool,
}

impl<'a> Reader<'a> {
    /// `of` has the boot and the epoch of the segment. Lists and texts are kept if `keeps` says so, and checked anyway.
    pub(super) fn new(bytes: &'a [u8], of: Stamp, keeps: bool) -> Self {
        Self { left: bytes, of, counts: MAX_COUNTS, room: Room::of(bytes.len()), keeps }
    }

    pub(super) fn of(&self) -> Stamp {
        self.of
    }

    /// The bytes after what was read.
    pub(super) fn left(&self) -> &'a [u8] {
        self.left
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.left.split_first()?;
        self.left = rest;
        Some(*first)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        take_number(&mut self.left)
    }

    fn narrow<T: TryFrom<u64>>(&mut self) -> Option<T> {
        self.number()?.try_into().ok()
    }

    fn slot(&mut self) -> Option<ModelSlot> {
        self.narrow().map(ModelSlot)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.number()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.left.split_first_chunk()?;
        self.left = rest;
        Some(*first)
    }

    fn slice(&mut self) -> Option<&'a [u8]> {
        let len: usize = self.narrow()?;
        let (first, rest) = self.left.split_at_checked(len)?;
        self.left = rest;
        Some(first)
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let bytes = self.slice()?;
        Some(if self.keeps { bytes.to_vec() } else { Vec::new() })
    }

    fn text(&mut self) -> Option<String> {
        let text = std::str::from_utf8(self.slice()?).ok()?;
        Some(if self.keeps { text.into() } else { String::new() })
    }

    fn option(&mut self) -> Option<Option<String>> {
        if self.flag()? { self.text().map(Some) } else { Some(None) }
    }

    fn stamp(&mut self) -> Option<Stamp> {
        let mut stamp = self.of;
        if self.flag()? {
            stamp.boot = self.array()?;
            stamp.epoch = self.number()?;
        }
        stamp.seq = self.number()?;
        stamp.monotonic_ns = self.number()?;
        Some(stamp)
    }

    fn counts(&mut self) -> Option<Vec<u64>> {
        let len: usize = self.narrow()?;
        self.counts = self.counts.checked_sub(len)?;
        self.room.take::<u64>(len)?;
        self.numbers_of(len, self.keeps)
    }

    /// The counts of a histogram, of which there are never many.
    fn buckets(&mut self) -> Option<Vec<u64>> {
        let len = self.narrow().filter(|len| *len <= Exponential::MAX_BUCKETS)?;
        self.numbers_of(len, true)
    }

    fn numbers_of(&mut self, len: usize, keeps: bool) -> Option<Vec<u64>> {
        let (mut counts, mut read) = (Vec::new(), 0);
        while read < len {
            let n = self.number()?;
            let more: usize = if n == 0 { self.narrow()? } else { 0 };
            if more > len - read - 1 {
                return None;
            }
            read += 1 + more;
            if keeps {
                counts.push(n);
                counts.resize(read, 0);
            }
        }
        Some(counts)
    }

    /// Each item takes at least a byte, so a length that lies cannot make a large allocation.
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let len: usize = self.narrow()?;
        if len > self.left.len() {
            return None;
        }
        self.room.take::<T>(len)?;
        let mut items = Vec::new();
        for _ in 0..len {
            let item = item(self)?;
            if self.keeps {
                items.push(item);
            }
        }
        Some(items)
    }

    pub(super) fn pairs(&mut self) -> Option<Vec<(u64, u64)>> {
        // Losses are added up also by those who keep nothing else.
        let keeps = std::mem::replace(&mut self.keeps, true);
        let pairs = self.list(|of| Some((of.number()?, of.number()?)));
        self.keeps = keeps;
        pairs
    }

    fn narrow_pairs(&mut self) -> Option<Vec<(u16, u64)>> {
        self.list(|of| Some((of.narrow()?, of.number()?)))
    }

    fn exponential(&mut self) -> Option<Exponential> {
        let scale = i32::try_from(unzigzag(self.number()?)).ok()?;
        let zero_count = self.number()?;
        let offset = i32::try_from(unzigzag(self.number()?)).ok()?;
        let (sum, min, max) = (self.number()?, self.number()?, self.number()?);
        let e = Exponential { scale, zero_count, offset, buckets: self.buckets()?, sum, min, max };
        e.is_valid().then_some(e)
    }

    pub(super) fn model(&mut self, stamp: Stamp) -> Option<ModelInfo> {
        Some(ModelInfo {
            stamp,
            slot: self.slot()?,
            name: self.text()?,
            version: self.option()?,
            digest: self.array()?,
            backend: self.text()?,
            profile: self.bytes()?,
            profile_digest: self.array()?,
        })
    }

    pub(super) fn window(&mut self, stamp: Stamp) -> Option<Window> {
        Some(Window {
            stamp,
            model_slot: self.slot()?,
            index: self.number()?,
            rows: self.number()?,
            opened: self.stamp()?,
            closed: self.stamp()?,
            features: self.list(Self::counts)?,
            outcomes: self.narrow_pairs()?.into_iter().map(|(bits, n)| (Outcome::from_bits(bits), n)).collect(),
            classes: self.narrow_pairs()?,
            confidence: self.counts()?,
            entropy: self.counts()?,
            latency: self.exponential()?,
            first_token: self.exponential()?,
            tokens_in: self.number()?,
            tokens_out: self.number()?,
            // They stand in sections behind the record.
            embedded: 0,
            embedding: Vec::new(),
            arms: Vec::new(),
        })
    }

    pub(super) fn alert(&mut self, stamp: Stamp) -> Option<AlertRecord> {
        Some(AlertRecord {
            stamp,
            model_slot: self.slot()?,
            code: AlertCode::from_name(&self.text()?),
            feature: self.option()?,
            severity: self.narrow()?,
            raised: self.flag()?,
            since: self.stamp()?,
            evidence: self.list(|of| Some((of.text()?, f64::from_le_bytes(of.array()?))))?,
            action: self.option()?,
        })
    }

    pub(super) fn rollout(&mut self, stamp: Stamp) -> Option<RolloutRecord> {
        Some(RolloutRecord {
            stamp,
            version: self.text()?,
            step: self.text()?,
            test: self.option()?,
            verdict: self.option()?,
            evidence: self.list(Self::finding)?,
        })
    }

    fn finding(&mut self) -> Option<RolloutFinding> {
        Some(RolloutFinding {
            name: self.text()?,
            verdict: self.text()?,
            control: self.share()?,
            candidate: self.share()?,
            worse: f64::from_le_bytes(self.array()?),
            no_worse: f64::from_le_bytes(self.array()?),
            words: self.text()?,
        })
    }

    fn share(&mut self) -> Option<Option<f64>> {
        if self.flag()? { self.array().map(|bytes| Some(f64::from_le_bytes(bytes))) } else { Some(None) }
    }

    pub(super) fn feedback(&mut self, stamp: Stamp) -> Option<FeedbackRecord> {
        Some(FeedbackRecord {
            stamp,
            model_slot: self.slot()?,
            id: self.number()?,
            predicted: self.narrow()?,
            truth: self.narrow()?,
            error: if self.flag()? { Some(f32::from_le_bytes(self.array()?)) } else { None },
            // In a section.
            confidence: 0,
            window: 0,
        })
    }
}
