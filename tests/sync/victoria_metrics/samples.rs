//! The samples that VictoriaMetrics has to make of a batch.

use std::io::Read;

use prost::Message;
use selvedge::sync::{Batch, Encoding};

use super::stored::{Labels, Samples, sorted};
use crate::otlp::{Data, ExportMetricsServiceRequest, KeyValue, Number, Value};

/// What it has to make of these batches.
pub(crate) fn of_batches<'a>(batches: impl IntoIterator<Item = &'a Batch>) -> Samples {
    let mut samples = Samples::new();
    for batch in batches {
        for (labels, more) in of_request(&decode(batch)) {
            samples.entry(labels).or_default().extend(more);
        }
    }
    sorted(samples)
}

pub(crate) fn decode(batch: &Batch) -> ExportMetricsServiceRequest {
    let body = &batch.metrics[..];
    let mut bytes = Vec::new();
    match batch.encoding {
        Encoding::Gzip => flate2::read::GzDecoder::new(body).read_to_end(&mut bytes),
        Encoding::Zstd => ruzstd::decoding::StreamingDecoder::new(body).unwrap().read_to_end(&mut bytes),
        _ => (&mut { body }).read_to_end(&mut bytes),
    }
    .unwrap();
    ExportMetricsServiceRequest::decode(&bytes[..]).unwrap()
}

/// Attributes of resource, scope and point become labels. The buckets of a histogram become running totals by upper
/// bound, those of an exponential histogram totals of their own by range, where they are not zero.
pub(crate) fn of_request(request: &ExportMetricsServiceRequest) -> Samples {
    let mut samples = Samples::new();
    for resource in &request.resource_metrics {
        for scope in &resource.scope_metrics {
            let mut common = Labels::new();
            label(&mut common, &resource.resource.as_ref().unwrap().attributes);
            let by = scope.scope.as_ref().unwrap();
            common.insert("scope.name".into(), by.name.clone());
            common.insert("scope.version".into(), by.version.clone());
            for metric in &scope.metrics {
                of_data(metric.data.as_ref().unwrap(), &mut |attributes, suffix, part, nanoseconds, value| {
                    let mut labels = common.clone();
                    label(&mut labels, attributes);
                    labels.insert("__name__".into(), format!("{}{suffix}", metric.name));
                    labels.extend(part.map(|(k, v)| (k.to_string(), v)));
                    samples.entry(labels).or_default().push((nanoseconds / 1_000_000, value));
                });
            }
        }
    }
    sorted(samples)
}

type Emit<'a> = dyn FnMut(&[KeyValue], &str, Option<(&str, String)>, u64, f64) + 'a;

fn of_data(data: &Data, emit: &mut Emit<'_>) {
    match data {
        Data::Sum(sum) => {
            for p in &sum.data_points {
                let Some(Number::Int(value)) = p.value else { panic!("{p:?}: no value") };
                emit(&p.attributes, "", None, p.time_unix_nano, value as f64);
            }
        }
        Data::Histogram(histogram) => {
            for p in &histogram.data_points {
                let mut emit = |suffix, part, value| emit(&p.attributes, suffix, part, p.time_unix_nano, value);
                emit("_count", None, p.count as f64);
                p.sum.into_iter().for_each(|sum| emit("_sum", None, sum));
                let bounds = p.explicit_bounds.iter().map(f64::to_string).chain(["+Inf".to_string()]);
                let mut total = 0;
                for (bound, count) in bounds.zip(&p.bucket_counts) {
                    total += count;
                    emit("_bucket", Some(("le", bound)), total as f64);
                }
            }
        }
        Data::ExponentialHistogram(histogram) => {
            for p in &histogram.data_points {
                let mut emit = |suffix, part, value| emit(&p.attributes, suffix, part, p.time_unix_nano, value);
                emit("_count", None, p.count as f64);
                p.sum.into_iter().for_each(|sum| emit("_sum", None, sum));
                if p.zero_count > 0 {
                    emit("_bucket", Some(("vmrange", range(-0.0, 0.0))), p.zero_count as f64);
                }
                let buckets = p.positive.clone().unwrap_or_default();
                let bound = |i: usize| f64::from(buckets.offset + i as i32) * f64::from(-p.scale).exp2();
                for (i, count) in buckets.bucket_counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                    emit("_bucket", Some(("vmrange", range(bound(i).exp2(), bound(i + 1).exp2()))), *count as f64);
                }
            }
        }
    }
}

fn label(labels: &mut Labels, attributes: &[KeyValue]) {
    for attribute in attributes {
        let text = match attribute.value.clone().and_then(|v| v.value) {
            Some(Value::String(text)) => text,
            Some(Value::Int(number)) => number.to_string(),
            other => panic!("{}: {other:?}", attribute.key),
        };
        // An empty label is no label.
        if !text.is_empty() {
            labels.insert(attribute.key.clone(), text);
        }
    }
}

/// Four digits of each bound.
fn range(low: f64, high: f64) -> String {
    let text = |bound: f64| {
        let text = format!("{bound:.3e}");
        let (digits, exponent) = text.split_once('e').unwrap();
        let exponent: i32 = exponent.parse().unwrap();
        format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
    };
    format!("{}...{}", text(low), text(high))
}
