//! Binning of rows: from the numbers of a row to the bins of a profile.

use std::sync::Arc;

use crate::Digest;
use crate::drift::{FeatureSource, Fourier, Profile};
use crate::layer::probe::{Prediction, ProbeFeature};
use crate::telemetry::{Inference, ModelInfo, ModelSlot};
use crate::{Error, Result};

/// A binning is a profile, tied to the features of a probe.
#[derive(Debug)]
pub(super) struct Binning {
    /// What records of this model under this profile carry.
    pub(super) slot: ModelSlot,
    pub(super) profile: Arc<Profile>,
    columns: Vec<ValueSource>,
}

/// The source of a value.
#[derive(Clone, Copy, Debug)]
enum ValueSource {
    Probe(usize),
    Class,
    Confidence,
    Entropy,
    Latency,
}

impl Binning {
    pub(super) fn new(profile: Arc<Profile>, model: Digest, probe: &[ProbeFeature]) -> Result<Self> {
        if profile.model != [0; 32] && profile.model != model.0 {
            let got = Digest(profile.model);
            return Err(Error::invalid(format!("profile: expected one of the model {model}, got one of {got}")));
        }
        let most = Inference::MAX_BINS - if profile.embedding.is_some() { Fourier::BYTES } else { 0 };
        if profile.features.len() > most {
            let got = profile.features.len();
            return Err(Error::invalid(format!("profile: expected at most {most} features, got {got}")));
        }
        let columns = profile.features.iter().map(|feature| {
            let named = probe.iter().position(|p| p.name == feature.name).map(ValueSource::Probe);
            let from = named.or(match feature.source {
                FeatureSource::Class => Some(ValueSource::Class),
                FeatureSource::Confidence => Some(ValueSource::Confidence),
                FeatureSource::Entropy => Some(ValueSource::Entropy),
                FeatureSource::Latency => Some(ValueSource::Latency),
                _ => None,
            });
            from.ok_or_else(|| {
                let (names, name) = (probe.iter().map(|p| &p.name).collect::<Vec<_>>(), &feature.name);
                Error::invalid(format!("profile: feature '{name}': expected one that the probe gives, of {names:?}"))
            })
        });
        let columns = columns.collect::<Result<_>>()?;
        Ok(Self { slot: slot(model, &profile.encode()), profile, columns })
    }

    /// Writes the bin of each feature; gives back how many.
    pub(super) fn bin(
        &self,
        values: &[f32],
        prediction: &Prediction,
        latency_ms: f32,
        into: &mut [u8; Inference::MAX_BINS],
    ) -> usize {
        for ((column, feature), bin) in self.columns.iter().zip(&self.profile.features).zip(into.iter_mut()) {
            let value = match *column {
                ValueSource::Probe(i) => values.get(i).copied().unwrap_or(f32::NAN),
                ValueSource::Class => prediction.class.map_or(f32::NAN, f32::from),
                ValueSource::Confidence => prediction.confidence,
                ValueSource::Entropy => prediction.entropy,
                ValueSource::Latency => latency_ms,
            };
            *bin = feature.bin(value);
        }
        self.columns.len()
    }

    /// Writes the signs of an embedding behind the bins; gives back how many bytes. `None` for an embedding that is not
    /// one of the profile's; nothing is written where row or profile have none.
    pub(super) fn sign(&self, embedding: &[f32], into: &mut [u8; Inference::MAX_BINS]) -> Option<usize> {
        let Some(reference) = self.profile.embedding.as_ref().filter(|_| !embedding.is_empty()) else { return Some(0) };
        let signs = reference.fourier.signs(embedding)?;
        into[self.columns.len()..][..signs.len()].copy_from_slice(&signs);
        Some(signs.len())
    }
}

/// The slot of a model under a profile: the same after a restart, so that its records in the lanes are known.
pub(super) fn slot(model: Digest, profile: &[u8]) -> ModelSlot {
    ModelInfo::slot_of(&model.0, profile)
}
