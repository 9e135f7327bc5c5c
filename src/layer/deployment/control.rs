//! Control of a deployment: events go into the state, the state is saved, and its actions are carried out.
//!
//! A lock keeps the events in order; the threads that answer never take it. What takes long, loading and testing, is done
//! without it, by the thread that offered the version.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::event::{RolloutAction, RolloutEvent};
use super::fit::check_fit;
use super::golden::{Golden, GoldenMiss};
use super::journal::{Journal, Reasons};
use super::judge::{ArmCounts, Judged};
use super::plan::RolloutPlan;
use super::saved::Counts;
use super::serving::Serving;
use super::state::State;
use super::tally::Tally;
use super::versions::{Loaded, Versions};
use super::view::{Message, Shared, View};
use crate::drift::Alert;
use crate::engine::{Call, Engine, Exposure};
use crate::threads::{contained, unpoisoned};
use crate::{Code, Error, Result};

pub(super) struct Control {
    pub(super) versions: Box<dyn Versions>,
    pub(super) shared: Arc<Shared>,
    pub(super) install_id: String,
    /// Bytes for all versions together; `None` for no limit.
    pub(super) memory: Option<u64>,
    pub(super) self_test: Duration,
    /// Held by what loads.
    pub(super) operation: Mutex<()>,
    pub(super) inner: Mutex<Inner>,
}

pub(super) struct Inner {
    pub(super) state: State,
    pub(super) loaded: BTreeMap<String, Version>,
    pub(super) tallies: BTreeMap<String, Arc<Tally>>,
    pub(super) alerts: BTreeMap<String, Vec<Alert>>,
    /// Why the last version that missed did.
    pub(super) misses: Vec<GoldenMiss>,
    /// The last verdict that was acted on.
    pub(super) last: Option<(String, Judged)>,
    pub(super) is_saved: bool,
    /// Arms that get no new call.
    pub(super) retired: Vec<Arc<Serving>>,
    /// Versions whose last run is waited for.
    pub(super) draining: Vec<(String, Option<Version>)>,
    pub(super) journal: Journal,
}

/// A version that is loaded.
pub(super) struct Version {
    pub(super) engine: Arc<dyn Engine>,
    golden: Option<Golden>,
}

/// What is saved.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    state: State,
    /// Those of the current version and of the candidate.
    counts: BTreeMap<String, Counts>,
}

/// The longest wait for the runs of a version that has to go before another is loaded.
const MAX_DRAIN: Duration = Duration::from_secs(60);
const NAP: Duration = Duration::from_millis(1);

impl Inner {
    pub(super) fn new(state: State) -> Self {
        Self {
            state,
            loaded: BTreeMap::new(),
            tallies: BTreeMap::new(),
            alerts: BTreeMap::new(),
            misses: Vec::new(),
            last: None,
            is_saved: false,
            retired: Vec::new(),
            draining: Vec::new(),
            journal: Journal::default(),
        }
    }

    /// # Errors
    ///
    /// `Corrupt`.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let corrupt = |e| Error::corrupt(format!("state of a deployment: {e}"));
        let saved: Saved = serde_json::from_slice(bytes).map_err(corrupt)?;
        let mut inner = Self::new(saved.state.checked()?);
        inner.journal.resume(&inner.state);
        inner.tallies = saved.counts.iter().map(|(v, counts)| (v.clone(), Arc::new(Tally::of(&counts.0)))).collect();
        Ok(inner)
    }

    fn encode(&self) -> Result<Vec<u8>> {
        let candidate = self.state.candidate().map(|candidate| &*candidate.version);
        let counted = self.state.current().into_iter().chain(candidate);
        let counts = counted.filter_map(|v| Some((v.to_owned(), Counts(self.tallies.get(v)?.counts())))).collect();
        let saved = Saved { state: self.state.clone(), counts };
        serde_json::to_vec(&saved).map_err(|e| Error::internal("the state of a deployment is no JSON").because(e))
    }

    /// Tells the telemetry what has happened since the last time.
    fn write_journal(&mut self) {
        let Self { journal, state, last, misses, .. } = self;
        journal.write(state, &Reasons { last: last.as_ref(), misses });
    }

    pub(super) fn tally(&mut self, version: &str) -> Arc<Tally> {
        self.tallies.entry(version.into()).or_default().clone()
    }

    /// The counts of both sides of a trial, the current version first.
    pub(super) fn counts(&self, candidate: &str) -> (ArmCounts, ArmCounts) {
        let of = |version: Option<&str>| version.and_then(|v| self.tallies.get(v)).map(|t| t.counts());
        (of(self.state.current()).unwrap_or_default(), of(Some(candidate)).unwrap_or_default())
    }
}

impl Control {
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        unpoisoned(self.inner.lock())
    }

    /// Begins in a new process.
    ///
    /// # Errors
    ///
    /// What the current version says on opening, where none takes its place.
    pub(super) fn begin(&self) -> Result<()> {
        let mut inner = self.lock();
        let mut actions = Vec::new();
        let on_duty: Vec<String> = inner.state.on_duty();
        for version in on_duty {
            let deaths = self.versions.deaths(&version);
            // Nothing is loaded: all but the telling follows from the state.
            let died = inner.state.apply(&RolloutEvent::Died { version: version.clone(), deaths })?;
            if !died.is_empty() {
                inner.misses = vec![GoldenMiss::of_deaths(&version, deaths)];
            }
            actions.extend(died.into_iter().filter(|action| matches!(action, RolloutAction::Tell { .. })));
        }
        actions.extend(inner.state.restore());
        inner.write_journal();
        // An app whose disk is full is to be answered all the same; the status says that nothing is saved.
        let _ = self.save(&mut inner);
        drop(inner);
        self.carry_out(actions)
    }

    /// Takes in an event, and carries out what follows.
    ///
    /// # Errors
    ///
    /// As [`State::apply`]; that the state cannot be saved, where a version would come in unsaved.
    pub(super) fn handle(&self, event: &RolloutEvent) -> Result<()> {
        let actions = self.apply(event)?;
        self.carry_out(actions)
    }

    fn apply(&self, event: &RolloutEvent) -> Result<Vec<RolloutAction>> {
        let mut inner = self.lock();
        let before = inner.state.clone();
        let actions = inner.state.apply(event)?;
        if inner.state == before && inner.is_saved {
            return Ok(actions);
        }
        match self.save(&mut inner) {
            Err(error) if event.brings_in() => {
                inner.state = before;
                Err(error)
            }
            // What takes a version out of the way of calls does so in any case; it is saved with the next event.
            _ => {
                inner.write_journal();
                Ok(actions)
            }
        }
    }

    pub(super) fn save(&self, inner: &mut Inner) -> Result<()> {
        let saved = inner.encode().and_then(|bytes| self.versions.save(&bytes));
        inner.is_saved = saved.is_ok();
        saved.inspect_err(|error| tracing::warn!("deployment: its state is not saved: {error:#}"))
    }

    fn carry_out(&self, actions: Vec<RolloutAction>) -> Result<()> {
        let mut queue = VecDeque::from(actions);
        let mut failed = None;
        while let Some(action) = queue.pop_front() {
            let followed = match action {
                RolloutAction::Suspend => self.suspend().map(|()| None),
                RolloutAction::Load { version } => self.load(&version),
                RolloutAction::SelfTest { version } => Ok(Some(self.self_test(&version))),
                RolloutAction::Route => self.route().map(|()| None),
                RolloutAction::Drain { version } => Ok(self.begin_drain(version)),
                RolloutAction::Tell { version, outcome } => {
                    if let Err(error) = self.versions.tell(&version, outcome) {
                        tracing::warn!("deployment: {version}: its outcome {outcome:?} is not taken: {error:#}");
                    }
                    Ok(None)
                }
            };
            let event = followed.unwrap_or_else(|error| self.give_up(error, &mut failed));
            let Some(event) = event else { continue };
            let actions = self.apply(&event).or_else(|error| match self.give_up(error, &mut failed) {
                Some(withdrawn) => self.apply(&withdrawn),
                None => Ok(Vec::new()),
            });
            queue.extend(actions?);
        }
        failed.map_or(Ok(()), Err)
    }

    /// Takes the candidate away after an error that is none of its own; the error is kept for the caller.
    fn give_up(&self, error: Error, failed: &mut Option<Error>) -> Option<RolloutEvent> {
        let is_first = failed.is_none();
        failed.get_or_insert(error);
        let candidate = self.lock().state.candidate().map(|candidate| candidate.version.clone());
        candidate.filter(|_| is_first).map(|version| RolloutEvent::Withdrawn { version })
    }

    /// Drops the current version, so that there is memory for another. Calls wait meanwhile.
    fn suspend(&self) -> Result<()> {
        let mut inner = self.lock();
        let Some(current) = inner.state.current().map(str::to_owned) else { return Ok(()) };
        let engine = inner.loaded.remove(&current);
        self.switch(&mut inner, View::default());
        drop(inner);
        let began = Instant::now();
        while self.drop_idle(&current) > 0 {
            if began.elapsed() > MAX_DRAIN {
                let busy = format!("version {current}: its runs have not ended within {} s", MAX_DRAIN.as_secs());
                if let Some(engine) = engine {
                    self.lock().loaded.insert(current, engine);
                }
                return self.route().and(Err(Error::new(Code::Busy, busy)));
            }
            std::thread::sleep(NAP);
        }
        Ok(())
    }

    /// Opens a version. Gives the event that follows, if it is the candidate.
    fn load(&self, version: &str) -> Result<Option<RolloutEvent>> {
        let loaded = contained(|| self.versions.load(version))
            .unwrap_or_else(|panic| Err(Error::new(Code::Panic, format!("loading it panicked: {panic}"))));
        let mut inner = self.lock();
        let is_candidate = inner.state.candidate().is_some_and(|candidate| candidate.version == version);
        let fits = loaded.and_then(|loaded| self.fitting(&loaded).map(|()| loaded));
        match fits {
            Ok(Loaded { engine, golden }) => {
                if is_candidate || inner.state.current() == Some(version) {
                    inner.loaded.insert(version.into(), Version { engine, golden });
                }
                Ok(is_candidate.then_some(RolloutEvent::Loaded))
            }
            Err(error) if is_candidate => {
                inner.misses = vec![GoldenMiss::of_load(&error)];
                Ok(Some(RolloutEvent::LoadFailed))
            }
            Err(error) if inner.state.current() != Some(version) => {
                tracing::warn!("deployment: {version}: {error:#}");
                Ok(None)
            }
            Err(error) => {
                drop(inner);
                let actions = self.apply(&RolloutEvent::CurrentFailed)?;
                let has_another = self.lock().state.current() != Some(version);
                if has_another {
                    return self.carry_out(actions).map(|()| None);
                }
                let view = View { failure: Some(error.clone()), ..View::default() };
                self.switch(&mut self.lock(), view);
                Err(error.during(format!("loading version {version}")))
            }
        }
    }

    /// # Errors
    ///
    /// `InvalidArgument` for a version that callers of the current one cannot use.
    fn fitting(&self, loaded: &Loaded) -> Result<()> {
        self.shared.specs.known().map_or(Ok(()), |spec| check_fit(spec, loaded.engine.spec()))
    }

    fn self_test(&self, version: &str) -> RolloutEvent {
        let of = self.lock().loaded.get(version).map(|loaded| (loaded.engine.clone(), loaded.golden.clone()));
        let Some((engine, golden)) = of else { return RolloutEvent::SelfTested { passed: false } };
        // Its answers are given to nobody, as those of a shadow.
        let call = Call { exposure: Some(Exposure::Shadow), ..Call::new().timeout(self.self_test) };
        let run = || golden.map(|golden| golden.misses(&*engine, &call)).unwrap_or_default();
        let misses = contained(run).unwrap_or_else(|panic| vec![GoldenMiss::of_panic(panic)]);
        let passed = misses.is_empty();
        if !passed {
            self.lock().misses = misses;
        }
        RolloutEvent::SelfTested { passed }
    }

    /// Takes a version out; its engine goes once its last run has ended. Gives the event where that is now.
    fn begin_drain(&self, version: String) -> Option<RolloutEvent> {
        let mut inner = self.lock();
        let engine = inner.loaded.remove(&version);
        if inner.retired.iter().any(|serving| serving.version == version) {
            inner.draining.push((version, engine));
            self.shared.tell(Message::Drain);
            return None;
        }
        drop(inner);
        drop(engine);
        Some(RolloutEvent::Drained { version })
    }

    /// Drops the retired arms of a version that have no run any more; gives how many have.
    fn drop_idle(&self, version: &str) -> usize {
        let mut idle = Vec::new();
        let mut inner = self.lock();
        let is_idle = |serving: &mut Arc<Serving>| serving.version == version && Arc::strong_count(serving) == 1;
        idle.extend(inner.retired.extract_if(.., is_idle));
        let busy = inner.retired.iter().filter(|serving| serving.version == version).count();
        drop(inner);
        drop(idle);
        busy
    }

    /// Drops what has drained; gives whether something is left.
    pub(super) fn drain(&self) -> bool {
        let versions: Vec<String> = self.lock().retired.iter().map(|serving| serving.version.clone()).collect();
        let left = versions.iter().filter(|version| self.drop_idle(version) > 0).count();
        let mut drained = Vec::new();
        let mut inner = self.lock();
        let Inner { draining, retired, .. } = &mut *inner;
        let is_over = |(version, _): &mut (String, Option<Version>)| retired.iter().all(|s| s.version != *version);
        drained.extend(draining.extract_if(.., is_over));
        drop(inner);
        for (version, engine) in drained {
            drop(engine);
            // Only the saving can fail, and that is told in the log.
            let _ = self.apply(&RolloutEvent::Drained { version });
        }
        left > 0
    }

    /// Whether a version fits beside the current one, once what drains has gone.
    ///
    /// # Errors
    ///
    /// `OutOfMemory` where the version alone is too large.
    pub(super) fn is_beside(&self, version: &str) -> Result<bool> {
        let Some(budget) = self.memory else { return Ok(true) };
        // What drains is in memory still.
        let began = Instant::now();
        while !self.lock().draining.is_empty() && began.elapsed() < MAX_DRAIN {
            self.shared.tell(Message::Drain);
            std::thread::sleep(NAP);
        }
        let need = self.versions.memory(version)?;
        if need > budget {
            let what = format!("version {version}: expected {budget} bytes of memory at most, got {need}");
            return Err(Error::new(Code::OutOfMemory, what));
        }
        let current = self.shared.specs.current().memory.total();
        Ok(need.saturating_add(current) <= budget)
    }

    /// Takes a version on trial. It is counted from nothing, and so is the current one; but where the candidate gets every
    /// call, what the current one did before is all there is to hold it against.
    pub(super) fn offer(&self, version: &str, plan: RolloutPlan, beside: bool) -> Result<()> {
        let mut inner = self.lock();
        let known = inner.state.candidate().map(|candidate| candidate.version.clone());
        let takes_all = plan.takes_all();
        drop(inner);
        let actions = self.apply(&RolloutEvent::Offered { version: version.into(), plan, beside })?;
        inner = self.lock();
        let is_new = known.as_deref() != Some(version) && inner.state.candidate().is_some_and(|c| c.version == version);
        if is_new {
            inner.tallies.remove(version);
            inner.alerts.remove(version);
            if let Some(current) = inner.state.current().map(str::to_owned).filter(|_| !takes_all) {
                inner.tallies.remove(&current);
            }
        }
        drop(inner);
        self.carry_out(actions)
    }

    /// Takes in the alerts of a version that is current or on trial.
    pub(super) fn set_alerts(&self, version: &str, standing: Vec<Alert>) {
        let mut inner = self.lock();
        let on_duty = inner.state.on_duty();
        inner.alerts.retain(|version, _| on_duty.contains(version));
        if on_duty.iter().any(|one| one == version) {
            inner.alerts.insert(version.into(), standing);
        }
    }

    /// Saves the counts, and lets the versions go as their last runs end.
    pub(super) fn end(&self) {
        let mut inner = self.lock();
        // That it failed is told in the log.
        let _ = self.save(&mut inner);
    }
}
