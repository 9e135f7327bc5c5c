//! Proofs of the kernels.

mod contract;
