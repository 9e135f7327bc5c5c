//! The atomics of the lanes, chosen in one place: those of the model checker in its own build.

#[cfg(not(all(loom, test)))]
pub(super) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

#[cfg(all(loom, test))]
pub(super) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
