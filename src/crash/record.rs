//! The crash record as the app sees it.

use std::path::{Path, PathBuf};

use super::death::{Death, Exit};
use super::folder::{Verdict, by_evidence, by_exit, marks, name_of, records, remove, settle};
use super::ladder::{self, Rung, counted};
use super::mark::{is_alive, lock_folder};
use super::signal;
use crate::disk::Folder;
use crate::{Digest, Result};

/// A folder that remembers which models ended the process, and how to open them then.
///
/// Give it to [`Options::crash_record`](crate::Options::crash_record); any number of engines and processes may share one.
///
/// **What counts.** A death counts if a signal that is a fault (SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE) came up in a thread
/// that was inside a call of the engine, or in one of the runtime's own threads while the engine was opened or used. For this
/// the first open with a crash record installs a handler, which notes the signal and hands on to the handler that was there
/// before: a crash reporter, or Rust's message of a stack overflow. What else ends a process counts for nothing: SIGKILL,
/// SIGTERM, want of memory, loss of power, an exit, a fault of the app's own threads. A callback of the app that runs inside a
/// call counts as the call. A thread whose stack overflows and that has no alternate stack leaves no note: threads of Rust have one.
/// Windows and other systems tell no signals: there a process that ended while an engine was opened, or before its first
/// answer, counts as half a death, and so does a fault on another system that may be of several engines.
///
/// **What happens then.** The next open takes the first rung of the ladder, after its death the second, and so on;
/// [`Spec::choice`](crate::Spec::choice) says so. The same way is never taken again. After the last rung, the open fails with
/// [`Code::Quarantined`](crate::Code::Quarantined), which says when, where and by what the process ended. With the default
/// ladder of one rung, a model costs two starts at most.
///
/// **For how long.** A death counts for the same model, options, version of the app, and version of the runtime that it
/// happened in. Nothing else adds to the record, and nothing is counted by opens that reach no native code, by an
/// [`inspect`](crate::backend::inspect), or by looking at the record.
///
/// ```no_run
/// use selvedge::crash::CrashRecord;
/// use selvedge::{Code, Options, open};
/// let crashes = CrashRecord::new("app/crashes").app_version("1.2");
/// match open("assistant.gguf", Options::new().crash_record(crashes.clone())) {
///     Ok(engine) => println!("{}", engine.spec().choice.as_deref().unwrap_or("as asked")),
///     Err(e) if e.code() == Code::Quarantined => println!("without the assistant today: {e}"),
///     Err(e) => return Err(e),
/// }
/// for entry in crashes.entries()? {
///     println!("{}: {} deaths", entry.model, entry.deaths.len());
/// }
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CrashRecord {
    /// The folder, of the app's own; made at the first open.
    pub folder: PathBuf,
    /// The version of the app: a new one begins with an empty record.
    pub app_version: String,
    /// The ladder: how to open a model after each death of it. With no rung, the first death is the last.
    pub rungs: Vec<Rung>,
}

impl CrashRecord {
    /// A record in this folder, with a ladder of one rung: one thread, read whole, another runtime where there is one.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), app_version: String::new(), rungs: ladder::DEFAULT.into() }
    }

    /// Sets the version of the app.
    #[must_use]
    pub fn app_version(mut self, version: impl Into<String>) -> Self {
        self.app_version = version.into();
        self
    }

    /// Sets the ladder. One start more is lost than it has rungs, at most.
    #[must_use]
    pub fn ladder(mut self, rungs: impl IntoIterator<Item = Rung>) -> Self {
        self.rungs = rungs.into_iter().collect();
        self
    }

    /// What is on record, of all versions of app and runtimes. Changes nothing.
    ///
    /// # Errors
    ///
    /// `Io`. A folder that is not there has no entries.
    pub fn entries(&self) -> Result<Vec<CrashEntry>> {
        let (mut disk, alive) = self.disks();
        // To look whether a process lives takes the lock of its mark for a moment, which others might take for life.
        let _lock = if self.folder.is_dir() { lock_folder(&alive).ok() } else { None };
        let mut found = records(&mut disk)?;
        // Nobody has opened a model since those.
        for (_, mark) in marks(&mut disk, &|name| is_alive(&alive, name))? {
            let Verdict::Death { signal, is_sure } = by_evidence(&mark, signal::TELLS) else { continue };
            let death = mark.death(signal, is_sure);
            match found.iter_mut().find(|of| of.subject.key == mark.subject.key) {
                Some(of) if of.deaths.iter().any(|known| known.id == death.id) => {}
                Some(of) => of.deaths.push(death),
                None => found.push(super::format::Deaths { subject: mark.subject, deaths: vec![death] }),
            }
        }
        let entry = |of: super::format::Deaths| CrashEntry {
            model: of.subject.model,
            digest: of.subject.digest,
            app_version: of.subject.app_version,
            deaths: of.deaths,
        };
        Ok(found.into_iter().map(entry).collect())
    }

    /// Whether a model of which this is on record is not opened any more: more ways of it have died than this record has rungs.
    /// Of an entry of another version of the app, or of the runtime, that was so then.
    #[must_use]
    pub fn has_quarantined(&self, entry: &CrashEntry) -> bool {
        entry.counted() > self.rungs.len()
    }

    /// Forgets all deaths: every model is opened as the app asks again.
    ///
    /// # Errors
    ///
    /// `Io`; `Busy` if another process holds the folder for long.
    pub fn clear(&self) -> Result<()> {
        self.clear_if(|_| true)
    }

    /// Forgets the deaths of one model, by the digest of its [`Provenance`](crate::Provenance) or [`CrashEntry`].
    ///
    /// # Errors
    ///
    /// `Io`; `Busy` if another process holds the folder for long.
    pub fn clear_model(&self, digest: Digest) -> Result<()> {
        self.clear_if(|of| of == digest)
    }

    fn clear_if(&self, is_meant: impl Fn(Digest) -> bool) -> Result<()> {
        if !self.folder.is_dir() {
            return Ok(());
        }
        let (mut disk, alive) = self.disks();
        let _lock = lock_folder(&alive)?;
        for (name, mark) in marks(&mut disk, &|name| is_alive(&alive, name))? {
            if is_meant(mark.subject.digest) {
                remove(&mut disk, &name)?;
            }
        }
        for of in records(&mut disk)? {
            if is_meant(of.subject.digest) {
                remove(&mut disk, &name_of(&of.subject))?;
            }
        }
        Ok(())
    }

    /// Tells the record what the platform says of the end of a process, such as Android's `ApplicationExitInfo`; gives how many
    /// deaths that made. To be called before the first open of the next process: an open settles by evidence alone what it finds.
    ///
    /// [`Exit::Otherwise`] takes away what would count; [`Exit::NativeCrash`] makes half a death of an engine that was opened or
    /// used then, for the platform does not say which library crashed. A noted signal counts in full in any case.
    ///
    /// # Errors
    ///
    /// `Io`; `Busy` if another process holds the folder for long.
    pub fn explain(&self, process: u32, exit: Exit) -> Result<usize> {
        if !self.folder.is_dir() {
            return Ok(0);
        }
        let (mut disk, alive) = self.disks();
        let _lock = lock_folder(&alive)?;
        settle(&mut disk, &|name| is_alive(&alive, name), &|mark| by_exit(mark, process, exit))
    }

    /// One to read and change, one to look for locks in.
    fn disks(&self) -> (Folder, Folder) {
        (Folder::new(self.folder.clone()), Folder::new(self.folder.clone()))
    }
}

impl<P: AsRef<Path> + ?Sized> From<&P> for CrashRecord {
    fn from(folder: &P) -> Self {
        Self::new(folder.as_ref())
    }
}

impl From<PathBuf> for CrashRecord {
    fn from(folder: PathBuf) -> Self {
        Self::new(folder)
    }
}

/// What is on record of a model, with the same options and version of the app.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CrashEntry {
    /// The model's name.
    pub model: String,
    /// SHA-256 of the model, as in its [`Provenance`](crate::Provenance).
    pub digest: Digest,
    /// The version of the app, the first 32 bytes of it.
    pub app_version: String,
    /// The deaths, in the order in which they were found.
    pub deaths: Vec<Death>,
}

impl CrashEntry {
    /// How many deaths count: those of which the evidence is sure, and half of the others, in each phase.
    #[must_use]
    pub fn counted(&self) -> usize {
        counted(&self.deaths)
    }
}
