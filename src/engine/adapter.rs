//! Adapters: small sets of weights that are added to a model's own, for one request or another.

use crate::Digest;

/// An adapter that an engine was opened with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Adapter {
    /// The name that requests use.
    pub name: String,
    /// SHA-256 of its file.
    pub digest: Digest,
    /// Weights of the model that it changes.
    pub applied: u32,
    /// Weights that it has changes for. What is left of them is of a kind that the runtime does not change, such as a norm.
    pub total: u32,
}

impl Adapter {
    /// An adapter that changes `applied` weights and has changes for `total`.
    pub fn new(name: impl Into<String>, digest: Digest, applied: u32, total: u32) -> Self {
        Self { name: name.into(), digest, applied, total }
    }
}

/// An adapter that an answer was computed with.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AppliedAdapter {
    /// Its name.
    pub name: String,
    /// What its changes were multiplied with.
    pub scale: f32,
    /// Weights of the model that were changed; at least 1.
    pub applied: u32,
    /// Weights that it has changes for.
    pub total: u32,
}

impl AppliedAdapter {
    /// An adapter, as it was applied.
    pub fn new(adapter: &Adapter, scale: f32) -> Self {
        Self { name: adapter.name.clone(), scale, applied: adapter.applied, total: adapter.total }
    }
}
