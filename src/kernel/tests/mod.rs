//! Proofs of the kernels: every variant against the reference, the reference against ggml.

mod attention;
mod blocks;
mod contract;
#[cfg(feature = "llama")]
mod ggml;
mod gptq;
mod int8;
mod ints;
mod product;
mod quantizing;
mod rows;
mod variants;

/// The same bits. Where a block has two scales and both are NaN, IEEE 754 leaves open which of the two a sum keeps, and
/// so do the compilers: any NaN will do then.
fn same(format: super::BlockFormat, got: f32, expected: f32) -> bool {
    got.to_bits() == expected.to_bits() || blocks::scales(format).len() > 1 && got.is_nan() && expected.is_nan()
}

fn assert_same(format: super::BlockFormat, got: &[f32], expected: &[f32], what: &dyn std::fmt::Display) {
    assert_eq!(got.len(), expected.len());
    if let Some(i) = (0..got.len()).find(|i| !same(format, got[*i], expected[*i])) {
        let (g, e) = (got[i], expected[i]);
        panic!("{format}, {what}: weight {i}: expected {e} ({:08x}), got {g} ({:08x})", e.to_bits(), g.to_bits());
    }
}
