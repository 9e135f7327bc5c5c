//! The response of a receiver: whether it is one, and what it says.

use std::time::Duration;

use prost::Message;

use super::otlp::{ExportLogsServiceResponse, ExportMetricsServiceResponse};
use super::status::check;
use crate::{Error, Result};

/// Words of a body that are quoted.
const QUOTED: usize = 200;
/// What servers say in the clear where they were to be spoken to by TLS: with 400, though nobody has read the content.
const NOT_BY_TLS: [&str; 2] = ["http request to an https server", "plain http request was sent to https port"];

/// A response to one request, for [`Retry::judge`](super::Retry::judge).
///
/// ```
/// use selvedge::sync::Response;
/// let response = Response::new(200).content_type("application/x-protobuf").body(b"");
/// assert_eq!(Response::none().status, 0);
/// # let _ = response;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response<'a> {
    /// The HTTP status; 0 if no answer came, or not all of it: refused, reset, timed out, cut off.
    pub status: u16,
    /// The header `Content-Type`, if there was one.
    pub content_type: Option<&'a str>,
    /// The header `Retry-After`, as [`retry_after`](super::retry_after) reads it.
    pub retry_after: Option<Duration>,
    /// The whole body, decompressed.
    pub body: &'a [u8],
}

impl<'a> Response<'a> {
    /// A response of this status.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// No response came.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Sets the header `Content-Type`; `None` for none.
    #[must_use]
    pub fn content_type(mut self, value: impl Into<Option<&'a str>>) -> Self {
        self.content_type = value.into();
        self
    }

    /// Sets the header `Retry-After`; `None` for none.
    #[must_use]
    pub fn retry_after(mut self, wait: impl Into<Option<Duration>>) -> Self {
        self.retry_after = wait.into();
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: &'a [u8]) -> Self {
        self.body = body;
        self
    }

    /// The media type, without parameters.
    fn media_type(&self) -> Option<String> {
        let name = self.content_type?.split(';').next()?.trim();
        (!name.is_empty()).then(|| name.to_ascii_lowercase())
    }

    fn is_page(&self) -> bool {
        let is_html = self.media_type().is_some_and(|name| name == "text/html" || name == "application/xhtml+xml");
        is_html || self.body.trim_ascii_start().starts_with(b"<")
    }

    /// Whether a refusal may be a receiver's: a page is some other server's, and who was spoken to in the clear instead of
    /// by TLS has read nothing.
    pub(super) fn is_of_receiver(&self) -> bool {
        let said = self.quote().to_ascii_lowercase();
        !self.is_page() && !NOT_BY_TLS.iter().any(|words| said.contains(words))
    }

    /// Why a refusal is not taken for a receiver's.
    pub(super) fn foreign(&self) -> String {
        let check = "nobody there has read the content: check the endpoint, whether it is http or https, and any proxy";
        self.with_quote(format!("status {}: {check}", self.status))
    }

    /// The status and what to check.
    pub(super) fn explained(&self) -> String {
        match self.status {
            0 => check(0).into(),
            status => self.with_quote(format!("status {status}: {}", check(status))),
        }
    }

    fn with_quote(&self, said: String) -> String {
        let quote = self.quote();
        if quote.is_empty() { said } else { format!("{said} ({quote})") }
    }

    /// The first words of a body that is text, or of the text in one of protobuf.
    fn quote(&self) -> String {
        let text = String::from_utf8_lossy(self.body);
        let words = text.split(|c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER || c.is_whitespace());
        let text = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        text.chars().take(QUOTED).collect()
    }
}

/// A partial success: a receiver took a request, but not all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// Points or log records that it refused for good; 0 if it only warns.
    pub refused: u64,
    /// The reason, in its words.
    pub message: String,
}

/// Reads the body of an answer with status 200 to a request for `path` ([`Batch::requests`](super::Batch::requests)).
/// `None` if all was taken. It is also what an empty body and one that is no answer mean:
/// [`Retry::judge`](super::Retry::judge) tells these apart.
///
/// ```
/// use selvedge::sync::partial_success;
/// assert_eq!(partial_success("/v1/metrics", b""), None);
/// let answer = [0x0a, 0x02, 0x08, 0x03];
/// assert_eq!(partial_success("/v1/logs", &answer).unwrap().refused, 3);
/// ```
pub fn partial_success(path: &str, body: &[u8]) -> Option<Partial> {
    of_protobuf(path, body)?
}

/// What an answer of 2xx says.
///
/// # Errors
///
/// `Corrupt` for a body that is no answer of OTLP: another media type than protobuf or JSON, or other bytes.
pub(super) fn receipt(path: &str, answer: &Response<'_>) -> Result<Option<Partial>> {
    if answer.body.is_empty() && !answer.is_page() {
        return Ok(None);
    }
    let read = match answer.media_type().as_deref() {
        None | Some("application/x-protobuf" | "application/protobuf" | "application/octet-stream") => {
            of_protobuf(path, answer.body)
        }
        Some("application/json") => of_json(answer.body),
        Some(_) => None,
    };
    read.ok_or_else(|| {
        let kind = answer.content_type.map_or_else(String::new, |kind| format!(" of type {kind}"));
        let check = "check the endpoint, and whether the network asks for a sign-in";
        let got = format!("status {}, and no answer of a receiver of OTLP{kind}: {check}", answer.status);
        Error::corrupt(answer.with_quote(got))
    })
}

/// `None` for bytes that are not this message and nothing else: prost itself passes over fields it does not know, of
/// which many texts seem to be made.
fn of_protobuf(path: &str, body: &[u8]) -> Option<Option<Partial>> {
    let (read, rejected, message) = if path.ends_with("/v1/logs") {
        let answer = ExportLogsServiceResponse::decode(body).ok()?;
        let bytes = answer.encoded_len();
        let partial = answer.partial_success.unwrap_or_default();
        (bytes, partial.rejected_log_records, partial.error_message)
    } else {
        let answer = ExportMetricsServiceResponse::decode(body).ok()?;
        let bytes = answer.encoded_len();
        let partial = answer.partial_success.unwrap_or_default();
        (bytes, partial.rejected_data_points, partial.error_message)
    };
    (read == body.len()).then(|| partial(rejected, message))
}

/// The same message in JSON, with nothing in it but what it may hold.
fn of_json(body: &[u8]) -> Option<Option<Partial>> {
    let answer: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(body).ok()?;
    if answer.keys().any(|key| key != "partialSuccess") {
        return None;
    }
    let empty = serde_json::Map::new();
    let success = match answer.get("partialSuccess") {
        None | Some(serde_json::Value::Null) => &empty,
        Some(value) => value.as_object()?,
    };
    let rejected = success.get("rejectedDataPoints").or_else(|| success.get("rejectedLogRecords"));
    // Whole numbers of 64 bits are texts in protobuf's JSON, and may be numbers.
    let number = |value: &serde_json::Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
    let rejected = rejected.map_or(Some(0), number)?;
    let message = success.get("errorMessage").map_or(Some(""), serde_json::Value::as_str)?;
    Some(partial(rejected, message.into()))
}

fn partial(rejected: i64, message: String) -> Option<Partial> {
    let refused = u64::try_from(rejected).unwrap_or(0);
    (refused > 0 || !message.is_empty()).then_some(Partial { refused, message })
}
