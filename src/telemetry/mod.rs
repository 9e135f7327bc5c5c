//! Telemetry: what happened, kept through crashes in bounded bytes.
//!
//! Enters: [`Inference`]s from any thread, [`Record`]s to seal. Leaves: drained inferences, sealed records by
//! [`Position`], [`Status`]. May import: disk, digest, threads.
//!
//! ```text
//!   threads ── record ──► telemetry.live        one lane per thread, 64-byte slots, the oldest is overwritten
//!                              │ drain
//!                              ▼
//!                         whoever counts windows
//!                              │ seal
//!                              ▼
//!                         <epoch>-<file>.seg    append-only segments, the oldest gives way
//!                              │ read, ack                      │ recall
//!                              ▼                                ▼
//!                         whoever posts batches            whoever remembers what was acknowledged, too
//! ```
//!
//! No record has room for an input or an output: numbers, counts, bin ids, names of models, versions and features, and what a judge
//! of versions says in numbers only.
//!
//! **What survives.** An inference survives the process from the moment that recording returned: a kill at any
//! instruction costs each thread at most the one it was just recording. It does not survive a loss of power. A sealed record survives
//! what [`Durability`] says. An inference is kept until a [`Window`] of its model is sealed after it was drained, or its lane has
//! gone once around; if the process ends before, the next one drains it again.
//!
//! **What it costs.** Recording takes one pass over 64 bytes and reads the clock: no allocation, no lock, and no system call
//! where the clock is read without one, as on all common systems. Threads share nothing while there are lanes. The files
//! take `lanes × slots × 64` bytes, which are written once at the beginning, and [`Limits::bytes`]. A sealed window of ten
//! features of 19 bins takes at most a kilobyte; one with embeddings 261 bytes more, up to 16,383 rows, and 390 beyond.
//!
//! **When it cannot keep.** A folder that cannot be written, a full disk, or another process in the same folder never
//! fails the host: see [`Mode::Counting`]. A damaged file is set aside (`*.bad`, a few at most) and a new one begun; of a
//! segment, all whole records are read. What is read takes a time that grows as the bytes do, and bounded memory, whoever
//! wrote them. Files are made for their owner alone (0600, new folders 0700), and no link is followed: what has the name of
//! a file of ours and is a link or a pipe is set aside, a folder is left where it is, and `telemetry.lock` is only ever a
//! regular file. `telemetry.live` must not be truncated by others while it is open, and a process
//! that forks must not record in the child.
//!
//! **What was seen.** All but the flipped bits have a control, which breaks the rule that is proved and must be noticed.
//!
//! | fault | how | seen |
//! |---|---|---|
//! | SIGKILL at any moment, four threads that record | `SELVEDGE_LONG=1 cargo test --test telemetry kill::` | 2,000 kills, 6.3 million records: none lost, no more than those in flight beside those that were reported, no bad one believed |
//! | loss of power at every call: writes dropped, reordered, torn at 512 and 4096 bytes | `cargo test --lib telemetry::log::tests::crash` | 29,115 different disks: all open, no promise broken |
//! | every call of the disk fails, once or for good: full, read-only, broken | `cargo test --lib telemetry::log::tests::errors` | the host goes on, all that was sealed is there |
//! | every bit of a record in a lane flipped | `cargo test --lib a_damaged_slot` | 1,024 files: never believed, always counted |
//! | a lane's hand-over in all interleavings of up to 3 preemptions | `RUSTFLAGS="--cfg loom" cargo test --lib lane::model` | each record there once |
//!
//! **Files.** The bytes of `telemetry.live` are drawn in `live.rs` and `slot.rs`, those of a segment in `log/segment.rs` and
//! `codec.rs`. Both kinds begin with a magic and a version, which is 1. `telemetry.lock` is empty and locked by
//! the one process that writes.
//!
//! ```
//! use selvedge::telemetry::{Cursor, Inference, Limits, ModelSlot, Record, Telemetry, Window};
//! # let dir = std::env::temp_dir().join(format!("selvedge-doc-{}", std::process::id()));
//! let telemetry = Telemetry::open(&dir, Limits::default());
//! let model_slot = ModelSlot(1);
//! telemetry.record(&Inference { model_slot, latency_us: 830, class: 1, bins: &[3, 0, 7], ..Inference::default() });
//!
//! let mut window = Window { model_slot, features: vec![vec![0; 8]; 3], opened: telemetry.now(), ..Window::default() };
//! telemetry.drain(&mut |inference| {
//!     window.rows += 1;
//!     window.latency.record(inference.latency_us.into());
//!     for (counts, bin) in window.features.iter_mut().zip(inference.bins) {
//!         counts[usize::from(*bin)] += 1;
//!     }
//! });
//! window.closed = telemetry.now();
//! let position = telemetry.seal(&Record::Window(window))?;
//!
//! let records = telemetry.read(Cursor::start(), 64 << 10);
//! assert_eq!(records.last().unwrap().0, position);
//! telemetry.ack(position)?; // once they have arrived
//! assert_eq!(telemetry.status().unacked, 0);
//! assert!(telemetry.read(Cursor::start(), 64 << 10).is_empty()); // never sent again
//! assert_eq!(telemetry.recall(Cursor::start(), 64 << 10), records); // and not forgotten
//! # drop(telemetry);
//! # std::fs::remove_dir_all(dir).unwrap();
//! # Ok::<(), selvedge::Error>(())
//! ```

mod alert;
mod budget;
mod codec;
mod exponential;
mod inference;
mod lane;
mod live;
mod log;
mod loss;
mod map;
mod open;
mod outcome;
mod record;
mod rollout;
mod shared;
mod slot;
mod status;
mod thread_lane;

pub(crate) use codec::Wanted;

use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

pub use alert::AlertCode;
pub use exponential::Exponential;
pub use inference::Inference;
pub use loss::Reason;
pub use outcome::Outcome;
pub use record::{
    AlertRecord, Anchor, Boot, Cursor, Drops, FeedbackRecord, ModelInfo, ModelSlot, Position, Record, RolloutRecord,
    Stamp, Window,
};
pub use rollout::{RolloutArm, RolloutFinding, WindowArm};
pub use status::{Durability, Limits, Mode, Status};

use crate::disk::Folder;
use crate::{Code, Error, Result};
use lane::Missed;
use log::{Log, Moment};
use shared::{Readers, Shared};
use thread_lane::ThreadLane;

/// An open telemetry folder. Clones share it; it is closed when the last clone and the last [`Lane`] are gone.
#[derive(Clone)]
pub struct Telemetry {
    shared: Arc<Shared>,
}

/// The right of one thread at a time to record without waiting for any other. Dropping it frees the lane.
///
/// With more threads than [`Limits::lanes`] it stands for a shared lane, taken anew for each record: two more atomic
/// operations, and a record is counted as [`Reason::NoLane`] when all shared lanes are taken at that very moment.
#[derive(Debug)]
pub struct Lane {
    telemetry: Telemetry,
    lane: ThreadLane,
    // A lane has one writer: it may move to another thread and not be shared.
    _one: PhantomData<std::cell::Cell<()>>,
}

impl Telemetry {
    /// Opens the folder, making it if need be. Never fails: where something cannot be kept, [`Telemetry::status`] says
    /// why, recording and draining work within this process, and the rest is counted.
    #[must_use]
    pub fn open(dir: impl AsRef<Path>, limits: Limits) -> Self {
        Self { shared: Arc::new(open::open(dir.as_ref(), limits.within_ranges())) }
    }

    /// Whether both are clones of one open.
    pub(crate) fn is_same(&self, other: &Telemetry) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// A lane for the calling thread to keep.
    #[must_use]
    pub fn lane(&self) -> Lane {
        Lane { telemetry: self.clone(), lane: ThreadLane::take(&self.shared.live), _one: PhantomData }
    }

    /// Records through a lane that the calling thread keeps until it ends; the first time in a thread, that lane is found
    /// and a few bytes are allocated. Not for signal handlers.
    pub fn record(&self, inference: &Inference) {
        self.record_at(inference, Instant::now());
    }

    /// Records an inference that ended at a moment that the caller knows already.
    pub(crate) fn record_at(&self, inference: &Inference, ended: Instant) {
        thread_lane::record(&self.shared, inference, ended);
    }

    /// The present moment. Its `seq` is that of the last sealed record. Waits for nobody.
    #[must_use]
    pub fn now(&self) -> Stamp {
        let Shared { live, last_seq, .. } = &*self.shared;
        let seq = last_seq.load(Ordering::Acquire);
        Stamp { boot: live.boot(), epoch: live.epoch(), seq, monotonic_ns: live.nanos() }
    }

    /// Hands over every committed inference that was not handed over before, in the order of each lane. Returns how
    /// many. One thread drains at a time: another one gets 0 at once, as does a call from within `each`.
    ///
    /// What an earlier process recorded and had in no sealed [`Window`] comes too, with its own
    /// [`epoch`](Inference::epoch). To count each inference in exactly one window even through a crash, seal a window
    /// before the next inference of its model is handed over: from within `each`, or after `drain` returned.
    pub fn drain(&self, each: &mut dyn FnMut(&Inference)) -> usize {
        let shared = &*self.shared;
        let mut readers = match shared.readers.try_lock() {
            Ok(readers) => readers,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) => return 0,
        };
        let Readers { lanes, bins } = &mut *readers;
        let mut handed_over = 0;
        for (lane, reader) in lanes.iter_mut().enumerate() {
            let mut each = |seq, inference: &Inference| {
                shared.live.set_handed_over(lane, seq + 1);
                if !shared.live.was_sealed(inference, lane, seq) {
                    handed_over += 1;
                    each(inference);
                }
            };
            let mut missed = |missed: Missed| {
                let reason = if missed.are_torn { Reason::Torn } else { Reason::Overwritten };
                shared.live.pass_over(lane, reason, missed.records, missed.next);
            };
            reader.drain(shared.live.ring(lane), shared.live.state(lane), bins, &mut each, &mut missed);
        }
        handed_over
    }

    /// Puts a record into the log. When it returns, the record survives what [`Limits::durability`] says.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a record that is larger than a segment, or of a kind that is sealed by itself: a boot
    /// mark, an anchor, what was lost; `Busy` where another process has the folder;
    /// `Io`. What could not be sealed is counted, and the next record is tried anew.
    pub fn seal(&self, record: &Record) -> Result<Position> {
        if let Record::Boot(_) | Record::Anchor(_) | Record::Drops(_) = record {
            return Err(Error::invalid("sealing: a record of this kind is sealed by itself"));
        }
        let live = &self.shared.live;
        let Some(mut log) = self.shared.log() else {
            live.count(Reason::Counting, 1);
            return Err(self.shared.keeps_nothing());
        };
        // Numbers of lanes in memory alone mean nothing to the next process, whose lanes are others.
        let next = if live.is_kept() { live.handed_over() } else { Vec::new() };
        let sealed = log.seal(record, &Moment { now: self.anchor(), losses: live.losses(), next: &next });
        // Before that, what the open found missing is found again by the next one.
        if log.last().epoch == live.epoch() {
            self.shared.last_seq.store(log.last().seq, Ordering::Release);
            live.count_all(&log.take_losses());
        }
        if let (Ok(_), Record::Window(window)) = (&sealed, record) {
            live.set_row(window.model_slot, &next);
        }
        sealed
    }

    /// Sealed records after `from` that were not acknowledged, oldest first: as many as take `max_bytes` in the file and 8 MiB
    /// in memory, and at least one where there is one.
    pub fn read(&self, from: Cursor, max_bytes: usize) -> Vec<(Position, Record)> {
        self.shared.log().map(|mut log| log.read(from, max_bytes)).unwrap_or_default()
    }

    /// As [`Telemetry::read`], with the acknowledged records that are still kept: what a segment holds that is not wholly
    /// acknowledged, and history up to [`Limits::history_bytes`]. For remembering, never for sending. What of history cannot
    /// be read is passed over.
    pub fn recall(&self, from: Cursor, max_bytes: usize) -> Vec<(Position, Record)> {
        self.shared.log().map(|mut log| log.recall(from, max_bytes)).unwrap_or_default()
    }

    /// As [`Telemetry::read`], or as [`Telemetry::recall`], of the records that are wanted alone.
    pub(crate) fn pick(
        &self,
        from: Cursor,
        max_bytes: usize,
        recalls: bool,
        wanted: Wanted,
    ) -> Vec<(Position, Record)> {
        self.shared.log().map(|mut log| log.pick(from, max_bytes, recalls, wanted)).unwrap_or_default()
    }

    /// Says that all records up to this one have arrived. Once that is durable, [`read`](Telemetry::read) never gives them
    /// again. A segment of which all is acknowledged becomes history, and is deleted when [`Limits::history_bytes`] or
    /// [`Limits::bytes`] ask for it. Saying it twice, or for an older record, changes nothing.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a position that was never sealed; `Busy` where another process has the folder; `Io`:
    /// then nothing is deleted.
    pub fn ack(&self, position: Position) -> Result<()> {
        self.shared.log().ok_or_else(|| self.shared.keeps_nothing())?.ack(position)
    }

    /// The status of the folder.
    #[must_use]
    pub fn status(&self) -> Status {
        let Shared { live, found, why, .. } = &*self.shared;
        let log = self.shared.log();
        let log = log.as_deref();
        let trouble = log.and_then(Log::trouble);
        let code = why.as_ref().map(Error::code).or(trouble.map(|_| Code::Io));
        let why = why.as_ref().map(|why| format!("{why:#}")).or(trouble.map(String::from));
        let losses = live.losses().plus(&log.map(Log::losses).unwrap_or_default());
        Status {
            mode: why.map_or(Mode::Durable, |why| Mode::Counting { why }),
            code,
            bytes: log.map_or(0, Log::bytes),
            history_bytes: log.map_or(0, Log::history_bytes),
            segments: log.map_or(0, Log::segments),
            dropped: losses.occurred(),
            quarantined: found.quarantined,
            torn: found.torn,
            recovered: found.recovered,
            oldest: log.and_then(Log::oldest),
            unacked: log.map_or(0, Log::unacked),
        }
    }

    /// Both clocks, as close to each other as they can be read.
    fn anchor(&self) -> Anchor {
        let before = self.shared.live.nanos();
        let wall = SystemTime::now();
        let uncertainty_ns = self.shared.live.nanos() - before;
        let nanos = |d: std::time::Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
        let unix_ns = wall.duration_since(UNIX_EPOCH).map_or_else(|e| -nanos(e.duration()), nanos);
        Anchor { stamp: Stamp::default(), monotonic_ns: before + uncertainty_ns / 2, unix_ns, uncertainty_ns }
    }
}

/// All records that lie in a folder's log, acknowledged ones included as long as their file is there, oldest first. For
/// looking in from outside: makes, locks and changes nothing, whether or not a process has the folder open.
///
/// What is damaged is passed over, and what is no regular file. Where the records would take more than 24 MiB of memory,
/// and more than six times the bytes of their files, the oldest are left out.
///
/// # Errors
///
/// `NotFound`, `Io`.
pub fn peek(dir: impl AsRef<Path>) -> Result<Vec<(Position, Record)>> {
    let dir = dir.as_ref();
    log::peek(&mut Folder::new(dir.into())).map_err(|e| Error::io(dir.display(), e))
}

/// Shows each record that [`peek`] would give, one after the other and without leaving any out, with the bytes of the
/// files so far. Returns how many records are damaged.
pub(crate) fn visit(dir: &Path, each: impl FnMut(Position, Record, usize)) -> Result<u64> {
    log::visit(&mut Folder::new(dir.into()), each).map_err(|e| Error::io(dir.display(), e))
}

impl Lane {
    /// Records one inference: no allocation, no lock, no system call, no failure.
    #[inline]
    pub fn record(&self, inference: &Inference) {
        self.lane.record(&self.telemetry.shared.live, inference, Instant::now());
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.lane.release(&self.telemetry.shared.live);
    }
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telemetry").field("status", &self.status()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
