//! Layers, engines made of engines: each wraps others and is itself an [`Engine`](crate::Engine), so that an app stacks
//! what it needs.
//!
//! Enters: an engine, and a request to it. Leaves: the engine's own answer, and what the layer knows about it.
//! May import: crash, digest, engine, tensor, telemetry, drift, store, threads.

pub mod cache;
pub mod cascade;
pub mod deployment;
pub mod monitor;
pub mod probe;
mod route;
pub mod schedule;
