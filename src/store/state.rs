//! The state of a store: which version is current, which were, and which are in quarantine.
//!
//! It is one file, so that each change is one replacement.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::files::Files;
use super::{sealed, twice};
use crate::{Digest, Error, Result};

pub(super) const STATE: &str = "state";
/// The most bytes of a state.
const MAX_STATE: u64 = 4 << 20;
/// How many versions that were current are remembered.
const MAX_HISTORY: usize = 64;
/// How many versions with misses or in quarantine are remembered.
const MAX_MARKS: usize = 256;
const FORMAT: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    format: u32,
    /// Counts the changes.
    change: u64,
    current: Option<String>,
    /// Versions that were current before, the latest last.
    history: Vec<String>,
    marks: BTreeMap<String, Mark>,
    /// The version that a signed statement went back to last.
    sent_back: Option<String>,
}

/// What is held against a version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// The change at which it was made.
    change: u64,
    pub(super) misses: u32,
    pub(super) quarantined: bool,
    pub(super) why: String,
}

impl Default for State {
    fn default() -> Self {
        Self { format: FORMAT, change: 0, current: None, history: Vec::new(), marks: BTreeMap::new(), sent_back: None }
    }
}

impl State {
    /// The state on the disk; of a new store, the first one.
    ///
    /// # Errors
    ///
    /// `Corrupt` where both the state and its copy are damaged; `Io`.
    pub(super) fn read(files: &Files) -> Result<Self> {
        twice::read(files, STATE, MAX_STATE, Self::parse).map(Option::unwrap_or_default)
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let state: Self = sealed::unseal(STATE, bytes)?;
        if state.format != FORMAT {
            return Err(Error::unsupported(format!("{STATE}: expected format {FORMAT}, got {}", state.format)));
        }
        let ids = state.current.iter().chain(&state.history).chain(state.marks.keys()).chain(&state.sent_back);
        for id in ids {
            id.parse::<Digest>().map_err(|e| Error::corrupt(format!("{STATE}: expected digests")).because(e))?;
        }
        Ok(state)
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        sealed::seal(self)
    }

    /// The state after a change.
    pub(super) fn next(&self) -> Self {
        let mut next = self.clone();
        next.change += 1;
        next
    }

    pub(super) fn current(&self) -> Option<Digest> {
        self.current.as_deref().and_then(|id| id.parse().ok())
    }

    /// Versions that were current before, the latest first.
    pub(super) fn history(&self) -> impl Iterator<Item = Digest> {
        self.history.iter().rev().filter_map(|id| id.parse().ok())
    }

    pub(super) fn has_served(&self, id: Digest) -> bool {
        self.current() == Some(id) || self.history().any(|other| other == id)
    }

    pub(super) fn is_sent_back_to(&self, id: Digest) -> bool {
        self.sent_back.as_deref().and_then(|id| id.parse().ok()) == Some(id)
    }

    /// Remembers what a signed statement went back to; `None` where one went forward.
    pub(super) fn send_back(&mut self, to: Option<Digest>) {
        self.sent_back = to.map(|id| id.to_string());
    }

    /// Makes a version current; the one that was goes into the history.
    pub(super) fn activate(&mut self, id: Digest) {
        let id = id.to_string();
        if let Some(before) = self.current.take().filter(|before| *before != id) {
            self.history.retain(|other| *other != before);
            self.history.push(before);
        }
        self.history.retain(|other| *other != id);
        let surplus = self.history.len().saturating_sub(MAX_HISTORY);
        self.history.drain(..surplus);
        self.current = Some(id);
    }

    /// Makes a version of the history current, or none. The one that was leaves the history, with all after that version.
    pub(super) fn go_back(&mut self, to: Option<Digest>) {
        self.current = to.map(|id| id.to_string());
        match self.history.iter().position(|id| Some(id) == self.current.as_ref()) {
            Some(at) => self.history.truncate(at),
            None => self.history.clear(),
        }
    }

    pub(super) fn mark(&self, id: Digest) -> Option<&Mark> {
        self.marks.get(&id.to_string())
    }

    pub(super) fn is_quarantined(&self, id: Digest) -> bool {
        self.mark(id).is_some_and(|mark| mark.quarantined)
    }

    /// Counts a miss, or puts the version into quarantine.
    pub(super) fn blame(&mut self, id: Digest, why: &str, is_quarantine: bool, max_misses: u32) -> u32 {
        let mark = self.marks.entry(id.to_string()).or_default();
        mark.change = self.change;
        mark.misses = mark.misses.saturating_add(u32::from(!is_quarantine));
        mark.quarantined |= is_quarantine || mark.misses >= max_misses;
        mark.why = why.chars().take(MAX_WHY).collect();
        let misses = mark.misses;
        while self.marks.len() > MAX_MARKS {
            let oldest = self.marks.iter().min_by_key(|(_, mark)| mark.change).map(|(id, _)| id.clone());
            oldest.and_then(|id| self.marks.remove(&id));
        }
        misses
    }

    pub(super) fn pardon(&mut self, id: Digest) {
        self.marks.remove(&id.to_string());
    }
}

/// The most characters of a reason.
const MAX_WHY: usize = 1000;
