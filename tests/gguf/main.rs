//! GGUF models through llama.cpp: how they are opened, what they write, and the memory that they take.
#![cfg(all(feature = "llama", unix))]

mod accelerator;
mod adapters;
#[cfg(target_os = "linux")]
mod allocator;
mod asking;
#[path = "../support/corpus.rs"]
mod corpus;
#[path = "../../src/weights/tests/craft.rs"]
#[allow(dead_code, unreachable_pub, reason = "the library's own tests need the rest of it")]
mod craft;
mod generate;
mod grammar;
#[cfg(target_os = "linux")]
mod hostile;
#[cfg(target_os = "linux")]
mod memory;
mod open;
mod prefixes;
mod products;
#[path = "../support/random.rs"]
mod random;
mod requests;
mod rerank;
mod schedules;
#[cfg(target_os = "linux")]
mod soak;
mod split;
mod tiny;
mod tools;
mod trained;
mod turns;

use std::path::PathBuf;

use selvedge::Code;

fn smollm() -> Option<PathBuf> {
    corpus::path("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
}

fn minilm() -> Option<PathBuf> {
    corpus::path("minilm-gguf/all-MiniLM-L6-v2-f16.gguf")
}

#[track_caller]
fn code<T>(result: selvedge::Result<T>) -> Code {
    match result {
        Ok(_) => panic!("expected an error"),
        Err(error) => error.code(),
    }
}
