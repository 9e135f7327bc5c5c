//! Deployment, the layer that brings versions of a model in, and bad ones back out.
//!
//! ```text
//!   call ─► view ─► run of the current version, or of the candidate ─► tally ─► judge
//!            ▲ swapped as a whole                                                │ verdict
//!   offer ─► state ─► load, golden cases, shadow, canary, switch, drain ◄────────┘
//!            │ saved before anything is done
//!            ▼ versions: a store, or an app's own
//! ```
//!
//! The first line is on the way of every call and takes no lock; the rest is the work of whoever offers a version, and of
//! a thread of its own.
//!
//! # How it is proven
//!
//! `cargo test --no-default-features --lib deployment::`, and `cargo test --test deployment` with a real model.
//!
//! | promise | cases | control |
//! |---|---|---|
//! | no call fails or is lost through a switch, and each is answered by the version that its route names | 100 switches under 8 threads, with an engine of three steps and with a real model; without memory for two, calls wait | versions give different answers, so that a wrong route shows; golden cases that are wrong are refused |
//! | a process that ends at any moment goes on where it was; nothing refused comes back; no flapping | 100,000 random walks of the state with crashes | the walks count that they were everywhere |
//! | false alarms of the judge, asked after every answer: at most the stated rate | 4,000 rollouts of two equal versions where it errs most: a twentieth of the stated rate, a tenth is borne | a level five times as lax; a test for one look, taken after every answer |
//! | false promotions: at most the stated rate | 1,200 rollouts of versions that are worse by the margin | equal versions are promoted |
//! | the mean of the evidence is 1 at most, whatever the rates | all outcomes of 14 answers of each arm, on a grid of rates | it is over 100 where the hypothesis is false |
//! | two misses are quarantine; a verdict takes effect before the next call begins | loads that fail or panic, golden cases, deaths | one miss is none |
//!
//! # What it costs
//!
//! `cargo bench -p selvedge-benches --features tract --bench rollout` prints the figures of a machine beside what they are
//! held to:
//!
//! | | at most | seen: an echo, the rain model under tract |
//! |---|---|---|
//! | a call through a deployment: at rest, with an objective for its time, and as a canary that is judged after each answer | 1 µs over the bare engine's | 0.13, 0.21, 0.39; 0.21, 0.30, 0.60 µs |
//! | a call through `Schedule`, `Models`, or a `Cache` that has no answer and is full | 1 µs over the bare engine's | 0.35, 0.67, 0.83; 0.39, 0.81, 1.13 µs |
//! | a call that a `Cache` answers | 2 µs | 0.38; 0.41 µs |
//! | the longest call of eight callers beside a switch, p99 over 300 switches | 1 ms over that beside none | 0.00; 0.67 ms |
//!
//! Seen on two cores of a shared AMD EPYC (Zen 4). The cache that makes room for each answer is over its bar beside the model:
//! what it lets go has left the processor's caches by then.

mod arm;
mod builder;
mod cohort;
mod control;
mod event;
mod fit;
mod golden;
mod journal;
mod judge;
mod likeness;
mod phase;
mod plan;
mod routing;
mod run;
mod saved;
mod sequential;
mod serving;
mod shadow;
mod state;
mod status;
mod store_versions;
mod tally;
#[cfg(test)]
mod tests;
mod tokens;
mod versions;
mod view;
mod worker;

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

pub use arm::Arm;
pub use builder::DeploymentBuilder;
pub use golden::{Golden, GoldenMiss};
pub use judge::{ArmCounts, Judged, RolloutEvidence, RolloutJudge, RolloutVerdict, Signs};
pub use likeness::Likeness;
pub use phase::RolloutPhase;
pub use plan::RolloutPlan;
pub use shadow::ShadowCounts;
pub use status::{CandidateStatus, DeploymentStatus};
pub use store_versions::StoreVersions;
pub use versions::{Loaded, VersionOutcome, Versions};

use crate::drift::Alert;
use crate::engine::{Call, Engine, Request, Run, Spec, Tokenizer, Trim};
use crate::threads::unpoisoned;
use crate::{Error, Result};
use control::Control;
use event::RolloutEvent;
use run::DeploymentRun;
use tokens::CurrentTokenizer;
use view::{Message, Shared};

/// A deployment is an engine over the versions of a model: one is current, and another may be on trial.
///
/// An offered version is loaded beside the current one, must give its golden answers, and then comes in by the steps of its
/// [`RolloutPlan`]: at once, or compared in the shadow first, or as a canary for a share of devices and calls. Calls are
/// switched between two requests; those under way end where they began, and no call fails or waits for a switch. What the
/// [`RolloutJudge`] finds worse gets no call after its verdict, and is not taken again; what does not open or fails its
/// golden cases is quarantined after the second time. The state is saved before each step, so that a process that ends at any
/// moment goes on where it was.
///
/// The route of each answer says version and arm, `deployment(v3,canary)`: see [`Arm::of`]. For telemetry that tells versions
/// apart, [`Versions::load`] puts each in a [`Monitor`](crate::layer::monitor::Monitor) of its own, with its
/// [`version`](crate::layer::monitor::MonitorBuilder::version): each record then says version and arm, those of a shadow too.
/// [`DeploymentBuilder::telemetry`] adds the steps of the versions, with verdicts and their evidence.
///
/// ```
/// # use std::collections::BTreeMap;
/// # use std::sync::{Arc, Mutex};
/// use selvedge::fake::Fake;
/// use selvedge::layer::deployment::{Arm, Deployment, Loaded, RolloutPhase, RolloutPlan, Versions};
/// # use selvedge::layer::deployment::VersionOutcome;
/// use selvedge::{Ask, Generate};
/// # struct Mine(Mutex<Option<Vec<u8>>>);
/// # impl Versions for Mine {
/// #     fn load(&self, version: &str) -> selvedge::Result<Loaded> {
/// #         Ok(Loaded::new(Fake::text(format!("I am {version}")).build()))
/// #     }
/// #     fn saved(&self) -> selvedge::Result<Option<Vec<u8>>> { Ok(self.0.lock().unwrap().clone()) }
/// #     fn save(&self, state: &[u8]) -> selvedge::Result<()> { *self.0.lock().unwrap() = Some(state.to_vec()); Ok(()) }
/// #     fn tell(&self, _: &str, _: VersionOutcome) -> selvedge::Result<()> { Ok(()) }
/// # }
/// # let versions = Mine(Mutex::default());
/// let deployment = Deployment::builder(versions).build("v1")?;
/// assert_eq!(deployment.run(Generate::text("who?"))?.text, "I am v1");
/// assert_eq!(deployment.offer("v2", RolloutPlan::blue_green())?, RolloutPhase::Promoted);
/// let answer = deployment.run(Generate::text("who?"))?;
/// assert_eq!((&*answer.text, Arm::of(&answer.provenance)), ("I am v2", Some(("v2", Arm::Current))));
/// # Ok::<(), selvedge::Error>(())
/// ```
pub struct Deployment {
    control: Arc<Control>,
    shared: Arc<Shared>,
    tokenizer: Option<CurrentTokenizer>,
    worker: Option<JoinHandle<()>>,
}

impl Deployment {
    /// A builder of a deployment, with default options.
    pub fn builder(versions: impl Versions + 'static) -> DeploymentBuilder {
        DeploymentBuilder::new(Box::new(versions))
    }

    /// Offers a version: loads and tests it on this thread, and sends it on its way. Gives the phase that it is in then:
    /// [`RolloutPhase::Promoted`], [`RolloutPhase::Shadow`] or [`RolloutPhase::Canary`] if it passed, [`RolloutPhase::Missed`] or [`RolloutPhase::Quarantined`] if it
    /// did not ([`DeploymentStatus::misses`] says why), [`RolloutPhase::Outside`] if this device does not take part.
    ///
    /// The version on trial may be offered again with another plan, as new metadata has it; a share that leaves this device out
    /// takes it away, and it may come back. The current one stays as it is.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a version that was rolled back or quarantined, a share out of its range, or what is no name; `Busy`
    /// while another one is on trial or this one still drains; `OutOfMemory` for one that is larger than all memory; what
    /// [`Versions::memory`] and [`Versions::save`] say. The version is then not on trial.
    pub fn offer(&self, version: &str, plan: RolloutPlan) -> Result<RolloutPhase> {
        versions::check_name(version)?;
        plan.check()?;
        let control = &*self.control;
        let _one = unpoisoned(control.operation.lock());
        if !plan.has_device(version, &control.install_id) {
            control.handle(&RolloutEvent::Withdrawn { version: version.into() })?;
            return Ok(RolloutPhase::Outside);
        }
        let beside = control.is_beside(version)?;
        control.offer(version, plan, beside)?;
        Ok(control.lock().state.phase(version).unwrap_or(RolloutPhase::Outside))
    }

    /// Promotes the version on trial, whatever the judge says.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` where none answers calls; what [`Versions::save`] says.
    pub fn promote(&self) -> Result<()> {
        let version = self.on_trial().filter(|(_, phase)| *phase == RolloutPhase::Canary).map(|(version, _)| version);
        let none = || Error::invalid("promote: expected a version in the canary, got none");
        let version = version.ok_or_else(none)?;
        let judged = self.status().candidate.map(|candidate| candidate.judged).unwrap_or_default();
        self.control.act(version, true, judged)
    }

    /// Takes the version on trial back, or, where there is none, the current one: the one before it is loaded and tested, and
    /// takes its place. What was taken back is not taken again, unless it is [forgiven](Self::forgive). Gives the version that
    /// is current then.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` where there is no version before, or it may not come back; `Backend` if it does not open or fails
    /// its test: the current one stays. As [`Deployment::offer`] besides.
    pub fn roll_back(&self) -> Result<String> {
        let control = &*self.control;
        if let Some((version, _)) = self.on_trial() {
            let judged = self.status().candidate.map(|candidate| candidate.judged).unwrap_or_default();
            control.act(version, false, judged)?;
            return Ok(self.status().current);
        }
        let _one = unpoisoned(control.operation.lock());
        let (current, previous) = {
            let inner = control.lock();
            (inner.state.current().map(str::to_owned), inner.state.previous().map(str::to_owned))
        };
        let beside = previous.map_or(Ok(true), |version| control.is_beside(&version))?;
        control.handle(&RolloutEvent::Reverted { beside })?;
        let status = control.status();
        if Some(&status.current) == current.as_ref() {
            let why = status.misses.first().map(|miss| format!("{}: {}", miss.case, miss.why)).unwrap_or_default();
            return Err(Error::backend(format!("roll back: the version before does not serve: {why}")));
        }
        Ok(status.current)
    }

    /// Lets a version that was rolled back or quarantined be offered again.
    ///
    /// # Errors
    ///
    /// What [`Versions::save`] says.
    pub fn forgive(&self, version: &str) -> Result<()> {
        self.control.handle(&RolloutEvent::Forgiven { version: version.into() })
    }

    /// Takes in the truth about an answer of a version ([`Arm::of`] says which gave it): whether it was right. Of versions that
    /// are neither current nor on trial, it counts for nothing. A verdict that follows is acted on before this returns.
    ///
    /// # Errors
    ///
    /// What [`Versions::save`] says.
    pub fn label(&self, version: &str, is_correct: bool) -> Result<()> {
        let tally = self.control.lock().tallies.get(version).cloned();
        tally.iter().for_each(|tally| tally.label(is_correct));
        self.control.consider()
    }

    /// Takes in the alerts that stand for a version, as its monitor has them; they take the place of those before. A verdict
    /// that follows is acted on before this returns.
    ///
    /// # Errors
    ///
    /// What [`Versions::save`] says.
    pub fn alerts(&self, version: &str, standing: Vec<Alert>) -> Result<()> {
        self.control.set_alerts(version, standing);
        self.control.consider()
    }

    /// The versions, the arms, and what the judge says.
    #[must_use]
    pub fn status(&self) -> DeploymentStatus {
        self.control.status()
    }

    /// Waits until what was decided is saved and what was replaced has gone, or for so long. Gives whether it is so.
    pub fn settle(&self, at_most: Duration) -> bool {
        let (settled, wait) = channel();
        self.shared.tell(Message::Settle(settled));
        wait.recv_timeout(at_most).is_ok()
    }

    fn on_trial(&self) -> Option<(String, RolloutPhase)> {
        let inner = self.control.lock();
        let version = inner.state.candidate()?.version.clone();
        let phase = inner.state.phase(&version)?;
        Some((version, phase))
    }
}

impl Engine for Deployment {
    fn spec(&self) -> &Spec {
        self.shared.specs.current()
    }

    fn start(&self, request: Request, call: Call) -> Result<Box<dyn Run>> {
        Ok(Box::new(DeploymentRun::start(&self.shared, request, call)?))
    }

    fn tokenizer(&self) -> Option<&dyn Tokenizer> {
        self.tokenizer.as_ref().map(|tokenizer| tokenizer as _)
    }

    fn trim(&self, level: Trim) -> Result<u64> {
        let view = self.shared.view.load_full();
        view.servings().try_fold(0, |freed: u64, serving| Ok(freed.saturating_add(serving.engine.trim(level)?)))
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        self.shared.tell(Message::Stop);
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
        self.control.end();
    }
}

impl std::fmt::Debug for Deployment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deployment").field("current", &self.status().current).finish_non_exhaustive()
    }
}
