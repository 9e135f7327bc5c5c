//! Parts of a batch: what is sent in smaller pieces because a receiver does not take it whole.
//!
//! Points are totals of their own, so that any part of a request is a request.

use std::ops::Range;

use prost::Message;
use sha2::{Digest, Sha256};

use super::encoding::Encoding;
use super::otlp::{Data, ExportLogsServiceRequest, ExportMetricsServiceRequest};
use super::state::Pending;
use crate::{Error, Result};

impl Pending {
    /// A batch of these bodies, before compression.
    pub(super) fn new(metrics: Vec<u8>, logs: Vec<u8>, encoding: Encoding) -> Result<Self> {
        let mut hash = Sha256::new();
        hash.update((metrics.len() as u64).to_le_bytes());
        hash.update(&metrics);
        hash.update(&logs);
        Ok(Self {
            id: hash.finalize().to_vec(),
            metrics: encoding.encode(metrics)?,
            logs: encoding.encode(logs)?,
            encoding: encoding.number(),
            ..Self::default()
        })
    }

    /// Two parts that hold all of it: metrics and logs apart, else half of the points or of the records each. `None`
    /// for what holds only one. The second has the count of sealed records: they are out once it is.
    pub(super) fn halves(&self) -> Result<Option<[Self; 2]>> {
        let encoding = Encoding::from_number(self.encoding)
            .ok_or_else(|| Error::corrupt(format!("batch: expected an encoding of 0 to 2, got {}", self.encoding)))?;
        let part = |metrics, logs, points, log_records, records| {
            let part = Self::new(metrics, logs, encoding)?;
            Ok::<_, Error>(Self { points, log_records, records, ..part })
        };
        let (points, logs) = (self.points, self.log_records);
        let bytes = |body: &[u8]| encoding.decode(body);
        if points > 0 && logs > 0 {
            let first = part(bytes(&self.metrics)?, vec![], points, 0, 0)?;
            return Ok(Some([first, part(vec![], bytes(&self.logs)?, 0, logs, self.records)?]));
        }
        let half = points.max(logs) / 2;
        if half == 0 {
            return Ok(None);
        }
        let of = |range: Range<u64>, records| {
            let count = range.end - range.start;
            if points > 0 {
                let body = metrics_in(&bytes(&self.metrics)?, range)?;
                part(body, vec![], count, 0, records)
            } else {
                let body = logs_in(&bytes(&self.logs)?, range)?;
                part(vec![], body, 0, count, records)
            }
        };
        Ok(Some([of(0..half, 0)?, of(half..points.max(logs), self.records)?]))
    }
}

/// The request with only the points of these numbers.
fn metrics_in(body: &[u8], range: Range<u64>) -> Result<Vec<u8>> {
    let mut request = ExportMetricsServiceRequest::decode(body).map_err(broken)?;
    let mut at = 0;
    for metric in request.resource_metrics.iter_mut().flat_map(|r| &mut r.scope_metrics).flat_map(|s| &mut s.metrics) {
        match &mut metric.data {
            Some(Data::Sum(sum)) => keep(&mut sum.data_points, &mut at, &range),
            Some(Data::Histogram(histogram)) => keep(&mut histogram.data_points, &mut at, &range),
            Some(Data::ExponentialHistogram(histogram)) => keep(&mut histogram.data_points, &mut at, &range),
            None => {}
        }
    }
    for resource in &mut request.resource_metrics {
        for scope in &mut resource.scope_metrics {
            scope.metrics.retain(|metric| match &metric.data {
                Some(Data::Sum(sum)) => !sum.data_points.is_empty(),
                Some(Data::Histogram(histogram)) => !histogram.data_points.is_empty(),
                Some(Data::ExponentialHistogram(histogram)) => !histogram.data_points.is_empty(),
                None => false,
            });
        }
        resource.scope_metrics.retain(|scope| !scope.metrics.is_empty());
    }
    request.resource_metrics.retain(|resource| !resource.scope_metrics.is_empty());
    Ok(request.encode_to_vec())
}

/// The request with only the records of these numbers.
fn logs_in(body: &[u8], range: Range<u64>) -> Result<Vec<u8>> {
    let mut request = ExportLogsServiceRequest::decode(body).map_err(broken)?;
    let mut at = 0;
    for resource in &mut request.resource_logs {
        resource.scope_logs.iter_mut().for_each(|scope| keep(&mut scope.log_records, &mut at, &range));
        resource.scope_logs.retain(|scope| !scope.log_records.is_empty());
    }
    request.resource_logs.retain(|resource| !resource.scope_logs.is_empty());
    Ok(request.encode_to_vec())
}

fn keep<T>(list: &mut Vec<T>, at: &mut u64, range: &Range<u64>) {
    list.retain(|_| {
        *at += 1;
        range.contains(&(*at - 1))
    });
}

fn broken(error: prost::DecodeError) -> Error {
    Error::corrupt(format!("batch: expected a request of OTLP: {error}"))
}
