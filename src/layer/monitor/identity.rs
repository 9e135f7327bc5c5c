//! Identity of the monitored model.

use sha2::{Digest as _, Sha256};

use super::binning::Binning;
use crate::Digest;
use crate::engine::Provenance;
use crate::telemetry::{ModelInfo, ModelSlot};

#[derive(Clone, Debug)]
pub(super) struct ModelIdentity {
    pub(super) name: String,
    pub(super) version: Option<String>,
    pub(super) digest: Digest,
    backend: &'static str,
}

impl ModelIdentity {
    pub(super) fn of(provenance: &Provenance) -> Self {
        Self {
            name: provenance.model.clone(),
            version: provenance.version.clone(),
            digest: provenance.digest,
            backend: provenance.backend,
        }
    }

    /// The model as the log has it: with its profile, or under its bare slot.
    pub(super) fn record(&self, binning: Option<&Binning>, bare_slot: ModelSlot) -> ModelInfo {
        let profile = binning.map(|b| b.profile.encode()).unwrap_or_default();
        let digest = if profile.is_empty() { [0; 32] } else { Sha256::digest(&profile).into() };
        ModelInfo {
            slot: binning.map_or(bare_slot, |b| b.slot),
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
