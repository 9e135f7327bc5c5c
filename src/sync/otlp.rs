//! The OTLP messages that a batch is made of, as far as it needs them.
//!
//! Names, field numbers and meanings are those of the OpenTelemetry protocol 1.x
//! (`opentelemetry/proto/{common,resource,metrics,logs,collector}` of the opentelemetry-proto project). A decoder
//! skips the fields that are not here.

/// The body of a `POST /v1/metrics`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ExportMetricsServiceRequest {
    /// One entry per resource: here, per model.
    #[prost(message, repeated, tag = "1")]
    pub resource_metrics: Vec<ResourceMetrics>,
}

/// The body of the answer to it.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ExportMetricsServiceResponse {
    /// Set if the receiver refused some of the points.
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<ExportMetricsPartialSuccess>,
}

/// How much of a metrics request was refused.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ExportMetricsPartialSuccess {
    /// Points that were refused.
    #[prost(int64, tag = "1")]
    pub rejected_data_points: i64,
    /// Why, in the receiver's words; a warning if nothing was refused.
    #[prost(string, tag = "2")]
    pub error_message: String,
}

/// The body of a `POST /v1/logs`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ExportLogsServiceRequest {
    /// One entry per resource: here, per model.
    #[prost(message, repeated, tag = "1")]
    pub resource_logs: Vec<ResourceLogs>,
}

/// The body of the answer to it.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ExportLogsServiceResponse {
    /// Set if the receiver refused some of the records.
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<ExportLogsPartialSuccess>,
}

/// How much of a logs request was refused.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ExportLogsPartialSuccess {
    /// Log records that were refused.
    #[prost(int64, tag = "1")]
    pub rejected_log_records: i64,
    /// Why, in the receiver's words; a warning if nothing was refused.
    #[prost(string, tag = "2")]
    pub error_message: String,
}

/// What the measurements are about.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Resource {
    /// Its attributes.
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
}

/// Who measured.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct InstrumentationScope {
    /// Name of the library.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its version.
    #[prost(string, tag = "2")]
    pub version: String,
}

/// An attribute.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct KeyValue {
    /// Its name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Its value.
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
}

/// An attribute's value.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AnyValue {
    /// The value; none is the empty value.
    #[prost(oneof = "Value", tags = "1, 2, 3, 4")]
    pub value: Option<Value>,
}

/// The kinds of value that a batch holds.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Value {
    /// A text.
    #[prost(string, tag = "1")]
    String(String),
    /// A truth value.
    #[prost(bool, tag = "2")]
    Bool(bool),
    /// A whole number.
    #[prost(int64, tag = "3")]
    Int(i64),
    /// A number.
    #[prost(double, tag = "4")]
    Double(f64),
}

/// The metrics of one resource.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ResourceMetrics {
    /// The resource.
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    /// Its metrics.
    #[prost(message, repeated, tag = "2")]
    pub scope_metrics: Vec<ScopeMetrics>,
}

/// The metrics of one library.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ScopeMetrics {
    /// The library.
    #[prost(message, optional, tag = "1")]
    pub scope: Option<InstrumentationScope>,
    /// Its metrics.
    #[prost(message, repeated, tag = "2")]
    pub metrics: Vec<Metric>,
}

/// A named metric with its points.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Metric {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// What it counts or measures.
    #[prost(string, tag = "2")]
    pub description: String,
    /// Its unit, in UCUM.
    #[prost(string, tag = "3")]
    pub unit: String,
    /// Its points.
    #[prost(oneof = "Data", tags = "7, 9, 10")]
    pub data: Option<Data>,
}

/// The kinds of metric that a batch holds.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Data {
    /// A counter.
    #[prost(message, tag = "7")]
    Sum(Sum),
    /// Counts between given bounds.
    #[prost(message, tag = "9")]
    Histogram(Histogram),
    /// Counts between powers of a base.
    #[prost(message, tag = "10")]
    ExponentialHistogram(ExponentialHistogram),
}

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`: a point holds everything since its start time.
pub(super) const CUMULATIVE: i32 = 2;

/// A counter.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Sum {
    /// One point per series and time.
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<NumberDataPoint>,
    /// [`CUMULATIVE`].
    #[prost(int32, tag = "2")]
    pub aggregation_temporality: i32,
    /// It never falls.
    #[prost(bool, tag = "3")]
    pub is_monotonic: bool,
}

/// Counts between given bounds.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Histogram {
    /// One point per series and time.
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<HistogramDataPoint>,
    /// [`CUMULATIVE`].
    #[prost(int32, tag = "2")]
    pub aggregation_temporality: i32,
}

/// Counts between powers of a base.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ExponentialHistogram {
    /// One point per series and time.
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<ExponentialHistogramDataPoint>,
    /// [`CUMULATIVE`].
    #[prost(int32, tag = "2")]
    pub aggregation_temporality: i32,
}

/// The value of a counter.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct NumberDataPoint {
    /// When the counting began, ns since 1970.
    #[prost(fixed64, tag = "2")]
    pub start_time_unix_nano: u64,
    /// When the value was this, ns since 1970.
    #[prost(fixed64, tag = "3")]
    pub time_unix_nano: u64,
    /// The value.
    #[prost(oneof = "Number", tags = "6")]
    pub value: Option<Number>,
    /// What tells the series from the metric's others.
    #[prost(message, repeated, tag = "7")]
    pub attributes: Vec<KeyValue>,
}

/// The kinds of number that a batch holds.
#[derive(Clone, Copy, PartialEq, prost::Oneof)]
pub(super) enum Number {
    /// A whole number.
    #[prost(sfixed64, tag = "6")]
    Int(i64),
}

/// Counts between bounds: bucket *i* counts values in (bound *i* − 1, bound *i*].
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HistogramDataPoint {
    /// When the counting began, ns since 1970.
    #[prost(fixed64, tag = "2")]
    pub start_time_unix_nano: u64,
    /// When the counts were these, ns since 1970.
    #[prost(fixed64, tag = "3")]
    pub time_unix_nano: u64,
    /// All values.
    #[prost(fixed64, tag = "4")]
    pub count: u64,
    /// The values' sum, where it is known.
    #[prost(double, optional, tag = "5")]
    pub sum: Option<f64>,
    /// One more than the bounds.
    #[prost(fixed64, repeated, tag = "6")]
    pub bucket_counts: Vec<u64>,
    /// Rising.
    #[prost(double, repeated, tag = "7")]
    pub explicit_bounds: Vec<f64>,
    /// What tells the series from the metric's others.
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<KeyValue>,
}

/// Counts between powers of base 2^(2^−scale).
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ExponentialHistogramDataPoint {
    /// What tells the series from the metric's others.
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
    /// When the counting began, ns since 1970.
    #[prost(fixed64, tag = "2")]
    pub start_time_unix_nano: u64,
    /// When the counts were these, ns since 1970.
    #[prost(fixed64, tag = "3")]
    pub time_unix_nano: u64,
    /// All values.
    #[prost(fixed64, tag = "4")]
    pub count: u64,
    /// The values' sum, where it is known.
    #[prost(double, optional, tag = "5")]
    pub sum: Option<f64>,
    /// The resolution.
    #[prost(sint32, tag = "6")]
    pub scale: i32,
    /// Values that are zero.
    #[prost(fixed64, tag = "7")]
    pub zero_count: u64,
    /// Values above zero.
    #[prost(message, optional, tag = "8")]
    pub positive: Option<Buckets>,
    /// Values below zero, by their magnitude.
    #[prost(message, optional, tag = "9")]
    pub negative: Option<Buckets>,
}

/// Bucket *i* counts values in (base^(offset + i), base^(offset + i + 1)].
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Buckets {
    /// Exponent of the first bucket.
    #[prost(sint32, tag = "1")]
    pub offset: i32,
    /// The counts.
    #[prost(uint64, repeated, tag = "2")]
    pub bucket_counts: Vec<u64>,
}

/// The log records of one resource.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ResourceLogs {
    /// The resource.
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    /// Its records.
    #[prost(message, repeated, tag = "2")]
    pub scope_logs: Vec<ScopeLogs>,
}

/// The log records of one library.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ScopeLogs {
    /// The library.
    #[prost(message, optional, tag = "1")]
    pub scope: Option<InstrumentationScope>,
    /// Its records.
    #[prost(message, repeated, tag = "2")]
    pub log_records: Vec<LogRecord>,
}

/// Something that happened.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct LogRecord {
    /// When, ns since 1970; 0 if that is not known.
    #[prost(fixed64, tag = "1")]
    pub time_unix_nano: u64,
    /// How bad: 9 information, 13 warning, 17 error.
    #[prost(int32, tag = "2")]
    pub severity_number: i32,
    /// The same in a word.
    #[prost(string, tag = "3")]
    pub severity_text: String,
    /// What happened, for people.
    #[prost(message, optional, tag = "5")]
    pub body: Option<AnyValue>,
    /// What happened, for machines.
    #[prost(message, repeated, tag = "6")]
    pub attributes: Vec<KeyValue>,
    /// When it was first seen, ns since 1970.
    #[prost(fixed64, tag = "11")]
    pub observed_time_unix_nano: u64,
    /// The kind of event.
    #[prost(string, tag = "12")]
    pub event_name: String,
}

impl From<&str> for AnyValue {
    fn from(value: &str) -> Self {
        Self { value: Some(Value::String(value.into())) }
    }
}

impl From<i64> for AnyValue {
    fn from(value: i64) -> Self {
        Self { value: Some(Value::Int(value)) }
    }
}

impl From<f64> for AnyValue {
    fn from(value: f64) -> Self {
        Self { value: Some(Value::Double(value)) }
    }
}

impl KeyValue {
    /// An attribute.
    pub(super) fn new(key: &str, value: impl Into<AnyValue>) -> Self {
        Self { key: key.into(), value: Some(value.into()) }
    }
}
