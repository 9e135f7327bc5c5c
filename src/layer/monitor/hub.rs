//! One drain for all monitors of a telemetry folder.
//!
//! A folder hands each record over once, so the monitors that share it share a hub, which gives every record to the
//! watch of its model. Whoever's answer is due takes the hub's lock if it is free and does the work of all; if it is not
//! free, somebody is at it, and the answer goes its way.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::time::Instant;

use super::kept::Kept;
use super::notice::Notice;
use super::watch::Watch;
use crate::telemetry::{Inference, ModelSlot, Telemetry};

pub(super) struct Hub {
    telemetry: Telemetry,
    watches: Mutex<Watches>,
    /// Records since the last drain, and how many of them ask for the next one.
    pending: AtomicU64,
    quota: AtomicU64,
    /// When a window closes for its age, in nanoseconds since `began`.
    due: AtomicU64,
    began: Instant,
    panics: AtomicU64,
}

/// What is watched, by the slots of the models.
#[derive(Default)]
pub(super) struct Watches {
    list: Vec<Watch>,
    slots: HashMap<ModelSlot, usize>,
    /// Records of models that nobody watches yet: left by an earlier process, whose monitors are made one by one.
    strays: Vec<Kept>,
    pub(super) unclaimed: u64,
}

/// A lane must be drained before it is full; the smallest one has as many slots.
const MOST_PENDING: u64 = 64;
const MOST_STRAYS: usize = 1 << 15;

impl Hub {
    /// The hub of this folder, shared by all monitors of it.
    pub(super) fn of(telemetry: &Telemetry) -> Arc<Self> {
        static HUBS: Mutex<Vec<Weak<Hub>>> = Mutex::new(Vec::new());
        let mut hubs = HUBS.lock().unwrap_or_else(PoisonError::into_inner);
        hubs.retain(|hub| hub.strong_count() > 0);
        let known = hubs.iter().filter_map(Weak::upgrade).find(|hub| hub.telemetry.is_same(telemetry));
        known.unwrap_or_else(|| {
            let hub = Arc::new(Self {
                telemetry: telemetry.clone(),
                watches: Mutex::default(),
                pending: AtomicU64::new(0),
                quota: AtomicU64::new(MOST_PENDING),
                due: AtomicU64::new(u64::MAX),
                began: Instant::now(),
                panics: AtomicU64::new(0),
            });
            hubs.push(Arc::downgrade(&hub));
            hub
        })
    }

    /// A record was made. Drains and closes what is due, if nobody else is at it.
    pub(super) fn noted(&self) {
        let pending = self.pending.fetch_add(1, Ordering::Relaxed) + 1;
        let due = pending >= self.quota.load(Ordering::Relaxed) || self.nanos() >= self.due.load(Ordering::Relaxed);
        if !due {
            return;
        }
        let watches = match self.watches.try_lock() {
            Ok(watches) => watches,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        // An answer is never lost to the books kept about it.
        if catch_unwind(AssertUnwindSafe(|| self.upkeep(watches, Vec::new()))).is_err() {
            self.panics.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Drains and closes what is due; waits for whoever is at it.
    pub(super) fn tick(&self) {
        self.upkeep(self.lock(), Vec::new());
    }

    /// Closes the window of this model as it stands, if it is not empty.
    pub(super) fn close(&self, slot: ModelSlot) {
        let mut watches = self.lock();
        let mut notices = self.drain(&mut watches);
        notices.extend(watches.watch(slot).into_iter().flat_map(|watch| watch.close(&self.telemetry)));
        self.after(watches, notices);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Watches> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a watch in the place of the one that the slot had, and gives it what was left in the lanes.
    pub(super) fn watch(&self, slot: ModelSlot, watch: Watch) {
        let mut watches = self.lock();
        let mut notices = self.drain(&mut watches);
        watches.put(slot, watch);
        let strays = std::mem::take(&mut watches.strays);
        for stray in strays {
            watches.take(&stray.lend(), &self.telemetry, &mut notices);
        }
        self.upkeep(watches, notices);
    }

    pub(super) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Drains and closes what is due; then tells this, and the news of before.
    fn upkeep(&self, mut watches: MutexGuard<'_, Watches>, mut notices: Vec<Notice>) {
        notices.extend(self.drain(&mut watches));
        for watch in &mut watches.list {
            notices.extend(watch.upkeep(&self.telemetry));
        }
        watches.learn_slots();
        self.after(watches, notices);
    }

    fn drain(&self, watches: &mut Watches) -> Vec<Notice> {
        self.pending.store(0, Ordering::Relaxed);
        let mut notices = Vec::new();
        self.telemetry.drain(&mut |inference| watches.take(inference, &self.telemetry, &mut notices));
        notices
    }

    /// Says when the next drain is due, gives the lock back, and only then calls the app.
    fn after(&self, watches: MutexGuard<'_, Watches>, notices: Vec<Notice>) {
        let left = watches.list.iter().map(Watch::left).min().unwrap_or(MOST_PENDING);
        self.quota.store(left.clamp(1, MOST_PENDING), Ordering::Relaxed);
        let due = watches.list.iter().filter_map(Watch::due).min();
        let due = due.map_or(u64::MAX, |due| due.saturating_duration_since(self.began).as_nanos() as u64);
        self.due.store(due, Ordering::Relaxed);
        drop(watches);
        notices.into_iter().for_each(Notice::deliver);
    }

    fn nanos(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }
}

impl Watches {
    pub(super) fn watch(&mut self, slot: ModelSlot) -> Option<&mut Watch> {
        self.slots.get(&slot).and_then(|i| self.list.get_mut(*i))
    }

    fn put(&mut self, slot: ModelSlot, watch: Watch) {
        match self.slots.get(&slot) {
            Some(i) => {
                let earlier = std::mem::replace(&mut self.list[*i], watch);
                self.list[*i].inherit(earlier);
            }
            None => {
                self.slots.insert(slot, self.list.len());
                self.list.push(watch);
            }
        }
    }

    fn take(&mut self, inference: &Inference, telemetry: &Telemetry, notices: &mut Vec<Notice>) {
        if let Some(watch) = self.watch(inference.model_slot) {
            notices.extend(watch.take(inference, telemetry));
        } else if self.strays.len() < MOST_STRAYS {
            self.strays.push(Kept::of(inference));
        } else {
            self.unclaimed += 1;
        }
    }

    /// A watch that has learned a profile has a second slot.
    fn learn_slots(&mut self) {
        for (i, watch) in self.list.iter().enumerate() {
            self.slots.insert(watch.slot(), i);
        }
    }
}
