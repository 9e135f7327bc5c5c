//! Drain of a telemetry folder, one for all monitors of it.
//!
//! A folder hands each record over once, so the monitors that share it share a drain, which gives every record to the
//! model it is of. The thread whose answer is due takes the drain's lock if it is free and does the work of all; if it
//! is not free, somebody is at it, and the answer goes its way.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError, Weak};
use std::time::Instant;

use foldhash::fast::RandomState;

use super::callback::CallbackQueue;
use super::model_watch::MonitoredModel;
use crate::telemetry::{Inference, ModelSlot, Telemetry};
use crate::threads::unpoisoned;

pub(super) struct FolderDrain {
    telemetry: Telemetry,
    models: Mutex<MonitoredModels>,
    /// Records since the last drain, and how many of them ask for the next one.
    pending: AtomicU64,
    quota: AtomicU64,
    /// When a window closes for its age, in nanoseconds since `began`.
    due: AtomicU64,
    began: Instant,
    panics: AtomicU64,
}

/// The models that are monitored, by their slots.
#[derive(Default)]
pub(super) struct MonitoredModels {
    list: Vec<MonitoredModel>,
    slots: HashMap<ModelSlot, usize, RandomState>,
    /// Records of models that nobody monitors yet: left by an earlier process, whose monitors are made one by one.
    strays: Vec<OwnedInference>,
    pub(super) unclaimed: u64,
}

/// A lane must be drained before it is full; the smallest one has as many slots.
const MAX_PENDING: u64 = 64;
const MAX_STRAYS: usize = 1 << 15;

impl FolderDrain {
    /// The drain of this folder, shared by all monitors of it.
    pub(super) fn of(telemetry: &Telemetry) -> Arc<Self> {
        static DRAINS: Mutex<Vec<Weak<FolderDrain>>> = Mutex::new(Vec::new());
        let mut drains = unpoisoned(DRAINS.lock());
        drains.retain(|drain| drain.strong_count() > 0);
        let alive: Vec<Arc<Self>> = drains.iter().filter_map(Weak::upgrade).collect();
        let known = alive.iter().find(|drain| drain.telemetry.is_same(telemetry)).cloned();
        let drain = known.unwrap_or_else(|| {
            let drain = Arc::new(Self {
                telemetry: telemetry.clone(),
                models: Mutex::default(),
                pending: AtomicU64::new(0),
                quota: AtomicU64::new(MAX_PENDING),
                due: AtomicU64::new(u64::MAX),
                began: Instant::now(),
                panics: AtomicU64::new(0),
            });
            drains.push(Arc::downgrade(&drain));
            drain
        });
        // One of them may be the last by now, and what its callbacks own may make a monitor as it is dropped.
        drop(drains);
        drain
    }

    /// Drains and closes what is due after a record was made, if nobody else is at it. `now` is when its call ended: the
    /// caller has read the clock then, and reading it costs as much as the rest of this.
    pub(super) fn after_record(&self, now: Instant) {
        let pending = self.pending.fetch_add(1, Ordering::Relaxed) + 1;
        let due = pending >= self.quota.load(Ordering::Relaxed) || self.nanos(now) >= self.due.load(Ordering::Relaxed);
        if !due {
            return;
        }
        let models = match self.models.try_lock() {
            Ok(models) => models,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        // An answer is never lost to what is counted of it.
        if catch_unwind(AssertUnwindSafe(|| self.upkeep(models))).is_err() {
            self.panics.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Drains and closes what is due; waits for whoever is at it.
    pub(super) fn tick(&self) {
        self.upkeep(self.lock());
    }

    /// Closes the window of this model as it stands, if it is not empty.
    pub(super) fn close(&self, slot: ModelSlot) {
        let mut models = self.lock();
        self.drain(&mut models);
        if let Some(model) = models.get(slot) {
            model.close(&self.telemetry);
        }
        self.finish(models);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, MonitoredModels> {
        unpoisoned(self.models.lock())
    }

    /// Puts a model in the place of the one that the slot had, and gives it what was left in the lanes.
    pub(super) fn register(&self, slot: ModelSlot, model: MonitoredModel) {
        let mut models = self.lock();
        self.drain(&mut models);
        models.put(slot, model);
        let strays = std::mem::take(&mut models.strays);
        for stray in strays {
            models.dispatch(&stray.borrow(), &self.telemetry);
        }
        self.upkeep(models);
    }

    pub(super) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Drains and closes what is due; then makes the calls that this and what was before asks for.
    fn upkeep(&self, mut models: MutexGuard<'_, MonitoredModels>) {
        self.drain(&mut models);
        for model in &mut models.list {
            model.upkeep(&self.telemetry);
        }
        models.register_learned();
        self.finish(models);
    }

    fn drain(&self, models: &mut MonitoredModels) {
        self.pending.store(0, Ordering::Relaxed);
        self.telemetry.drain(&mut |inference| models.dispatch(inference, &self.telemetry));
    }

    /// Sets when the next drain is due, gives the lock back, and only then calls the app.
    pub(super) fn finish(&self, models: MutexGuard<'_, MonitoredModels>) {
        let left = models.list.iter().map(MonitoredModel::remaining).min().unwrap_or(MAX_PENDING);
        self.quota.store(left.clamp(1, MAX_PENDING), Ordering::Relaxed);
        let due = models.list.iter().filter_map(MonitoredModel::due).min();
        let due = due.map_or(u64::MAX, |due| self.nanos(due));
        self.due.store(due, Ordering::Relaxed);
        let waiting = models.list.iter().map(|model| &model.callbacks).filter(|queue| queue.is_waiting());
        let waiting: Vec<Arc<CallbackQueue>> = waiting.cloned().collect();
        drop(models);
        waiting.iter().for_each(|queue| queue.deliver());
    }

    fn nanos(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_nanos() as u64
    }
}

impl MonitoredModels {
    pub(super) fn get(&mut self, slot: ModelSlot) -> Option<&mut MonitoredModel> {
        self.slots.get(&slot).and_then(|i| self.list.get_mut(*i))
    }

    fn put(&mut self, slot: ModelSlot, model: MonitoredModel) {
        match self.slots.get(&slot) {
            Some(i) => {
                let earlier = std::mem::replace(&mut self.list[*i], model);
                self.list[*i].take_over(earlier);
            }
            None => {
                self.slots.insert(slot, self.list.len());
                self.list.push(model);
            }
        }
    }

    fn dispatch(&mut self, inference: &Inference, telemetry: &Telemetry) {
        if let Some(model) = self.get(inference.model_slot) {
            model.add(inference, telemetry);
        } else if self.strays.len() < MAX_STRAYS {
            self.strays.push(OwnedInference::of(inference));
        } else {
            self.unclaimed += 1;
        }
    }

    /// Registers the second slot of a model that has learned a profile.
    fn register_learned(&mut self) {
        for (i, model) in self.list.iter().enumerate() {
            self.slots.insert(model.slot(), i);
        }
    }
}

/// A record of its own, with its bins.
#[derive(Debug)]
struct OwnedInference {
    inference: Inference<'static>,
    bins: Box<[u8]>,
}

impl OwnedInference {
    fn of(inference: &Inference) -> Self {
        Self { inference: Inference { bins: &[], ..*inference }, bins: inference.bins.into() }
    }

    fn borrow(&self) -> Inference<'_> {
        Inference { bins: &self.bins, ..self.inference }
    }
}
