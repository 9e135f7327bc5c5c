//! The opening of the log: what is found in the folder.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use super::super::budget::{MAX_EPOCH, MAX_FILES};
use super::super::codec;
use super::super::loss::{Losses, Reason};
use super::super::record::{Boot, ModelSlot, Position, Record};
use super::super::status::Limits;
use super::segment::{self, HEADER_BYTES, Header};
use super::{FLOOR, Log, Rules, Segment};
use crate::disk::{Disk, Entry};

/// The most files that are kept after they were found unreadable.
const MAX_BAD: usize = 2;
const SUFFIX: &str = ".seg";
const BAD: &str = ".seg.bad";

/// The name of a file; names sort in the order of their making.
pub(super) fn name(epoch: u64, file: u64) -> String {
    format!("{epoch:016x}-{file:08x}{SUFFIX}")
}

pub(super) fn epoch_of(name: &str) -> Option<u64> {
    let (epoch, file) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    let is_hex = |s: &str, len| s.len() == len && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if is_hex(epoch, 16) && is_hex(file, 8) { u64::from_str_radix(epoch, 16).ok() } else { None }
}

/// Whether the header can be that of the file of this name: no log writes one of another epoch, or says of later ones that
/// they are acknowledged.
pub(super) fn is_of(header: &Header, name: &str) -> bool {
    let is_epoch = epoch_of(name).is_some_and(|epoch| epoch < MAX_EPOCH && epoch == header.epoch);
    is_epoch && header.floor.epoch <= header.epoch
}

/// The log as it was left.
pub(in crate::telemetry) struct Found {
    pub(super) log: Log,
    /// The highest epoch of which there is a trace.
    pub(in crate::telemetry) last_epoch: u64,
    /// By model and epoch, what the last window holds: per lane, the first record that is in none.
    pub(in crate::telemetry) windows: BTreeMap<(ModelSlot, u64), Vec<u64>>,
    pub(in crate::telemetry) torn: u64,
    pub(in crate::telemetry) quarantined: u64,
}

impl Found {
    /// Looks through all files. Fails if there is no telling which there are or what is in one: acknowledging later records
    /// would delete those. A file that is damaged fails nothing.
    pub(in crate::telemetry) fn look(disk: Box<dyn Disk>, limits: Limits) -> io::Result<Self> {
        Self::look_by(disk, limits, Rules::ALL)
    }

    pub(super) fn look_by(mut disk: Box<dyn Disk>, limits: Limits, rules: Rules) -> io::Result<Self> {
        let mut names = disk.list("")?;
        names.sort_unstable();
        let log = Log {
            disk,
            limits,
            rules,
            epoch: 0,
            boot: [0; 16],
            files: VecDeque::new(),
            is_active: false,
            next_file: 0,
            last_seq: 0,
            last: Position::default(),
            floor: Position::default(),
            last_anchor: None,
            stopped: None,
            sealed_losses: Losses::default(),
            new_losses: Losses::default(),
            boot_record: None,
            trouble: None,
        };
        let mut found = Self { log, last_epoch: 0, windows: BTreeMap::new(), torn: 0, quarantined: 0 };
        let (mut headers, mut damaged) = (Vec::new(), Vec::new());
        let segments: Vec<&String> = names.iter().filter(|name| epoch_of(name).is_some()).collect();
        let (beyond, segments) = segments.split_at(segments.len().saturating_sub(MAX_FILES));
        let beyond = beyond.len() as u64;
        for name in segments {
            if let Some((header, stretches)) = found.look_at(name)? {
                headers.push(header);
                damaged.push(stretches);
            }
        }
        found.forget_old_damage(names);
        found.quarantined += beyond;
        found.count_torn(&headers, &damaged);
        found.count_missing(&headers);
        found.log.remove_below_floor();
        Ok(found)
    }

    /// The log, for the records of a new epoch.
    pub(in crate::telemetry) fn begin(self, epoch: u64, boot: [u8; 16], boot_record: Boot) -> Log {
        Log { epoch, boot, boot_record: Some(boot_record), ..self.log }
    }

    pub(in crate::telemetry) fn losses(&self) -> &Losses {
        &self.log.sealed_losses
    }

    /// The header, and how many stretches of the file are damaged.
    fn look_at(&mut self, name: &str) -> io::Result<Option<(Header, u64)>> {
        let Some(epoch) = epoch_of(name).filter(|epoch| *epoch < MAX_EPOCH) else {
            return Ok(self.quarantine(name));
        };
        self.last_epoch = self.last_epoch.max(epoch);
        let file = match self.log.disk.read(name, self.log.max_file_bytes()) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) if is_damage(&e) => return Ok(self.quarantine(name)),
            Err(e) => return Err(e),
        };
        let Some(header) = Header::decode(&file) else {
            // A file that was being made when the power went has nothing in it that was ever sealed.
            if file.len() < HEADER_BYTES || file.iter().all(|b| *b == 0) {
                self.torn += 1;
                // One that stays is found again.
                let _ = self.log.disk.remove(name);
                return Ok(None);
            }
            return Ok(self.quarantine(name));
        };
        if !is_of(&header, name) {
            return Ok(self.quarantine(name));
        }
        self.log.floor = self.log.floor.max(header.floor);
        let (frames, mut damaged) = segment::frames(&file, self.log.rules.checksums);
        let bytes = file.len() as u64;
        let mut segment = Segment { name: name.into(), bytes, epoch: header.epoch, seqs: Vec::new() };
        for payload in frames {
            damaged += u64::from(!self.look_into(&file[payload], &header, &mut segment));
        }
        self.log.files.push_back(segment);
        Ok(Some((header, damaged)))
    }

    /// Whether the payload is one that this version or a later one could have written.
    fn look_into(&mut self, payload: &[u8], header: &Header, segment: &mut Segment) -> bool {
        if payload.first() == Some(&FLOOR) {
            let Some(floor) = floor(payload).filter(|floor| floor.epoch <= header.epoch) else { return false };
            self.log.floor = self.log.floor.max(floor);
            return true;
        }
        let Some((record, next)) = codec::skim_payload(payload, header.boot, header.epoch) else {
            // A kind of a later version is passed over.
            return !codec::is_known(payload);
        };
        let position = record.stamp().position();
        // A record that was written again after an error stands in two files.
        if position <= self.log.last {
            return true;
        }
        self.log.last = position;
        segment.seqs.push(position.seq);
        match record {
            Record::Window(window) if !next.is_empty() => {
                self.windows.insert((window.model_slot, header.epoch), next);
            }
            Record::Drops(drops) => self.log.sealed_losses = Losses::of(&drops.totals),
            _ => {}
        }
        true
    }

    /// Sets aside what is no segment of ours. A folder stays where it is, as does what cannot be renamed: it is passed over.
    fn quarantine<T>(&mut self, name: &str) -> Option<T> {
        self.quarantined += 1;
        if let Ok(Some(Entry::File | Entry::Other)) = self.log.disk.find(name) {
            let bad = format!("{}{BAD}", name.trim_end_matches(SUFFIX));
            let _ = self.log.disk.rename(name, &bad);
        }
        None
    }

    /// A few unreadable files are kept for whoever wants to look; the oldest give way.
    fn forget_old_damage(&mut self, names: Vec<String>) {
        if self.quarantined == 0 && names.iter().filter(|n| is_bad(n)).count() <= MAX_BAD {
            return;
        }
        let names = self.log.disk.list("").unwrap_or(names);
        let mut bad: Vec<String> = names.into_iter().filter(|n| is_bad(n)).collect();
        bad.sort_unstable();
        for name in bad.iter().rev().skip(MAX_BAD) {
            if let Ok(Some(Entry::File | Entry::Other)) = self.log.disk.find(name) {
                // The next open tries again.
                let _ = self.log.disk.remove(name);
            }
        }
    }

    /// What is damaged, but for history: there it was counted when it was found first, or takes what has arrived.
    fn count_torn(&mut self, headers: &[Header], damaged: &[u64]) {
        let last_epoch = headers.iter().map(|h| h.epoch).max();
        let history = self.log.history().count();
        let counted = headers.iter().zip(damaged).enumerate();
        let counted = counted.filter(|(i, (header, _))| *i >= history || Some(header.epoch) == last_epoch);
        self.torn += counted.map(|(_, (_, stretches))| stretches).sum::<u64>();
    }

    /// Records that were sealed, are above the floor and in no file. Only those of the last epoch that sealed anything:
    /// the ones before were counted when that epoch began.
    fn count_missing(&mut self, headers: &[Header]) {
        let Some(epoch) = headers.iter().map(|h| h.epoch).max() else { return };
        let floor = if self.log.floor.epoch == epoch { self.log.floor.seq } else { 0 };
        let is_done = self.log.floor.epoch > epoch;
        let (mut missing, mut last) = (0u64, floor);
        for (header, file) in headers.iter().zip(&self.log.files).filter(|(h, _)| h.epoch == epoch && !is_done) {
            missing = missing.saturating_add(header.before.saturating_sub(last));
            last = last.max(header.before);
            let mut before = None;
            for seq in &file.seqs {
                let expected: u64 = before.map_or(*seq, |b: u64| b.saturating_add(1));
                missing = missing.saturating_add(seq.saturating_sub(expected.max(floor.saturating_add(1))));
                before = Some(*seq);
                last = last.max(*seq);
            }
        }
        self.log.new_losses.add(Reason::Torn, missing);
    }
}

fn is_bad(name: &str) -> bool {
    name.strip_suffix(".bad").is_some_and(|name| epoch_of(name).is_some())
}

fn floor(payload: &[u8]) -> Option<Position> {
    let mut left = payload.strip_prefix(&[FLOOR])?;
    Some(Position { epoch: codec::take_number(&mut left)?, seq: codec::take_number(&mut left)? })
}

/// Too large to be ours, no regular file, or on a part of the disk that cannot be read.
fn is_damage(e: &io::Error) -> bool {
    const EIO: i32 = 5;
    const ERROR_CRC: i32 = 23;
    matches!(e.kind(), io::ErrorKind::InvalidData | io::ErrorKind::IsADirectory)
        || e.raw_os_error() == Some(if cfg!(windows) { ERROR_CRC } else { EIO })
}
