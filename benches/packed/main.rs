//! Packed models against the files they were made of, `cargo bench --bench packed --features onnx,tract`: memory of two
//! real models on both backends, and the time of a large product. Answers are asserted before anything is told; each
//! figure takes a line `RATIO name value bar`.

#[path = "../../tests/corpus/mod.rs"]
mod corpus;
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
