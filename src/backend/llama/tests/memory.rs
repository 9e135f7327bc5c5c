//! Memory that the system refuses after a model is open: an error of the call, and the process goes on.

use super::child::{self, End};
use super::hostile::small;
use super::*;
use crate::engine::{Ask, Generate};
use crate::{Options, open};

const MIB: usize = 1 << 20;

/// What is asked with how many MiB left.
const CASES: [&str; 15] = [
    "embed 4",
    "embed 8",
    "embed 16",
    "embed 32",
    "embed 64",
    "generate 4",
    "generate 8",
    "generate 16",
    "generate 32",
    "generate 64",
    "tokenize 4",
    "tokenize 16",
    "tokenize 32",
    "tokenize 64",
    "load 8",
];

#[test]
fn want_of_memory_is_an_error_of_the_call() {
    let ends = CASES.map(|case| (case, child::alone("memory", case, "ulimit -v 3000000")));
    let died: Vec<_> = ends.iter().filter(|(_, end)| *end != End::Taken).collect();
    assert!(died.is_empty(), "{died:#?}");
}

/// Takes all of the address space but so many bytes.
fn all_but(bytes: usize) -> Vec<Vec<u8>> {
    let (mut taken, mut size) = (Vec::with_capacity(1024), 1024 * MIB);
    let left = some(bytes).unwrap();
    while size >= MIB {
        match some(size) {
            Some(block) => taken.push(block),
            None => size /= 2,
        }
    }
    drop(left);
    taken
}

fn some(bytes: usize) -> Option<Vec<u8>> {
    let mut block = Vec::new();
    block.try_reserve_exact(bytes).ok().map(|()| block)
}

pub(super) fn try_all(case: &str) {
    let (what, left) = case.split_once(' ').unwrap();
    let left = left.parse::<usize>().unwrap() * MIB;
    let file = File::complete(small).u32("llama.context_length", 4096).u32("llama.pooling_type", 1).bytes();
    let refused = |error: Error| assert_eq!(error.code(), Code::OutOfMemory, "{error}");
    let text = "a text ".repeat(150_000);
    match what {
        "embed" | "generate" => {
            let engine = open(file, Options::new().threads(1)).unwrap();
            let taken = all_but(left);
            let error = match what {
                "embed" => engine.embed(["x".repeat(1000)]).err(),
                // More than a quarter of the context: the cache is divided anew.
                _ => engine.run(Generate::text("x".repeat(2000)).max_tokens(2)).err(),
            };
            refused(error.expect("it takes more"));
            drop(taken);
            // With memory again, it serves again.
            engine.embed(["some text"]).unwrap();
            engine.run(Generate::text("some text").max_tokens(2)).unwrap();
        }
        "tokenize" => {
            let model = texts::load("llama-bpe");
            let taken = all_but(left);
            refused(model.tokenize(&text, false, false).unwrap_err());
            drop(taken);
            assert!(model.tokenize(&text, false, false).unwrap().len() >= 150_000);
        }
        _ => {
            let taken = all_but(left);
            refused(open(file.clone(), Options::new().threads(1)).err().unwrap());
            drop(taken);
            open(file, Options::new().threads(1)).unwrap();
        }
    }
}
