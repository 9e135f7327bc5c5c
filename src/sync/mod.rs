//! Sealed records into batches that any OpenTelemetry Collector takes. Opens no socket.
//!
//! Enters: what [`Telemetry`](crate::telemetry::Telemetry) sealed. Leaves: [`Batch`]es, and what to do after an attempt
//! to post one ([`Retry`]). May import: telemetry, drift, disk, digest.
//!
//! # What is in a batch
//!
//! Two requests of OTLP/HTTP in protobuf: metrics, and logs where there were alerts. Every point is cumulative, and
//! carries the time at which its window was closed, be it weeks ago.
//!
//! | metric | kind | unit | attributes |
//! |---|---|---|---|
//! | `selvedge.windows` | sum | windows | |
//! | `selvedge.requests` | sum | requests | `selvedge.finish` (`complete`, `end_of_text`, `stop`, `length`, `context_full`) if it is known, `selvedge.refused`, `selvedge.schema_valid` if it was checked, `error.type` if it failed |
//! | `selvedge.feature` | histogram, bounds are the profile's edges | | `selvedge.feature.name` |
//! | `selvedge.feature.category` | sum | rows | `selvedge.feature.name`, `selvedge.category` |
//! | `selvedge.feature.missing` | sum | rows | `selvedge.feature.name` |
//! | `selvedge.embedding` | histogram; bucket *j* counts the rows in which feature *j* of the embedding is positive | | |
//! | `selvedge.embedding.rows` | sum | rows | |
//! | `selvedge.class` | sum | rows | `selvedge.class` |
//! | `selvedge.confidence`, `selvedge.entropy` | histogram | | |
//! | `selvedge.feedback` | sum | labels | `selvedge.feedback.right` |
//! | `gen_ai.server.request.duration` | exponential histogram | s | `gen_ai.request.model`, … |
//! | `gen_ai.server.time_to_first_token` | exponential histogram | s | the same |
//! | `gen_ai.client.token.usage` | histogram of one bucket; its sum is the tokens | tokens | the same, `gen_ai.token.type` |
//! | `selvedge.dropped` | sum | records | `selvedge.reason` |
//!
//! The two of the embedding are counts like those of bins: added up over devices, and with r of the profile's R rows
//! positive, they give a fleet's MMD² as 4/128·Σ(bucket/rows − r/R)², exactly.
//!
//! The resource says whose they are: `service.name`, `service.version`, `service.instance.id`, `app.installation.id`
//! (random, see [`Outbox::reset_install_id`]), `selvedge.model.name`, `.version` and `.digest`, `selvedge.backend`,
//! `selvedge.profile.digest`. Alerts are log records of the event `selvedge.alert` with the evidence as attributes, and
//! with a `log.record.uid` by which a receiver tells a copy.
//!
//! # Why it can be resent
//!
//! OTLP has no id by which a receiver could tell a copy of a request. So a copy must do no harm: points hold totals since
//! a start time that stays, and say the same at the same time for the same series, however often they come.
//! Where totals must begin anew (a new install id, version or attribute of the app, a lost state, a clock set back by more
//! than an hour), the start time moves with them, as the OpenTelemetry data model has it. A batch that is on its way when
//! the app is updated is sent as it was made.
//!
//! # What stays on the device
//!
//! What arrived is acknowledged and never sent again. Of what was acknowledged, the latest stays, up to
//! [`Limits::history_bytes`](crate::telemetry::Limits::history_bytes) (1 MiB if not set), so that alerts and learned
//! profiles outlive a restart; the rest is deleted.
//!
//! # Who takes it
//!
//! Any OpenTelemetry Collector takes all of it. VictoriaMetrics takes the metrics, at `/opentelemetry/v1/metrics`, in
//! every [`Encoding`], and keeps every count, sum and time (in milliseconds) exactly. What it does its own way:
//!
//! - Buckets of a histogram become running totals by upper bound (`le`), those of an exponential histogram totals of
//!   their own by range (`vmrange`, bounds of four digits). It looks neither at start times nor at temporality.
//! - A resend is stored as a second, equal sample: totals and growth stay right, a count of samples does not. With
//!   `-dedup.minScrapeInterval=1ms` it changes nothing at all.
//! - It answers 200 to points older than its `-retentionPeriod` (a month by default), and drops them. It also answers
//!   before a point is on its disk: if it is killed, the last seconds are lost. Later points hold the counts.
//! - Alerts it refuses, with 400: they need a Collector.

mod batch;
mod bound;
mod clock;
mod encoding;
mod filling;
mod ledger;
mod metric;
mod options;
mod otlp;
mod outbox;
mod privacy;
mod request;
mod response;
mod retry;
mod state;
#[cfg(test)]
mod tests;

pub use batch::Batch;
pub use encoding::Encoding;
pub use options::OutboxOptions;
pub use outbox::Outbox;
pub use privacy::Privacy;
pub use response::{Partial, partial_success};
pub use retry::{Hints, Retry, RetryDecision, retry_after};
