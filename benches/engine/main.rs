//! Selvedge beside the bare runtime, in the same process, on the same model.
//!
//! `cargo bench -p selvedge-benches --features peers --bench engine`, with the environment of `tests/run --setup`. Each
//! comparison first asserts that both give the same answer, then times them in alternating rounds
//! and prints the medians and one line per figure: `RATIO name value <=bar`.

mod contract;
#[path = "../../tests/support/corpus.rs"]
mod corpus;
mod open;
mod rounds;
mod tensors;

fn main() {
    if open::asked() {
        return;
    }
    // `cargo bench -- tensors` runs one part.
    let wanted = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    let part = |name: &str| wanted.as_deref().is_none_or(|w| name.contains(w));
    if part("contract") {
        contract::bench();
    }
    if part("tensors") {
        tensors::bench();
    }
    if part("open") {
        open::bench();
    }
}
