//! Which version serves: becoming current, going back, misses and quarantine, and making room.

use super::open::{Store, UNFINISHED};
use super::state::Mark;
use super::version::{VERSIONS, Version, folder_of};
use crate::threads::unpoisoned;
use crate::{Code, Digest, Error, Result};

/// A version that missed so often is in quarantine.
const MAX_MISSES: u32 = 2;

/// What is held against a version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standing {
    /// How often it failed since it came, or was pardoned.
    pub misses: u32,
    /// Whether it may not serve.
    pub quarantined: bool,
    /// What was said of it last; empty if nothing was.
    pub why: String,
}

impl Standing {
    fn of(mark: &Mark) -> Self {
        Self { misses: mark.misses, quarantined: mark.quarantined, why: mark.why.clone() }
    }
}

impl Store {
    /// Makes a version the one that serves. The one that did is the first to [go back](Self::rollback) to.
    ///
    /// # Errors
    ///
    /// `NotFound` for a version that is not there; `Corrupt` if it is damaged; `Quarantined` for one that is in
    /// quarantine; `Untrusted` for one below the minimum that a signature named, and for one with a lower number than the
    /// current one that neither served here before nor is what a signed statement went back to; `Unsupported` if the store was opened for reading; `Io`.
    pub fn activate(&self, id: Digest) -> Result<Version> {
        let _work = unpoisoned(self.work.lock());
        let version = self.version(id)?;
        self.refuse(&version)?;
        version.verify()?;
        if self.state()?.current() != Some(id) {
            self.change(|state| {
                state.activate(id);
                Ok(())
            })?;
        }
        Ok(version)
    }

    /// Goes back to the latest version that served on this device before the current one, is whole, is not in quarantine,
    /// and is not below what the trust of the store allows.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none: the current version stays; `Unsupported` if the store was opened for reading; `Io`.
    pub fn rollback(&self) -> Result<Version> {
        let _work = unpoisoned(self.work.lock());
        let version =
            self.before()?.ok_or_else(|| Error::new(Code::NotFound, "rollback: there is no version to go to"))?;
        self.change(|state| {
            state.go_back(Some(version.id()));
            Ok(())
        })?;
        Ok(version)
    }

    /// Lets a version serve no more. If it is current, the store goes back as [`rollback`](Self::rollback) does, in the same
    /// step; with no version to go to, none is current.
    ///
    /// # Errors
    ///
    /// `Unsupported` if the store was opened for reading; `Io`.
    pub fn quarantine(&self, id: Digest, why: &str) -> Result<()> {
        self.blame(id, why, true).map(drop)
    }

    /// Counts a failure of a version: it crashed, or gave wrong answers. With the second it is in
    /// [quarantine](Self::quarantine). Returns how it stands now.
    ///
    /// # Errors
    ///
    /// Those of [`quarantine`](Self::quarantine).
    pub fn miss(&self, id: Digest, why: &str) -> Result<Standing> {
        self.blame(id, why, false)
    }

    /// Takes back all misses of a version, and its quarantine.
    ///
    /// # Errors
    ///
    /// Those of [`quarantine`](Self::quarantine).
    pub fn pardon(&self, id: Digest) -> Result<()> {
        let _work = unpoisoned(self.work.lock());
        self.change(|state| {
            state.pardon(id);
            Ok(())
        })
    }

    /// What is held against a version.
    ///
    /// # Errors
    ///
    /// Those of reading the state: `Corrupt`, `Io`.
    pub fn standing(&self, id: Digest) -> Result<Standing> {
        Ok(self.state()?.mark(id).map(Standing::of).unwrap_or_default())
    }

    /// Removes a version. What is open of it stays so; it can be imported again.
    ///
    /// # Errors
    ///
    /// `NotFound` if it is not there; `InvalidArgument` if it is current; `Unsupported` if the store was opened for reading;
    /// `Io`.
    pub fn remove(&self, id: Digest) -> Result<()> {
        let _work = unpoisoned(self.work.lock());
        self.trust()?;
        if self.state()?.current() == Some(id) {
            return Err(Error::invalid(format!("version {id}: expected one that is not current")));
        }
        self.take_away(id)
    }

    /// Makes room: removes what was received and is of no version, damaged versions, those in quarantine, and of those with
    /// a lower number than the current one all but the last `keep` that served. Returns the digests of what was removed.
    ///
    /// # Errors
    ///
    /// `Unsupported` if the store was opened for reading; `Io`.
    pub fn gc(&self, keep: usize) -> Result<Vec<Digest>> {
        let _work = unpoisoned(self.work.lock());
        self.trust()?;
        let state = self.state()?;
        let number = state.current().and_then(|id| self.version(id).ok()).map_or(0, |version| version.number());
        let is_fit = |id: &Digest| !state.is_quarantined(*id) && self.version(*id).is_ok();
        let kept: Vec<Digest> = state.current().into_iter().chain(state.history().filter(is_fit).take(keep)).collect();
        let stays = |id: Digest| match self.version(id) {
            _ if kept.contains(&id) => Ok(true),
            Ok(version) => Ok(version.number() > number && !state.is_quarantined(id)),
            Err(e) if matches!(e.code(), Code::Corrupt | Code::NotFound) => Ok(false),
            Err(e) => Err(e),
        };
        let mut removed = Vec::new();
        for name in self.files.call(VERSIONS, |disk, folder| disk.list(folder))? {
            let Ok(id) = name.parse() else { continue };
            if !stays(id)? {
                self.take_away(id)?;
                removed.push(id);
            }
        }
        if let Ok(_importing) = self.importing.try_lock() {
            self.staging.clear()?;
        }
        Ok(removed)
    }

    /// Fails for a version that may not serve.
    fn refuse(&self, version: &Version) -> Result<()> {
        let (state, id, release) = (self.state()?, version.id(), version.release());
        if let Some(mark) = state.mark(id).filter(|mark| mark.quarantined) {
            return Err(Error::new(Code::Quarantined, format!("version {id}: it is in quarantine: {}", mark.why)));
        }
        self.ratchet().may_return(self.trust()?, &release.name, &release.channel, release.version)?;
        let serving = state.current().and_then(|id| self.version(id).ok()).map_or(0, |version| version.number());
        if version.number() < serving && !state.has_served(id) && !state.is_sent_back_to(id) {
            let what = format!("version {id}: expected a number above {serving}, or one that served here before");
            return Err(Error::new(Code::Untrusted, format!("{what}, got {}", version.number())));
        }
        Ok(())
    }

    /// The version to go back to.
    fn before(&self) -> Result<Option<Version>> {
        self.trust()?;
        let state = self.state()?;
        let fit = |id| {
            let version = self.version(id).ok()?;
            (self.refuse(&version).is_ok() && version.verify().is_ok()).then_some(version)
        };
        Ok(state.history().find_map(fit))
    }

    fn blame(&self, id: Digest, why: &str, is_quarantine: bool) -> Result<Standing> {
        let _work = unpoisoned(self.work.lock());
        let before = self.before()?.map(|version| version.id()).filter(|before| *before != id);
        self.change(|state| {
            state.blame(id, why, is_quarantine, MAX_MISSES);
            if state.is_quarantined(id) && state.current() == Some(id) {
                state.go_back(before);
            }
            Ok(state.mark(id).map(Standing::of).unwrap_or_default())
        })
    }

    /// Takes the folder of a version out of sight before it is emptied.
    pub(super) fn take_away(&self, id: Digest) -> Result<()> {
        let (folder, away) = (folder_of(id), format!("{UNFINISHED}/{id}"));
        self.files.remove(&away)?;
        self.files.call(&folder, |disk, folder| disk.rename(folder, &away))?;
        self.files.sync_names(VERSIONS)?;
        self.files.moved(&folder, None);
        self.files.remove(&away)
    }
}
