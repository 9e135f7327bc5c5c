//! Telemetry from outside: what recording allocates, and what a kill leaves.

#![deny(unsafe_code)]

mod alloc;
#[path = "../support/counting.rs"]
mod counting;
#[cfg(unix)]
mod kill;
