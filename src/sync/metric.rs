//! The metrics: their names and units, and how totals become points.

use std::collections::BTreeMap;

use super::otlp::{
    Buckets, CUMULATIVE, Data, ExponentialHistogram, ExponentialHistogramDataPoint, Histogram, HistogramDataPoint,
    KeyValue, Metric, Number, NumberDataPoint, Sum,
};
use super::privacy::{Disclosed, Magnitude, Privacy};
use super::state::{Device, Model, Spread};
use crate::drift::{FeatureProfile, Profile};
use crate::telemetry::Outcome;

/// What kind of point a metric has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sum,
    Histogram,
    Exponential,
}

#[derive(Debug)]
pub(super) struct Definition {
    pub name: &'static str,
    unit: &'static str,
    description: &'static str,
    kind: Kind,
}

/// Names of OpenTelemetry's conventions for generative AI where they have one, for every engine alike, so that one
/// dashboard serves all; else under `selvedge.`. A batch holds them in this order.
pub(super) const METRICS: [Definition; 17] = [
    define("selvedge.windows", "{window}", "Closed windows", Kind::Sum),
    define("selvedge.requests", "{request}", "Requests by outcome", Kind::Sum),
    define("selvedge.feature", "1", "Rows per bin of a numeric feature", Kind::Histogram),
    define(
        "selvedge.feature.magnitude",
        "1",
        "Rows per power of two of a numeric feature whose profile was learned on the device",
        Kind::Exponential,
    ),
    define("selvedge.feature.other", "{row}", "Rows outside of the magnitudes that are told", Kind::Sum),
    define("selvedge.feature.category", "{row}", "Rows per category of a categorical feature", Kind::Sum),
    define("selvedge.feature.missing", "{row}", "Rows without a value of the feature", Kind::Sum),
    define(
        "selvedge.embedding",
        "1",
        "Rows per Fourier feature of the embedding whose sign is positive",
        Kind::Histogram,
    ),
    define("selvedge.embedding.rows", "{row}", "Rows that brought an embedding", Kind::Sum),
    define("selvedge.class", "{row}", "Answers per class", Kind::Sum),
    define("selvedge.confidence", "1", "Confidence of the answers", Kind::Histogram),
    define("selvedge.entropy", "1", "Entropy of the answers, divided by its maximum", Kind::Histogram),
    define("selvedge.feedback", "{label}", "Labels that came, by whether the answer was right", Kind::Sum),
    define("gen_ai.server.request.duration", "s", "Time to the whole answer", Kind::Exponential),
    define("gen_ai.server.time_to_first_token", "s", "Time to the first token", Kind::Exponential),
    define("gen_ai.client.token.usage", "{token}", "Tokens by type; count is that of the requests", Kind::Histogram),
    define("selvedge.dropped", "{record}", "Records that were lost, by reason", Kind::Sum),
];

const fn define(name: &'static str, unit: &'static str, description: &'static str, kind: Kind) -> Definition {
    Definition { name, unit, description, kind }
}

/// A point of one of the [`METRICS`].
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Point {
    Number(NumberDataPoint),
    Histogram(HistogramDataPoint),
    Exponential(ExponentialHistogramDataPoint),
}

impl Point {
    /// Bytes in the message, with tag and length.
    pub(super) fn bytes(&self) -> usize {
        let bytes = match self {
            Point::Number(p) => prost::Message::encoded_len(p),
            Point::Histogram(p) => prost::Message::encoded_len(p),
            Point::Exponential(p) => prost::Message::encoded_len(p),
        };
        bytes + 1 + prost::length_delimiter_len(bytes)
    }
}

impl Definition {
    /// The metric with these points, which are of its kind.
    pub(super) fn metric(&self, points: impl IntoIterator<Item = Point>) -> Metric {
        let (mut numbers, mut histograms, mut exponentials) = (vec![], vec![], vec![]);
        for point in points {
            match point {
                Point::Number(p) => numbers.push(p),
                Point::Histogram(p) => histograms.push(p),
                Point::Exponential(p) => exponentials.push(p),
            }
        }
        let aggregation_temporality = CUMULATIVE;
        let data = match self.kind {
            Kind::Sum => Data::Sum(Sum { data_points: numbers, aggregation_temporality, is_monotonic: true }),
            Kind::Histogram => Data::Histogram(Histogram { data_points: histograms, aggregation_temporality }),
            Kind::Exponential => {
                Data::ExponentialHistogram(ExponentialHistogram { data_points: exponentials, aggregation_temporality })
            }
        };
        Metric {
            name: self.name.into(),
            description: self.description.into(),
            unit: self.unit.into(),
            data: Some(data),
        }
    }
}

/// Collects the points of one moment.
struct Moment<'a> {
    start: u64,
    time: u64,
    points: &'a mut Vec<(usize, Point)>,
}

impl Moment<'_> {
    fn sum(&mut self, metric: &str, value: u64, attributes: Vec<KeyValue>) {
        let value = Some(Number::Int(i64::try_from(value).unwrap_or(i64::MAX)));
        let (start_time_unix_nano, time_unix_nano) = (self.start, self.time);
        let point = NumberDataPoint { start_time_unix_nano, time_unix_nano, value, attributes };
        self.push(metric, Point::Number(point));
    }

    fn histogram(&mut self, metric: &str, counts: &[u64], bounds: Vec<f64>, attributes: Vec<KeyValue>) {
        let point = HistogramDataPoint {
            start_time_unix_nano: self.start,
            time_unix_nano: self.time,
            count: counts.iter().fold(0, |sum, n| sum.saturating_add(*n)),
            sum: None,
            bucket_counts: counts.to_vec(),
            explicit_bounds: bounds,
            attributes,
        };
        self.push(metric, Point::Histogram(point));
    }

    /// Microseconds as seconds. Bounds are powers of the base, so they move by whole buckets: by the one nearest to
    /// 10⁶, which is at most half a bucket away (0.4 % of the value at scale 4). WindowCounts and sum stay exact.
    fn micros(&mut self, metric: &str, spread: &Spread, attributes: Vec<KeyValue>) {
        let spread = spread.exponential();
        let shift = (1e6f64.log2() * f64::from(spread.scale).exp2()).round() as i32;
        let point = ExponentialHistogramDataPoint {
            attributes,
            start_time_unix_nano: self.start,
            time_unix_nano: self.time,
            count: spread.count(),
            sum: Some(spread.sum as f64 / 1e6),
            scale: spread.scale,
            zero_count: spread.zero_count,
            positive: Some(Buckets { offset: spread.offset.saturating_sub(shift), bucket_counts: spread.buckets }),
            negative: None,
        };
        self.push(metric, Point::Exponential(point));
    }

    fn magnitudes(&mut self, metric: &str, powers: &BTreeMap<Magnitude, u64>, attributes: Vec<KeyValue>) {
        let of = |sign: fn(&Magnitude) -> Option<i32>| {
            let counts: BTreeMap<i32, u64> = powers.iter().filter_map(|(m, count)| Some((sign(m)?, *count))).collect();
            let (first, last) = (*counts.keys().next()?, *counts.keys().next_back()?);
            let count = |power| counts.get(&power).copied().unwrap_or(0);
            Some(Buckets { offset: first, bucket_counts: (first..=last).map(count).collect() })
        };
        let point = ExponentialHistogramDataPoint {
            attributes,
            start_time_unix_nano: self.start,
            time_unix_nano: self.time,
            count: powers.values().sum(),
            sum: None,
            scale: 0,
            zero_count: powers.get(&Magnitude::Zero).copied().unwrap_or(0),
            positive: of(|m| if let Magnitude::Positive(power) = m { Some(*power) } else { None }),
            negative: of(|m| if let Magnitude::Negative(power) = m { Some(*power) } else { None }),
        };
        self.push(metric, Point::Exponential(point));
    }

    /// All tokens in one bucket: only their sum is known.
    fn tokens(&mut self, requests: u64, tokens: u64, attributes: Vec<KeyValue>) {
        let point = HistogramDataPoint {
            start_time_unix_nano: self.start,
            time_unix_nano: self.time,
            count: requests,
            sum: Some(tokens as f64),
            bucket_counts: vec![requests],
            explicit_bounds: vec![],
            attributes,
        };
        self.push("gen_ai.client.token.usage", Point::Histogram(point));
    }

    fn push(&mut self, metric: &str, point: Point) {
        if let Some(index) = METRICS.iter().position(|m| m.name == metric) {
            self.points.push((index, point));
        }
    }
}

/// The totals of a model at a time, as points with the index of their metric.
pub(super) fn of_model(model: &Model, profile: Option<&Profile>, privacy: Privacy, time: u64) -> Vec<(usize, Point)> {
    let mut points = Vec::new();
    let totals = &model.totals;
    let mut at = Moment { start: model.start, time, points: &mut points };
    at.sum("selvedge.windows", totals.windows, vec![]);
    for outcome in &totals.outcomes {
        at.sum("selvedge.requests", outcome.count, outcome_attributes(Outcome::from_bits(outcome.outcome as u16)));
    }
    if let Some(profile) = profile {
        for (feature, bins) in profile.features.iter().zip(&totals.features) {
            of_feature(&mut at, feature, &bins.given, privacy.disclose(profile, feature, &bins.given));
        }
    }
    let embedding = totals.embedding.as_ref().filter(|_| privacy.discloses_embedding(profile));
    if let Some((rows, signs)) = embedding.and_then(|bins| bins.given.split_last()) {
        // What is counted is the number of a feature; each has a bucket of its own.
        at.histogram("selvedge.embedding", signs, (1..signs.len()).map(|i| (i - 1) as f64).collect(), vec![]);
        at.sum("selvedge.embedding.rows", *rows, vec![]);
    }
    for (class, count) in totals.class_ids.iter().zip(&totals.classes.given).filter(|(_, count)| **count > 0) {
        at.sum("selvedge.class", *count, vec![KeyValue::new("selvedge.class", i64::from(*class))]);
    }
    for (metric, bins) in [("selvedge.confidence", &totals.confidence), ("selvedge.entropy", &totals.entropy)] {
        let parts = bins.given.len();
        if parts > 0 {
            at.histogram(metric, &bins.given, (1..parts).map(|i| i as f64 / parts as f64).collect(), vec![]);
        }
    }
    let labels = totals.feedback.as_ref().map(|bins| &bins.given).filter(|given| given.iter().any(|count| *count > 0));
    for (right, count) in ["true", "false"].into_iter().zip(labels.into_iter().flatten()) {
        at.sum("selvedge.feedback", *count, vec![KeyValue::new("selvedge.feedback.right", right)]);
    }
    for (metric, spread) in [
        ("gen_ai.server.request.duration", &totals.latency),
        ("gen_ai.server.time_to_first_token", &totals.first_token),
    ] {
        if spread.exponential().count() > 0 {
            at.micros(metric, spread, gen_ai(model, None));
        }
    }
    for (kind, tokens) in [("input", totals.tokens_in), ("output", totals.tokens_out)] {
        if totals.tokens_in > 0 || totals.tokens_out > 0 {
            at.tokens(totals.rows, tokens, gen_ai(model, Some(kind)));
        }
    }
    points
}

fn of_feature(at: &mut Moment<'_>, feature: &FeatureProfile, given: &[u64], disclosed: Disclosed) {
    let name = || KeyValue::new("selvedge.feature.name", feature.name.as_str());
    let Some((missing, values)) = given.split_last().filter(|_| given.len() == feature.bins.len()) else { return };
    let mut category = |category: KeyValue, count: u64| {
        if count > 0 {
            at.sum("selvedge.feature.category", count, vec![name(), category]);
        }
    };
    match disclosed {
        Disclosed::Nothing => {}
        Disclosed::Bounds(bounds) => at.histogram("selvedge.feature", values, bounds, vec![name()]),
        Disclosed::Names(names) => {
            names.iter().for_each(|(text, count)| category(KeyValue::new("selvedge.category", text.as_str()), *count));
        }
        Disclosed::Ranks { ranks, other } => {
            let rank = |rank: u64| KeyValue::new("selvedge.category.rank", rank as i64);
            ranks.into_iter().for_each(|(number, count)| category(rank(number), count));
            category(KeyValue::new("selvedge.category", "other"), other);
        }
        Disclosed::Magnitudes { powers, other } => {
            at.magnitudes("selvedge.feature.magnitude", &powers, vec![name()]);
            at.sum("selvedge.feature.other", other, vec![name()]);
        }
    }
    at.sum("selvedge.feature.missing", *missing, vec![name()]);
}

/// What is of the device and of no model.
pub(super) fn of_device(device: &Device, time: u64) -> Vec<(usize, Point)> {
    let mut points = Vec::new();
    let mut at = Moment { start: device.start, time, points: &mut points };
    for loss in device.losses.iter().filter(|loss| loss.count > loss.before) {
        at.sum(
            "selvedge.dropped",
            loss.count - loss.before,
            vec![KeyValue::new("selvedge.reason", loss.reason.as_str())],
        );
    }
    points
}

/// Attributes of a request. Different outcomes have different ones.
fn outcome_attributes(outcome: Outcome) -> Vec<KeyValue> {
    let mut attributes = Vec::new();
    if outcome.finish() != 0 {
        let number = outcome.finish().to_string();
        attributes.push(KeyValue::new("selvedge.finish", outcome.finish_name().unwrap_or(&number)));
    }
    if outcome.is_refusal() {
        attributes.push(KeyValue::new("selvedge.refused", "true"));
    }
    if let Some(valid) = outcome.schema_valid() {
        attributes.push(KeyValue::new("selvedge.schema_valid", if valid { "true" } else { "false" }));
    }
    if outcome.bits() >> 14 != 0 {
        attributes.push(KeyValue::new("selvedge.outcome.flags", i64::from(outcome.bits() >> 14)));
    }
    if !outcome.is_answer() {
        let number = || outcome.code_number().to_string();
        let name = outcome.code().map_or_else(number, |code| code.name().to_ascii_lowercase());
        attributes.push(KeyValue::new("error.type", name.as_str()));
    }
    attributes
}

/// What the conventions require of their metrics.
fn gen_ai(model: &Model, token_type: Option<&str>) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("gen_ai.operation.name", "inference"),
        KeyValue::new("gen_ai.provider.name", "selvedge"),
        KeyValue::new("gen_ai.request.model", model.name.as_str()),
    ];
    attributes.extend(token_type.map(|kind| KeyValue::new("gen_ai.token.type", kind)));
    attributes
}
