//! The store from outside: processes that are killed, and processes that share a folder.

#![deny(unsafe_code)]

mod craft;
#[cfg(unix)]
mod kill;
#[cfg(unix)]
mod shared;
