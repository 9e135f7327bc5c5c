//! Leases: a model is open while one is there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::shelf::{Change, Next, Shelf};
use crate::engine::{Call, Engine};
use crate::threads::unpoisoned;
use crate::{Code, Error, Result};

/// How long to wait for a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Until then; what runs in flight are in the way of may be there later.
    Until(Instant),
    /// As long as it takes.
    ForEver,
    /// As long as others are opening or closing; runs in flight are `Busy`.
    NotForRoom,
}

/// A model that stays open while this is there. The order counts: who frees the model's bytes must be its last owner.
pub(super) struct Lease {
    pub(super) engine: Arc<dyn Engine>,
    _end: LeaseEnd,
    /// What opening it took, if that was needed.
    pub(super) opening: Duration,
}

struct LeaseEnd {
    shelf: Arc<Shelf>,
    number: usize,
}

impl Drop for LeaseEnd {
    fn drop(&mut self) {
        self.shelf.end_lease(self.number);
    }
}

impl Lease {
    /// Of a lease that the shelf has counted.
    fn new(shelf: &Arc<Shelf>, number: usize, engine: Arc<dyn Engine>, opening: Duration) -> Self {
        Self { engine, _end: LeaseEnd { shelf: shelf.clone(), number }, opening }
    }
}

/// Takes a lease on a model, which is opened where it isn't.
///
/// # Errors
///
/// `OutOfMemory` for a model that needs more than the budget, `Busy` as [`Wait`] says, those of the call and of opening it.
pub(super) fn take(shelf: &Arc<Shelf>, number: usize, call: &Call, wait: Wait) -> Result<Lease> {
    match take_within(shelf, number, call, wait)? {
        Some(lease) => Ok(lease),
        None => Err(Error::internal("a wait without an end has ended")),
    }
}

/// As [`take`]; `None` once the wait is over.
pub(super) fn take_within(shelf: &Arc<Shelf>, number: usize, call: &Call, wait: Wait) -> Result<Option<Lease>> {
    let mut state = shelf.lock();
    loop {
        call.check()?;
        match shelf.next(&mut state, number)? {
            Next::Ready(engine) => {
                drop(state);
                return Ok(Some(Lease::new(shelf, number, engine, Duration::ZERO)));
            }
            Next::Open(open) => {
                drop(state);
                let began = Instant::now();
                let mut change = Change::new(shelf, number);
                let engine = open(&call.cancel.clone().unwrap_or_default())?;
                if change.opened(&engine) {
                    return Ok(Some(Lease::new(shelf, number, engine, began.elapsed())));
                }
                drop((engine, change));
                state = shelf.lock();
            }
            Next::Evict(evicted) => {
                drop(state);
                drop(evicted);
                state = shelf.lock();
            }
            Next::NoRoom if wait == Wait::NotForRoom => {
                let what = format!("model '{}': models with runs in flight leave no room for it", state.name(number));
                return Err(Error::new(Code::Busy, what));
            }
            Next::NoRoom | Next::Changing => {
                let now = Instant::now();
                let limit = if let Wait::Until(until) = wait { Some(until) } else { None };
                if limit.is_some_and(|until| now >= until) {
                    return Ok(None);
                }
                let until = [limit, call.deadline].into_iter().flatten().min();
                state = match until {
                    Some(until) => {
                        unpoisoned(shelf.changed.wait_timeout(state, until.saturating_duration_since(now))).0
                    }
                    None => unpoisoned(shelf.changed.wait(state)),
                };
            }
        }
    }
}

/// Leases on all models that are open, which is no use of them.
pub(super) fn open_ones(shelf: &Arc<Shelf>) -> Vec<Lease> {
    let lease = |(number, engine)| Lease::new(shelf, number, engine, Duration::ZERO);
    shelf.lease_all().into_iter().map(lease).collect()
}

/// A lease on a model if it is open, which is no use of it.
pub(super) fn if_open(shelf: &Arc<Shelf>, number: usize) -> Option<Lease> {
    shelf.lease_if_open(number).map(|engine| Lease::new(shelf, number, engine, Duration::ZERO))
}
