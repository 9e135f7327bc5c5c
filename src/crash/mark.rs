//! The mark of an engine: what it is doing, where the death of the process does not erase it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::death::CrashPhase;
use super::folder::put_mark;
use super::format::{MarkFile, word};
use super::page::Page;
use super::signal::{self, Entered, Slot};
use crate::disk::{self, Access, Disk, Folder, Lock};
use crate::{Code, Error, Result};

/// The mark of a living engine. It goes once the engine and its runs are gone, unless a signal has been noted in it: then
/// the process is about to end.
pub(crate) struct Mark {
    folder: PathBuf,
    name: String,
    /// Taken when it ends.
    page: Option<Page>,
    slot: Option<Slot>,
    /// A child that is forked off has the same mark, and not as its own.
    process: u32,
    _alive: Lock,
}

impl Mark {
    /// Writes a mark; durable once this returns. For whoever holds the lock of the folder.
    ///
    /// # Errors
    ///
    /// `Io`.
    pub(super) fn put(folder: PathBuf, mark: &MarkFile) -> Result<Self> {
        let mut disk = Folder::new(folder.clone());
        let io = |e: io::Error| Error::io(folder.display(), e);
        let name = put_mark(&mut disk, mark).map_err(io)?;
        let path = disk.at(&name);
        let alive = disk::lock(&path, || format!("{}: locked by another process", path.display()))?;
        let page = disk::open(&path, Access::Change).and_then(|file| Page::map(&file)).map_err(io)?;
        let slot = Slot::take(page.words());
        if slot.is_none() {
            tracing::warn!(
                "crash record: too many engines with one are open: a death in '{}' counts for none",
                mark.subject.model
            );
        }
        Ok(Self { folder, name, page: Some(page), slot, process: mark.process, _alive: alive })
    }

    /// This thread is inside the engine, until what it gets is dropped.
    pub(crate) fn call(self: &Arc<Self>) -> InCall {
        InCall { _entered: self.slot.as_ref().map(Slot::call), mark: self.clone() }
    }

    /// The engine is open.
    pub(crate) fn opened(&self) {
        self.change(CrashPhase::Open, CrashPhase::Idle);
    }

    /// A run begins.
    pub(crate) fn begin_run(&self) {
        self.word(word::RUNS, |runs| _ = runs.fetch_add(1, Ordering::SeqCst));
        self.change(CrashPhase::Idle, CrashPhase::FirstUse);
    }

    /// A run has given its answer.
    pub(crate) fn answered(&self) {
        if !self.change(CrashPhase::FirstUse, CrashPhase::LaterUse) {
            return;
        }
        // Where deaths leave no signal, only the phase tells that the first use went well.
        if let Some(Err(e)) = self.page.as_ref().filter(|_| !signal::TELLS).map(Page::sync) {
            tracing::warn!("crash record: {}: {e}", self.name);
        }
    }

    /// A run has ended, with an answer or without.
    pub(crate) fn end_run(&self) {
        self.word(word::RUNS, |runs| {
            if runs.fetch_sub(1, Ordering::SeqCst) == 1 {
                self.change(CrashPhase::FirstUse, CrashPhase::Idle);
            }
        });
    }

    fn change(&self, from: CrashPhase, to: CrashPhase) -> bool {
        let (from, to) = (u64::from(from.number()), u64::from(to.number()));
        let mut has = false;
        self.word(word::PHASE, |phase| {
            has = phase.compare_exchange(from, to, Ordering::SeqCst, Ordering::Relaxed).is_ok();
        });
        has
    }

    fn word(&self, at: usize, change: impl FnOnce(&AtomicU64)) {
        if let Some(word) = self.page.as_ref().and_then(|page| page.words().get(at)) {
            change(word);
        }
    }

    fn is_noted(&self) -> bool {
        let mut is_noted = false;
        self.word(word::SIGNAL, |signal| is_noted = signal.load(Ordering::SeqCst) != 0);
        is_noted
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        let has_left = self.slot.take().is_none_or(|slot| slot.leave());
        let is_noted = self.is_noted();
        if !has_left {
            // A handler may be writing there.
            std::mem::forget(self.page.take());
        }
        if !is_noted && has_left && self.process == std::process::id() {
            match Folder::new(self.folder.clone()).remove(&self.name) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!("crash record: {} stays: {e}", self.name);
                }
                _ => {}
            }
        }
    }
}

/// A thread inside an engine.
pub(crate) struct InCall {
    _entered: Option<Entered>,
    mark: Arc<Mark>,
}

impl Drop for InCall {
    fn drop(&mut self) {
        // A signal that this thread has outlived: virtual machines make exceptions of some.
        if self.mark.is_noted() {
            let mut mine = false;
            self.mark.word(word::THREAD, |thread| mine = signal::is_mine(thread.load(Ordering::SeqCst)));
            self.mark.word(word::SIGNAL, |signal| {
                if mine {
                    signal.store(0, Ordering::SeqCst)
                }
            });
        }
    }
}

/// The lock of a folder's record, waited for: others hold it for some milliseconds.
///
/// # Errors
///
/// `Busy` after some seconds; `Io`.
pub(super) fn lock_folder(folder: &Folder) -> Result<Lock> {
    const TRIES: u32 = 2000;
    const PAUSE: std::time::Duration = std::time::Duration::from_millis(5);
    let path = folder.at(super::folder::LOCK);
    let mut tries = 0;
    loop {
        match disk::lock(&path, || format!("{}: held by another process", path.display())) {
            Err(e) if e.code() == Code::Busy && tries < TRIES => tries += 1,
            other => return other,
        }
        std::thread::sleep(PAUSE);
    }
}

/// Whether the process of a mark lives. What cannot be told is left alone, and so is a mark that has gone since it was listed.
pub(super) fn is_alive(folder: &Folder, name: &str) -> bool {
    disk::lock_existing(&folder.at(name), String::new).is_err()
}
