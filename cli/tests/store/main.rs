//! `selvedge store`, run as a user runs it: on folders, and against a registry of the tests' own, whose connections break.
//! Real registries and the tools of others are those of `tests/interop/registry`.

mod local;
mod made;
mod pull;
mod push;
mod server;
