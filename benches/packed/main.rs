//! Packed models against the files they were made of, `cargo bench -p selvedge-benches --features ort,tract --bench packed`: memory of two
//! real models on both backends, and the time of a large product. Answers are asserted before anything is reported; each
//! figure takes a line `RATIO name value bar`.

#[path = "../../tests/support/corpus.rs"]
mod corpus;
#[path = "../../tests/packed/craft.rs"]
#[allow(dead_code, reason = "the tests craft more")]
mod craft;
mod memory;
#[path = "../../tests/packed/models.rs"]
mod models;
mod product;

fn main() {
    if memory::asked() {
        return;
    }
    memory::bench();
    product::bench();
}
