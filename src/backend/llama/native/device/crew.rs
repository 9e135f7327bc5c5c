//! Parts of an operation, on several threads.

#![expect(unsafe_code, reason = "writes the memory of ggml's tensors")]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use llama_cpp_sys_2 as sys;
use rayon::ThreadPool;

use crate::{Error, Result};

/// How a computation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Done,
    GivenUp,
}

/// Who computes.
pub(super) struct Crew<'a> {
    /// Beside this thread.
    pub(super) pool: Option<&'a ThreadPool>,
    /// All together, at most.
    pub(super) threads: usize,
    /// Asked on this thread, between parts.
    pub(super) give_up: &'a dyn Fn() -> bool,
}

impl Crew<'_> {
    /// Does so many parts, each once, on the threads that there are.
    ///
    /// # Errors
    ///
    /// The first of a part, with which all end.
    pub(super) fn each(&self, parts: usize, part: impl Fn(usize) -> Result<()> + Sync) -> Result<Ended> {
        let (next, stopped, failure) = (AtomicUsize::new(0), AtomicBool::new(false), OnceLock::new());
        let step = || {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= parts || stopped.load(Ordering::Relaxed) || failure.get().is_some() {
                return false;
            }
            part(i).map_err(|error| _ = failure.set(error)).is_ok()
        };
        let here = || {
            while !stopped.load(Ordering::Relaxed) {
                if (self.give_up)() {
                    stopped.store(true, Ordering::Relaxed);
                } else if !step() {
                    break;
                }
            }
        };
        let helpers = self.threads.min(parts).saturating_sub(1);
        match self.pool {
            Some(pool) if helpers > 0 => pool.in_place_scope(|scope| {
                (0..helpers.min(pool.current_num_threads())).for_each(|_| scope.spawn(|_| while step() {}));
                here();
            }),
            _ => here(),
        }
        match failure.into_inner() {
            Some(error) => Err(error),
            None if stopped.into_inner() => Ok(Ended::GivenUp),
            None => Ok(Ended::Done),
        }
    }
}

/// Where the numbers of an operation go, for threads that write parts of it.
pub(super) struct Output(*mut f32);

impl Output {
    pub(super) fn of(operation: &sys::ggml_tensor) -> Result<Self> {
        let to: *mut f32 = operation.data.cast();
        if to.is_null() { Err(Error::internal("an operation without a place for it")) } else { Ok(Self(to)) }
    }

    /// # Safety
    ///
    /// There is a number at this place.
    pub(super) unsafe fn at(&self, place: usize) -> *mut f32 {
        // SAFETY: the caller's.
        unsafe { self.0.add(place) }
    }
}

// SAFETY: each thread writes parts of its own, see `multiply` and `Room::attend`.
unsafe impl Sync for Output {}
