//! Sealed records into batches that any OpenTelemetry Collector takes. Opens no socket.
//!
//! Enters: what [`Telemetry`](crate::telemetry::Telemetry) sealed. Leaves: [`Batch`]es, where to post them
//! ([`Endpoint`]), and what to do after an attempt ([`Retry`]). May import: telemetry, drift, disk, digest.
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
//! | `selvedge.feature.magnitude` | exponential histogram of scale 0, in place of `selvedge.feature` where the profile was learned | | `selvedge.feature.name` |
//! | `selvedge.feature.other` | sum, beside it: rows outside of what was learned, or where few rows were learned | rows | `selvedge.feature.name` |
//! | `selvedge.feature.category` | sum | rows | `selvedge.feature.name`, `selvedge.category`; of a learned profile `selvedge.category.rank`, 1 being the most frequent |
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
//! `selvedge.profile.digest`, `selvedge.profile.learned`. Alerts are log records of the event `selvedge.alert` with the
//! evidence as attributes, and with a `log.record.uid` by which a receiver tells a copy. An alert is cleared under its
//! feature and `selvedge.alert.since`; what was wrong may have another name by then. Steps of a rollout are log records of the
//! event `selvedge.rollout`, with `selvedge.rollout.version`, `.step`, `.test` and `.verdict`.
//!
//! # What leaves the device
//!
//! This, and nothing else. [`Privacy`] decides it, in one place, for metrics and logs alike. Values that were fed to a
//! model, its answers and its texts never leave; nor do sums, least or largest values of a feature.
//!
//! | what | leaves | under `min_count` | under `epsilon` |
//! |---|---|---|---|
//! | names of app, model, backend, features, and what the app adds to the resource | as they are | | |
//! | random id of the install | as it is, until it is [reset](Outbox::reset_install_id) | | |
//! | digests of the model, and of a profile that was shipped with it | as they are | | |
//! | digest of a profile that was learned on the device | never; in its place a number that follows from the install's id | | |
//! | times at which windows closed and alerts were raised | as they are | | |
//! | requests by outcome, rows, tokens, latencies, records lost: operation | exact | | |
//! | counts by bins and categories of a shipped profile, with its edges and names | counts | in steps of at least so many rows | blurred |
//! | counts by bins of a learned profile | by powers of two; no edges | the same, and only powers in which so many rows were learned | never |
//! | counts by categories of a learned profile | by rank; no names | the same, and only ranks of which so many rows were learned | never |
//! | counts of missing values, classes, confidence, entropy, labels | counts | in steps of at least so many rows | blurred, those of nothing too |
//! | counts of the signs of embeddings | counts | in steps of at least so many rows | blurred; of a learned profile, never |
//! | that an alert was raised or cleared, of which kind and feature | as it is | what was wrong with the feature (`missing_values`, …) only if so many rows were; else `drift` | `drift` |
//! | steps of a rollout, with the version and the verdict | as they are; the numbers of a verdict, never | | |
//! | numbers of an alert | two digits; shares of fewer rows are 0, of all but fewer 1 | only if it says that it is of so many rows | never, but for broken promises, which are operation |
//!
//! With [`Privacy::NONE`] counts and numbers of alerts are exact; the rules for learned profiles hold all the same. A
//! profile counts as learned if [`Profile::learned`](crate::drift::Profile::learned) says so: an app that fits one on the
//! device, from what its users do, sets it.
//!
//! What of an alert is decided by one row cannot be ruled out in full: a window at the edge of its test is decided by any
//! of its rows. What the alert tells is that the test of so many rows was failed.
//!
//! # Why it can be resent
//!
//! OTLP has no id by which a receiver could tell a copy of a request. So a copy must do no harm: points hold totals since
//! a start time that stays, and say the same at the same time for the same series, however often they come.
//! Where totals must begin anew (a new install id, version or attribute of the app, a lost state, a clock set back by more
//! than an hour), the start time moves with them, as the OpenTelemetry data model has it. A batch that is on its way when
//! the app is updated is sent as it was made.
//!
//! # What becomes of a batch that is not taken
//!
//! It stays until the receiver has it, or has read it and refused its content: [`Retry`] has the table. A batch that is
//! too large is [split](Outbox::split), one of which something is refused is [bisected](Outbox::bisect), and only a
//! point or log record that is refused by itself is lost. That is counted in the state file, and told: by
//! [`Outbox::refused`], and to the receiver as `selvedge.dropped` with the reason `refused`.
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
mod endpoint;
mod filling;
mod ledger;
mod metric;
mod options;
mod otlp;
mod outbox;
mod parts;
pub(crate) mod privacy;
mod request;
mod response;
mod retry;
mod state;
mod status;
#[cfg(test)]
mod tests;

pub use batch::Batch;
pub use encoding::Encoding;
pub use endpoint::Endpoint;
pub use options::OutboxOptions;
pub use outbox::Outbox;
pub use privacy::Privacy;
pub use response::{Partial, Response, partial_success};
pub use retry::{Hints, Judgement, Retry, RetryDecision, retry_after};
