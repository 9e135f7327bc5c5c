//! Generation: speed beside a plain loop over llama.cpp and beside llama.cpp's own server, and what reuse, grammars, batches
//! and cancelling cost.
//!
//! `cargo bench -p selvedge-benches --no-default-features --features llama-peer --bench generation`, with the environment of
//! `tests/run --setup`; `-- single` or `-- single_1t` runs one part, and `SELVEDGE_BENCH_ROUNDS` says in how many
//! rounds. For the server,
//! `SELVEDGE_XLLAMACPP` names a Python that has the package `xllamacpp`; without it those rows say that they were not measured.
//!
//! All sides of a row take turns within a round, and the figure is the median of the rounds' ratios: what else the machine
//! does falls on all sides alike. What both sides must agree on is asserted. One line per figure: `RATIO name value >=bar`, or
//! `<=bar`.

mod alone;
mod asking;
mod cancel;
#[path = "../../tests/support/corpus.rs"]
mod corpus;
mod divergence;
mod figures;
mod form;
mod padded;
mod plain;
mod products;
mod resume;
mod server;
mod together;
mod turns;
mod watched;

use std::path::PathBuf;

/// The model in each block format that the corpus may have; what does not depend on the format takes the first.
const MODELS: [&str; 2] = ["SmolLM2-135M-Instruct.Q4_1.gguf", "SmolLM2-135M-Instruct.Q8_0.gguf"];

fn main() {
    if resume::asked() {
        return;
    }
    let models = models();
    let Some(model) = models.first() else { return };
    let wanted = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    let part = |name: &str| wanted.as_deref().is_none_or(|w| name.contains(w));
    let plain = plain::Plain::start();
    for threads in [1, 2] {
        let part = |name: &str| part(&format!("{name}_{threads}t"));
        if part("single") {
            models.iter().for_each(|path| alone::beside_peers(path, &plain, threads));
        }
        if part("products") {
            products::bench(model, threads);
        }
        if part("callers") {
            together::beside_the_server(model, threads);
        }
        if part("batch") {
            together::beside_one_after_another(model, threads, if threads == 1 { 1.6 } else { 1.8 });
        }
        if part("form") {
            form::bench(model, threads);
        }
        if part("busy") {
            alone::beside_a_busy_process(model, threads);
        }
        if part("cancel") {
            cancel::bench(model, threads);
        }
    }
    divergence::bench(model, part);
    if part("watched") {
        watched::bench(model);
    }
    if part("turn") {
        turns::bench(model);
    }
    if part("resume") {
        resume::bench(model);
    }
}

fn models() -> Vec<PathBuf> {
    let Some(first) = corpus::path(&format!("smollm2/{}", MODELS[0])) else { return Vec::new() };
    MODELS.iter().map(|name| first.with_file_name(name)).filter(|path| path.exists()).collect()
}
