//! Lane: a ring of slots with one writer at a time and one reader.
//!
//! The writer never waits: it overwrites the oldest. The reader knows from the numbers of the records what it missed.

// The atomics of the lanes are chosen here: those of the model checker in its own build.
#[cfg(all(loom, test))]
pub(super) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
#[cfg(not(all(loom, test)))]
pub(super) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

use super::budget::MAX_LANE_SEQ;
use super::inference::Inference;
use super::record::ModelSlot;
use super::slot::{self, Slot};

/// What of a lane lives in memory only.
// Two cache lines, so that no two lanes share one, nor the pair that some processors fetch at once.
#[repr(align(128))]
pub(super) struct State {
    busy: AtomicBool,
    /// The number of the next record above 24 bits, and the slot where it will begin.
    published: AtomicU64,
}

const POS_BITS: u32 = 24;

/// Where a record begins, or will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) seq: u64,
    pub(super) pos: usize,
}

impl Place {
    fn pack(self) -> u64 {
        self.seq << POS_BITS | self.pos as u64
    }

    fn unpack(packed: u64) -> Self {
        Self { seq: packed >> POS_BITS, pos: (packed & ((1 << POS_BITS) - 1)) as usize }
    }
}

impl State {
    pub(super) fn new(next: Place) -> Self {
        Self { busy: AtomicBool::new(false), published: AtomicU64::new(next.pack()) }
    }

    /// Takes the lane, if nobody has it. What its last writer wrote is seen.
    pub(super) fn claim(&self) -> bool {
        !self.busy.load(Ordering::Relaxed)
            && self.busy.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Gives the lane to whoever claims it next. Only for the one who claimed it.
    pub(super) fn release(&self) {
        self.busy.store(false, Ordering::Release);
    }

    pub(super) fn next(&self) -> Place {
        Place::unpack(self.published.load(Ordering::Acquire))
    }
}

/// The slots of a lane; a power of two of them.
#[derive(Clone, Copy)]
pub(super) struct Ring<'a> {
    words: &'a [AtomicU64],
}

/// What a slot holds at the moment.
enum Seen {
    Whole(Slot),
    /// Nothing, or a writer is at it.
    Nothing,
    /// Bytes that nobody wrote.
    Torn,
}

impl<'a> Ring<'a> {
    pub(super) fn new(words: &'a [AtomicU64]) -> Self {
        debug_assert!((words.len() / 8).is_power_of_two());
        Self { words }
    }

    fn slots(self) -> usize {
        self.words.len() / 8
    }

    fn at(self, pos: usize) -> &'a [AtomicU64] {
        let begin = (pos & (self.slots() - 1)) * 8;
        &self.words[begin..begin + 8]
    }

    /// Writes one record. Only for the one who claimed the lane. Touches no memory but the ring and the state.
    pub(super) fn write(self, state: &State, inference: &Inference, epoch: u64, at: u64) {
        let next = Place::unpack(state.published.load(Ordering::Relaxed));
        let parts = slot::parts(inference);
        for part in 1..parts {
            self.store(next.pos + part, &slot::further(inference, epoch, next.seq, part));
        }
        self.store(next.pos, &slot::first(inference, epoch, next.seq, at));
        let after = Place { seq: next.seq + 1, pos: (next.pos + parts) & (self.slots() - 1) };
        state.published.store(after.pack(), Ordering::Release);
    }

    fn store(self, pos: usize, slot: &Slot) {
        let words = self.at(pos);
        words[0].store(0, Ordering::Relaxed);
        // A reader that sees one of the new words sees the 0 as well when it looks again.
        fence(Ordering::Release);
        for (word, value) in words.iter().zip(slot).skip(1) {
            word.store(value.to_le(), Ordering::Relaxed);
        }
        words[0].store(slot[0].to_le(), Ordering::Release);
    }

    fn load(self, pos: usize) -> Seen {
        let words = self.at(pos);
        let lead = words[0].load(Ordering::Acquire);
        if lead == 0 {
            return Seen::Nothing;
        }
        let mut slot = [u64::from_le(lead); 8];
        for (value, word) in slot.iter_mut().zip(words).skip(1) {
            *value = u64::from_le(word.load(Ordering::Relaxed));
        }
        fence(Ordering::Acquire);
        match words[0].load(Ordering::Relaxed) {
            again if again != lead => Seen::Nothing,
            _ if slot::is_whole(&slot) => Seen::Whole(slot),
            _ => Seen::Torn,
        }
    }

    /// The first slot of the record that begins here; its bins go to `bins`. `None` if it is not whole.
    fn record(self, pos: usize, bins: &mut [u8; Inference::MAX_BINS]) -> Option<(u64, Slot)> {
        let Seen::Whole(first) = self.load(pos) else { return None };
        let seq = slot::first_seq(&first)?;
        slot::copy_bins(&first, &first, 0, bins);
        for part in 1..slot::parts_of(&first) {
            match self.load(pos + part) {
                Seen::Whole(slot) if slot::belongs(&slot, &first, part) => slot::copy_bins(&slot, &first, part, bins),
                _ => return None,
            }
        }
        Some((seq, first))
    }

    /// Visits the whole records of so many slots, from `pos` on, until `visit` says so.
    fn around(
        self,
        pos: usize,
        slots: usize,
        bins: &mut [u8; Inference::MAX_BINS],
        mut visit: impl FnMut(Place, &Slot) -> bool,
    ) {
        for at in (pos..pos + slots).map(|at| at & (self.slots() - 1)) {
            if let Some((seq, first)) = self.record(at, bins)
                && visit(Place { seq, pos: at }, &first)
            {
                return;
            }
        }
    }
}

/// What a ring held when it was opened.
pub(super) struct Found {
    /// The oldest record that is wanted, or where the next one will be.
    pub(super) oldest: Place,
    pub(super) next: Place,
}

/// Looks through a ring that nobody writes. `is_wanted` is asked about each whole record, by number and model. `drained` is
/// the number of the first record that was never handed over: a new number is never below it, even if all slots are gone. A
/// record with a number that none can have is none.
pub(super) fn recover(ring: Ring, drained: u64, mut is_wanted: impl FnMut(u64, ModelSlot) -> bool) -> Found {
    let (mut oldest, mut next): (Option<Place>, Option<(Place, usize)>) = (None, None);
    ring.around(0, ring.slots(), &mut [0; Inference::MAX_BINS], |place, first| {
        if place.seq > MAX_LANE_SEQ {
            return false;
        }
        let is_wanted = is_wanted(place.seq, slot::model_of(first));
        if is_wanted && oldest.is_none_or(|o| place.seq < o.seq) {
            oldest = Some(place);
        }
        if next.is_none_or(|(n, _)| place.seq > n.seq) {
            next = Some((place, slot::parts_of(first)));
        }
        false
    });
    let next = next.map_or(Place { seq: drained, pos: 0 }, |(last, parts)| Place {
        seq: (last.seq + 1).max(drained),
        pos: (last.pos + parts) & (ring.slots() - 1),
    });
    Found { oldest: oldest.unwrap_or(next), next }
}

/// Records that a reader missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Missed {
    pub(super) records: u64,
    /// They fail their checksum; else they were overwritten.
    pub(super) are_torn: bool,
    /// The number of the record that comes next.
    pub(super) next: u64,
}

/// The one reader of a lane: the record that it hands over next.
pub(super) struct Reader {
    next: Place,
    /// Where the newest record ended when the reader last looked for the oldest, and how many slots from there on it has
    /// looked at. As long as nothing new is written, they have nothing more to give.
    looked: Option<(Place, usize)>,
}

impl Reader {
    pub(super) fn new(oldest: Place) -> Self {
        Self { next: oldest, looked: None }
    }

    /// Hands over what was committed before the call, in order, with its number, and tells what it missed.
    pub(super) fn drain(
        &mut self,
        ring: Ring,
        state: &State,
        bins: &mut [u8; Inference::MAX_BINS],
        each: &mut dyn FnMut(u64, &Inference),
        missed: &mut dyn FnMut(Missed),
    ) {
        let goal = state.next().seq;
        while self.next.seq < goal {
            match ring.record(self.next.pos, bins) {
                Some((seq, first)) if seq == self.next.seq => {
                    let pos = (self.next.pos + slot::parts_of(&first)) & (ring.slots() - 1);
                    each(seq, &slot::inference(&first, bins));
                    self.next = Place { seq: seq + 1, pos };
                }
                _ => missed(self.catch_up(ring, state, bins)),
            }
        }
    }

    /// The record is not there any more: goes to the oldest one that is.
    fn catch_up(&mut self, ring: Ring, state: &State, bins: &mut [u8; Inference::MAX_BINS]) -> Missed {
        let are_torn = matches!(ring.load(self.next.pos), Seen::Torn);
        let end = state.next();
        // Where nothing is left, the reader is up to date.
        let mut oldest = end;
        let done = self.looked.filter(|(at, _)| *at == end).map_or(0, |(_, slots)| slots);
        // The slot after the newest is the oldest. One that a writer is just filling has a number beyond the end.
        ring.around(end.pos + done, ring.slots() - done, bins, |place, _| {
            let follows = place.seq > self.next.seq && place.seq < end.seq;
            if follows {
                oldest = place;
            }
            follows
        });
        let found = oldest.pos.wrapping_sub(end.pos) & (ring.slots() - 1);
        self.looked = Some((end, if oldest == end { ring.slots() } else { found }));
        let records = oldest.seq.saturating_sub(self.next.seq);
        self.next = oldest;
        Missed { records, are_torn, next: oldest.seq }
    }
}

#[cfg(all(loom, test))]
mod model;
