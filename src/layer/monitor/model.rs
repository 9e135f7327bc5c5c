//! Who is watched.

use sha2::{Digest as _, Sha256};

use super::sorting::Sorting;
use crate::Digest;
use crate::engine::Provenance;
use crate::telemetry::{ModelInfo, ModelSlot};

#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) name: String,
    pub(super) version: Option<String>,
    pub(super) digest: Digest,
    backend: &'static str,
}

impl Model {
    pub(super) fn of(provenance: &Provenance) -> Self {
        Self {
            name: provenance.model.clone(),
            version: provenance.version.clone(),
            digest: provenance.digest,
            backend: provenance.backend,
        }
    }

    /// AlertKind the log is told of the model: with its profile, or under its bare slot.
    pub(super) fn record(&self, sorting: Option<&Sorting>, bare_slot: ModelSlot) -> ModelInfo {
        let profile = sorting.map(|s| s.profile.encode()).unwrap_or_default();
        let digest = if profile.is_empty() { [0; 32] } else { Sha256::digest(&profile).into() };
        ModelInfo {
            slot: sorting.map_or(bare_slot, |s| s.slot),
            name: self.name.clone(),
            version: self.version.clone(),
            digest: self.digest.0,
            backend: self.backend.into(),
            profile,
            profile_digest: digest,
            ..ModelInfo::default()
        }
    }
}
