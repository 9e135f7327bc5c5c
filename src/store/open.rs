//! The store: opened by one writer, or by any number of readers.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::files::{Files, failed};
use super::staged::{STAGING, Staged, Staging};
use super::state::{STATE, State};
use super::trust::{Ratchet, Trust};
use super::twice;
use super::version::{VERSIONS, Version};
use crate::disk::{Disk, Folder, Lock, create_folders, lock};
use crate::threads::unpoisoned;
use crate::{Code, Digest, Error, Result};

const LOCK: &str = "store.lock";
const RATCHET: &str = "ratchet";
/// The most bytes of a ratchet.
const MAX_RATCHET: u64 = 16 << 20;
/// Versions that are being put together or taken away.
pub(super) const UNFINISHED: &str = "unfinished";

/// The versions of a model on disk, and which of them is current.
///
/// ```no_run
/// use selvedge::store::{Store, Trust};
/// use selvedge::{Call, Options, open};
/// # fn start(trust: Trust) -> selvedge::Result<()> {
/// let store = Store::open("models", trust)?;
/// let call = Call::new();
/// let version = store.import("rain-2.tar", |_| call.check())?;
/// store.activate(version.id())?;
///
/// if let Some(version) = store.current()? {
///     let engine = open(version.model()?, Options::new())?;
/// }
/// # Ok(())
/// # }
/// ```
///
/// Calls from several threads are safe; changes wait for each other. Each of the calls that change something is either
/// done, durably, once it returns, or left undone. After an error of the disk (`Io`) it is one of the two, and
/// [`current`](Self::current) says which.
pub struct Store {
    pub(super) files: Arc<Files>,
    pub(super) staging: Staging,
    /// `None`: for reading.
    trust: Option<Trust>,
    state: Mutex<State>,
    ratchet: Mutex<Ratchet>,
    /// Held while a version comes, goes or becomes current.
    pub(super) work: Mutex<()>,
    /// Held by the one import.
    pub(super) importing: Mutex<()>,
    _lock: Option<Lock>,
}

impl Store {
    /// Opens a store for writing, in a folder that is made where there is none. What a crash left half done is cleared away;
    /// what was received stays.
    ///
    /// # Errors
    ///
    /// `Busy` while another process, or another `Store` of this one, has it open for writing; `Corrupt` if neither the state
    /// nor its copy is whole; `Unsupported` for a store of a later version; `Io`, also where the file system is for
    /// reading alone: [`open_read_only`](Self::open_read_only) opens that.
    pub fn open(dir: impl AsRef<Path>, trust: Trust) -> Result<Self> {
        let dir = dir.as_ref();
        create(dir).map_err(|e| e.during("opening a store"))?;
        let busy = || format!("{}: the store is open for writing already", dir.display());
        let lock = lock(&dir.join(LOCK), busy)?;
        Self::on_disk(dir.into(), Box::new(Folder::new(dir.into())), trust, Some(lock))
    }

    pub(super) fn on_disk(dir: PathBuf, disk: Box<dyn Disk>, trust: Trust, lock: Option<Lock>) -> Result<Self> {
        let files = Arc::new(Files::new(dir, disk));
        for folder in [STAGING, UNFINISHED, VERSIONS] {
            files.create_folder(folder)?;
        }
        files.sync_names("")?;
        for name in files.call(UNFINISHED, |disk, folder| disk.list(folder))? {
            files.remove(&format!("{UNFINISHED}/{name}"))?;
        }
        let (state, ratchet) = read(&files)?;
        // A crash, or a damaged disk, may have left one of two.
        for (name, bytes) in [(STATE, state.to_bytes()?), (RATCHET, ratchet.to_bytes())] {
            if (&state, &ratchet) != (&State::default(), &Ratchet::default()) && !twice::has_both(&files, name, &bytes)
            {
                twice::write(&files, name, &bytes)?;
            }
        }
        Ok(Self::new(files, Some(trust), state, ratchet, lock))
    }

    /// Opens a store that is there for reading: nothing is written, not even a lock, so that it may lie on a file system
    /// that cannot be written, and any number of processes may do so while one writes. What that one changes is seen.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is no store; those of [`open`](Self::open) but `Busy`.
    pub fn open_read_only(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        let files = Arc::new(Files::new(dir.into(), Box::new(Folder::new(dir.into()))));
        files.call(VERSIONS, |disk, folder| disk.list(folder))?;
        let state = State::read(&files)?;
        Ok(Self::new(files, None, state, Ratchet::default(), None))
    }

    fn new(files: Arc<Files>, trust: Option<Trust>, state: State, ratchet: Ratchet, lock: Option<Lock>) -> Self {
        let (staging, state, ratchet) = (Staging::new(files.clone()), Mutex::new(state), Mutex::new(ratchet));
        let (work, importing) = (Mutex::default(), Mutex::default());
        Self { files, staging, trust, state, ratchet, work, importing, _lock: lock }
    }

    /// Begins a file that comes piece by piece, or goes on with one that an earlier process began: for whoever downloads a
    /// package, blob by blob, and then [imports](Self::import_artifact) it.
    ///
    /// # Errors
    ///
    /// `Busy` while the same file is being written; `Unsupported` if the store was opened for reading; `Io`, also where the
    /// disk has no room for `size` bytes.
    pub fn stage(&self, digest: Digest, size: u64) -> Result<Staged> {
        self.trust()?;
        self.staging.stage(digest, size)
    }

    /// All versions that are there, the highest number first. One whose manifest is damaged is left out.
    ///
    /// # Errors
    ///
    /// `Io`.
    pub fn versions(&self) -> Result<Vec<Version>> {
        let mut versions = Vec::new();
        for name in self.files.call(VERSIONS, |disk, folder| disk.list(folder))? {
            let Ok(id) = name.parse() else { continue };
            match self.version(id) {
                Ok(version) => versions.push(version),
                Err(e) => tracing::warn!("{e:#}"),
            }
        }
        versions.sort_by_key(|version| (std::cmp::Reverse(version.number()), version.id().0));
        Ok(versions)
    }

    /// A version by its digest. Of its files nothing is read but what it says of itself; [`Version::model`] checks them.
    ///
    /// # Errors
    ///
    /// `NotFound` if it is not there; `Corrupt` if its manifest is damaged; `Io`.
    pub fn version(&self, id: Digest) -> Result<Version> {
        Version::read(self.files.clone(), id).map_err(|e| e.during(format!("reading version {id}")))
    }

    /// The version that serves, if there is one.
    ///
    /// # Errors
    ///
    /// `Corrupt` if it is damaged, after which [`rollback`](Self::rollback) finds the one before; `Io`.
    pub fn current(&self) -> Result<Option<Version>> {
        let mut id = self.state()?.current();
        loop {
            let version = id.map(|id| self.version(id)).transpose();
            let is_gone = matches!(&version, Err(e) if e.code() == Code::NotFound);
            if !is_gone {
                return version;
            }
            // Whoever writes may have gone on to another one, and taken this away.
            let now = self.state()?.current();
            if now == id {
                return version;
            }
            id = now;
        }
    }

    pub(super) fn trust(&self) -> Result<&Trust> {
        self.trust.as_ref().ok_or_else(|| Error::unsupported("the store was opened for reading"))
    }

    pub(super) fn state(&self) -> Result<State> {
        match self.trust {
            Some(_) => Ok(self.own_state().clone()),
            None => State::read(&self.files),
        }
    }

    /// Changes the state, durably. `change` may refuse.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        self.trust()?;
        let mut state = self.own_state();
        let mut next = state.next();
        let changed = change(&mut next)?;
        if let Err(e) = twice::write(&self.files, STATE, &next.to_bytes()?) {
            // The new one may have got to its place before the disk failed.
            if let Ok(there) = State::read(&self.files) {
                *state = there;
            }
            return Err(e);
        }
        *state = next;
        Ok(changed)
    }

    pub(super) fn ratchet(&self) -> Ratchet {
        unpoisoned(self.ratchet.lock()).clone()
    }

    /// Keeps what was admitted, durably.
    pub(super) fn keep_ratchet(&self, next: Ratchet) -> Result<()> {
        let mut ratchet = unpoisoned(self.ratchet.lock());
        if *ratchet != next {
            // One that may not be durable admits nothing more than the one before: it stays in memory only once it is.
            twice::write(&self.files, RATCHET, &next.to_bytes())?;
            *ratchet = next;
        }
        Ok(())
    }

    fn own_state(&self) -> MutexGuard<'_, State> {
        unpoisoned(self.state.lock())
    }
}

/// State and ratchet. Whatever is in the state was admitted by a ratchet.
fn read(files: &Files) -> Result<(State, Ratchet)> {
    let state = State::read(files)?;
    let ratchet = twice::read(files, RATCHET, MAX_RATCHET, Ratchet::parse)?;
    if ratchet.is_none() && state != State::default() {
        return Err(Error::corrupt(format!(
            "{}: expected the ratchet of the store, got none",
            files.path(RATCHET).display()
        )));
    }
    Ok((state, ratchet.unwrap_or_default()))
}

/// Makes a folder that is not there, durably, and those around it.
fn create(dir: &Path) -> Result<()> {
    let parent = |dir: &Path| dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    let missing: Vec<PathBuf> = dir.ancestors().take_while(|dir| !dir.is_dir()).map(parent).collect();
    create_folders(dir).map_err(|e| failed(dir, e))?;
    let sync = |parent: PathBuf| Folder::new(parent.clone()).sync_names("").map_err(|e| failed(&parent, e));
    missing.into_iter().try_for_each(sync)
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let writes = self.trust.is_some();
        f.debug_struct("Store").field("path", &self.files.path("")).field("writes", &writes).finish_non_exhaustive()
    }
}
