//! Records as bytes: LEB128 varints, zig-zag where a number may be negative, strings and bytes after their length.
//!
//! ```text
//!   record    kind (1 byte), seq, monotonic_ns, then the fields of the kind in the order of the struct
//!   stamp     0, seq, monotonic_ns          of the boot and epoch of the segment
//!             1, boot (16 bytes), epoch, seq, monotonic_ns
//!   counts    how many, then each; a zero is followed by how many more zeros come after it
//!   option    0, or 1 and the value
//!   payload   record; of a window also: how many lanes, then per lane the first record that is in no window, then
//!             sections, each of kind, length in bytes and content; of a label: sections
//!   section 1 embedded, then embedding up to the end of the section; there where embedded is not 0
//!   section 3 of each arm of a rollout: its number, rows, requests, failed, up to the end of the section
//!   section 4 of a label: confidence (1 to 255), window; there where the confidence is not 0
//!   section 2 nothing: it makes the record as long as its counts need, see `budget`
//! ```
//!
//! Sections are how a window or a label grows without another version: a reader passes over the kinds that it does not know,
//! and the first readers over all of them, as they stop at the lanes, or at the end of the label.

mod reader;

use self::reader::Reader;
use super::budget::Room;
use super::exponential::Exponential;
use super::loss::Reason;
use super::record::{
    AlertRecord, Anchor, Boot, Drops, FeedbackRecord, ModelInfo, ModelSlot, Record, RolloutRecord, Stamp, Window,
};
use super::rollout::{RolloutArm, WindowArm};

const BOOT: u8 = 1;
const ANCHOR: u8 = 2;
const MODEL: u8 = 3;
const WINDOW: u8 = 4;
const ALERT: u8 = 5;
const FEEDBACK: u8 = 6;
const DROPS: u8 = 7;
const ROLLOUT: u8 = 8;

const EMBEDDING: u64 = 1;
const PADDING: u64 = 2;
const ARMS: u64 = 3;
const ANSWER: u64 = 4;

/// The most lanes whose numbers go with a window.
const MAX_NEXT: usize = 64;

/// Appends a record with what goes with it: for a window, per lane, the first record that is in none.
pub(super) fn encode_payload(record: &Record, stamp: &Stamp, next: &[u64], out: &mut Vec<u8>) {
    let begin = out.len();
    encode(record, stamp, out);
    match record {
        Record::Window(window) => encode_beside(window, next, begin, out),
        Record::Feedback(label) if label.confidence > 0 => {
            let mut section = Vec::new();
            [label.confidence.into(), label.window].into_iter().for_each(|n| put_number(&mut section, n));
            put_section(out, ANSWER, &section);
        }
        _ => {}
    }
}

/// Appends what goes with a window whose record begins here.
fn encode_beside(window: &Window, next: &[u64], begin: usize, out: &mut Vec<u8>) {
    put_number(out, next.len() as u64);
    next.iter().for_each(|n| put_number(out, *n));
    if window.embedded > 0 {
        let mut section = Vec::new();
        put_number(&mut section, window.embedded);
        window.embedding.iter().for_each(|n| put_number(&mut section, *n));
        put_section(out, EMBEDDING, &section);
    }
    if !window.arms.is_empty() {
        let mut section = Vec::new();
        for WindowArm { arm, rows, requests, failed } in &window.arms {
            [arm.number().into(), *rows, *requests, *failed].into_iter().for_each(|n| put_number(&mut section, n));
        }
        put_section(out, ARMS, &section);
    }
    let short = Room::payload_for(memory_of(window)).saturating_sub(out.len() - begin);
    if short > 0 {
        put_number(out, PADDING);
        put_number(out, short as u64);
        // Not zeros: a reader may take many of those for a hole in the file.
        out.resize(out.len() + short, 0xff);
    }
}

fn put_section(out: &mut Vec<u8>, kind: u64, content: &[u8]) {
    put_number(out, kind);
    put_number(out, content.len() as u64);
    out.extend_from_slice(content);
}

/// The memory that a reader takes for the lists of a window, as `Room` counts it.
fn memory_of(window: &Window) -> usize {
    let counts = window.features.iter().map(Vec::len).sum::<usize>() + window.confidence.len() + window.entropy.len();
    let pairs = window.outcomes.len() + window.classes.len();
    counts * size_of::<u64>() + window.features.len() * size_of::<Vec<u64>>() + pairs * size_of::<(u64, u64)>()
}

/// The record of a payload, and what goes with it. What comes after the record and makes no sense is left out.
pub(super) fn decode_payload(payload: &[u8], boot: [u8; 16], epoch: u64) -> Option<(Record, Vec<u64>)> {
    read_payload(payload, boot, epoch, true)
}

/// The same, of which only the numbers are needed: texts, bytes and counts are checked and left out.
pub(super) fn skim_payload(payload: &[u8], boot: [u8; 16], epoch: u64) -> Option<(Record, Vec<u64>)> {
    read_payload(payload, boot, epoch, false)
}

/// The number of the record, which stands behind its kind.
pub(super) fn seq_of(payload: &[u8]) -> Option<u64> {
    take_number(&mut payload.get(1..)?)
}

/// Which records are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    All,
    /// Those that say who a slot is.
    Models,
    /// Those of one model.
    Of(ModelSlot),
}

impl Wanted {
    /// Whether the record of the payload is, by its first bytes.
    pub(super) fn is(self, payload: &[u8]) -> bool {
        match self {
            Wanted::All => true,
            Wanted::Models => payload.first() == Some(&MODEL),
            Wanted::Of(slot) => slot_of(payload) == Some(slot.0.into()),
        }
    }
}

/// The slot of a record that has one: behind its kind, its number and its time.
fn slot_of(payload: &[u8]) -> Option<u64> {
    let (kind, mut rest) = payload.split_first()?;
    if !matches!(*kind, MODEL | WINDOW | ALERT | FEEDBACK) {
        return None;
    }
    take_number(&mut rest)?;
    take_number(&mut rest)?;
    take_number(&mut rest)
}

/// Whether this version has a name for what the payload holds.
pub(super) fn is_known(payload: &[u8]) -> bool {
    payload.first().is_some_and(|kind| (BOOT..=ROLLOUT).contains(kind))
}

fn read_payload(payload: &[u8], boot: [u8; 16], epoch: u64, keeps: bool) -> Option<(Record, Vec<u64>)> {
    let (mut record, mut left) = read(payload, boot, epoch, keeps)?;
    let mut next = Vec::new();
    match &mut record {
        Record::Window(window) => {
            let Some(lanes) = take_numbers(&mut left) else { return Some((record, next)) };
            next = lanes;
            each_section(left, |kind, mut section| match kind {
                EMBEDDING if keeps => {
                    let Some(embedded) = take_number(&mut section) else { return };
                    let counts = std::iter::from_fn(|| take_number(&mut section));
                    (window.embedded, window.embedding) = (embedded, counts.collect());
                }
                ARMS if keeps => window.arms = arms(section),
                _ => {}
            });
        }
        Record::Feedback(label) => each_section(left, |kind, mut section| {
            let mut number = || take_number(&mut section);
            if kind == ANSWER
                && let (Some(confidence), Some(window)) = (number().and_then(|n| u8::try_from(n).ok()), number())
            {
                (label.confidence, label.window) = (confidence, window);
            }
        }),
        _ => {}
    }
    Some((record, next))
}

/// Visits the sections, up to one that makes no sense.
fn each_section(mut left: &[u8], mut visit: impl FnMut(u64, &[u8])) {
    while let (Some(kind), Some(length)) = (take_number(&mut left), take_number(&mut left)) {
        let section = usize::try_from(length).ok().and_then(|length| left.split_at_checked(length));
        let Some((section, rest)) = section else { break };
        left = rest;
        visit(kind, section);
    }
}

/// The arms of a section: each once, and those that this version knows.
fn arms(mut section: &[u8]) -> Vec<WindowArm> {
    let mut arms: Vec<WindowArm> = Vec::new();
    let mut next = || Some([(); 4].map(|()| take_number(&mut section))).filter(|all| all.iter().all(Option::is_some));
    while let Some([Some(number), Some(rows), Some(requests), Some(failed)]) = next() {
        if let Some(arm) = RolloutArm::from_number(number)
            && arms.iter().all(|known| known.arm != arm)
        {
            arms.push(WindowArm { arm, rows, requests, failed });
        }
    }
    arms
}

/// Appends a record that is sealed with this stamp.
pub(super) fn encode(record: &Record, stamp: &Stamp, out: &mut Vec<u8>) {
    let kind = match record {
        Record::Boot(_) => BOOT,
        Record::Anchor(_) => ANCHOR,
        Record::Model(_) => MODEL,
        Record::Window(_) => WINDOW,
        Record::Alert(_) => ALERT,
        Record::Feedback(_) => FEEDBACK,
        Record::Drops(_) => DROPS,
        Record::Rollout(_) => ROLLOUT,
    };
    let mut to = Writer { out, of: *stamp };
    to.out.push(kind);
    to.numbers([stamp.seq, stamp.monotonic_ns]);
    match record {
        Record::Boot(r) => to.numbers([r.recovered, r.torn, r.quarantined]),
        Record::Anchor(r) => to.numbers([r.monotonic_ns, zigzag(r.unix_ns), r.uncertainty_ns]),
        Record::Model(r) => to.model(r),
        Record::Window(r) => to.window(r),
        Record::Alert(r) => to.alert(r),
        Record::Feedback(r) => to.feedback(r),
        Record::Drops(r) => to.pairs(r.totals.iter().map(|(reason, n)| (*reason as u64, *n))),
        Record::Rollout(r) => to.rollout(r),
    }
}

/// A record of a segment with this boot and epoch, and the bytes after it. `None` if the bytes are not one.
#[cfg(test)]
pub(super) fn decode(bytes: &[u8], boot: [u8; 16], epoch: u64) -> Option<(Record, &[u8])> {
    read(bytes, boot, epoch, true)
}

fn read(bytes: &[u8], boot: [u8; 16], epoch: u64, keeps: bool) -> Option<(Record, &[u8])> {
    let of = Stamp { boot, epoch, seq: 0, monotonic_ns: 0 };
    let mut of = Reader::new(bytes, of, keeps);
    let kind = of.byte()?;
    let stamp = Stamp { seq: of.number()?, monotonic_ns: of.number()?, ..of.of() };
    let record = match kind {
        BOOT => Record::Boot(Boot { stamp, recovered: of.number()?, torn: of.number()?, quarantined: of.number()? }),
        ANCHOR => Record::Anchor(Anchor {
            stamp,
            monotonic_ns: of.number()?,
            unix_ns: unzigzag(of.number()?),
            uncertainty_ns: of.number()?,
        }),
        MODEL => Record::Model(of.model(stamp)?),
        WINDOW => Record::Window(of.window(stamp)?),
        ALERT => Record::Alert(of.alert(stamp)?),
        FEEDBACK => Record::Feedback(of.feedback(stamp)?),
        ROLLOUT => Record::Rollout(of.rollout(stamp)?),
        DROPS => {
            let pairs = of.pairs()?.into_iter();
            // A reason of a later version has no name here; the others still count.
            Record::Drops(Drops { stamp, totals: pairs.filter_map(|(r, n)| Some((Reason::of(r)?, n))).collect() })
        }
        _ => return None,
    };
    Some((record, of.left()))
}

pub(super) fn put_number(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

pub(super) fn take_number(left: &mut &[u8]) -> Option<u64> {
    let mut n = 0u64;
    for (i, byte) in left.iter().enumerate().take(10) {
        let part = u64::from(byte & 0x7f);
        if i == 9 && part > 1 {
            return None;
        }
        n |= part << (7 * i);
        if byte & 0x80 == 0 {
            *left = &left[i + 1..];
            return Some(n);
        }
    }
    None
}

fn take_numbers(left: &mut &[u8]) -> Option<Vec<u64>> {
    let len = usize::try_from(take_number(left)?).ok().filter(|len| *len <= MAX_NEXT)?;
    (0..len).map(|_| take_number(left)).collect()
}

fn zigzag(n: i64) -> u64 {
    (n << 1 ^ n >> 63) as u64
}

fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    of: Stamp,
}

impl Writer<'_> {
    fn number(&mut self, n: u64) {
        put_number(self.out, n);
    }

    fn numbers<const N: usize>(&mut self, numbers: [u64; N]) {
        for n in numbers {
            self.number(n);
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    fn option(&mut self, text: Option<&str>) {
        self.number(text.is_some().into());
        if let Some(text) = text {
            self.bytes(text.as_bytes());
        }
    }

    fn stamp(&mut self, stamp: &Stamp) {
        let is_near = (stamp.boot, stamp.epoch) == (self.of.boot, self.of.epoch);
        self.number(u64::from(!is_near));
        if !is_near {
            self.out.extend_from_slice(&stamp.boot);
            self.number(stamp.epoch);
        }
        self.numbers([stamp.seq, stamp.monotonic_ns]);
    }

    fn counts(&mut self, counts: &[u64]) {
        self.number(counts.len() as u64);
        let mut at = 0;
        while at < counts.len() {
            self.number(counts[at]);
            at += 1;
            if counts[at - 1] == 0 {
                let more = counts[at..].iter().take_while(|n| **n == 0).count();
                self.number(more as u64);
                at += more;
            }
        }
    }

    fn pairs(&mut self, pairs: impl ExactSizeIterator<Item = (u64, u64)>) {
        self.number(pairs.len() as u64);
        for (key, n) in pairs {
            self.numbers([key, n]);
        }
    }

    fn exponential(&mut self, e: &Exponential) {
        self.numbers([zigzag(e.scale.into()), e.zero_count, zigzag(e.offset.into()), e.sum, e.min, e.max]);
        self.counts(&e.buckets);
    }

    fn model(&mut self, r: &ModelInfo) {
        self.number(r.slot.0.into());
        self.bytes(r.name.as_bytes());
        self.option(r.version.as_deref());
        self.out.extend_from_slice(&r.digest);
        self.bytes(r.backend.as_bytes());
        self.bytes(&r.profile);
        self.out.extend_from_slice(&r.profile_digest);
    }

    fn window(&mut self, r: &Window) {
        self.numbers([r.model_slot.0.into(), r.index, r.rows]);
        self.stamp(&r.opened);
        self.stamp(&r.closed);
        self.number(r.features.len() as u64);
        for feature in &r.features {
            self.counts(feature);
        }
        self.pairs(r.outcomes.iter().map(|(outcome, n)| (outcome.bits().into(), *n)));
        self.pairs(r.classes.iter().map(|(class, n)| ((*class).into(), *n)));
        self.counts(&r.confidence);
        self.counts(&r.entropy);
        self.exponential(&r.latency);
        self.exponential(&r.first_token);
        self.numbers([r.tokens_in, r.tokens_out]);
    }

    fn alert(&mut self, r: &AlertRecord) {
        self.number(r.model_slot.0.into());
        self.bytes(r.code.name().as_bytes());
        self.option(r.feature.as_deref());
        self.numbers([r.severity.into(), r.raised.into()]);
        self.stamp(&r.since);
        self.number(r.evidence.len() as u64);
        for (name, value) in &r.evidence {
            self.bytes(name.as_bytes());
            self.out.extend_from_slice(&value.to_le_bytes());
        }
        self.option(r.action.as_deref());
    }

    fn rollout(&mut self, r: &RolloutRecord) {
        self.bytes(r.version.as_bytes());
        self.bytes(r.step.as_bytes());
        self.option(r.test.as_deref());
        self.option(r.verdict.as_deref());
        self.number(r.evidence.len() as u64);
        for finding in &r.evidence {
            self.bytes(finding.name.as_bytes());
            self.bytes(finding.verdict.as_bytes());
            for share in [finding.control, finding.candidate] {
                self.number(share.is_some().into());
                share.into_iter().for_each(|share| self.out.extend_from_slice(&share.to_le_bytes()));
            }
            [finding.worse, finding.no_worse].into_iter().for_each(|x| self.out.extend_from_slice(&x.to_le_bytes()));
            self.bytes(finding.words.as_bytes());
        }
    }

    fn feedback(&mut self, r: &FeedbackRecord) {
        self.numbers([r.model_slot.0.into(), r.id, r.predicted.into(), r.truth.into(), r.error.is_some().into()]);
        if let Some(error) = r.error {
            self.out.extend_from_slice(&error.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests;
