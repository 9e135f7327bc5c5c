//! Selvedge beside the bare runtime, in the same process, on the same model.
//!
//! `cargo bench --bench engine --all-features`, with the environment of `tests/run --setup`. Each
//! comparison first asserts that both give the same answer, then times them in alternating rounds
//! and prints the medians and one line per figure: `RATIO name value <=bar`.

#[path = "../../tests/corpus/mod.rs"]
mod corpus;
mod open;
mod rounds;
#[cfg(any(feature = "onnx", feature = "tract"))]
mod tensors;
#[cfg(feature = "gguf")]
mod text;

fn main() {
    // `cargo bench -- tensors` runs one part.
    let wanted = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    let part = |name: &str| wanted.as_deref().is_none_or(|w| name.contains(w));
    #[cfg(any(feature = "onnx", feature = "tract"))]
    if part("tensors") {
        tensors::bench();
    }
    #[cfg(feature = "gguf")]
    if part("text") {
        text::bench();
    }
    if part("open") {
        open::bench();
    }
}
