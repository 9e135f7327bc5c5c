//! Cascade, the layer that asks a cheap engine first, and a costlier one only where the answer does not pass its checks.
//!
//! ```text
//!   request ─► stage 1 ─► checks ─ all pass ─► the answer
//!                           │ one does not, or the engine fails
//!                           ▼
//!              stage 2 ─► checks ─ …  ─► the last engine: its answer, unchecked
//! ```

mod builder;
mod check;
mod run;
#[cfg(test)]
mod tests;
mod threshold;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub use builder::{CascadeBuilder, OnError};
pub use check::{Check, confidence};
pub use threshold::Threshold;

use crate::Result;
use crate::engine::{Call, Engine, Provenance, Request, Run, Spec, Tokenizer, Trim};
use run::CascadeRun;

/// The name on the route.
const LAYER: &str = "cascade";

/// A cascade is an engine made of several, in the order of their cost: the first whose answer passes its [`Check`]s
/// answers, and the last one answers whatever is left.
///
/// - **Escalation.** An answer that fails a check is dropped, and the next engine gets the same request under the same
///   call: its cancel, deadline, priority and id hold for all engines together. What a failing engine means, [`OnError`]
///   says. Requests to [embed](crate::Embed), to [score](crate::Score) and to [rerank](crate::Rerank) go to the last engine alone, for
///   vectors and scores of two models do not compare.
/// - **Streams.** No piece of an answer is given before the answer is accepted, for it could not be taken back. Until
///   then a run tells its progress; then the pieces follow as they had come. The last engine's come as it makes them.
/// - **Usage** is the sum over the engines that have answered, whether accepted or not; what an engine has spent before it
///   failed is not known. The [spec](Engine::spec) is the last engine's, and so is the tokenizer; its memory is that of
///   all, and a step can be interrupted where every engine can be.
/// - **Route.** `cascade(small, large)` names the engines that were asked, in order; the last of them has answered, and
///   the rest of the [`Provenance`] is its own. [`Cascade::status`] counts them, and the checks.
///
/// ```
/// use selvedge::fake::Fake;
/// use selvedge::layer::cascade::{Cascade, Check};
/// use selvedge::{Ask, Generate};
/// let small = Fake::text("I cannot say.").name("small").build();
/// let large = Fake::text(r#"{"city": "Paris"}"#).name("large").build();
/// let cascade = Cascade::builder().stage(small, [Check::finished(), Check::json_with(["city"])]).build(large)?;
/// let answer = cascade.run(Generate::text("The capital of France, as JSON:"))?;
/// assert_eq!((&*answer.text, &*answer.provenance.route[0]), (r#"{"city": "Paris"}"#, "cascade(small, large)"));
/// assert_eq!(cascade.status().stages[0].refused[1], ("json with city".into(), 1));
/// # Ok::<(), selvedge::Error>(())
/// ```
pub struct Cascade {
    stages: Arc<Stages>,
    spec: Spec,
}

/// The engines, cheapest first; the last one has no checks.
struct Stages {
    all: Vec<Stage>,
    on_error: OnError,
    calls: AtomicU64,
}

struct Stage {
    engine: Arc<dyn Engine>,
    checks: Vec<(Check, AtomicU64)>,
    /// The provenance of the engine's spec.
    inner: Arc<Provenance>,
    /// The same, with all engines up to this one on the route, or this one alone.
    up_to: Routed,
    alone: Routed,
    asked: AtomicU64,
    accepted: AtomicU64,
    failed: AtomicU64,
}

struct Routed {
    layer: String,
    provenance: Arc<Provenance>,
}

/// What a cascade has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CascadeStatus {
    /// Calls that were started.
    pub calls: u64,
    /// The engines, cheapest first.
    pub stages: Vec<StageStatus>,
}

/// What an engine of a cascade has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageStatus {
    /// The model's name.
    pub model: String,
    /// Calls that it was asked.
    pub asked: u64,
    /// Its answers that were given to the caller.
    pub accepted: u64,
    /// Calls that it failed, those that were cancelled or out of time aside.
    pub failed: u64,
    /// The names of its checks, and how many answers each has refused: of those that fail several, the first.
    pub refused: Vec<(String, u64)>,
}

impl Cascade {
    /// A builder of a cascade.
    pub fn builder() -> CascadeBuilder {
        CascadeBuilder::new()
    }

    /// The counts since the cascade was made.
    #[must_use]
    pub fn status(&self) -> CascadeStatus {
        let refused = |stage: &Stage| stage.checks.iter().map(|(c, n)| (c.name().into(), n.load(Relaxed))).collect();
        let stages = self.stages.all.iter().map(|stage| StageStatus {
            model: stage.inner.model.clone(),
            asked: stage.asked.load(Relaxed),
            accepted: stage.accepted.load(Relaxed),
            failed: stage.failed.load(Relaxed),
            refused: refused(stage),
        });
        CascadeStatus { calls: self.stages.calls.load(Relaxed), stages: stages.collect() }
    }
}

impl Engine for Cascade {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn start(&self, request: Request, call: Call) -> Result<Box<dyn Run>> {
        Ok(Box::new(CascadeRun::start(&self.stages, request, call)?))
    }

    fn tokenizer(&self) -> Option<&dyn Tokenizer> {
        self.stages.all.last()?.engine.tokenizer()
    }

    fn trim(&self, level: Trim) -> Result<u64> {
        self.stages.all.iter().try_fold(0u64, |sum, stage| Ok(sum.saturating_add(stage.engine.trim(level)?)))
    }
}

impl std::fmt::Debug for Cascade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cascade").field("status", &self.status()).finish()
    }
}
