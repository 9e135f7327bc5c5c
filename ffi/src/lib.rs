//! The C ABI of Selvedge. `include/selvedge.h` is its documentation; this crate keeps what it says.
//!
//! Enters: pointers, checked once at the edge. Leaves: handles, statuses, borrowed memory.
//!
//! A call goes through the modules in this order: an entry (in the module of its noun: `error`, `engine`,
//! `run`, …) → `memory` (pointers become places and Rust values) → `guard` (panics; `fork`; the result is given, or an error becomes a `failure`) → `handle` (numbers become objects) → the contract of the `selvedge` crate.
#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)
)]

#[cfg(not(panic = "unwind"))]
compile_error!("selvedge-ffi contains panics by unwinding: build it with panic = \"unwind\"");

pub mod abi;
mod alert;
mod answer;
mod batch;
mod buffer;
mod cache;
mod cancel;
mod cascade;
mod cells;
mod config;
mod crash;
mod delayed;
mod deployment;
mod engine;
mod error;
mod failure;
mod fields;
mod fork;
mod generate;
mod guard;
mod handle;
mod import;
mod inspect;
mod json;
mod loan;
mod log;
mod memory;
mod models;
mod monitor;
mod options;
mod outbox;
mod output;
mod pack;
mod prefixes;
mod profile;
mod progress;
mod release;
mod report;
mod request;
mod retry;
mod rollout;
mod rows;
mod run;
mod schedule;
mod serving;
mod source;
mod staged;
mod store;
mod stored;
mod table;
mod telemetry;
mod text;
mod texts;
mod tokenizer;
mod version;
mod versions;

pub use answer::{
    selvedge_answer_free, selvedge_answer_json, selvedge_answer_output, selvedge_answer_output_count,
    selvedge_answer_version,
};
pub use batch::{selvedge_batch_free, selvedge_batch_json, selvedge_batch_request, selvedge_batch_request_count};
pub use buffer::{selvedge_buffer_data, selvedge_buffer_free};
pub use cache::{selvedge_cache_engine, selvedge_cache_free, selvedge_cache_new, selvedge_cache_status_json};
pub use cancel::{selvedge_cancel_free, selvedge_cancel_new, selvedge_cancel_set};
pub use cascade::{
    selvedge_answer_confidence, selvedge_cascade_engine, selvedge_cascade_free, selvedge_cascade_new,
    selvedge_cascade_status_json, selvedge_threshold_fit,
};
pub use crash::{selvedge_crash_clear, selvedge_crash_clear_model, selvedge_crash_entries, selvedge_crash_explain};
pub use delayed::selvedge_delayed_estimate;
pub use deployment::{
    selvedge_deployment_engine, selvedge_deployment_forgive, selvedge_deployment_free, selvedge_deployment_label,
    selvedge_deployment_monitor, selvedge_deployment_new, selvedge_deployment_offer, selvedge_deployment_promote,
    selvedge_deployment_roll_back, selvedge_deployment_settle, selvedge_deployment_status_json,
};
pub use engine::{
    export, selvedge_engine_close, selvedge_engine_embed, selvedge_engine_generate, selvedge_engine_open,
    selvedge_engine_open_source, selvedge_engine_rerank, selvedge_engine_run, selvedge_engine_run_into,
    selvedge_engine_score, selvedge_engine_spec_json, selvedge_engine_start, selvedge_engine_trim,
};
pub use error::{selvedge_error_code, selvedge_error_free, selvedge_error_message, selvedge_error_retry_after_ms};
pub use import::{selvedge_manifest_json, selvedge_store_import, selvedge_store_import_staged};
pub use inspect::{selvedge_inspect, selvedge_validate};
pub use log::selvedge_log_set;
pub use models::{
    selvedge_models_add, selvedge_models_add_version, selvedge_models_engine, selvedge_models_free,
    selvedge_models_new, selvedge_models_pressure, selvedge_models_status_json, selvedge_models_trim,
    selvedge_models_watch_pressure,
};
pub use monitor::{
    selvedge_monitor_close_window, selvedge_monitor_engine, selvedge_monitor_feedback, selvedge_monitor_free,
    selvedge_monitor_new, selvedge_monitor_next_alert, selvedge_monitor_profile, selvedge_monitor_report_json,
    selvedge_monitor_tick,
};
pub use outbox::{
    selvedge_outbox_ack, selvedge_outbox_begin, selvedge_outbox_bisect, selvedge_outbox_free, selvedge_outbox_judge,
    selvedge_outbox_next_batch, selvedge_outbox_open, selvedge_outbox_refuse, selvedge_outbox_reset_install_id,
    selvedge_outbox_split, selvedge_outbox_status_json,
};
pub use pack::selvedge_pack;
pub use prefixes::{selvedge_engine_restore_prefixes, selvedge_engine_save_prefixes};
pub use profile::{
    selvedge_profile_compare, selvedge_profile_decode, selvedge_profile_encode, selvedge_profile_fit,
    selvedge_profile_free, selvedge_profile_json,
};
pub use progress::{selvedge_progress_free, selvedge_progress_new, selvedge_progress_read};
pub use report::{selvedge_report_evidence, selvedge_report_html, selvedge_report_html_with};
pub use run::{selvedge_run_answer, selvedge_run_free, selvedge_run_next};
pub use schedule::{
    selvedge_engine_for_caller, selvedge_schedule_around, selvedge_schedule_free, selvedge_schedule_new,
    selvedge_schedule_status_json,
};
pub use serving::{
    selvedge_store_activate, selvedge_store_gc, selvedge_store_miss, selvedge_store_pardon, selvedge_store_quarantine,
    selvedge_store_remove, selvedge_store_rollback,
};
pub use staged::{
    selvedge_staged_finish, selvedge_staged_free, selvedge_staged_offset, selvedge_staged_write, selvedge_store_stage,
};
pub use store::{
    selvedge_store_close, selvedge_store_current_json, selvedge_store_open, selvedge_store_open_read_only,
    selvedge_store_refresh, selvedge_store_standing_json, selvedge_store_versions_json,
};
pub use stored::{selvedge_store_file, selvedge_store_open_engine, selvedge_store_path, selvedge_store_verify};
pub use table::{
    selvedge_table_free, selvedge_table_gather, selvedge_table_open, selvedge_table_pool, selvedge_table_search,
    selvedge_table_shape,
};
pub use telemetry::{selvedge_telemetry_free, selvedge_telemetry_open, selvedge_telemetry_status_json};
pub use tokenizer::{selvedge_engine_detokenize, selvedge_engine_render, selvedge_engine_tokenize};
pub use version::{selvedge_abi_version, selvedge_features, selvedge_kernel_name, selvedge_version};
