//! The sealed records: a bounded row of files, of which the oldest gives way.
//!
//! A file is only ever appended to, and only by the open that made it; after an error it is left as it is and the next
//! one begun, for nobody knows what of it a disk that failed has kept. Nothing is renamed into place and nothing is
//! rewritten, so that each record depends on its own file alone. An acknowledgement is one more frame, a floor. Files
//! below it are history: once it is durable, the oldest of them are deleted where there are more than is kept, and where a
//! new file needs the room. A file that is already gone is no error.

mod open;
mod peek;
mod segment;

use std::collections::VecDeque;
use std::io;

pub(super) use self::open::Found;
pub(super) use self::peek::{peek, visit};

use self::segment::{FRAME_BYTES, Frames, HEADER_BYTES, Header};
use super::budget::{MAX_FILE_BYTES, MAX_READ};
use super::codec::{self, Wanted};
use super::loss::{Losses, Reason};
use super::record::{Anchor, Boot, Cursor, Drops, Position, Record, Stamp};
use super::status::{Durability, Limits};
use crate::disk::Disk;
use crate::{Code, Error, Result};

/// What the file system gives a file at least.
const BLOCK: u64 = 4096;
/// The kind of a payload that is a floor.
const FLOOR: u8 = 0;

pub(super) struct Log {
    disk: Box<dyn Disk>,
    limits: Limits,
    rules: Rules,
    epoch: u64,
    boot: [u8; 16],
    /// Oldest first.
    files: VecDeque<Segment>,
    /// Whether the last file may be appended to.
    is_active: bool,
    /// The number of the next file of this epoch.
    next_file: u64,
    /// The last number that a record of this epoch was given.
    last_seq: u64,
    /// The last record that was sealed.
    last: Position,
    /// All up to here is acknowledged, or was dropped and counted.
    floor: Position,
    last_anchor: Option<Anchor>,
    /// Where the last reading stopped.
    stopped: Option<Stopped>,
    /// What the last sealed `Drops` says.
    sealed_losses: Losses,
    /// Losses that the caller has not taken yet.
    new_losses: Losses,
    /// What the open found, until it is sealed.
    boot_record: Option<Boot>,
    trouble: Option<String>,
}

struct Segment {
    name: String,
    bytes: u64,
    epoch: u64,
    /// Of its records, in order.
    seqs: Vec<u64>,
}

impl Segment {
    fn room(&self) -> u64 {
        self.bytes.next_multiple_of(BLOCK)
    }

    fn positions(&self) -> impl DoubleEndedIterator<Item = Position> + '_ {
        self.seqs.iter().map(|seq| Position { epoch: self.epoch, seq: *seq })
    }

    fn above(&self, floor: Position) -> u64 {
        self.positions().filter(|p| *p > floor).count() as u64
    }

    fn last(&self) -> Position {
        self.positions().next_back().unwrap_or_default()
    }
}

/// A place in a file to which nothing is added but at its end: behind the record that was given out last.
struct Stopped {
    name: String,
    last: Position,
    at: usize,
}

/// What the tests switch off, to see that it is missed.
#[derive(Clone, Copy)]
struct Rules {
    checksums: bool,
    floor_before_removal: bool,
}

impl Rules {
    const ALL: Self = Self { checksums: true, floor_before_removal: true };
}

/// What goes with a record that is sealed.
pub(super) struct Moment<'a> {
    pub(super) now: Anchor,
    /// What was lost so far, beside what the caller has not taken yet.
    pub(super) losses: Losses,
    /// For a window: per lane, the first record that is in none.
    pub(super) next: &'a [u64],
}

/// Frames that are written at once, or not.
struct Batch {
    bytes: Vec<u8>,
    seqs: Vec<u64>,
    /// Where the floor is once they are durable.
    floor: Position,
    is_synced: bool,
}

impl Log {
    /// Appends a record, and before it what has to precede it: the boot mark, an anchor, what was lost.
    pub(super) fn seal(&mut self, record: &Record, moment: &Moment) -> Result<Position> {
        let most = self.limits.segment_bytes as usize - HEADER_BYTES;
        let mut losses = moment.losses.plus(&self.new_losses);
        let mut batch = self.batch(record, moment, &losses);
        let is_new = !self.fits(&batch);
        let (doomed, lost) = if is_new { self.doomed() } else { (0, 0) };
        if lost > 0 {
            losses.add(Reason::Limit, lost);
            batch = self.batch(record, moment, &losses);
            batch.floor = batch.floor.max(self.files[doomed - 1].last());
        }
        if batch.bytes.len() > most {
            self.new_losses.add(Reason::TooLarge, 1);
            let len = batch.bytes.len();
            return Err(Error::invalid(format!("a record to seal: expected at most {most} bytes, got {len}")));
        }
        self.last_seq += batch.seqs.len() as u64;
        if let Err(e) = self.write(&batch, is_new) {
            self.new_losses.add(if is_full(&e) { Reason::DiskFull } else { Reason::Io }, 1);
            return Err(self.troubled("sealing a record", e));
        }
        self.new_losses.add(Reason::Limit, lost);
        self.boot_record = None;
        if self.needs_anchor(&moment.now) {
            self.last_anchor = Some(moment.now);
        }
        self.sealed_losses = losses;
        Ok(self.last)
    }

    /// Puts the floor here. What is below it is history from then on.
    pub(super) fn ack(&mut self, position: Position) -> Result<()> {
        if position > self.last {
            let (last, got) = (self.last, position);
            return Err(Error::invalid(format!("acknowledging: the last sealed record is {last:?}, got {got:?}")));
        }
        if position <= self.floor {
            return Ok(());
        }
        let mut batch = Batch { bytes: Vec::new(), seqs: Vec::new(), floor: position, is_synced: true };
        segment::put_frame(&mut batch.bytes, |out| {
            out.push(FLOOR);
            codec::put_number(out, position.epoch);
            codec::put_number(out, position.seq);
        });
        if !self.rules.floor_before_removal {
            self.floor = position;
            self.remove_below_floor();
        }
        let is_new = !self.fits(&batch);
        self.write(&batch, is_new).map_err(|e| self.troubled("acknowledging", e))
    }

    /// Records after `from` and above the floor.
    pub(super) fn read(&mut self, from: Cursor, max_bytes: usize) -> Vec<(Position, Record)> {
        self.pick(from, max_bytes, false, Wanted::All)
    }

    /// Records after `from`, those of history too.
    pub(super) fn recall(&mut self, from: Cursor, max_bytes: usize) -> Vec<(Position, Record)> {
        self.pick(from, max_bytes, true, Wanted::All)
    }

    /// Those of either that are wanted.
    pub(super) fn pick(
        &mut self,
        from: Cursor,
        max_bytes: usize,
        recalls: bool,
        wanted: Wanted,
    ) -> Vec<(Position, Record)> {
        let last = if recalls { from.last() } else { from.last().max(self.floor) };
        self.records_after(last, max_bytes, wanted)
    }

    fn records_after(&mut self, mut last: Position, max_bytes: usize, wanted: Wanted) -> Vec<(Position, Record)> {
        let (mut records, mut bytes, mut memory) = (Vec::new(), 0usize, 0usize);
        for i in 0..self.files.len() {
            if self.files[i].last() <= last {
                continue;
            }
            let (name, is_history) = (&self.files[i].name, self.files[i].last() <= self.floor);
            let file = match self.disk.read(name, self.max_file_bytes()) {
                Ok(file) => file,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    self.new_losses.add(Reason::Torn, self.files[i].above(self.floor));
                    self.files[i].seqs.clear();
                    continue;
                }
                // Nobody waits for what is in it.
                Err(_) if is_history => continue,
                // What comes after must not be acknowledged before this can be read.
                Err(e) => {
                    self.troubled("reading records", e);
                    break;
                }
            };
            let Some(header) = Header::decode(&file) else { continue };
            // Who reads on does not go over the same bytes again.
            let stopped = self.stopped.take().filter(|stopped| stopped.name == *name && stopped.last == last);
            let at = stopped.map_or(HEADER_BYTES, |stopped| stopped.at);
            self.stopped = Some(Stopped { name: name.clone(), last, at });
            for payload in Frames::from(&file, self.rules.checksums, at) {
                let (len, end) = (payload.len() + FRAME_BYTES, payload.end);
                if !wanted.is(&file[payload.clone()]) {
                    continue;
                }
                let Some(seq) = codec::seq_of(&file[payload.clone()]) else { continue };
                let position = Position { epoch: header.epoch, seq };
                // What an error left half done was counted as lost, and cannot be acknowledged.
                if position <= last || self.files[i].seqs.binary_search(&seq).is_err() {
                    continue;
                }
                let Some((record, _)) = codec::decode_payload(&file[payload], header.boot, header.epoch) else {
                    continue;
                };
                (bytes, memory) = (bytes.saturating_add(len), memory.saturating_add(record.memory()));
                if (bytes > max_bytes || memory > MAX_READ) && !records.is_empty() {
                    return records;
                }
                last = position;
                records.push((position, record));
                if let Some(stopped) = &mut self.stopped {
                    (stopped.last, stopped.at) = (last, end);
                }
            }
        }
        records
    }

    pub(super) fn take_losses(&mut self) -> Losses {
        std::mem::take(&mut self.new_losses)
    }

    /// Losses that [`Log::take_losses`] will give.
    pub(super) fn losses(&self) -> Losses {
        self.new_losses
    }

    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    pub(super) fn last(&self) -> Position {
        self.last
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.bytes).sum()
    }

    pub(super) fn history_bytes(&self) -> u64 {
        self.history().map(|f| f.bytes).sum()
    }

    pub(super) fn segments(&self) -> usize {
        self.files.len()
    }

    pub(super) fn unacked(&self) -> u64 {
        self.files.iter().map(|f| f.above(self.floor)).sum()
    }

    pub(super) fn oldest(&self) -> Option<Position> {
        self.files.iter().flat_map(Segment::positions).find(|p| *p > self.floor)
    }

    /// The files before the last one that hold nothing above the floor: the oldest ones, up to the first that does.
    fn history(&self) -> impl Iterator<Item = &Segment> {
        self.closed().take_while(|file| file.last() <= self.floor)
    }

    fn closed(&self) -> impl Iterator<Item = &Segment> {
        self.files.iter().take(self.files.len().saturating_sub(1))
    }

    // --- Building -----------------------------------------------------------------------------------------------------

    fn batch(&self, record: &Record, moment: &Moment, losses: &Losses) -> Batch {
        let is_synced = self.limits.durability == Durability::Power;
        let mut batch = Batch { bytes: Vec::new(), seqs: Vec::new(), floor: self.floor, is_synced };
        let mut push = |record: &Record, next: &[u64]| {
            let seq = self.last_seq + 1 + batch.seqs.len() as u64;
            let monotonic_ns = moment.now.monotonic_ns;
            let stamp = Stamp { boot: self.boot, epoch: self.epoch, seq, monotonic_ns };
            segment::put_frame(&mut batch.bytes, |out| codec::encode_payload(record, &stamp, next, out));
            batch.seqs.push(seq);
        };
        if let Some(boot) = self.boot_record {
            push(&Record::Boot(boot), &[]);
        }
        if self.needs_anchor(&moment.now) {
            push(&Record::Anchor(moment.now), &[]);
        }
        if *losses != self.sealed_losses {
            push(&Record::Drops(Drops { totals: losses.occurred(), ..Drops::default() }), &[]);
        }
        push(record, moment.next);
        batch
    }

    /// At the beginning, once an hour, and when the wall clock moved by a second against the other one.
    fn needs_anchor(&self, now: &Anchor) -> bool {
        const SECOND: u64 = 1_000_000_000;
        let offset = |a: &Anchor| i128::from(a.unix_ns) - i128::from(a.monotonic_ns);
        self.last_anchor.is_none_or(|last| {
            now.monotonic_ns.saturating_sub(last.monotonic_ns) > 3600 * SECOND
                || offset(now).abs_diff(offset(&last)) > u128::from(SECOND)
        })
    }

    fn fits(&self, batch: &Batch) -> bool {
        let active = self.files.back().filter(|_| self.is_active);
        active.is_some_and(|file| file.bytes + batch.bytes.len() as u64 <= self.limits.segment_bytes)
    }

    /// How many files give way to a new one, and how many records that are still wanted go with them. One segment of room
    /// stays free, so that the new file is durable before the old ones go and the limit holds in between.
    fn doomed(&self) -> (usize, u64) {
        let mut room: u64 = self.files.iter().map(Segment::room).sum();
        let (mut doomed, mut lost) = (0, 0);
        for file in &self.files {
            if self.fit_beside_next(room) {
                break;
            }
            room -= file.room();
            doomed += 1;
            lost += file.above(self.floor);
        }
        (doomed, lost)
    }

    /// Whether files of so much room leave enough for the one that is written to, and for the next one.
    fn fit_beside_next(&self, room: u64) -> bool {
        room + 2 * self.limits.segment_bytes.next_multiple_of(BLOCK) <= self.limits.bytes
    }

    // --- Writing ------------------------------------------------------------------------------------------------------

    /// Writes the batch to the active file or to a new one. If that fails, it is written once more, to a new file.
    fn write(&mut self, batch: &Batch, is_new: bool) -> io::Result<()> {
        let first = if is_new { self.write_new(batch) } else { self.write_active(batch) };
        let written = first.or_else(|e| {
            self.is_active = false;
            if is_full(&e) {
                self.give_way(batch.floor);
            }
            self.write_new(batch)
        });
        self.is_active = written.is_ok();
        written?;
        if let Some(seq) = batch.seqs.last() {
            self.last = Position { epoch: self.epoch, seq: *seq };
        }
        self.floor = self.floor.max(batch.floor);
        self.trouble = None;
        self.remove_below_floor();
        Ok(())
    }

    fn write_active(&mut self, batch: &Batch) -> io::Result<()> {
        let Some(file) = self.files.back_mut() else { return Err(io::ErrorKind::NotFound.into()) };
        // Counted first: what of it is there after an error takes room too.
        file.bytes += batch.bytes.len() as u64;
        self.disk.append(&file.name, &batch.bytes, false)?;
        if batch.is_synced {
            self.disk.sync(&file.name)?;
        }
        file.seqs.extend(&batch.seqs);
        Ok(())
    }

    fn write_new(&mut self, batch: &Batch) -> io::Result<()> {
        // What was sealed into the last file is as safe as its own options say; from here on it is safe from all.
        let is_unsynced = self.is_active && self.limits.durability == Durability::Process;
        if let Some(file) = self.files.back().filter(|_| is_unsynced) {
            self.disk.sync(&file.name)?;
        }
        self.is_active = false;
        let before = if self.last.epoch == self.epoch { self.last.seq } else { 0 };
        let header = Header { epoch: self.epoch, boot: self.boot, floor: batch.floor.max(self.floor), before };
        let name = open::name(self.epoch, self.next_file);
        self.next_file += 1;
        let bytes = [&header.encode()[..], &batch.bytes].concat();
        let written = self.disk.append(&name, &bytes, true).and_then(|()| {
            self.disk.sync(&name)?;
            self.disk.sync_names("")
        });
        let mut file = Segment { name, bytes: bytes.len() as u64, epoch: self.epoch, seqs: Vec::new() };
        if written.is_ok() {
            file.seqs.clone_from(&batch.seqs);
        } else if self.disk.remove(&file.name).is_ok() {
            return written;
        }
        self.files.push_back(file);
        written
    }

    /// On a full disk history goes, as much as a segment takes. Where there is none, the oldest file goes, although it was
    /// not acknowledged.
    fn give_way(&mut self, floor: Position) {
        let mut freed = 0;
        while self.files.len() > 1
            && let Some(file) = self.files.front()
            && (freed == 0 || freed < self.limits.segment_bytes && file.last() <= self.floor)
            && self.disk.remove(&file.name).is_ok()
        {
            freed += file.room();
            self.new_losses.add(Reason::DiskFull, file.above(floor));
            self.floor = self.floor.max(file.last());
            self.files.pop_front();
        }
    }

    /// Deletes the oldest of the files that hold nothing above the floor, until what is left of them is within its bound
    /// and in nobody's way. The last file stays: it knows epoch and floor.
    fn remove_below_floor(&mut self) {
        let mut history: u64 = self.history().map(Segment::room).sum();
        let mut closed: u64 = self.closed().map(Segment::room).sum();
        while self.files.len() > 1
            && let Some(file) = self.files.front()
            && file.last() <= self.floor
            && (file.seqs.is_empty() || history > self.limits.history_bytes || !self.fit_beside_next(closed))
        {
            (history, closed) = (history - file.room(), closed - file.room());
            match self.disk.remove(&file.name) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return,
                _ => self.files.pop_front(),
            };
        }
    }

    fn troubled(&mut self, doing: &'static str, e: io::Error) -> Error {
        self.trouble = Some(format!("{doing}: {e}"));
        Error::new(Code::Io, "telemetry log: I/O failed").because(e).during(doing)
    }

    fn max_file_bytes(&self) -> u64 {
        self.limits.bytes.max(MAX_FILE_BYTES)
    }
}

fn is_full(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests;
