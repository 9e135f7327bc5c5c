//! Versions: where a deployment gets its versions from, and whom it tells what became of them.

use std::sync::Arc;

use super::golden::Golden;
use crate::engine::Engine;
use crate::{Error, Result};

/// Where versions come from, and what is told of them: a store, or an app's own folders.
///
/// A version is named by 1 to 128 letters, digits and `.`, `_`, `-`, `+`, `:`.
///
/// ```
/// use std::collections::BTreeMap;
/// use std::sync::{Arc, Mutex};
/// use selvedge::layer::deployment::{Golden, Loaded, VersionOutcome, Versions};
/// use selvedge::{Code, Engine, Error, Result};
///
/// /// Engines that the app has opened, and a state that ends with the process.
/// struct Opened {
///     engines: BTreeMap<String, Arc<dyn Engine>>,
///     golden: Golden,
///     state: Mutex<Option<Vec<u8>>>,
/// }
///
/// impl Versions for Opened {
///     fn load(&self, version: &str) -> Result<Loaded> {
///         let none = || Error::new(Code::NotFound, format!("version {version}: there is none"));
///         let engine = self.engines.get(version).ok_or_else(none)?;
///         Ok(Loaded::new(engine.clone()).golden(self.golden.clone()))
///     }
///     fn saved(&self) -> Result<Option<Vec<u8>>> {
///         Ok(self.state.lock().unwrap().clone())
///     }
///     fn save(&self, state: &[u8]) -> Result<()> {
///         *self.state.lock().unwrap() = Some(state.to_vec());
///         Ok(())
///     }
///     fn tell(&self, version: &str, outcome: VersionOutcome) -> Result<()> {
///         println!("{version}: {outcome:?}");
///         Ok(())
///     }
/// }
/// ```
pub trait Versions: Send + Sync {
    /// Opens a version. Called on the thread that offered it, or that builds the deployment.
    ///
    /// # Errors
    ///
    /// What opening says; `NotFound` for a version that is not there. Either is a miss of the version.
    fn load(&self, version: &str) -> Result<Loaded>;

    /// Bytes of memory that a version will take once it is loaded; 0, the default, where that is not known.
    ///
    /// # Errors
    ///
    /// As [`Versions::load`]; the offer ends with it, and no miss is counted.
    fn memory(&self, _version: &str) -> Result<u64> {
        Ok(0)
    }

    /// How often the process has died in a version since it is known, as a crash record tells; 0, the default, where there
    /// is none. Asked when the deployment is built: what is new of it is a miss of the version, and at the second one a
    /// candidate is quarantined, and a current version gives way to the one before.
    fn deaths(&self, _version: &str) -> u64 {
        0
    }

    /// The state as it was last saved; `None` if it never was.
    ///
    /// # Errors
    ///
    /// `Io` where it cannot be read; the deployment is then not built.
    fn saved(&self) -> Result<Option<Vec<u8>>>;

    /// Keeps the state, whole and durable, before this returns: at most some kilobytes.
    ///
    /// # Errors
    ///
    /// `Io` where it cannot be kept. An offer ends with it; a rollback goes on in memory, and is saved with the next event.
    fn save(&self, state: &[u8]) -> Result<()>;

    /// Takes in what became of a version. Told again after a restart: twice is as once.
    ///
    /// # Errors
    ///
    /// What it says is a warning in the log (`tracing`), and nothing else: the saved state decides.
    fn tell(&self, version: &str, outcome: VersionOutcome) -> Result<()>;
}

/// What became of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VersionOutcome {
    /// It is the current version.
    Activated,
    /// It did not open, failed its self-test, or the process died in it: the first time.
    Missed,
    /// It missed twice.
    Quarantined,
    /// It was judged worse than the current version, or the app took it back.
    RolledBack,
}

/// A version that was opened.
#[derive(Clone)]
pub struct Loaded {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) golden: Option<Golden>,
}

impl Loaded {
    /// A version without golden cases: what opens is believed.
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine, golden: None }
    }

    /// Sets the cases of the self-test.
    #[must_use]
    pub fn golden(self, golden: Golden) -> Self {
        Self { golden: Some(golden), ..self }
    }
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").field("golden", &self.golden.is_some()).finish_non_exhaustive()
    }
}

/// # Errors
///
/// `InvalidArgument` for what is no name of a version.
pub(super) fn check_name(version: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-+:".contains(c);
    if (1..=128).contains(&version.len()) && version.chars().all(fits) {
        return Ok(());
    }
    let expected = "expected 1 to 128 letters, digits and '._-+:'";
    Err(Error::invalid(format!("version '{}': {expected}", version.escape_debug())))
}
