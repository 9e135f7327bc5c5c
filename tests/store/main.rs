//! The store from outside: processes that are killed, processes that share a folder, disks that lose their power, and packages of
//! other tools.

#![deny(unsafe_code)]

mod craft;
#[cfg(unix)]
mod kill;
mod others;
#[cfg(target_os = "linux")]
mod power;
#[cfg(target_os = "linux")]
#[path = "../support/random.rs"]
mod random;
#[cfg(unix)]
mod shared;
