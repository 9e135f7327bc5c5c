//! The natives of `dev.selvedge.Native`: the C ABI, as Java calls it.
//!
//! Enters: Java objects, read once at the edge. Leaves: numbers, texts, buffers, or a `SelvedgeException`.
//!
//! A call goes through the modules in this order: a native (in `base`, `engine`, …) → `env` (objects become Rust
//! values; a panic or failure becomes an exception) → the C ABI, which checks handles and arguments. Nothing is kept here:
//! every handle is a number of the C ABI, and every rule about it is kept there.
//!
//! Natives are registered when the library is loaded, each with the signature that its Rust types say, so that classes of
//! another version are refused then, and not when they are called.
#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)
)]

mod answer;
mod base;
mod callback;
mod descriptor;
mod engine;
mod env;
mod failure;
mod generate;
mod monitor;
mod native;
mod opening;
mod pack;
mod profile;
mod request;
mod run;
mod sync;
mod telemetry;
mod tools;
mod weights;

pub use native::JNI_OnLoad;
