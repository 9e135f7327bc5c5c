//! Requests of a batch: its points and log records, put into two messages.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;

use super::metric::{METRICS, Point};
use super::options::OutboxOptions;
use super::otlp::{self, KeyValue, LogRecord};
use super::privacy;
use super::state;
use crate::telemetry::{AlertRecord, RolloutRecord};

/// Stands in a key's place for what is of the device and of no model.
pub(super) const DEVICE: u32 = 0;
/// Bytes of the tags and lengths around a list of points, a resource or a record, at most.
const WRAP: usize = 32;

/// What a batch will hold, by the key of its model.
#[derive(Debug, Default)]
pub(super) struct Draft {
    points: Vec<(u32, usize, Point)>,
    logs: Vec<(u32, LogRecord)>,
    sizes: Sizes,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Sizes {
    /// Of all points and records.
    bytes: usize,
    /// Metrics that have points, by model.
    metrics: BTreeSet<(u32, usize)>,
    /// Resources, by whether they have points or records.
    resources: BTreeSet<(bool, u32)>,
}

/// What a draft can be taken back to.
pub(super) struct Mark {
    points: usize,
    logs: usize,
    sizes: Sizes,
}

pub(super) struct Requests {
    pub metrics: otlp::ExportMetricsServiceRequest,
    pub logs: otlp::ExportLogsServiceRequest,
    pub points: u64,
    pub log_records: u64,
}

impl Draft {
    pub(super) fn is_empty(&self) -> bool {
        self.points.is_empty() && self.logs.is_empty()
    }

    pub(super) fn holds(&self, key: u32) -> bool {
        [false, true].iter().any(|log| self.sizes.resources.contains(&(*log, key)))
    }

    pub(super) fn point(&mut self, key: u32, metric: usize, point: Point) {
        self.sizes.add(key, metric, &point);
        self.points.push((key, metric, point));
    }

    pub(super) fn log(&mut self, key: u32, log: LogRecord) {
        self.sizes.bytes += log.encoded_len() + WRAP;
        self.sizes.resources.insert((true, key));
        self.logs.push((key, log));
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { points: self.points.len(), logs: self.logs.len(), sizes: self.sizes.clone() }
    }

    pub(super) fn back(&mut self, mark: Mark) {
        self.points.truncate(mark.points);
        self.logs.truncate(mark.logs);
        self.sizes = mark.sizes;
    }

    /// Bytes of the points and log records alone.
    pub(super) fn bytes(&self) -> usize {
        self.sizes.bytes
    }

    /// The sizes so far, to which points to come may be added.
    pub(super) fn sizes(&self) -> Sizes {
        self.sizes.clone()
    }

    pub(super) fn requests(self, resource: impl Fn(u32) -> otlp::Resource) -> Requests {
        let (points, log_records) = (self.points.len() as u64, self.logs.len() as u64);
        let mut metrics: BTreeMap<u32, BTreeMap<usize, Vec<Point>>> = BTreeMap::new();
        for (key, metric, point) in self.points {
            metrics.entry(key).or_default().entry(metric).or_default().push(point);
        }
        let mut logs: BTreeMap<u32, Vec<LogRecord>> = BTreeMap::new();
        for (key, log) in self.logs {
            logs.entry(key).or_default().push(log);
        }
        let resource_metrics = metrics.into_iter().map(|(key, metrics)| otlp::ResourceMetrics {
            resource: Some(resource(key)),
            scope_metrics: vec![otlp::ScopeMetrics {
                scope: Some(scope()),
                metrics: metrics.into_iter().map(|(metric, points)| METRICS[metric].metric(points)).collect(),
            }],
        });
        let resource_logs = logs.into_iter().map(|(key, log_records)| otlp::ResourceLogs {
            resource: Some(resource(key)),
            scope_logs: vec![otlp::ScopeLogs { scope: Some(scope()), log_records }],
        });
        Requests {
            metrics: otlp::ExportMetricsServiceRequest { resource_metrics: resource_metrics.collect() },
            logs: otlp::ExportLogsServiceRequest { resource_logs: resource_logs.collect() },
            points,
            log_records,
        }
    }
}

impl Sizes {
    pub(super) fn add(&mut self, key: u32, metric: usize, point: &Point) {
        self.bytes += point.bytes();
        self.metrics.insert((key, metric));
        self.resources.insert((false, key));
    }

    /// An upper bound of the bytes of both requests.
    pub(super) fn total(&self, resource: impl Fn(u32) -> otlp::Resource) -> usize {
        let heads = self.metrics.iter().map(|(_, metric)| METRICS[*metric].metric([]).encoded_len() + WRAP);
        let resources =
            self.resources.iter().map(|(_, key)| resource(*key).encoded_len() + scope().encoded_len() + WRAP);
        self.bytes + heads.sum::<usize>() + resources.sum::<usize>()
    }
}

/// Whose points and records they are.
pub(super) fn resource(options: &OutboxOptions, install_id: &[u8], model: Option<&state::Model>) -> otlp::Resource {
    let install = uuid(install_id);
    let mut attributes = vec![KeyValue::new("service.name", options.app.as_str())];
    attributes.extend(options.app_version.as_deref().map(|v| KeyValue::new("service.version", v)));
    attributes.push(KeyValue::new("service.instance.id", install.as_str()));
    attributes.push(KeyValue::new("app.installation.id", install.as_str()));
    attributes.extend(options.attributes.iter().map(|(k, v)| KeyValue::new(k, v.as_str())));
    if let Some(model) = model {
        attributes.push(KeyValue::new("selvedge.model.name", model.name.as_str()));
        attributes.extend(model.version.as_deref().map(|v| KeyValue::new("selvedge.model.version", v)));
        attributes.push(KeyValue::new("selvedge.model.digest", hex(&model.digest).as_str()));
        attributes.push(KeyValue::new("selvedge.backend", model.backend.as_str()));
        if !model.profile.is_empty() {
            let digest = privacy::profile_digest(&model.profile, &model.profile_digest, install_id, model.key);
            attributes.push(KeyValue::new("selvedge.profile.digest", hex(&digest).as_str()));
            if privacy::is_learned(&model.profile) {
                attributes.push(KeyValue::new("selvedge.profile.learned", "true"));
            }
        }
    }
    otlp::Resource { attributes }
}

pub(super) fn log_record(alert: &AlertRecord, time: u64, since: Option<u64>, uid: &str) -> LogRecord {
    let about = alert.feature.as_deref().map_or_else(String::new, |f| format!(" of '{f}'"));
    let evidence: Vec<String> = alert.evidence.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let state = if alert.raised { "raised" } else { "cleared" };
    let body = format!("{}{about} {state}: {}", alert.code.name(), evidence.join(", "));
    let (severity_number, severity_text) = match alert.severity {
        1 if alert.raised => (13, "WARN"),
        2.. if alert.raised => (17, "ERROR"),
        _ => (9, "INFO"),
    };
    let mut attributes = vec![
        KeyValue::new("log.record.uid", uid),
        KeyValue::new("selvedge.alert.what", alert.code.name()),
        KeyValue::new("selvedge.alert.state", state),
    ];
    attributes.extend(alert.feature.as_deref().map(|f| KeyValue::new("selvedge.feature.name", f)));
    attributes.extend(alert.action.as_deref().map(|a| KeyValue::new("selvedge.alert.action", a)));
    attributes.extend(since.map(|s| KeyValue::new("selvedge.alert.since", i64::try_from(s).unwrap_or(i64::MAX))));
    attributes.extend(alert.evidence.iter().map(|(k, v)| KeyValue::new(&format!("selvedge.evidence.{k}"), *v)));
    LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: time,
        severity_number,
        severity_text: severity_text.into(),
        body: Some(body.as_str().into()),
        attributes,
        event_name: "selvedge.alert".into(),
    }
}

pub(super) fn rollout_record(rollout: &RolloutRecord, time: u64, uid: &str) -> LogRecord {
    let RolloutRecord { version, step, test, verdict, .. } = rollout;
    let is_bad = ["missed", "rolled_back", "quarantined"].contains(&step.as_str());
    let (severity_number, severity_text) = if is_bad { (13, "WARN") } else { (9, "INFO") };
    let mut attributes = vec![
        KeyValue::new("log.record.uid", uid),
        KeyValue::new("selvedge.rollout.version", version.as_str()),
        KeyValue::new("selvedge.rollout.step", step.as_str()),
    ];
    attributes.extend(test.as_deref().map(|test| KeyValue::new("selvedge.rollout.test", test)));
    attributes.extend(verdict.as_deref().map(|verdict| KeyValue::new("selvedge.rollout.verdict", verdict)));
    LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: time,
        severity_number,
        severity_text: severity_text.into(),
        body: Some(format!("version {version}: {step}").as_str().into()),
        attributes,
        event_name: "selvedge.rollout".into(),
    }
}

fn scope() -> otlp::InstrumentationScope {
    otlp::InstrumentationScope { name: "selvedge".into(), version: env!("CARGO_PKG_VERSION").into() }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A random UUID (RFC 9562, version 4) of 16 random bytes.
pub(super) fn uuid(random: &[u8]) -> String {
    let mut bytes = random.to_vec();
    bytes.resize(16, 0);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex(&bytes);
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}
