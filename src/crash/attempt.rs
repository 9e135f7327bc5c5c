//! One attempt to open a model: on a rung of the ladder, with a mark once native code is about to be entered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::death::{CrashPhase, seconds_of};
use super::folder::{by_evidence, keep, load, settle};
use super::format::{MarkFile, Subject, cut_runtime};
use super::ladder::{Decision, counted, decide};
use super::mark::{InCall, Mark, is_alive, lock_folder};
use super::way::Way;
use super::{CrashRecord, Death, signal};
use crate::digest::Hasher;
use crate::disk::{Folder, create_folders};
use crate::{Code, Digest, Error, Result};

/// What is about to be loaded.
pub(crate) struct Model<'a> {
    pub(crate) name: &'a str,
    pub(crate) digest: Digest,
    /// The runtime with its version.
    pub(crate) runtime: &'a str,
    pub(crate) way: Way,
}

/// One attempt to open a model.
pub(crate) struct Attempt {
    record: CrashRecord,
    /// The options that matter, as the app asked for them.
    asked: String,
    rung: u8,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    mark: Option<Arc<Mark>>,
    /// The death that made this attempt end, or that it is gentler because of.
    last: Option<Death>,
    /// Whether another way is to be tried.
    is_next: bool,
    /// The backend that was about to load the model.
    backend: Option<&'static str>,
}

impl Attempt {
    pub(crate) fn new(record: &CrashRecord, asked: String, rung: usize) -> Self {
        let rung = u8::try_from(rung).unwrap_or(u8::MAX);
        Self { record: record.clone(), asked, rung, state: Mutex::default() }
    }

    /// Enters native code, or Rust in its place: from here on a death counts. Gives what is to be dropped when the thread
    /// leaves it. What fails with the record itself is said in the log, and no reason not to open a model.
    ///
    /// # Errors
    ///
    /// `Quarantined`: this way has ended a process, or so many ways that none is left.
    pub(crate) fn enter(&self, model: &Model<'_>) -> Result<Option<InCall>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Of a runtime that did not take the model.
        state.mark = None;
        state.backend = Some(model.way.backend);
        let (mark, deaths) = match self.judge(model) {
            Ok((decision, deaths)) => match decision {
                Judged::Marked(mark) => (mark, deaths),
                Judged::Not(decision) => {
                    state.is_next = decision == Decision::Next;
                    let refused = refusal(model, &deaths);
                    state.last = deaths.into_iter().max_by_key(|death| death.time);
                    return Err(refused);
                }
            },
            Err(e) => {
                tracing::warn!("crash record: '{}' is opened without: {e:#}", model.name);
                return Ok(None);
            }
        };
        state.last = deaths.into_iter().max_by_key(|death| death.time);
        let mark = state.mark.insert(Arc::new(mark));
        Ok(Some(mark.call()))
    }

    fn judge(&self, model: &Model<'_>) -> Result<(Judged, Vec<Death>)> {
        let path = &self.record.folder;
        create_folders(path).map_err(|e| Error::io(path.display(), e))?;
        let mut disk = Folder::new(path.clone());
        let _lock = lock_folder(&disk)?;
        let subject = self.subject(model);
        let alive = Folder::new(path.clone());
        settle(&mut disk, &|name| is_alive(&alive, name), &|mark| by_evidence(mark, signal::TELLS))?;
        let found = load(&mut disk, &subject)?;
        let deaths = current(&found, model);
        if deaths.len() < found.len() {
            tracing::info!("crash record: '{}' has another runtime than it died in: {}", model.name, model.runtime);
            keep(&mut disk, &subject, deaths.clone())?;
        }
        let decision = decide(&deaths, model.way, self.record.rungs.len());
        if decision != Decision::Go {
            return Ok((Judged::Not(decision), deaths));
        }
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|e| Error::new(Code::Io, format!("random numbers: {e}")))?;
        let mark = MarkFile {
            subject,
            runtime: model.runtime.into(),
            way: model.way,
            rung: self.rung,
            id,
            begun: seconds_of(SystemTime::now()),
            process: std::process::id(),
            phase: CrashPhase::Open,
            runs: 0,
            signal: 0,
            is_sure: false,
            died: 0,
        };
        Ok((Judged::Marked(Mark::put(path.clone(), &mark)?), deaths))
    }

    fn subject(&self, model: &Model<'_>) -> Subject {
        let app_version = self.record.app_version.clone();
        let mut key = Hasher::default();
        key.update(&model.digest.0);
        for text in [&*self.asked, &*app_version] {
            key.update(&(text.len() as u64).to_le_bytes());
            key.update(text.as_bytes());
        }
        Subject { key: key.digest(), digest: model.digest, model: model.name.into(), app_version }
    }

    /// The mark of the engine, once it has one.
    pub(crate) fn mark(&self) -> Option<Arc<Mark>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).mark.clone()
    }

    /// The backend that was about to load the model, if it came so far.
    pub(crate) fn backend(&self) -> Option<&'static str> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).backend
    }

    /// Whether the way of this attempt has died, and another is to be tried.
    pub(crate) fn is_next(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_next
    }

    /// Why this attempt is not as the app asked: the last death that counts, and the rung; `None` for one that is.
    pub(crate) fn why(&self) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let last = state.last.as_ref().filter(|_| self.rung > 0)?;
        Some(format!("rung {} of the crash record: it ended the process on {last}", self.rung))
    }
}

enum Judged {
    Marked(Mark),
    Not(Decision),
}

/// The deaths that count: those of this runtime's other versions do not.
fn current(deaths: &[Death], model: &Model<'_>) -> Vec<Death> {
    let runtime = cut_runtime(model.runtime);
    let is_current = |death: &&Death| death.backend != model.way.backend || death.runtime == runtime;
    deaths.iter().filter(is_current).cloned().collect()
}

fn refusal(model: &Model<'_>, deaths: &[Death]) -> Error {
    let (times, name, digest) = (counted(deaths), model.name, model.digest);
    let last = deaths.iter().max_by_key(|death| death.time).map(ToString::to_string).unwrap_or_default();
    let what = if times == 1 { "once".into() } else { format!("{times} times") };
    Error::new(
        Code::Quarantined,
        format!(
            "model '{name}' (SHA-256 {digest}) is not tried again: it ended the process {what}, last on {last}. The file may be \
             sound. A new version of the app or of the runtime, or CrashRecord::clear, lets it be tried again"
        ),
    )
}
