//! The folder: from the marks of processes that have ended to the deaths of each key.
//!
//! Whoever changes it holds `crash.lock`. A crash between two steps repeats the second: a death that is recorded already,
//! known by the id of its mark, is not recorded again.

use std::io::{self, Write};

use super::Death;
use super::death::{Exit, seconds_of};
use super::format::{Deaths, MARK_BYTES, MAX_RECORD, MarkFile, Subject};
use crate::disk::{Disk, NewFile, replace};
use crate::{Code, Error, Result};

pub(super) const LOCK: &str = "crash.lock";
const PART: &str = "crash.part";
const MARK: &str = ".mark";
const DEATHS: &str = ".deaths";
/// Digits of a name before its end.
const DIGITS: usize = 32;
/// The records that are kept, those of the last deaths.
pub(super) const MAX_RECORDS: usize = 256;
/// The marks that one open looks at.
const MAX_MARKS: usize = 1024;

/// What becomes of the mark of a process that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Death {
        signal: Option<i32>,
        is_sure: bool,
    },
    /// The model has not ended the process.
    Nothing,
    /// It stays, for somebody else to judge.
    Leave,
}

/// What the mark itself says. Without signals, a process that ended before the first answer may have been ended by the model:
/// two such deaths count as one.
pub(super) fn by_evidence(mark: &MarkFile, has_signals: bool) -> Verdict {
    match i32::try_from(mark.signal) {
        Ok(signal) if signal > 0 => Verdict::Death { signal: Some(signal), is_sure: mark.is_sure },
        _ if !has_signals && mark.phase.is_early() => Verdict::Death { signal: None, is_sure: false },
        _ => Verdict::Nothing,
    }
}

/// What the platform says of a process. It does not say which library crashed, so that is no sure evidence without the mark's.
pub(super) fn by_exit(mark: &MarkFile, process: u32, exit: Exit) -> Verdict {
    let is_in_use = mark.runs > 0 || mark.phase.is_early();
    match exit {
        _ if mark.process != process => Verdict::Leave,
        Exit::Otherwise => Verdict::Nothing,
        Exit::NativeCrash(signal) => match by_evidence(mark, true) {
            Verdict::Nothing if is_in_use => Verdict::Death { signal, is_sure: false },
            verdict => verdict,
        },
    }
}

/// Judges the marks of processes that have ended; gives how many deaths that were. What fails is said in the log, and tried
/// again by the next one.
///
/// # Errors
///
/// `Io` if the folder cannot be listed.
pub(super) fn settle(
    disk: &mut dyn Disk,
    is_alive: &dyn Fn(&str) -> bool,
    judge: &dyn Fn(&MarkFile) -> Verdict,
) -> Result<usize> {
    let mut deaths = 0;
    for name in names(disk, MARK)?.into_iter().take(MAX_MARKS) {
        if is_alive(&name) {
            continue;
        }
        match settle_one(disk, &name, judge) {
            Ok(is_death) => deaths += usize::from(is_death),
            Err(e) => tracing::warn!("crash record: {name}: {e:#}"),
        }
    }
    Ok(deaths)
}

fn settle_one(disk: &mut dyn Disk, name: &str, judge: &dyn Fn(&MarkFile) -> Verdict) -> Result<bool> {
    let mark = match read_mark(disk, name) {
        Ok(mark) => mark,
        Err(e) if e.code() == Code::Corrupt => {
            tracing::warn!("crash record: {name} is removed: {e:#}");
            remove(disk, name)?;
            return Ok(false);
        }
        // Its engine was closed meanwhile.
        Err(e) if e.code() == Code::NotFound => return Ok(false),
        Err(e) => return Err(e),
    };
    let verdict = judge(&mark);
    match verdict {
        Verdict::Leave => return Ok(false),
        Verdict::Nothing => {}
        Verdict::Death { signal, is_sure } => record(disk, &mark.subject, mark.death(signal, is_sure))?,
    }
    remove(disk, name)?;
    Ok(verdict != Verdict::Nothing)
}

/// Puts a death to those of its key; durable once this returns.
fn record(disk: &mut dyn Disk, subject: &Subject, death: Death) -> Result<()> {
    let mut deaths = load(disk, subject)?;
    if deaths.iter().all(|known| known.id != death.id) {
        deaths.push(death);
        keep(disk, subject, deaths)?;
        prune(disk)?;
    }
    Ok(())
}

/// The deaths of a key. A file that is none is said in the log, and counts as none.
///
/// # Errors
///
/// `Io`.
pub(super) fn load(disk: &mut dyn Disk, subject: &Subject) -> Result<Vec<Death>> {
    let name = name_of(subject);
    match read_deaths(disk, &name) {
        Ok(found) if found.subject.key == subject.key => Ok(found.deaths),
        Ok(_) => {
            tracing::warn!("crash record: {name} is of another key, and counts as none");
            Ok(Vec::new())
        }
        Err(e) if e.code() == Code::Corrupt => {
            tracing::warn!("crash record: {name} counts as none: {e:#}");
            Ok(Vec::new())
        }
        Err(e) if e.code() == Code::NotFound => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}

/// Makes these the deaths of a key; durable once this returns.
///
/// # Errors
///
/// `Io`.
pub(super) fn keep(disk: &mut dyn Disk, subject: &Subject, deaths: Vec<Death>) -> Result<()> {
    let name = name_of(subject);
    if deaths.is_empty() {
        return remove(disk, &name);
    }
    let bytes = Deaths { subject: subject.clone(), deaths }.encode();
    replace(disk, &name, PART, &bytes).map_err(|e| Error::io(&name, e))
}

/// Lets the records go whose last death is the longest ago.
fn prune(disk: &mut dyn Disk) -> Result<()> {
    let names = names(disk, DEATHS)?;
    if names.len() <= MAX_RECORDS {
        return Ok(());
    }
    let mut by_age: Vec<(u64, String)> = Vec::new();
    for name in names {
        let last =
            read_deaths(disk, &name).ok().and_then(|found| found.deaths.iter().map(|d| seconds_of(d.time)).max());
        by_age.push((last.unwrap_or(0), name));
    }
    by_age.sort();
    let too_many = by_age.len() - MAX_RECORDS;
    by_age.iter().take(too_many).try_for_each(|(_, name)| remove(disk, name))
}

/// All records.
///
/// # Errors
///
/// `Io`.
pub(super) fn records(disk: &mut dyn Disk) -> Result<Vec<Deaths>> {
    let names = names(disk, DEATHS)?;
    let mut records = Vec::new();
    for name in names.into_iter().take(MAX_MARKS) {
        match read_deaths(disk, &name) {
            Ok(found) => records.push(found),
            Err(e) if e.code() == Code::Corrupt => tracing::warn!("crash record: {name} counts as none: {e:#}"),
            // Somebody has cleared it.
            Err(e) if e.code() == Code::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(records)
}

/// The marks of processes that have ended, which nobody has judged yet.
///
/// # Errors
///
/// `Io`.
pub(super) fn marks(disk: &mut dyn Disk, is_alive: &dyn Fn(&str) -> bool) -> Result<Vec<(String, MarkFile)>> {
    let names = names(disk, MARK)?.into_iter().take(MAX_MARKS).filter(|name| !is_alive(name));
    Ok(names.filter_map(|name| read_mark(disk, &name).ok().map(|mark| (name, mark))).collect())
}

/// Writes the mark of an engine; durable once this returns. Gives its name.
///
/// # Errors
///
/// What the disk says.
pub(super) fn put_mark(disk: &mut dyn Disk, mark: &MarkFile) -> io::Result<String> {
    let id: String = mark.id.iter().map(|byte| format!("{byte:02x}")).collect();
    let name = format!("{id}{MARK}");
    let mut file = NewFile::over(&mut *disk, &name, PART)?;
    file.write_all(&mark.encode())?;
    file.publish()?;
    Ok(name)
}

/// Removes a file, if it is there; durable once this returns.
///
/// # Errors
///
/// `Io`.
pub(super) fn remove(disk: &mut dyn Disk, name: &str) -> Result<()> {
    match disk.remove(name).and_then(|()| disk.sync_names("")) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io(name, e)),
        _ => Ok(()),
    }
}

pub(super) fn name_of(subject: &Subject) -> String {
    let key = subject.key.to_string();
    format!("{}{DEATHS}", key.get(..DIGITS).unwrap_or(&key))
}

/// The names of this end, sorted; other files of the folder are left alone.
fn names(disk: &mut dyn Disk, end: &str) -> Result<Vec<String>> {
    let is_ours = |name: &String| {
        let digits = name.strip_suffix(end);
        digits.is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    let mut names: Vec<String> = match disk.list("") {
        Ok(names) => names.into_iter().filter(is_ours).collect(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(Error::io("crash record", e)),
    };
    names.sort();
    Ok(names)
}

fn read_mark(disk: &mut dyn Disk, name: &str) -> Result<MarkFile> {
    MarkFile::decode(&read(disk, name, MARK_BYTES)?)
}

fn read_deaths(disk: &mut dyn Disk, name: &str) -> Result<Deaths> {
    Deaths::decode(&read(disk, name, MAX_RECORD)?)
}

/// A file whose size or kind is wrong is as one whose bytes are.
fn read(disk: &mut dyn Disk, name: &str, most: usize) -> Result<Vec<u8>> {
    disk.read(name, most as u64).map_err(|e| match e.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::IsADirectory => Error::corrupt(format!("{name}: {e}")),
        _ => Error::io(name, e),
    })
}
