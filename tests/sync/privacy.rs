//! Privacy of a monitor that learns: it sends none of the values that it saw, and nothing that fewer rows than the least count
//! decide.

use std::io::Read;
use std::path::Path;

use prost::Message;
use selvedge::drift::{CellValue, Learner, Profile, Row};
use selvedge::fake::Fake;
use selvedge::layer::monitor::Monitor;
use selvedge::layer::probe::Columns;
use selvedge::sync::{Batch, Encoding, Outbox, OutboxOptions, Privacy};
use selvedge::telemetry::{Cursor, Durability, Limits, ModelInfo, ModelSlot, Record, Telemetry, Window};
use selvedge::{Ask, DType, Dim, Port, Tensor, Tensors};

use crate::device::write_clock;
use crate::otlp::{
    AnyValue, Data, ExportLogsServiceRequest, ExportMetricsServiceRequest, KeyValue, Number, ResourceMetrics, Value,
};

const COLUMNS: [&str; 4] = ["level", "meter", "grade", "kind"];
const WINDOW: usize = 64;
/// Rows that are learned from, windows like them, and windows of a dead sensor.
const LEARN: usize = 4 * WINDOW;
const CALM: usize = 4 * WINDOW;
const DEAD: usize = 4 * WINDOW;

/// Values that stand nowhere else: real numbers, whole numbers, a few numbers that come again, and codes of categories.
fn row(i: usize) -> [f32; 4] {
    let spread = (i * 37 % 251) as f32;
    let dead = i >= LEARN + CALM;
    [
        4173.617 + spread * 3.0713,
        if dead { 9_371_113.0 } else { 7_340_033.0 + spread * 113.0 },
        [0.733_391, 41.507_73, 0.017_713, 59_063.17][i % 4],
        [3_911_777.0, 5_511_911.0, 6_131_777.0][i * 7 % 3],
    ]
}

/// A monitor that learned from the rows, and what it left to be posted.
fn record(folder: &Path, rows: impl Iterator<Item = [f32; 4]>) -> Telemetry {
    let telemetry = Telemetry::open(folder, Limits::default().durability(Durability::Process));
    let port = |name: &str| Port::tensor(name, DType::F32, vec![Dim::Any, Dim::Fixed(4)]);
    let echo = Fake::tensors(vec![port("x")], vec![port("y")], |inputs| Ok(inputs.iter().flatten().cloned().collect()));
    let probe = Columns::of("x", COLUMNS).category("kind");
    let monitor =
        Monitor::builder(echo.build(), telemetry.clone(), probe).window(WINDOW as u64).learn(4).build().unwrap();
    for row in rows {
        monitor.run(Tensors::from([("x", Tensor::new(&[1, 4], row.to_vec()).unwrap())])).unwrap();
    }
    assert!(monitor.profile().is_some_and(|profile| profile.learned));
    assert!(!monitor.alerts().is_empty(), "{}", monitor.report());
    telemetry
}

fn rows() -> impl Iterator<Item = [f32; 4]> {
    (0..LEARN + CALM + DEAD).map(row)
}

fn options(privacy: Privacy) -> OutboxOptions {
    OutboxOptions::new("privacy").interval(std::time::Duration::ZERO).privacy(privacy)
}

fn post(telemetry: &Telemetry, folder: &Path, options: OutboxOptions) -> Vec<Batch> {
    let mut outbox = Outbox::open(telemetry, folder, options).unwrap();
    let mut batches = vec![];
    while let Some(batch) = outbox.next_batch(30_000).unwrap() {
        outbox.ack(&batch).unwrap();
        batches.push(batch);
    }
    batches
}

fn decoded(encoding: Encoding, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![];
    match encoding {
        Encoding::Gzip => drop(flate2::read::GzDecoder::new(body).read_to_end(&mut bytes).unwrap()),
        Encoding::Zstd => {
            let mut decoder = ruzstd::decoding::StreamingDecoder::new(body).unwrap();
            decoder.read_to_end(&mut bytes).unwrap();
        }
        _ => bytes.extend(body),
    }
    bytes
}

/// Metrics and logs of all batches, decompressed.
fn bodies(batches: &[Batch]) -> Vec<Vec<u8>> {
    batches.iter().flat_map(|b| b.requests().map(|(_, body)| decoded(b.encoding, body)).collect::<Vec<_>>()).collect()
}

/// Ways in which a number may stand in a message, but for a varint, which is too short to be told from others.
fn spellings(value: f32) -> Vec<Vec<u8>> {
    let wide = f64::from(value);
    let mut spellings = vec![
        value.to_le_bytes().to_vec(),
        value.to_be_bytes().to_vec(),
        wide.to_le_bytes().to_vec(),
        wide.to_be_bytes().to_vec(),
        value.to_string().into_bytes(),
        wide.to_string().into_bytes(),
        format!("{value:e}").into_bytes(),
    ];
    if value.fract() == 0.0 {
        spellings.push((wide as i64).to_le_bytes().to_vec());
    }
    spellings
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The values that stand in the bytes.
fn found(bytes: &[u8], values: impl IntoIterator<Item = f32>) -> Vec<f32> {
    values.into_iter().filter(|value| spellings(*value).iter().any(|spelling| holds(bytes, spelling))).collect()
}

fn values() -> Vec<f32> {
    let mut values: Vec<f32> = rows().flatten().collect();
    values.sort_by(f32::total_cmp);
    values.dedup();
    values
}

#[test]
fn no_value_that_was_learned_from_leaves() {
    let least = [Privacy::NONE, Privacy::default(), Privacy::NONE.min_count(1_000_000), Privacy::NONE.epsilon(0.1)];
    for privacy in least {
        for encoding in [Encoding::Identity, Encoding::Gzip, Encoding::Zstd] {
            let folder = tempfile::tempdir().unwrap();
            let telemetry = record(folder.path(), rows());
            let batches = post(&telemetry, folder.path(), options(privacy).encoding(encoding));
            assert!(batches.iter().any(|b| b.log_records > 0) && batches.iter().any(|b| b.points > 0));
            for body in bodies(&batches) {
                let found = found(&body, values());
                assert!(found.is_empty(), "{privacy:?}, {encoding:?}: {} values, {found:?}", found.len());
            }
        }
    }
}

/// The search does find values where they are: in the profile that stays on the device, edges among them.
#[test]
fn the_search_finds_values_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let telemetry = record(folder.path(), rows());
    let profile = telemetry.read(Cursor::start(), usize::MAX).into_iter().find_map(|(_, record)| match record {
        Record::Model(info) if !info.profile.is_empty() => Some(info.profile),
        _ => None,
    });
    assert!(found(&profile.unwrap(), values()).len() > 3);
    for spelling in spellings(7_340_033.0) {
        assert_eq!(found(&[&[7, 8][..], &spelling, &[9]].concat(), [7_340_033.0, 5.5]), [7_340_033.0]);
    }
}

#[test]
fn texts_that_were_learned_stay() {
    let names = ["Meyer, Anna", "Okonkwo, Chidi", "Sato, Yui", "Lindqvist, Åsa"];
    let folder = tempfile::tempdir().unwrap();
    let telemetry = Telemetry::open(folder.path(), Limits::default().durability(Durability::Process));
    let mut learner = Learner::new(Profile::fit().category("patient"), 100);
    let profile = (0..).find_map(|i| learner.push(&Row::new(&[CellValue::Category(names[i % 4])])).unwrap()).unwrap();
    assert!(holds(&profile.encode(), names[0].as_bytes()));
    let slot = ModelSlot(1);
    let info = ModelInfo { slot, name: "ward".into(), profile: profile.encode(), ..ModelInfo::default() };
    telemetry.seal(&Record::Model(info)).unwrap();
    let now = telemetry.now();
    let window = Window { model_slot: slot, rows: 106, opened: now, closed: now, ..Window::default() };
    telemetry.seal(&Record::Window(Window { features: vec![vec![40, 30, 20, 10, 5, 1]], ..window })).unwrap();
    let batches = post(&telemetry, folder.path(), options(Privacy::NONE).encoding(Encoding::Identity));
    let body = bodies(&batches).concat();
    for name in names {
        let parts = [name, name.split(',').next().unwrap()];
        assert!(!parts.iter().any(|part| holds(&body, part.as_bytes())), "{name}");
    }
    let told = told(&batches, |name, _| name == "selvedge.feature.category");
    assert_eq!(told.len(), 5, "the counts go, by rank: {told:#?}");
}

/// Two data sets that differ in one row of what was learned from, in one of a calm window and in one of a dead sensor's.
#[test]
fn fewer_rows_than_the_least_count_decide_nothing() {
    let timed = |name: &str| name.starts_with("gen_ai.server.");
    let told = |other: bool, privacy: Privacy| {
        let folder = tempfile::tempdir().unwrap();
        // The same install, so that what follows from its id is the same.
        write_clock(folder.path(), 1_767_225_600_000_000_000);
        let rows = rows().enumerate().map(|(i, row)| match i {
            100 if other => [0.000_733, 3.0, 977.7, 1_234_567.0],
            300 if other => [-88_888.8, f32::NAN, 5.5, 7_654_321.0],
            600 if other => [4173.617, 11.0, 0.733_391, 3_911_777.0],
            _ => row,
        });
        let telemetry = record(folder.path(), rows);
        let batches = post(&telemetry, folder.path(), options(privacy).encoding(Encoding::Identity));
        let mut lines = told(&batches, |name, _| !timed(name));
        // How fast answers come is no matter of rows.
        lines.retain(|line| !line.contains("selvedge.alert.what=change,"));
        lines
    };
    let held = Privacy::NONE.min_count(1_000_000);
    let one = told(false, held);
    assert!(one.iter().any(|line| line.contains("selvedge.alert")), "{one:#?}");
    assert!(one.iter().any(|line| line.contains("selvedge.requests")), "{one:#?}");
    let other = told(true, held);
    let apart: Vec<_> = one.iter().zip(&other).filter(|(one, other)| one != other).collect();
    assert!(one == other, "{} and {} lines: {apart:#?}", one.len(), other.len());
    assert_ne!(told(false, Privacy::NONE), told(true, Privacy::NONE), "the comparison does see one row");
}

/// Every point and log record as a line, without its time and what is random.
fn told(batches: &[Batch], wanted: impl Fn(&str, &ResourceMetrics) -> bool) -> Vec<String> {
    let mut lines = vec![];
    for batch in batches {
        let metrics = ExportMetricsServiceRequest::decode(&decoded(batch.encoding, &batch.metrics)[..]).unwrap();
        for resource in &metrics.resource_metrics {
            let whose = attributes(&resource.resource.as_ref().unwrap().attributes);
            let metrics = resource.scope_metrics.iter().flat_map(|s| &s.metrics);
            for metric in metrics.filter(|metric| wanted(&metric.name, resource)) {
                let points: Vec<String> = match metric.data.as_ref().unwrap() {
                    Data::Sum(sum) => {
                        let number = |n: &Option<Number>| match n {
                            Some(Number::Int(n)) => *n,
                            None => 0,
                        };
                        sum.data_points
                            .iter()
                            .map(|p| format!("{} {}", attributes(&p.attributes), number(&p.value)))
                            .collect()
                    }
                    Data::Histogram(h) => {
                        let line = |p: &crate::otlp::HistogramDataPoint| {
                            let (counts, bounds) = (&p.bucket_counts, &p.explicit_bounds);
                            format!("{} {} {:?} {counts:?} {bounds:?}", attributes(&p.attributes), p.count, p.sum)
                        };
                        h.data_points.iter().map(line).collect()
                    }
                    Data::ExponentialHistogram(h) => {
                        let line = |p: &crate::otlp::ExponentialHistogramDataPoint| {
                            format!("{} {} {} {:?}", attributes(&p.attributes), p.count, p.scale, p.positive)
                        };
                        h.data_points.iter().map(line).collect()
                    }
                };
                lines.extend(points.iter().map(|point| format!("{whose} {} {point}", metric.name)));
            }
        }
        let logs = ExportLogsServiceRequest::decode(&decoded(batch.encoding, &batch.logs)[..]).unwrap();
        for resource in logs.resource_logs {
            let whose = attributes(&resource.resource.as_ref().unwrap().attributes);
            for log in resource.scope_logs.into_iter().flat_map(|s| s.log_records) {
                let (severity, body) = (log.severity_text, log.body);
                lines.push(format!("{whose} {} {severity} {body:?} {}", log.event_name, attributes(&log.attributes)));
            }
        }
    }
    lines
}

fn attributes(attributes: &[KeyValue]) -> String {
    let known = attributes.iter().filter(|a| a.key != "selvedge.alert.since");
    let value = |value: &Option<AnyValue>| match value.as_ref().and_then(|v| v.value.as_ref()) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Int(n)) => n.to_string(),
        Some(Value::Double(n)) => n.to_string(),
        other => format!("{other:?}"),
    };
    known.map(|a| format!("{}={},", a.key, value(&a.value))).collect()
}
