//! Weight files made to do harm: every one is a typed error or opens, without a panic and within 64 MiB of memory.
//!
//! The recipes follow the faults that were found in readers of GGUF and safetensors over the years; `gguf` and
//! `safetensors` build the files, `verdict` judges them, `memory` takes away the memory, which `crate::counting` counts.

#[path = "../../../src/weights/tests/craft.rs"]
#[allow(dead_code, unreachable_pub, reason = "the library's own tests need the rest of it")]
mod craft;
mod gguf;
mod memory;
mod safetensors;
mod sweeps;
mod verdict;
