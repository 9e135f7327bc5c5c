//! Serving: the worker thread of a model, and what it does in rounds.
//!
//! `run` is what callers hold, `queue` and `mailbox` the ways to and from the `worker`. Its two jobs are `batcher`, over
//! `sequence`, `kv_cache` with `prefix` and `layout`, and `threads`; and `embedder`. `prompt` makes tokens of what is asked.

mod batcher;
pub(super) mod embedder;
pub(super) mod kv_cache;
pub(super) mod layout;
pub(super) mod mailbox;
pub(super) mod prefix;
pub(super) mod prompt;
pub(super) mod queue;
pub(super) mod run;
mod scored;
pub(super) mod sequence;
pub(super) mod threads;
pub(super) mod worker;
