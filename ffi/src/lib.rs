//! The C ABI of Selvedge. `include/selvedge.h` is its documentation; this crate keeps what it says.
//!
//! Enters: pointers, checked once at the edge. Leaves: handles, statuses, borrowed memory.
//!
//! A call goes through the modules in this order: an entry (in `error`, `cancel`, `engine`, `run`,
//! `answer`) → `memory` (pointers become places and Rust values) → `guard` (panics; `fork`; the result is
//! given, or an error becomes a `failure`) → `handle` (numbers become objects) → the contract of the `selvedge` crate.
#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)
)]

#[cfg(not(panic = "unwind"))]
compile_error!("selvedge-ffi contains panics by unwinding: build it with panic = \"unwind\"");

pub mod abi;
mod answer;
mod cancel;
mod engine;
mod error;
mod failure;
mod fork;
mod guard;
mod handle;
mod json;
mod loan;
mod memory;
mod request;
mod run;
mod text;

pub use answer::{selvedge_answer_free, selvedge_answer_json, selvedge_answer_output, selvedge_answer_output_count};
pub use cancel::{selvedge_cancel_free, selvedge_cancel_new, selvedge_cancel_set};
pub use engine::{
    export, selvedge_engine_close, selvedge_engine_embed, selvedge_engine_generate, selvedge_engine_open,
    selvedge_engine_run, selvedge_engine_spec_json,
};
pub use error::{
    selvedge_abi_version, selvedge_error_code, selvedge_error_free, selvedge_error_message, selvedge_version,
};
pub use run::{selvedge_run_answer, selvedge_run_free, selvedge_run_next};
