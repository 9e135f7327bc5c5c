//! Models of a process within one budget of memory: opened on demand, evicted when idle.
//!
//! `shelf` knows what is open and makes room; `lease` keeps a model open; `managed` is the engine that an app holds.

mod lease;
mod managed;
mod pressure;
mod shelf;

use std::sync::Arc;

pub use pressure::{Pressure, PressureWatch};

use crate::Result;
use crate::engine::{Call, Cancel, Engine, MemoryEstimate, Trim};
use lease::Wait;
use managed::Managed;
use shelf::Shelf;

/// Models are those of a process that share one budget of memory: each is opened when it is first asked, and closed
/// again, the least recently used first, where another one needs the room. A model with runs in flight is never closed.
///
/// What counts is the estimate of each model, and what its [`Spec::memory`](crate::Spec::memory) says once it is open,
/// if that is more. A run opens its model in its first step, which is a long one where the model is closed; what the
/// model's [`Spec`](crate::Spec) does not tell of a request is refused there. Where models whose runs have begun are in the
/// way, its steps are `Working` until those have ended, the call's cancel token or deadline ends it, or it is dropped.
/// [`Usage::queued`](crate::Usage::queued) has the wait, [`Usage::prepare`](crate::Usage::prepare) the opening, and
/// [`Provenance::route`](crate::Provenance::route) gains `models`.
///
/// Models that are always in use leave no room for others; a [`Schedule`](super::Schedule) around them makes them take
/// turns. Whoever keeps a run of one model that has begun, and waits on the same thread for another that only fits
/// without it, waits until a deadline.
///
/// Clones are the same budget.
///
/// ```
/// use selvedge::fake::Fake;
/// use selvedge::layer::schedule::{Models, Pressure};
/// use selvedge::{Ask, Code, Generate, MemoryEstimate};
///
/// // With files: `move |cancel| open(&path, Options::new().cancel(cancel))`, and the estimate that
/// // `backend::inspect` gives without loading anything.
/// let models = Models::new(100);
/// for name in ["small", "other", "large"] {
///     let estimate = MemoryEstimate::new(if name == "large" { 80 } else { 40 }, 0, 0);
///     models.add(name, estimate, move |_cancel| Ok(Fake::text("so it goes").name(name).build()))?;
/// }
/// let (small, other) = (models.engine("small")?, models.engine("other")?);
/// let large = models.engine("large")?; // both others were idle, and were closed
/// assert_eq!(models.status().used, 80);
/// small.run(Generate::text("and then"))?; // is opened again
/// assert_eq!(models.status().used, 40);
///
/// let refused = models.add("huge", MemoryEstimate::new(101, 0, 0), |_| Ok(Fake::text("").build())).unwrap_err();
/// assert_eq!(refused.code(), Code::OutOfMemory);
/// assert_eq!(models.pressure(Pressure::Critical), 40);
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone)]
pub struct Models {
    shelf: Arc<Shelf>,
}

impl Models {
    /// A budget of so many bytes, without models.
    pub fn new(budget: u64) -> Self {
        Self { shelf: Arc::new(Shelf::new(budget)) }
    }

    /// Adds a model: its name here, what it is estimated to need, and how to open it. Nothing is opened yet. `open` is
    /// called on the thread of the run that needs the model, one call at a time; its argument is that run's cancel token.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a name that is taken; `OutOfMemory` for an estimate above the budget.
    pub fn add<F>(&self, name: impl Into<String>, estimate: MemoryEstimate, open: F) -> Result<()>
    where
        F: Fn(&Cancel) -> Result<Arc<dyn Engine>> + Send + Sync + 'static,
    {
        self.shelf.add(name.into(), estimate.total(), Box::new(open))
    }

    /// The model of a name as an engine, opened now if it isn't open: only then its [`Spec`](crate::Spec) is known. It may
    /// be closed as soon as this returns; the engine opens it again when it is asked.
    ///
    /// # Errors
    ///
    /// `NotFound` for a name that was not added; `Busy` where models with runs in flight are in the way; `OutOfMemory` where
    /// it needs more than the whole budget, which its file may tell only once it is open; those of opening it.
    pub fn engine(&self, name: &str) -> Result<Arc<dyn Engine>> {
        let number = self.shelf.find(name)?;
        let lease = lease::take(&self.shelf, number, &Call::new(), Wait::NotForRoom)?;
        Ok(Arc::new(Managed::new(self.shelf.clone(), number, &lease.engine)))
    }

    /// Trims the open models, which stay open; the bytes that their engines say were freed.
    pub fn trim(&self, level: Trim) -> u64 {
        let freed = lease::open_ones(&self.shelf).into_iter().map(|lease| lease.engine.trim(level).unwrap_or(0));
        freed.fold(0, u64::saturating_add)
    }

    /// Gives memory back, as much as the pressure asks for; the bytes freed, by the estimates and by what engines say. A
    /// mobile app calls it when the system warns it; on Linux [`watch_pressure`](Self::watch_pressure) does.
    pub fn pressure(&self, pressure: Pressure) -> u64 {
        match pressure {
            Pressure::Warning => self.shelf.evict_idle(1).saturating_add(self.trim(Trim::Caches)),
            Pressure::Critical => self.shelf.evict_idle(0).saturating_add(self.trim(Trim::All)),
        }
    }

    /// Starts a thread that looks at the system's pressure stall information every two seconds, and calls
    /// [`pressure`](Self::pressure) where memory is short; it ends when what this returns is dropped.
    ///
    /// It reads the stalls of the machine and of the process's own control group (version 2), and takes the worse: memory is
    /// short if for a tenth of the time some task waited for it, and critical if for a tenth of it all did.
    ///
    /// # Errors
    ///
    /// `Unsupported` where the system has no such information, as on other systems than Linux and on kernels without PSI;
    /// `OutOfMemory` if no thread starts.
    pub fn watch_pressure(&self) -> Result<PressureWatch> {
        let models = self.clone();
        PressureWatch::start(move |pressure| {
            models.pressure(pressure);
        })
    }

    /// What is open and what it takes.
    pub fn status(&self) -> ModelsStatus {
        self.shelf.status()
    }
}

impl std::fmt::Debug for Models {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Models").field(&self.status()).finish()
    }
}

/// What [`Models`] have to say of themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelsStatus {
    /// Bytes of the budget.
    pub budget: u64,
    /// Bytes of it that are taken, by the estimates.
    pub used: u64,
    /// The names of the models that are open, the least recently used first.
    pub open: Vec<String>,
    /// Times that a model was opened so far.
    pub opened: u64,
    /// Times that an idle model was closed so far.
    pub evicted: u64,
}
