//! Alert codes: what kinds of alerts are called in the log.

use crate::drift::{AlertKind, Finding};
use crate::telemetry::AlertCode;

/// The code of a kind of alert in the log.
pub(super) fn code_of(kind: AlertKind) -> AlertCode {
    match kind {
        AlertKind::Feature(Finding::DeadFeature) => AlertCode::DeadFeature,
        AlertKind::Feature(Finding::Missing) => AlertCode::MissingValues,
        AlertKind::Feature(Finding::NewCategory) => AlertCode::NewCategory,
        AlertKind::Feature(Finding::OutOfRange) => AlertCode::OutOfRange,
        AlertKind::Feature(Finding::Shift) => AlertCode::Shift,
        AlertKind::Embedding => AlertCode::EmbeddingDrift,
        AlertKind::Stream => AlertCode::Change,
        AlertKind::Concept => AlertCode::ConceptDrift,
        AlertKind::Health => AlertCode::BrokenPromise,
    }
}

/// The kind of alert that a code in the log stands for. `None` for one that is no monitor's.
pub(super) fn kind_of(code: &AlertCode) -> Option<AlertKind> {
    Some(match code {
        AlertCode::DeadFeature => AlertKind::Feature(Finding::DeadFeature),
        AlertCode::MissingValues => AlertKind::Feature(Finding::Missing),
        AlertCode::NewCategory => AlertKind::Feature(Finding::NewCategory),
        AlertCode::OutOfRange => AlertKind::Feature(Finding::OutOfRange),
        AlertCode::Shift => AlertKind::Feature(Finding::Shift),
        AlertCode::EmbeddingDrift => AlertKind::Embedding,
        AlertCode::Change => AlertKind::Stream,
        AlertCode::ConceptDrift => AlertKind::Concept,
        AlertCode::BrokenPromise => AlertKind::Health,
        AlertCode::Other(_) => return None,
    })
}
