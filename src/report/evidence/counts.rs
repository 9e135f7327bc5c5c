//! Counts of the windows together, as they may leave: by bins, by classes, by confidence, by labels.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::Shown;
use crate::Result;
use crate::drift::{FeatureProfile, Profile};
use crate::sync::privacy::{Disclosed, Magnitude, Noise, Privacy};

/// A table of the features' bins: feature, bin, rows of the reference, rows of the windows. `None` if there is nothing to
/// tell.
pub(super) fn table(shown: &Shown<'_>) -> Result<Option<String>> {
    let Some(profile) = shown.model.profile.as_deref().filter(|_| shown.privacy.epsilon.is_none()) else {
        return Ok(None);
    };
    let mut csv = String::from("feature,bin,reference,windows\n");
    for (i, feature) in profile.features.iter().enumerate() {
        let of_windows = shown.windows.iter().filter_map(|seen| seen.window.features.get(i));
        let windows = grown(&shown.privacy, of_windows.map(Vec::as_slice))?;
        // The owner has the counts of a reference that he shipped.
        let reference = match profile.learned {
            true => grown(&shown.privacy, [&*feature.counts])?,
            false => feature.counts.clone(),
        };
        rows(&mut csv, &shown.privacy, profile, feature, [&reference, &windows]);
    }
    Ok(Some(csv))
}

/// What is given out of counts that come one after another.
fn grown<'a>(privacy: &Privacy, windows: impl IntoIterator<Item = &'a [u64]>) -> Result<Vec<u64>> {
    let (mut given, mut held, mut noise) = (Vec::new(), Vec::new(), Noise::default());
    for window in windows {
        privacy.add(window, &mut given, &mut held, &mut noise)?;
    }
    Ok(given)
}

fn rows(csv: &mut String, privacy: &Privacy, profile: &Profile, feature: &FeatureProfile, counts: [&[u64]; 2]) {
    let [reference, windows] = counts.map(|counts| labelled(privacy, profile, feature, counts));
    let name = quoted(&feature.name);
    let missing = |counts: &[u64]| counts.get(feature.bins.len() - 1).copied().unwrap_or(0);
    // Of a learned profile a bin may be told of one side alone: the other has too few rows there.
    let mut bins: Vec<&String> = reference.iter().map(|(bin, _)| bin).collect();
    bins.extend(windows.iter().map(|(bin, _)| bin).filter(|bin| !reference.iter().any(|(known, _)| known == *bin)));
    for bin in bins {
        let of = |side: &[(String, u64)]| side.iter().find(|(name, _)| name == bin).map_or(0, |(_, n)| *n);
        let _ = writeln!(csv, "{name},{},{},{}", quoted(bin), of(&reference), of(&windows));
    }
    let _ = writeln!(csv, "{name},missing,{},{}", missing(counts[0]), missing(counts[1]));
}

fn labelled(privacy: &Privacy, profile: &Profile, feature: &FeatureProfile, given: &[u64]) -> Vec<(String, u64)> {
    match privacy.disclose(profile, feature, given) {
        Disclosed::Nothing => Vec::new(),
        Disclosed::Bounds(bounds) => {
            let below = bounds.iter().map(|bound| format!("<= {bound}"));
            let above = bounds.last().map(|bound| format!("> {bound}"));
            below.chain(above).zip(given.iter().copied()).collect()
        }
        Disclosed::Names(names) => names,
        Disclosed::Magnitudes { powers, other } => {
            let named = powers.into_iter().map(|(magnitude, n)| (power(magnitude), n));
            named.chain([("other".into(), other)]).collect()
        }
        Disclosed::Ranks { ranks, other } => {
            let named = ranks.into_iter().map(|(rank, n)| (format!("rank {rank}"), n));
            named.chain([("other".into(), other)]).collect()
        }
    }
}

fn power(magnitude: Magnitude) -> String {
    match magnitude {
        Magnitude::Negative(power) => format!("-2^{} to -2^{power}", power + 1),
        Magnitude::Zero => "0".into(),
        Magnitude::Positive(power) => format!("2^{power} to 2^{}", power + 1),
    }
}

/// A cell of a table.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.into() }
}

/// What the windows say of the answers, and the labels of them.
pub(super) fn answers(shown: &Shown<'_>) -> Result<Value> {
    let privacy = &shown.privacy;
    let rows = shown.windows.iter().fold(0u64, |all, seen| all.saturating_add(seen.window.rows));
    if privacy.epsilon.is_some() {
        return Ok(json!({ "rows": rows }));
    }
    let (mut ids, mut given, mut held) = (Vec::new(), Vec::new(), Vec::new());
    for seen in shown.windows {
        privacy.classes(&seen.window.classes, &mut ids, [&mut given, &mut held], &mut Noise::default())?;
    }
    let classes: Map<String, Value> =
        ids.iter().zip(&given).filter(|(_, n)| **n > 0).map(|(id, n)| (id.to_string(), json!(n))).collect();
    let confidence = grown(privacy, shown.windows.iter().map(|seen| &*seen.window.confidence))?;
    let (all, right) = shown.model.labels;
    let labels = grown(privacy, [&[right, all.saturating_sub(right)][..]])?;
    Ok(json!({
        "rows": rows, "classes": classes, "confidence": confidence,
        "labels": { "right": labels[0], "wrong": labels[1] },
    }))
}
