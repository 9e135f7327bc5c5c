//! Callers and their shares: start-time fair queueing over the time that their runs took.
//!
//! Each caller has a virtual time, which grows by the time that its runs take, divided by its weight. Who is behind comes
//! first. One that comes anew begins at the time of the queue, which grows by the time that all runs take, divided by the
//! weights of all callers that have any, and is never behind whoever was served last: to have been away earns nothing, and
//! those who come anew cannot hold up one who waits for ever.

use std::collections::HashMap;

/// Callers that are remembered for what they owe while none of their runs is there.
const MAX_DEBTORS: usize = 1024;

pub(super) struct Callers {
    /// By index; entries of `free` are of nobody.
    callers: Vec<Caller>,
    free: Vec<usize>,
    by_key: HashMap<u64, usize>,
    weights: HashMap<u64, u32>,
    /// The virtual time of the queue, in nanoseconds.
    time: u64,
    runs: usize,
    /// The weights of the callers that have runs.
    weight: u64,
}

#[derive(Clone, Copy)]
struct Caller {
    key: u64,
    weight: u64,
    time: u64,
    /// Runs of it, waiting or running.
    runs: usize,
    waiting: usize,
}

impl Callers {
    pub(super) fn new(weights: &[(u64, u32)]) -> Self {
        let weights = weights.iter().copied().collect();
        Self { callers: Vec::new(), free: Vec::new(), by_key: HashMap::new(), weights, time: 0, runs: 0, weight: 0 }
    }

    /// Runs of a caller that wait.
    pub(super) fn waiting(&self, key: u64) -> usize {
        self.by_key.get(&key).map_or(0, |&i| self.callers[i].waiting)
    }

    /// Adds a run that waits; the caller's index.
    pub(super) fn enter(&mut self, key: u64) -> usize {
        self.runs += 1;
        let i = match self.by_key.get(&key) {
            Some(&i) => i,
            None => self.insert(key),
        };
        let caller = &mut self.callers[i];
        if caller.runs == 0 {
            caller.time = caller.time.max(self.time);
            self.weight += caller.weight;
        }
        caller.runs += 1;
        caller.waiting += 1;
        i
    }

    fn insert(&mut self, key: u64) -> usize {
        if self.by_key.len() >= MAX_DEBTORS + self.runs {
            self.forget(|caller| caller.runs == 0);
        }
        let weight = self.weights.get(&key).map_or(1, |w| u64::from(*w));
        let caller = Caller { key, weight, time: self.time, runs: 0, waiting: 0 };
        let i = match self.free.pop() {
            Some(i) => {
                self.callers[i] = caller;
                i
            }
            None => {
                self.callers.push(caller);
                self.callers.len() - 1
            }
        };
        self.by_key.insert(key, i);
        i
    }

    /// Whether the caller is the one of this key.
    pub(super) fn is(&self, i: usize, key: u64) -> bool {
        self.callers[i].key == key
    }

    /// The virtual time of a caller.
    pub(super) fn time(&self, i: usize) -> u64 {
        self.callers[i].time
    }

    /// A run of the caller waits no longer: it computes, for about so many nanoseconds.
    pub(super) fn grant(&mut self, i: usize, nanos: u64) {
        let caller = &mut self.callers[i];
        self.time = self.time.max(caller.time);
        caller.waiting -= 1;
        caller.time = caller.time.saturating_add(nanos / caller.weight);
    }

    /// A run that waited has gone.
    pub(super) fn abandon(&mut self, i: usize) {
        self.callers[i].waiting -= 1;
        self.leave(i);
    }

    /// A run that computed has ended: it was charged so many nanoseconds, and took so many.
    pub(super) fn settle(&mut self, i: usize, charged: u64, took: u64) {
        let caller = &mut self.callers[i];
        self.time = self.time.saturating_add(took / self.weight.max(1));
        let (charged, took) = (charged / caller.weight, took / caller.weight);
        caller.time = caller.time.saturating_sub(charged).saturating_add(took);
        self.leave(i);
    }

    fn leave(&mut self, i: usize) {
        self.runs -= 1;
        self.callers[i].runs -= 1;
        let caller = self.callers[i];
        if caller.runs == 0 {
            self.weight -= caller.weight;
        }
        if self.runs == 0 {
            // Nobody waited for what was taken: nothing is owed.
            (self.time, self.callers, self.free) = (0, Vec::new(), Vec::new());
            self.by_key.clear();
        } else if caller.runs == 0 && caller.time <= self.time {
            self.by_key.remove(&caller.key);
            self.free.push(i);
        }
    }

    fn forget(&mut self, of: impl Fn(&Caller) -> bool) {
        let (callers, free) = (&self.callers, &mut self.free);
        self.by_key.retain(|_, i| {
            let goes = of(&callers[*i]);
            if goes {
                free.push(*i);
            }
            !goes
        });
    }

    #[cfg(test)]
    pub(in crate::layer::schedule) fn len(&self) -> usize {
        self.by_key.len()
    }
}
