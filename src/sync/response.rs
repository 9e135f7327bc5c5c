//! The response of a receiver.

use prost::Message;

use super::otlp::{ExportLogsServiceResponse, ExportMetricsServiceResponse};

/// A partial success: a receiver took a request, but not all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// Points or log records that it refused for good; 0 if it only warns.
    pub refused: u64,
    /// Why, in its words.
    pub message: String,
}

/// Reads the body of an answer with status 200 to a request for `path` ([`Batch::requests`](super::Batch::requests)).
/// `None` if all was taken, which is also what an empty body and one that is no protobuf mean.
///
/// ```
/// use selvedge::sync::partial_success;
/// assert_eq!(partial_success("/v1/metrics", b""), None);
/// let answer = [0x0a, 0x02, 0x08, 0x03];
/// assert_eq!(partial_success("/v1/logs", &answer).unwrap().refused, 3);
/// ```
pub fn partial_success(path: &str, body: &[u8]) -> Option<Partial> {
    let (rejected, message) = if path.ends_with("/v1/logs") {
        let partial = ExportLogsServiceResponse::decode(body).ok()?.partial_success?;
        (partial.rejected_log_records, partial.error_message)
    } else {
        let partial = ExportMetricsServiceResponse::decode(body).ok()?.partial_success?;
        (partial.rejected_data_points, partial.error_message)
    };
    let refused = u64::try_from(rejected).unwrap_or(0);
    (refused > 0 || !message.is_empty()).then_some(Partial { refused, message })
}
