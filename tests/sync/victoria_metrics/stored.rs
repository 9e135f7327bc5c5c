//! Samples as VictoriaMetrics has them: a number per series and millisecond.

use std::collections::BTreeMap;

use crate::received::Histogram;

/// By labels, `__name__` among them: milliseconds since 1970 and value, copies included, sorted.
pub(crate) type Samples = BTreeMap<Labels, Vec<(u64, f64)>>;
pub(crate) type Labels = BTreeMap<String, String>;

/// Reads an export: a JSON object per series and line.
pub(crate) fn read(export: &str) -> Samples {
    let mut samples = Samples::new();
    for line in export.lines() {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        let labels = json["metric"].as_object().unwrap().iter();
        let mut labels: Labels = labels.map(|(k, v)| (k.clone(), v.as_str().unwrap().to_string())).collect();
        // Of two shortest texts of a number, Go takes one and Rust the other.
        if let Some(bound) = labels.get_mut("le").filter(|bound| *bound != "+Inf") {
            *bound = bound.parse::<f64>().unwrap().to_string();
        }
        let times = json["timestamps"].as_array().unwrap().iter().map(|t| t.as_u64().unwrap());
        // From the text, because the reading of JSON does not keep the last bit of 64.
        let (_, values) = line.rsplit_once("\"values\":[").unwrap();
        let (values, _) = values.split_once(']').unwrap();
        samples.entry(labels).or_default().extend(times.zip(values.split(',').map(|v| v.parse::<f64>().unwrap())));
    }
    sorted(samples)
}

/// The features' histograms against what the test counted itself, not against the batch.
pub(crate) fn check_features(stored: &Samples, expected: BTreeMap<(String, u64), Histogram>) {
    let mut buckets: BTreeMap<(String, u64), Vec<(f64, f64)>> = BTreeMap::new();
    for (labels, points) in stored.iter().filter(|(labels, _)| labels["__name__"] == "selvedge.feature_bucket") {
        for (ms, total) in points {
            let key = (labels["selvedge.feature.name"].clone(), *ms);
            buckets.entry(key).or_default().push((labels["le"].parse().unwrap(), *total));
        }
    }
    assert_eq!(buckets.len(), expected.len());
    for ((feature, time), point) in expected {
        let key = (feature, time / 1_000_000);
        let reported = buckets.get_mut(&key).unwrap_or_else(|| panic!("no {key:?}"));
        reported.sort_by(|a, b| a.0.total_cmp(&b.0));
        let bounds: Vec<f64> = point.bounds.iter().map(|b| f64::from(*b)).chain([f64::INFINITY]).collect();
        assert_eq!(reported.iter().map(|(bound, _)| *bound).collect::<Vec<_>>(), bounds, "{key:?}");
        assert_eq!(parts(reported.iter().map(|(_, total)| *total)), point.buckets, "{key:?}");
    }
}

/// Running totals into parts.
pub(crate) fn parts(totals: impl Iterator<Item = f64>) -> Vec<u64> {
    let mut below = 0.0;
    totals.map(|total| (total - std::mem::replace(&mut below, total)) as u64).collect()
}

pub(crate) fn sorted(mut samples: Samples) -> Samples {
    samples.values_mut().for_each(|points| points.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))));
    samples
}
