//! Opening without the memory for it: a typed error, whichever allocation it is that fails.

use selvedge::weights::WeightFile;
use selvedge::{Bytes, Code, Loading};

use super::craft::{File, string};
use super::safetensors;
use crate::counting::with_failure;

/// The allocations that opening makes, each of which has failed once.
fn every_allocation_may_fail(name: &str, file: Vec<u8>) -> usize {
    let file = Bytes::shared(file);
    for n in 1.. {
        let bytes = file.clone();
        let (opened, failed) = with_failure(n, || WeightFile::open(bytes, Loading::Mapped));
        match opened {
            Ok(_) if !failed => return n - 1,
            Ok(_) => panic!("{name}: allocation {n} failed, and it opened"),
            Err(e) => assert_eq!(e.code(), Code::OutOfMemory, "{name}, allocation {n}: {e}"),
        }
    }
    unreachable!("it opens in the end")
}

#[test]
fn gguf_without_memory() {
    let texts = [string(b"a"), string(b"bc")].concat();
    let file = File::model().array("texts", 8, 2, texts).tensor("q", &[32, 3, 1, 2], 2, 108).tensor("u", &[8], 200, 9);
    let allocations = every_allocation_may_fail("gguf", file.bytes());
    // A name of each key and tensor.
    assert!(allocations > 15 + 3, "{allocations}");
}

#[test]
fn safetensors_without_memory() {
    let allocations = every_allocation_may_fail("safetensors", safetensors::good());
    // Two names and texts of metadata, and a name of each tensor. Short shapes take none.
    assert!(allocations > 2 * 2 + 40, "{allocations}");
}
