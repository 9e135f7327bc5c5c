//! `selvedge pack`, as a user runs it, on every ONNX backend of the build.

#![cfg(any(feature = "ort", feature = "rten", feature = "tract"))]

mod command;
#[path = "../../../tests/packed/craft.rs"]
#[allow(dead_code, reason = "the library's tests craft more")]
mod craft;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod faults;
#[path = "../../../tests/packed/runtimes.rs"]
#[allow(dead_code, reason = "the faults are for one platform")]
mod runtimes;
