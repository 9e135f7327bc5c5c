//! Device of our own for ggml: prompts are multiplied with weights by the panels of `kernel`.
//!
//! ggml's scheduler gives each operation of a graph to the first device that takes it. Beside its CPU there may be others that
//! work in the same memory, as its BLAS does; this is one. It takes the products of a layer's weights with the tokens of a
//! prompt, and their attention, and nothing else.
//!
//! # What is the same whoever computes beside
//!
//! A product by panels rounds otherwise than ggml's, and the bits of a row don't depend on the rows beside it. So what decides
//! is the batch and the shape of the product alone: in a batch in which a sequence has several tokens, which is a slice of
//! a prompt or some texts to embed, products of two rows or more; in a batch of next tokens, none. Such batches
//! differ in what llama.cpp compares before it uses a graph again, so a graph is never used for the other kind.
//!
//! # Memory
//!
//! Packed weights are the model's, and freed with it: a matrix is known by its address, and another model could come to have the
//! same. Which ones are packed is seen when a context is made, from the graph that llama.cpp reserves memory with. Where
//! there is no room for all of them, llama.cpp computes for itself.
//!
//! # Files
//!
//! `abi` is the layout of ggml's own structs, `backend` the functions that ggml calls. `products` are those of one context, from
//! the weights that `packed` has of its model, and `attention` is between them; `compute` does both, with the
//! threads of a `crew`.

mod abi;
mod attention;
mod backend;
mod compute;
mod crew;
mod packed;
mod products;
#[cfg(test)]
mod tests;

pub(super) use backend::{is_registered, register};
pub(super) use packed::PackedWeights;
pub(super) use products::Products;
