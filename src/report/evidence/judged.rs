//! Windows beside the reference: the tests of each feature, told by the rules for alerts.

use serde_json::{Value, json};

use super::{Shown, numbers};
use crate::drift::{EmbeddingDrift, FeatureDrift, Finding};
use crate::report::story::Seen;
use crate::telemetry::{AlertCode, AlertRecord};

/// One window.
pub(super) fn window(shown: &Shown<'_>, seen: &Seen) -> Value {
    let window = &seen.window;
    let features: Vec<Value> = match &seen.verdict {
        Some(verdict) => verdict.features.iter().map(|drift| feature(shown, drift, verdict.rows)).collect(),
        None => Vec::new(),
    };
    let embedding = seen.verdict.as_ref().and_then(|v| v.embedding.as_ref().map(|e| embedding(shown, e, v.rows)));
    json!({
        "index": window.index, "rows": window.rows, "closed": shown.story.when(&window.closed),
        "features": features, "embedding": embedding,
    })
}

/// What is told of an alert of the feature with these numbers: no more, so that one place decides.
fn feature(shown: &Shown<'_>, drift: &FeatureDrift, rows: u64) -> Value {
    // Distances in the feature's own units stay: of a learned reference they would tell its scale.
    let evidence = [
        ("rows", rows as f64),
        ("p", drift.p),
        ("chi2", drift.chi2),
        ("df", f64::from(drift.df)),
        ("psi", drift.psi),
        ("ks", drift.ks),
        ("js", drift.js),
        ("hellinger", drift.hellinger),
        ("missing", drift.missing),
        ("new_category", drift.new_category),
        ("out_of_range", drift.out_of_range),
    ];
    let code = drift.finding.map_or(AlertCode::Shift, code_of);
    let told = shown.privacy.alert(&record(code, &drift.name, &evidence));
    let finding = drift.finding.map(|_| told.code.name().to_owned());
    json!({ "name": drift.name, "drifted": drift.drifted, "finding": finding, "tests": numbers(&told.evidence) })
}

fn embedding(shown: &Shown<'_>, drift: &EmbeddingDrift, rows: u64) -> Value {
    let evidence = [("rows", rows as f64), ("p", drift.p), ("mmd2", drift.mmd2)];
    let told = shown.privacy.alert(&record(AlertCode::EmbeddingDrift, "embedding", &evidence));
    json!({ "drifted": drift.drifted, "tests": numbers(&told.evidence) })
}

fn record(code: AlertCode, feature: &str, evidence: &[(&str, f64)]) -> AlertRecord {
    let evidence = evidence.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    AlertRecord { code, feature: Some(feature.into()), evidence, ..AlertRecord::default() }
}

fn code_of(finding: Finding) -> AlertCode {
    match finding {
        Finding::DeadFeature => AlertCode::DeadFeature,
        Finding::Missing => AlertCode::MissingValues,
        Finding::NewCategory => AlertCode::NewCategory,
        Finding::OutOfRange => AlertCode::OutOfRange,
        Finding::Shift => AlertCode::Shift,
    }
}
