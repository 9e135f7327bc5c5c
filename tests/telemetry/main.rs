//! Telemetry from outside: what recording allocates, what a kill leaves, and what a forged folder does.

#![deny(unsafe_code)]

mod alloc;
#[path = "../support/counting.rs"]
mod counting;
#[path = "../support/forged.rs"]
mod forged;
mod hostile;
#[cfg(unix)]
mod kill;
#[cfg(unix)]
mod links;
#[path = "../support/segments.rs"]
mod segments;
