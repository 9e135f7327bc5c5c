//! The store from outside: processes that are killed, processes that share a folder, and disks that lose their power.

#![deny(unsafe_code)]

mod craft;
#[cfg(unix)]
mod kill;
#[cfg(target_os = "linux")]
mod power;
#[cfg(target_os = "linux")]
#[path = "../support/random.rs"]
mod random;
#[cfg(unix)]
mod shared;
