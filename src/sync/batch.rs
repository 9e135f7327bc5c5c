//! A batch to post.

use std::fmt;

use super::encoding::Encoding;
use super::request::hex;
use crate::telemetry::Position;

/// A batch to post, as it goes over the wire.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Batch {
    /// SHA-256 of the content before compression. A resend has the same.
    pub id: [u8; 32],
    /// The body for `/v1/metrics`; empty if there is none.
    pub metrics: Vec<u8>,
    /// The body for `/v1/logs`; empty if there is none.
    pub logs: Vec<u8>,
    /// The compression of both.
    pub encoding: Encoding,
    /// Sealed records that are in it; of a batch that was split, its last part has them all.
    pub records: u64,
    /// Points of the metrics.
    pub points: u64,
    /// Log records.
    pub log_records: u64,
    /// The last sealed record that is in it.
    pub through: Position,
}

impl Batch {
    /// The value of the `Content-Type` header.
    pub const CONTENT_TYPE: &'static str = "application/x-protobuf";

    /// Path and body of each request to make.
    ///
    /// ```no_run
    /// # fn post(url: &str, body: &[u8]) -> u16 { 200 }
    /// # fn example(batch: &selvedge::sync::Batch) -> bool {
    /// let all_well = batch.requests().all(|(path, body)| post(&format!("https://collector.example{path}"), body) == 200);
    /// # all_well
    /// # }
    /// ```
    pub fn requests(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        [("/v1/metrics", &self.metrics[..]), ("/v1/logs", &self.logs[..])]
            .into_iter()
            .filter(|(_, body)| !body.is_empty())
    }

    /// The id in hexadecimal.
    pub fn id_hex(&self) -> String {
        hex(&self.id)
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("id", &self.id_hex())
            .field("metrics", &format_args!("{} bytes", self.metrics.len()))
            .field("logs", &format_args!("{} bytes", self.logs.len()))
            .field("encoding", &self.encoding)
            .field("records", &self.records)
            .field("points", &self.points)
            .field("log_records", &self.log_records)
            .field("through", &self.through)
            .finish()
    }
}
