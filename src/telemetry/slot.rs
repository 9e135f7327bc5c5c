//! Slot: sixty-four bytes of a lane. All numbers are little endian.
//!
//! ```text
//!      0        2      3      4          8                16               24               32
//!      ┌────────┬──────┬──────┬──────────┬────────────────┬────────────────┬────────────────┐
//!      │kind:2  │confi-│entro-│ CRC-32C  │ seq:40         │ nanoseconds:62 │ id             │
//!      │bins:14 │dence │py    │          │ epoch:24       │ arm:2          │                │
//!      ├────────┴──────┴──────┼────────┬─┴──────┬─────────┴───┬────────────┴────────────────┤
//!   32 │ model                │outcome │ class  │ latency_us  │ 20 bytes: see kind          │
//!      └──────────────────────┴────────┴────────┴─────────────┴─────────────────────────────┘
//!      32                     36       38       40            44                           64
//!
//!   kind 0  no record: the slot was never written, or is being written
//!   kind 1  first slot of a record without tokens: 20 bins
//!   kind 2  first slot of a record with tokens: first_token_us, tokens_in, tokens_out (4 bytes each), 8 bins
//!   kind 3  a further slot of the record with the same seq: in place of `bins` its number, from 1; bytes 16..64 are bins
//! ```
//!
//! The nanoseconds are monotonic; 62 bits of them are 146 years. `arm` is the number of a rollout's arm, and 0 outside of any.
//! The checksum is over bytes 8..64 and then 0..4. `seq` numbers the records of a lane without gaps, over all epochs.
//! A slot is written in two steps: its first word becomes 0, the other seven are written, then the first word makes it
//! valid. A record of several slots is written from the second slot on, and the first slot last: that one makes it exist.

use super::inference::Inference;
use super::outcome::Outcome;
use super::record::ModelSlot;
use super::rollout::RolloutArm;

/// The words of a slot, in memory order.
pub(super) type Slot = [u64; 8];

pub(super) const SLOT_BYTES: usize = size_of::<Slot>();
const _: () = assert!(SLOT_BYTES == 64);

const PLAIN: u16 = 1;
const TOKENS: u16 = 2;
const FURTHER: u16 = 3;
const KIND_SHIFT: u32 = 14;

/// Where the 20 bytes begin, and what they hold.
const TAIL: usize = 44;
const PLAIN_BINS: usize = SLOT_BYTES - TAIL;
const TOKEN_BINS: usize = PLAIN_BINS - 12;
const FURTHER_BINS: usize = 48;

const ARM_SHIFT: u32 = 62;
const TIME_MASK: u64 = (1 << ARM_SHIFT) - 1;

const SEQ_BITS: u32 = 40;
pub(super) const SEQ_MASK: u64 = (1 << SEQ_BITS) - 1;
pub(super) const EPOCH_MASK: u64 = (1 << (64 - SEQ_BITS)) - 1;

// The smallest lane has room for the largest record.
const _: () = assert!(1 + (Inference::MAX_BINS - TOKEN_BINS).div_ceil(FURTHER_BINS) < 64);
const _: () = assert!(Inference::MAX_BINS < 1 << KIND_SHIFT);

/// How many slots the record takes.
pub(super) fn parts(inference: &Inference) -> usize {
    1 + inference.bins.len().saturating_sub(inline_bins(has_tokens(inference))).div_ceil(FURTHER_BINS)
}

fn has_tokens(inference: &Inference) -> bool {
    inference.first_token_us | inference.tokens_in | inference.tokens_out != 0
}

fn inline_bins(tokens: bool) -> usize {
    if tokens { TOKEN_BINS } else { PLAIN_BINS }
}

fn place(epoch: u64, seq: u64) -> u64 {
    epoch << SEQ_BITS | seq & SEQ_MASK
}

/// The first slot of a record.
pub(super) fn first(inference: &Inference, epoch: u64, seq: u64, at: u64) -> Slot {
    let tokens = has_tokens(inference);
    let mut bytes = [0u8; SLOT_BYTES];
    let inline = inference.bins.len().min(inline_bins(tokens));
    if tokens {
        bytes[TAIL..TAIL + 4].copy_from_slice(&inference.first_token_us.to_le_bytes());
        bytes[TAIL + 4..TAIL + 8].copy_from_slice(&inference.tokens_in.to_le_bytes());
        bytes[TAIL + 8..TAIL + 12].copy_from_slice(&inference.tokens_out.to_le_bytes());
    }
    let begin = SLOT_BYTES - inline_bins(tokens);
    bytes[begin..begin + inline].copy_from_slice(&inference.bins[..inline]);
    bytes[40..44].copy_from_slice(&inference.latency_us.to_le_bytes());
    let mut slot = words(&bytes);
    let kind = if tokens { TOKENS } else { PLAIN };
    let lead = kind << KIND_SHIFT | inference.bins.len() as u16;
    slot[0] = u64::from(lead) | u64::from(inference.confidence) << 16 | u64::from(inference.entropy) << 24;
    slot[1] = place(epoch, seq);
    slot[2] = at & TIME_MASK | u64::from(inference.arm.map_or(0, RolloutArm::number)) << ARM_SHIFT;
    slot[3] = inference.id;
    slot[4] = u64::from(inference.model_slot.0)
        | u64::from(inference.outcome.bits()) << 32
        | u64::from(inference.class) << 48;
    sign(&mut slot);
    slot
}

/// Slot `part`, from 1, of a record.
pub(super) fn further(inference: &Inference, epoch: u64, seq: u64, part: usize) -> Slot {
    let begin = inline_bins(has_tokens(inference)) + (part - 1) * FURTHER_BINS;
    let bins = &inference.bins[begin..inference.bins.len().min(begin + FURTHER_BINS)];
    let mut bytes = [0u8; SLOT_BYTES];
    bytes[16..16 + bins.len()].copy_from_slice(bins);
    let mut slot = words(&bytes);
    slot[0] = u64::from(FURTHER << KIND_SHIFT | part as u16);
    slot[1] = place(epoch, seq);
    sign(&mut slot);
    slot
}

fn words(bytes: &[u8; SLOT_BYTES]) -> Slot {
    bytemuck::cast::<_, Slot>(*bytes).map(u64::from_le)
}

fn sign(slot: &mut Slot) {
    slot[0] |= u64::from(checksum(slot)) << 32;
}

fn checksum(slot: &Slot) -> u32 {
    // Of all words but the first and then of its lower half, in one piece: a call for four bytes costs as much as one for all.
    let mut words = slot.map(u64::to_le);
    words.rotate_left(1);
    crc32c::crc32c(&bytemuck::cast_slice(&words)[..SLOT_BYTES - size_of::<u32>()])
}

/// Whether the slot is what was written.
pub(super) fn is_whole(slot: &Slot) -> bool {
    kind(slot) != 0 && (slot[0] >> 32) as u32 == checksum(slot)
}

fn kind(slot: &Slot) -> u16 {
    slot[0] as u16 >> KIND_SHIFT
}

/// The number of a record, if this is its first slot.
pub(super) fn first_seq(slot: &Slot) -> Option<u64> {
    matches!(kind(slot), PLAIN | TOKENS).then_some(slot[1] & SEQ_MASK)
}

/// How many slots the record takes that begins here.
pub(super) fn parts_of(first: &Slot) -> usize {
    1 + bins_of(first).saturating_sub(inline_bins(kind(first) == TOKENS)).div_ceil(FURTHER_BINS)
}

/// The model of the record that begins here.
pub(super) fn model_of(first: &Slot) -> ModelSlot {
    ModelSlot(first[4] as u32)
}

fn bins_of(first: &Slot) -> usize {
    // Whoever forged a checksum still gets no more than a record can hold.
    ((slot_lead(first) & ((1 << KIND_SHIFT) - 1)) as usize).min(Inference::MAX_BINS)
}

fn slot_lead(slot: &Slot) -> u16 {
    slot[0] as u16
}

/// Whether this is slot `part` of the record that begins with `first`.
pub(super) fn belongs(slot: &Slot, first: &Slot, part: usize) -> bool {
    slot_lead(slot) == FURTHER << KIND_SHIFT | part as u16 && slot[1] == first[1]
}

/// The record that begins with `first`; its bins are in `bins`.
pub(super) fn inference<'a>(first: &Slot, bins: &'a [u8; Inference::MAX_BINS]) -> Inference<'a> {
    let mut inference = Inference {
        id: first[3],
        at: first[2] & TIME_MASK,
        arm: RolloutArm::from_number(first[2] >> ARM_SHIFT),
        epoch: first[1] >> SEQ_BITS,
        model_slot: model_of(first),
        outcome: Outcome::from_bits((first[4] >> 32) as u16),
        latency_us: first[5] as u32,
        confidence: (first[0] >> 16) as u8,
        entropy: (first[0] >> 24) as u8,
        class: (first[4] >> 48) as u16,
        bins: &bins[..bins_of(first)],
        ..Inference::default()
    };
    if kind(first) == TOKENS {
        inference.first_token_us = (first[5] >> 32) as u32;
        inference.tokens_in = first[6] as u32;
        inference.tokens_out = (first[6] >> 32) as u32;
    }
    inference
}

/// Copies the bins of slot `part` of a record to their place.
pub(super) fn copy_bins(slot: &Slot, first: &Slot, part: usize, bins: &mut [u8; Inference::MAX_BINS]) {
    let bytes: [u8; SLOT_BYTES] = bytemuck::cast(slot.map(u64::to_le));
    let inline = inline_bins(kind(first) == TOKENS);
    let (from, begin, room) = match part {
        0 => (SLOT_BYTES - inline, 0, inline),
        _ => (16, inline + (part - 1) * FURTHER_BINS, FURTHER_BINS),
    };
    let end = bins_of(first).min(begin + room);
    bins[begin..end].copy_from_slice(&bytes[from..from + (end - begin)]);
}
