//! Packed ONNX: the large weights of a model as blocks in a weight file that is mapped, beside a slim graph.
//!
//! Enters: an ONNX model. Leaves: a folder with less of it; and of such a folder, what a runtime reads. May import: engine,
//! tensor, onnx, weights, kernel, digest, source, disk.
//!
//! `select` chooses tensors, `mixture` their bits, `encode` makes blocks, `graph` the graph around them, `write` the
//! folder. `read` opens it: `rewrite` makes a graph for one runtime, with `arena` for its tensors.
//!
//! [`pack`] makes a folder of two files:
//!
//! ```text
//! packed/
//!   model.onnx    the graph, with every field that packing has no business with kept as it was
//!   weights.gguf  the blocks: Q4_0, Q8_0 or F16, aligned to 64 bytes
//! ```
//!
//! ```rust,no_run
//! use selvedge::pack::{Packing, Scheme, pack};
//! use selvedge::{Options, open};
//!
//! let report = pack("model.onnx", "packed", &Packing::new(Scheme::Int4).keep("*lm_head*"), |_| {})?;
//! println!("{} bytes became {}", report.before, report.after);
//! let engine = open("packed", Options::new())?;
//! # Ok::<(), selvedge::Error>(())
//! ```
//!
//! [`open`](crate::open) takes the folder, or its `model.onnx`. The SHA-256 of `weights.gguf` stands in the metadata of
//! `model.onnx` and is checked at opening, so the digest of the graph stands for both.
//!
//! | scheme | bytes per weight | under ONNX Runtime | under tract |
//! |---|---|---|---|
//! | [`Int4`](Scheme::Int4) | 0.56 to 0.78 | `MatMulNBits`, `GatherBlockQuantized` | its own Q4_0 blocks; f32 for 8 bits |
//! | [`Int8`](Scheme::Int8) | 1.06 | the same, with 8 bits; f32 for Conv | f32 |
//! | [`F16`](Scheme::F16) | 2 | f32; tables of Gather stay f16 in the map | f32 |
//!
//! rten multiplies 4-bit matrices as `MatMulNBits`, with activations in f32; tables and all else are f32 to it.
//!
//! The weights of LSTM, GRU and RNN are f32 to all, from every scheme. A model of f16 is packed, too, and its tensors
//! are given to it in f16 again, or multiplied between two casts.
//!
//! What packing may cost is bounded for every row, which is one output of a matrix, one vector of a table, one filter of
//! a Conv: ‖w − ŵ‖₂ is at most 3/8 of ‖w‖₂ in 4 bits, 1/32 in 8 and 1/512 in f16, whatever the weights are. That is the rounding to
//! blocks; the scales of blocks are f16, and where they would be too small or too large for it, the tensor is stored divided
//! by a power of two. A tensor with weights that are not finite, or with rows so different that no such power serves all, stays
//! as it is, with the reason in [`PackReport::kept`].
//!
//! Quants go to the runtime as they are, so no f32 copy is made of them on the way; what the table calls f32 is
//! dequantized at opening. Under ONNX Runtime `MatMulNBits` also quantizes the activations, to 8 bits per block of 32,
//! because only then it is fast: an answer differs from the exact product by some 0.5 % of its largest value.
//!
//! Int4 is a mixture: 4 bits throughout lose too much for a small model. Tables of Gather and the first matrices take 4
//! bits, the last matrices 8, up to [`Packing::mean_bits`] for a weight. Of all-MiniLM-L6-v2 under ONNX Runtime, over the
//! 250 sentences of everyday speech, prose and manuals in `tests/packed/sentences.tsv`, on which nothing was chosen, cosine
//! of the sentence embeddings with those of the f32 model (`tests/packed/real.rs` measures it, and under tract, too):
//!
//! | packing | of the bytes | mean | least |
//! |---|---|---|---|
//! | int4 | 19.6 % | 0.9975 | 0.9945 |
//! | int4, `mean_bits` 6 | 18.9 % | 0.996 | 0.991 |
//! | int4, `mean_bits` 4.5 | 14.2 % | 0.971 | 0.898 |
//! | int8 | 26.7 % | 0.9996 | 0.998 |
//! | f16 | 50.1 % | 1.0000 | 1.0000 |
//!
//! Of MobileNetV2 int8 leaves 29.8 % of the bytes. The cosine of its scores is 0.9992 over three views each of two photos
//! of what it has classes for, 0.9985 at least, and 0.998 at least for scans of text, which are nothing like it; the
//! best class stays the same for all of them.
//!
//! MiB of memory once the model has answered, its files' pages included (`benches/packed/memory.rs`). What the first table
//! calls f32 is in memory as f32: the file is smaller, the model is not.
//!
//! | | f32 | int4 | int8 | f16 |
//! |---|---|---|---|---|
//! | MiniLM, ONNX Runtime | 80 to 88 | 23 | 29 | 48 |
//! | MiniLM, tract | 89 | 47 | 89 | 89 |
//! | MobileNetV2, ONNX Runtime | 28 | – | 28 | 28 |
//! | MobileNetV2, tract | 38 to 50 | – | 40 to 42 | 36 to 49 |
//!
//! How a tensor of blocks is written in the graph: an initializer of its type and shape whose external data lies at
//! `location` `weights.gguf`, `offset` and `length`, with entries more: `gguf.tensor` (its name there), `gguf.layout`
//! (`rows`, `inner` if a row is the last of more than two dimensions, or `columns` if it is stored transposed, since blocks
//! run along the dimension that a product sums over), and `gguf.exponent`, if it was divided by that power of two. Readers
//! that know nothing of it refuse the length. An F16 tensor is plain ONNX external data followed by a `Cast`, and by a `Mul`
//! if it was divided; any ONNX reader runs such a model.

mod arena;
mod blocks;
mod encode;
mod form;
mod glob;
mod graph;
mod keys;
mod mixture;
mod model;
mod options;
mod range;
#[cfg_attr(
    not(all(feature = "ort", feature = "tract")),
    allow(dead_code, reason = "each runtime reads another part of a packed model")
)]
mod read;
mod rewrite;
mod select;
#[cfg(test)]
mod tests;
mod write;

#[cfg(feature = "tract")]
pub(crate) use arena::floats_into;
#[cfg(any(feature = "ort", feature = "rten", feature = "tract"))]
pub(crate) use form::ARENA;
pub(crate) use form::{Packed, Runtime};
pub(crate) use keys::WEIGHTS;
pub use options::{KeptTensor, PackProgress, PackReport, PackedTensor, Packing, Scheme};
pub(crate) use read::Weights;
pub use write::pack;
