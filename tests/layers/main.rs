//! Layers that answer for others: the memory of a cache, and the error rate of a cascade on real data.

mod cache;
mod cascade;
#[path = "../support/counting.rs"]
mod counting;
