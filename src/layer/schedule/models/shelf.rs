//! Shelf: what is open, what it takes, and who goes where room is needed.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use super::ModelsStatus;
use crate::engine::{Cancel, Engine};
use crate::threads::unpoisoned;
use crate::{Code, Error, Result};

pub(super) type Open = dyn Fn(&Cancel) -> Result<Arc<dyn Engine>> + Send + Sync;

/// No code of others runs while `state` is locked: engines are opened, trimmed and dropped without it.
pub(super) struct Shelf {
    state: Mutex<State>,
    /// A model was opened or closed, a run has ended, or a call is over.
    pub(super) changed: Condvar,
}

pub(super) struct State {
    budget: u64,
    used: u64,
    /// Counts uses: the order in which models were used.
    clock: u64,
    models: Vec<Entry>,
    opened: u64,
    evicted: u64,
}

struct Entry {
    name: String,
    /// Bytes that it needs: the estimate, or more where its file told more.
    needs: u64,
    open: Arc<Open>,
    stage: Stage,
    /// Runs and others that keep it open.
    leases: usize,
    used_at: u64,
}

enum Stage {
    Closed,
    /// Its bytes are taken, and a thread is opening or closing it.
    Changing,
    Open(Arc<dyn Engine>),
}

/// What stands between a caller and a model.
pub(super) enum Next {
    /// It is open, and a lease on it is counted.
    Ready(Arc<dyn Engine>),
    /// Its bytes are taken: the caller opens it.
    Open(Arc<Open>),
    /// The caller closes this one first, and asks again.
    Evict(Evicted),
    /// Another thread is opening or closing a model: it will tell.
    Changing,
    /// Runs in flight are in the way.
    NoRoom,
}

/// A model that leaves: its bytes are free once this is dropped. The order counts.
pub(super) struct Evicted {
    _engine: Option<Arc<dyn Engine>>,
    _change: Change,
}

/// A model that is being opened or closed. It is closed when this is dropped, whatever panicked meanwhile, unless it was
/// opened.
pub(super) struct Change {
    shelf: Arc<Shelf>,
    number: usize,
    is_open: bool,
}

impl Change {
    pub(super) fn new(shelf: &Arc<Shelf>, number: usize) -> Self {
        Self { shelf: shelf.clone(), number, is_open: false }
    }

    /// A model that was being opened is open, with a lease for whoever opened it; or not, where it needs more bytes than are
    /// free, which are remembered for the next time.
    pub(super) fn opened(&mut self, engine: &Arc<dyn Engine>) -> bool {
        self.is_open = self.shelf.opened(self.number, engine);
        self.is_open
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        if !self.is_open {
            self.shelf.close(self.number);
        }
    }
}

impl Shelf {
    pub(super) fn new(budget: u64) -> Self {
        let state = State { budget, used: 0, clock: 0, models: Vec::new(), opened: 0, evicted: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        unpoisoned(self.state.lock())
    }

    pub(super) fn add(&self, name: String, needs: u64, open: Box<Open>) -> Result<()> {
        let mut state = self.lock();
        if state.models.iter().any(|model| model.name == name) {
            return Err(Error::invalid(format!("model '{name}': expected a new name, got one that is taken")));
        }
        state.check(&name, needs)?;
        state.models.push(Entry { name, needs, open: open.into(), stage: Stage::Closed, leases: 0, used_at: 0 });
        Ok(())
    }

    pub(super) fn find(&self, name: &str) -> Result<usize> {
        let state = self.lock();
        state.models.iter().position(|model| model.name == name).ok_or_else(|| {
            let names: Vec<&str> = state.models.iter().map(|model| &*model.name).collect();
            Error::new(Code::NotFound, format!("model '{name}': expected one of {names:?}"))
        })
    }

    /// What comes next for someone who wants a model open. What it takes is taken when this returns.
    ///
    /// # Errors
    ///
    /// `OutOfMemory` for a model that needs more than the budget.
    pub(super) fn next(self: &Arc<Self>, state: &mut State, number: usize) -> Result<Next> {
        state.clock += 1;
        let clock = state.clock;
        let model = &mut state.models[number];
        match &model.stage {
            Stage::Changing => return Ok(Next::Changing),
            Stage::Open(engine) => {
                let engine = engine.clone();
                (model.leases, model.used_at) = (model.leases + 1, clock);
                return Ok(Next::Ready(engine));
            }
            Stage::Closed => {}
        }
        let (name, needs, open) = (model.name.clone(), model.needs, model.open.clone());
        state.check(&name, needs)?;
        if needs <= state.budget - state.used.min(state.budget) {
            state.used = state.used.saturating_add(needs);
            state.models[number].stage = Stage::Changing;
            return Ok(Next::Open(open));
        }
        Ok(match state.make_room(needs) {
            Room::Evict(victim) => Next::Evict(self.evict(state, victim)),
            Room::Soon => Next::Changing,
            Room::None => Next::NoRoom,
        })
    }

    fn opened(&self, number: usize, engine: &Arc<dyn Engine>) -> bool {
        let needs = engine.spec().memory.total();
        let mut state = self.lock();
        let free = state.budget.saturating_sub(state.used);
        let more = needs.saturating_sub(state.models[number].needs);
        // Until it is closed it takes what it takes.
        state.used = state.used.saturating_add(more);
        state.models[number].needs += more;
        if more > free {
            return false;
        }
        (state.opened, state.clock) = (state.opened + 1, state.clock + 1);
        let clock = state.clock;
        let model = &mut state.models[number];
        (model.stage, model.leases, model.used_at) = (Stage::Open(engine.clone()), 1, clock);
        self.changed.notify_all();
        true
    }

    fn close(&self, number: usize) {
        let mut state = self.lock();
        state.used = state.used.saturating_sub(state.models[number].needs);
        state.models[number].stage = Stage::Closed;
        self.changed.notify_all();
    }

    pub(super) fn end_lease(&self, number: usize) {
        let mut state = self.lock();
        state.models[number].leases -= 1;
        if state.models[number].leases == 0 {
            self.changed.notify_all();
        }
    }

    /// A lease on a model if it is open; it does not count as use.
    pub(super) fn lease_if_open(&self, number: usize) -> Option<Arc<dyn Engine>> {
        let mut state = self.lock();
        let model = &mut state.models[number];
        let Stage::Open(engine) = &model.stage else { return None };
        let engine = engine.clone();
        model.leases += 1;
        Some(engine)
    }

    /// Leases on all models that are open; they do not count as use.
    pub(super) fn lease_all(&self) -> Vec<(usize, Arc<dyn Engine>)> {
        let mut state = self.lock();
        let mut open = Vec::new();
        for (number, model) in state.models.iter_mut().enumerate() {
            if let Stage::Open(engine) = &model.stage {
                open.push((number, engine.clone()));
                model.leases += 1;
            }
        }
        open
    }

    /// Closes idle models, all but so many that were used last; the bytes freed.
    pub(super) fn evict_idle(self: &Arc<Self>, keep: usize) -> u64 {
        let mut freed = 0u64;
        let mut gone = Vec::new();
        let mut state = self.lock();
        let mut idle = state.idle();
        idle.truncate(idle.len().saturating_sub(keep));
        for number in idle {
            freed = freed.saturating_add(state.models[number].needs);
            gone.push(self.evict(&mut state, number));
        }
        drop(state);
        drop(gone);
        freed
    }

    fn evict(self: &Arc<Self>, state: &mut State, number: usize) -> Evicted {
        state.evicted += 1;
        let stage = std::mem::replace(&mut state.models[number].stage, Stage::Changing);
        let engine = if let Stage::Open(engine) = stage { Some(engine) } else { None };
        Evicted { _engine: engine, _change: Change::new(self, number) }
    }

    pub(super) fn status(&self) -> ModelsStatus {
        let state = self.lock();
        let mut open: Vec<&Entry> = state.models.iter().filter(|m| matches!(m.stage, Stage::Open(_))).collect();
        open.sort_by_key(|model| model.used_at);
        ModelsStatus {
            budget: state.budget,
            used: state.used,
            open: open.iter().map(|model| model.name.clone()).collect(),
            opened: state.opened,
            evicted: state.evicted,
        }
    }
}

enum Room {
    Evict(usize),
    Soon,
    None,
}

impl State {
    pub(super) fn name(&self, number: usize) -> &str {
        &self.models[number].name
    }

    fn check(&self, name: &str, needs: u64) -> Result<()> {
        if needs > self.budget {
            let budget = self.budget;
            let refusal =
                format!("model '{name}': expected at most {budget} bytes, the budget of all models, got {needs}");
            return Err(Error::new(Code::OutOfMemory, refusal));
        }
        Ok(())
    }

    /// Nothing is closed in vain: only if the idle ones together leave room, the first of them goes.
    fn make_room(&self, needs: u64) -> Room {
        let idle = self.idle();
        let of = |models: &mut dyn Iterator<Item = u64>| models.fold(0, u64::saturating_add);
        let idle_bytes = of(&mut idle.iter().map(|&i| self.models[i].needs));
        let changing = of(&mut self.models.iter().filter(|m| matches!(m.stage, Stage::Changing)).map(|m| m.needs));
        let busy = self.used.saturating_sub(idle_bytes);
        match idle.first() {
            Some(&first) if needs <= self.budget.saturating_sub(busy) => Room::Evict(first),
            _ if needs <= self.budget.saturating_sub(busy.saturating_sub(changing)) => Room::Soon,
            _ => Room::None,
        }
    }

    /// The open models without a lease, the least recently used first.
    fn idle(&self) -> Vec<usize> {
        let is_idle = |i: &usize| self.models[*i].leases == 0 && matches!(self.models[*i].stage, Stage::Open(_));
        let mut idle: Vec<usize> = (0..self.models.len()).filter(is_idle).collect();
        idle.sort_by_key(|i| self.models[*i].used_at);
        idle
    }
}
