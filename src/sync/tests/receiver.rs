//! A receiver in memory, which checks what every receiver of cumulative series relies on.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;

use super::made::attribute;
use crate::sync::otlp::{Data, ExportLogsServiceRequest, ExportMetricsServiceRequest, KeyValue, Number, Value};

/// Start, and all numbers of a point.
type Reported = (u64, Vec<u64>);

#[derive(Debug, Default)]
pub(super) struct Receiver {
    /// By resource, metric and attributes: by time.
    series: BTreeMap<String, BTreeMap<u64, Reported>>,
    /// By `log.record.uid`: what the alert is called.
    logs: BTreeMap<String, String>,
    /// Points that came twice and differ.
    pub(super) conflicts: usize,
}

impl Receiver {
    pub(super) fn take(&mut self, path: &str, body: &[u8]) {
        match path {
            "/v1/metrics" => self.metrics(ExportMetricsServiceRequest::decode(body).unwrap()),
            "/v1/logs" => self.log(ExportLogsServiceRequest::decode(body).unwrap()),
            _ => panic!("{path}"),
        }
    }

    fn metrics(&mut self, request: ExportMetricsServiceRequest) {
        for resource in request.resource_metrics {
            let whose = text(&resource.resource.unwrap().attributes);
            for metric in resource.scope_metrics.into_iter().flat_map(|s| s.metrics) {
                let series = |attributes: &[KeyValue]| format!("{whose} {} {}", metric.name, text(attributes));
                match metric.data.unwrap() {
                    Data::Sum(sum) => {
                        for p in sum.data_points {
                            let Some(Number::Int(value)) = p.value else { panic!() };
                            let reported = (p.start_time_unix_nano, vec![value as u64]);
                            self.receive(series(&p.attributes), p.time_unix_nano, reported);
                        }
                    }
                    Data::Histogram(histogram) => {
                        for p in histogram.data_points {
                            self.receive(
                                series(&p.attributes),
                                p.time_unix_nano,
                                (p.start_time_unix_nano, p.bucket_counts),
                            );
                        }
                    }
                    // Its buckets move when the scale falls: only the count rises.
                    Data::ExponentialHistogram(histogram) => {
                        for p in histogram.data_points {
                            let reported = (p.start_time_unix_nano, vec![p.count]);
                            self.receive(series(&p.attributes), p.time_unix_nano, reported);
                        }
                    }
                }
            }
        }
    }

    fn receive(&mut self, series: String, time: u64, reported: Reported) {
        let before = self.series.entry(series).or_default().insert(time, reported.clone());
        self.conflicts += usize::from(before.is_some_and(|before| before != reported));
    }

    fn log(&mut self, request: ExportLogsServiceRequest) {
        let resources = request.resource_logs.into_iter();
        for log in resources.flat_map(|r| r.scope_logs).flat_map(|s| s.log_records) {
            let get = |key| attribute(&log.attributes, key).unwrap().to_string();
            self.logs.insert(get("log.record.uid"), get("selvedge.alert.what"));
        }
    }

    /// The last value of each series of a sum, by one attribute. Panics if a value of any series ever falls.
    pub(super) fn last(&self, metric: &str, key: &str) -> BTreeMap<String, u64> {
        let mut last = BTreeMap::new();
        for (series, points) in self.series.iter().filter(|(s, _)| s.contains(&format!(" {metric} "))) {
            for (a, b) in points.values().zip(points.values().skip(1)).filter(|(a, b)| a.0 == b.0) {
                assert!(a.1.iter().zip(&b.1).all(|(a, b)| a <= b), "{series} falls: {a:?}, {b:?}");
            }
            let of = series.split_once(&format!("{key}=")).map_or("", |(_, rest)| rest.split(',').next().unwrap());
            *last.entry(of.to_string()).or_default() += points.values().next_back().unwrap().1[0];
        }
        last
    }

    /// The names of the alerts; each came under one uid.
    pub(super) fn alerts(&self) -> BTreeSet<String> {
        let names: BTreeSet<String> = self.logs.values().cloned().collect();
        assert_eq!(names.len(), self.logs.len(), "an alert has two uids");
        names
    }
}

fn text(attributes: &[KeyValue]) -> String {
    let value = |a: &KeyValue| match a.value.as_ref().and_then(|v| v.value.clone()) {
        Some(Value::String(text)) => text,
        other => format!("{other:?}").replace(|c: char| !c.is_ascii_digit(), ""),
    };
    attributes.iter().map(|a| format!("{}={},", a.key, value(a))).collect()
}
