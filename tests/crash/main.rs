//! The crash record from outside: real runtimes whose process dies, in children of this binary, and what the next start does.
//! On systems that tell a parent by which signal a child died, and in builds that have a runtime.

#![cfg(all(unix, feature = "tract"))]
#![expect(unsafe_code, reason = "children die by signals, by a write to nowhere and by ggml's own abort")]

mod child;
mod deaths;
mod fuse;
mod kills;
#[path = "../support/random.rs"]
mod random;
mod stories;
