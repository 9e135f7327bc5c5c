//! `telemetry.live`: the lanes, in a file that is mapped into memory, or in memory alone.
//!
//! ```text
//!   byte     0  header A        the one with the larger epoch and a valid checksum counts;
//!         2048  header B        an open writes the other one
//!         1024  16 × u64        records lost, by the number of the reason
//!         1152  3 × u64         a step that an open completes: lane + 1 and reason << 32, records lost for that reason,
//!                               first record of that lane that was never handed over; 0 if there is none
//!         4096  64 × u64        per lane, the number of the first record that was never handed over
//!         4608  32 rows         per model, what its sealed windows hold; a row is
//!                               ┌────────────────┬───────────────────────────────┬──────────────┐
//!                               │ 1<<32 │ model  │ per lane: first record not in │ CRC-32C: u64 │
//!                               └────────────────┴───────────────────────────────┴──────────────┘
//!   next 4096  lane 0: slots of 64 bytes, then lane 1, …
//!
//!   header   0        8        9       10       12       16       24       40       48       56       64
//!            ┌────────┬────────┬───────┬────────┬────────┬────────┬────────┬────────┬────────┬────────┐
//!            │SELVLIVE│ version│ 0     │ lanes  │ slots  │ epoch  │ boot   │ made in│ 0      │ CRC-32C│
//!            └────────┴────────┴───────┴────────┴────────┴────────┴────────┴────────┴────────┴────────┘
//! ```
//!
//! All numbers are little endian. The file has its full size from the beginning, written with zeros before it gets its
//! name, so that a full disk is an error when it is made and not a signal when it is used. Holes, which a copy of it may
//! have, are filled when it is opened. It is never synced after that:
//! what lies in it survives the process and not the power. It must not be truncated while it is open.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Instant;

use super::budget::{MAX_EPOCH, MAX_LANE_SEQ};
use super::inference::Inference;
use super::lane::{self, AtomicU64, Ordering, Place, Ring, State, fence};
use super::loss::{Losses, Reason};
use super::map::Memory;
use super::record::ModelSlot;
use super::slot;
use super::status::Limits;
use crate::disk::{self, Access, Folder, NewFile};

pub(super) const NAME: &str = "telemetry.live";
pub(super) const VERSION: u8 = 1;
/// The lanes that are claimed for one record at a time.
pub(super) const SHARED_LANES: usize = 2;

const HEADER_BYTES: usize = 64;
const HEADERS: [usize; 2] = [0, 2048];
const COUNTERS: usize = 1024 / 8;
const STEP: usize = 1152 / 8;
const DRAINED: usize = 4096 / 8;
const ROWS: usize = 4608 / 8;
const ROW_COUNT: usize = 32;
pub(super) const MAX_LANES: u16 = 64;
const _: () = assert!(DRAINED + MAX_LANES as usize == ROWS && Reason::ALL.len() <= 16);

/// The lanes and what goes with them. Shared by all threads.
pub(super) struct Live {
    memory: Memory,
    geometry: Geometry,
    states: Box<[State]>,
    started: Instant,
    epoch: u64,
    boot: [u8; 16],
    made_in: u64,
    /// What sealed windows held when the lanes were opened.
    sealed_before: Vec<(ModelSlot, Vec<u64>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Geometry {
    lanes: usize,
    slots: usize,
}

impl Geometry {
    fn of(limits: &Limits) -> Self {
        Self { lanes: limits.lanes.into(), slots: limits.slots as usize }
    }

    fn row_words(self) -> usize {
        self.lanes + 2
    }

    /// The word where the lanes begin.
    fn begin(self) -> usize {
        (ROWS + ROW_COUNT * self.row_words()).next_multiple_of(4096 / 8)
    }

    fn words(self) -> usize {
        self.begin() + self.lanes * self.slots * 8
    }

    fn bytes(self) -> u64 {
        self.words() as u64 * 8
    }
}

/// What stands in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    geometry: Geometry,
    epoch: u64,
    boot: [u8; 16],
    made_in: u64,
}

impl Header {
    fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(b"SELVLIVE");
        bytes[8] = VERSION;
        bytes[10..12].copy_from_slice(&(self.geometry.lanes as u16).to_le_bytes());
        bytes[12..16].copy_from_slice(&(self.geometry.slots as u32).to_le_bytes());
        bytes[16..24].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[24..40].copy_from_slice(&self.boot);
        bytes[40..48].copy_from_slice(&self.made_in.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..56]);
        bytes[56..64].copy_from_slice(&u64::from(crc).to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER_BYTES] = bytes.get(..HEADER_BYTES)?.try_into().ok()?;
        let number = |at: usize, len: usize| bytes[at..at + len].iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b));
        let header = Self {
            geometry: Geometry { lanes: number(10, 2) as usize, slots: number(12, 4) as usize },
            epoch: number(16, 8),
            boot: bytes[24..40].try_into().ok()?,
            made_in: number(40, 8),
        };
        let limits = Limits { lanes: number(10, 2) as u16, slots: number(12, 4) as u32, ..Limits::default() };
        let is_ours = *bytes == header.encode() && Geometry::of(&limits.within_ranges()) == header.geometry;
        (is_ours && header.epoch < MAX_EPOCH).then_some(header)
    }
}

/// Where the last window of a model that was sealed ends, per lane: the first record that is in none.
pub(super) struct Sealed {
    pub(super) model_slot: ModelSlot,
    pub(super) epoch: u64,
    pub(super) next: Vec<u64>,
}

/// What an open found.
pub(super) struct Opened {
    pub(super) live: Live,
    /// The oldest record of each lane.
    pub(super) oldest: Vec<Place>,
    /// Records that are in no sealed window.
    pub(super) recovered: u64,
    /// A file could not be read and was set aside.
    pub(super) quarantined: u64,
}

impl Live {
    /// Lanes in memory alone.
    pub(super) fn volatile(limits: &Limits, epoch: u64, boot: [u8; 16]) -> Opened {
        let geometry = Geometry::of(limits);
        let memory = Memory::heap(geometry.words());
        Self::over(memory, Header { geometry, epoch, boot, made_in: epoch }, &[])
    }

    /// Lanes in the file of this folder, which the caller has locked. The epoch is above `last_epoch` and above that of
    /// the file. `sealed` says what windows of the log hold.
    pub(super) fn open(
        dir: &Path,
        limits: &Limits,
        last_epoch: u64,
        boot: [u8; 16],
        sealed: &[Sealed],
    ) -> io::Result<Opened> {
        let path = dir.join(NAME);
        let (kept, quarantined) = match open_file(&path, Geometry::of(limits)) {
            Ok((file, header)) => (Some((file, header)), 0),
            Err(e) if e.kind() == io::ErrorKind::NotFound => (None, 0),
            // A folder is nothing of ours, and stays.
            Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                // One such file is kept for whoever wants to look; the one before it goes.
                fs::rename(&path, dir.join(format!("{NAME}.bad")))?;
                (None, 1)
            }
            Err(e) => return Err(e),
        };
        let epoch = last_epoch.max(kept.as_ref().map_or(0, |(_, kept)| kept.epoch)) + 1;
        let (file, header) = match kept {
            Some((file, kept)) => (file, Header { epoch, boot, ..kept }),
            None => {
                let header = Header { geometry: Geometry::of(limits), epoch, boot, made_in: epoch };
                create(dir, &header)?;
                (disk::open(&path, Access::Change)?, header)
            }
        };
        // Writing to a hole of a mapped file needs room that a full disk does not have, and that ends the process.
        disk::fill_holes(&file)?;
        let memory = Memory::map(&file, header.geometry.words())?;
        let mut opened = Self::over(memory, header, sealed);
        opened.quarantined = quarantined;
        Ok(opened)
    }

    fn over(memory: Memory, header: Header, sealed: &[Sealed]) -> Opened {
        let mut live = Self {
            memory,
            geometry: header.geometry,
            states: Box::new([]),
            started: Instant::now(),
            epoch: header.epoch,
            boot: header.boot,
            made_in: header.made_in,
            sealed_before: Vec::new(),
        };
        live.write_header(&header);
        live.complete_step();
        for (model_slot, next) in live.furthest(sealed) {
            live.set_row(model_slot, &next);
        }
        live.sealed_before = (0..ROW_COUNT).filter_map(|row| live.read_row(row)).collect();
        let (mut states, mut oldest, mut recovered) = (Vec::new(), Vec::new(), 0);
        for lane in 0..live.lanes() {
            // A number that no record can have is damage; what the slots say counts then.
            let drained = Some(live.first_not_drained(lane)).filter(|seq| *seq <= MAX_LANE_SEQ);
            let found = lane::recover(live.ring(lane), drained.unwrap_or(0), |seq, model| {
                let is_wanted = !live.was_model_sealed(model, lane, seq);
                recovered += u64::from(is_wanted);
                is_wanted
            });
            // What comes again was not handed over in this process.
            let overwritten = drained.map_or(0, |drained| found.oldest.seq.saturating_sub(drained));
            live.pass_over(lane, Reason::Overwritten, overwritten, found.oldest.seq);
            states.push(State::new(found.next));
            oldest.push(found.oldest);
        }
        live.states = states.into();
        Opened { live, oldest, recovered, quarantined: 0 }
    }

    /// Of the models with sealed windows of this file, those that are furthest: as many as there are rows.
    fn furthest(&self, sealed: &[Sealed]) -> Vec<(ModelSlot, Vec<u64>)> {
        let mut models = BTreeMap::<ModelSlot, Vec<u64>>::new();
        for sealed in sealed.iter().filter(|s| s.epoch >= self.made_in && s.next.len() == self.lanes()) {
            let next = models.entry(sealed.model_slot).or_insert_with(|| vec![0; self.lanes()]);
            next.iter_mut().zip(&sealed.next).for_each(|(next, sealed)| *next = (*next).max(*sealed));
        }
        let mut models: Vec<_> = models.into_iter().collect();
        models.sort_by_key(|(_, next)| std::cmp::Reverse(sum(next)));
        models.truncate(ROW_COUNT);
        models
    }

    fn write_header(&self, header: &Header) {
        let begin = HEADERS[(header.epoch & 1) as usize] / 8;
        let words: [u64; HEADER_BYTES / 8] = bytemuck::cast(header.encode());
        for (word, value) in self.words()[begin..].iter().zip(words) {
            word.store(value, Ordering::Release);
        }
    }

    fn words(&self) -> &[AtomicU64] {
        self.memory.words()
    }

    /// Whether the next process finds what lies in the lanes.
    pub(super) fn is_kept(&self) -> bool {
        matches!(self.memory, Memory::Map(_))
    }

    pub(super) fn lanes(&self) -> usize {
        self.geometry.lanes
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn boot(&self) -> [u8; 16] {
        self.boot
    }

    /// Nanoseconds since the open.
    pub(super) fn nanos(&self) -> u64 {
        self.nanos_at(Instant::now())
    }

    fn nanos_at(&self, moment: Instant) -> u64 {
        moment.saturating_duration_since(self.started).as_nanos() as u64
    }

    pub(super) fn ring(&self, lane: usize) -> Ring<'_> {
        let len = self.geometry.slots * 8;
        let begin = self.geometry.begin() + lane * len;
        Ring::new(&self.words()[begin..begin + len])
    }

    pub(super) fn state(&self, lane: usize) -> &State {
        &self.states[lane]
    }

    /// The lanes that a thread can have for its own.
    pub(super) fn own_lanes(&self) -> std::ops::Range<usize> {
        SHARED_LANES..self.lanes()
    }

    /// Records into a lane that the caller has claimed.
    pub(super) fn record(&self, lane: usize, inference: &Inference, ended: Instant) {
        if inference.bins.len() > Inference::MAX_BINS {
            return self.count(Reason::TooLarge, 1);
        }
        self.ring(lane).write(&self.states[lane], inference, self.epoch & slot::EPOCH_MASK, self.nanos_at(ended));
    }

    // --- Counters -----------------------------------------------------------------------------------------------------

    /// Counts lost records. Only the path of a loss comes here, so threads may share the counters.
    pub(super) fn count(&self, reason: Reason, records: u64) {
        if records > 0 {
            let counter = &self.words()[COUNTERS + reason as usize];
            let add = |n: u64| Some(u64::from_le(n).saturating_add(records).to_le());
            // Never fails: `add` always gives a value.
            let _ = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        }
    }

    pub(super) fn count_all(&self, losses: &Losses) {
        losses.occurred().into_iter().for_each(|(reason, n)| self.count(reason, n));
    }

    /// Counts of an earlier file, from the log, where this one knows less.
    pub(super) fn raise(&self, totals: &Losses) {
        for (reason, total) in totals.occurred() {
            self.count(reason, total.saturating_sub(self.lost(reason)));
        }
    }

    fn lost(&self, reason: Reason) -> u64 {
        u64::from_le(self.words()[COUNTERS + reason as usize].load(Ordering::Relaxed))
    }

    /// What was lost.
    pub(super) fn losses(&self) -> Losses {
        Losses::of(&Reason::ALL.map(|r| (r, self.lost(r))))
    }

    // --- What was handed over, and what was sealed --------------------------------------------------------------------

    fn drained(&self, lane: usize) -> &AtomicU64 {
        &self.words()[DRAINED + lane]
    }

    pub(super) fn set_handed_over(&self, lane: usize, next: u64) {
        self.drained(lane).store(next.to_le(), Ordering::Relaxed);
    }

    /// Counts lost records of a lane and goes on behind them, as one step for a kill. Only for the one who drains.
    pub(super) fn pass_over(&self, lane: usize, reason: Reason, records: u64, next: u64) {
        let [head, total, handed_over] = self.step();
        total.store(self.lost(reason).saturating_add(records).to_le(), Ordering::Relaxed);
        handed_over.store(next.to_le(), Ordering::Relaxed);
        fence(Ordering::SeqCst);
        head.store(((lane as u64 + 1) | ((reason as u64) << 32)).to_le(), Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.complete_step();
    }

    /// Doing it twice changes nothing.
    fn complete_step(&self) {
        let [head, total, handed_over] = self.step();
        let bits = u64::from_le(head.load(Ordering::Relaxed));
        let (lane, reason) = ((bits as u32 as usize).wrapping_sub(1), (bits >> 32) as usize);
        if lane < self.lanes() && reason < Reason::ALL.len() {
            self.words()[COUNTERS + reason].store(total.load(Ordering::Relaxed), Ordering::Relaxed);
            self.drained(lane).store(handed_over.load(Ordering::Relaxed), Ordering::Relaxed);
            fence(Ordering::SeqCst);
        }
        head.store(0, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    fn step(&self) -> [&AtomicU64; 3] {
        let words = &self.words()[STEP..];
        [&words[0], &words[1], &words[2]]
    }

    /// Per lane, the first record that was not handed over.
    pub(super) fn handed_over(&self) -> Vec<u64> {
        (0..self.lanes()).map(|lane| self.first_not_drained(lane)).collect()
    }

    fn first_not_drained(&self, lane: usize) -> u64 {
        u64::from_le(self.drained(lane).load(Ordering::Relaxed))
    }

    fn row(&self, row: usize) -> &[AtomicU64] {
        let len = self.geometry.row_words();
        &self.words()[ROWS + row * len..][..len]
    }

    /// The row as it stands, if it was written whole.
    fn read_row(&self, row: usize) -> Option<(ModelSlot, Vec<u64>)> {
        let words: Vec<u64> = self.row(row).iter().map(|w| u64::from_le(w.load(Ordering::Relaxed))).collect();
        let (crc, rest) = words.split_last()?;
        let is_whole = rest[0] >> 32 == 1 && *crc == row_checksum(rest);
        is_whole.then(|| (ModelSlot(rest[0] as u32), rest[1..].to_vec()))
    }

    /// Notes what the sealed windows of a model hold. With more models than rows, the one that is furthest behind gives
    /// way: after a crash, some of its records may then be handed over although a sealed window has them.
    pub(super) fn set_row(&self, model: ModelSlot, next: &[u64]) {
        let mut rows = (0..ROW_COUNT).map(|row| (row, self.read_row(row)));
        let mut furthest = (0, u64::MAX);
        let own = rows.find_map(|(row, content)| match content {
            Some((m, _)) if m == model => Some(row),
            content => {
                let sum = content.map_or(0, |(_, next)| sum(&next));
                if sum < furthest.1 {
                    furthest = (row, sum);
                }
                None
            }
        });
        let mut words = vec![1 << 32 | u64::from(model.0)];
        match own.and_then(|row| self.read_row(row)) {
            Some((_, old)) => words.extend(old.iter().zip(next).map(|(a, b)| a.max(b))),
            // What the log remembers of long ago moves nobody out.
            None if sum(next) < furthest.1 => return,
            None => words.extend(next),
        }
        words.push(row_checksum(&words));
        for (word, value) in self.row(own.unwrap_or(furthest.0)).iter().zip(words) {
            word.store(value.to_le(), Ordering::Relaxed);
        }
    }

    /// Whether a window that was sealed before the open has this record.
    pub(super) fn was_sealed(&self, inference: &Inference, lane: usize, seq: u64) -> bool {
        inference.epoch != self.epoch & slot::EPOCH_MASK && self.was_model_sealed(inference.model_slot, lane, seq)
    }

    fn was_model_sealed(&self, model: ModelSlot, lane: usize, seq: u64) -> bool {
        self.sealed_before.iter().any(|(m, next)| *m == model && next.get(lane).is_some_and(|next| seq < *next))
    }
}

fn row_checksum(words: &[u64]) -> u64 {
    let words: Vec<u64> = words.iter().map(|w| w.to_le()).collect();
    crc32c::crc32c(bytemuck::cast_slice(&words)).into()
}

fn sum(numbers: &[u64]) -> u64 {
    numbers.iter().fold(0, |sum, n| sum.saturating_add(*n))
}

/// The file, and the header that counts. `InvalidData`: it is no regular file of this folder alone, there is no header, it
/// has not the size that its header says, or it has holes and is larger than what would be made.
fn open_file(path: &Path, asked: Geometry) -> io::Result<(File, Header)> {
    let mut page = Vec::new();
    let file = disk::open(path, Access::Change)?;
    let len = file.metadata()?.len();
    (&file).take(4096).read_to_end(&mut page)?;
    let headers = HEADERS.iter().filter_map(|begin| Header::decode(page.get(*begin..)?));
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{NAME}: {what}"));
    let header = headers.max_by_key(|h| h.epoch).ok_or_else(|| invalid("no valid header of version 1"))?;
    if len != header.geometry.bytes() {
        return Err(invalid("not as long as its header says"));
    }
    if len > asked.bytes() && disk::has_holes(&file)? {
        return Err(invalid("larger than the limits ask for, and with holes"));
    }
    Ok((file, header))
}

/// Makes the file, whole or not at all.
fn create(dir: &Path, header: &Header) -> io::Result<()> {
    let mut file = NewFile::over(Folder::new(dir.into()), NAME, &format!("{NAME}.part"))?;
    let mut page = vec![0; 4096];
    page[HEADERS[(header.epoch & 1) as usize]..][..HEADER_BYTES].copy_from_slice(&header.encode());
    file.write_all(&page)?;
    let zeros = vec![0; 64 << 10];
    let mut left = header.geometry.bytes() as usize - page.len();
    while left > 0 {
        let step = left.min(zeros.len());
        file.write_all(&zeros[..step])?;
        left -= step;
    }
    file.publish()
}
