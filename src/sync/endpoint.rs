//! The endpoint: where the requests of a batch go.

use crate::{Error, Result};

/// Paths of the signals, which people copy along.
const SIGNALS: [&str; 3] = ["/v1/metrics", "/v1/logs", "/v1/traces"];

/// The address of a receiver of OTLP over HTTP, without the path of a signal.
///
/// `http://localhost:4318`, `…/`, `…/v1/metrics` and `…/v1/logs/` are the same endpoint: the paths of
/// [`Batch::requests`](super::Batch::requests) are added to it. A query stays, behind the path.
///
/// ```
/// use selvedge::sync::Endpoint;
/// let endpoint = Endpoint::parse("https://collector.example/otlp/v1/metrics?tenant=7")?;
/// assert_eq!(endpoint.url("/v1/logs"), "https://collector.example/otlp/v1/logs?tenant=7");
/// assert!(Endpoint::parse("localhost:4318").is_err());
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    base: String,
    query: Option<String>,
}

impl Endpoint {
    /// Reads an address.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for what does not begin with `http://` or `https://`, has no host, has a fragment, or holds
    /// blanks or control characters.
    pub fn parse(url: &str) -> Result<Self> {
        let bad = |expected: &str| Error::invalid(format!("endpoint: expected {expected}, got '{url}'"));
        if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(bad("no blanks and no control characters"));
        }
        if url.contains('#') {
            return Err(bad("no fragment"));
        }
        let (address, query) = match url.split_once('?') {
            Some((address, query)) => (address, Some(query.to_string()).filter(|q| !q.is_empty())),
            None => (url, None),
        };
        let rest = address
            .split_once("://")
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"));
        let (_, rest) = rest.ok_or_else(|| bad("http://… or https://…"))?;
        let authority = rest.split('/').next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        if host.is_empty() || host.starts_with(':') {
            return Err(bad("a host"));
        }
        let mut base = address.trim_end_matches('/');
        for signal in SIGNALS {
            base = base.strip_suffix(signal).unwrap_or(base).trim_end_matches('/');
        }
        Ok(Self { base: base.to_string(), query })
    }

    /// The address of a request of this path.
    pub fn url(&self, path: &str) -> String {
        let query = self.query.as_deref().map_or_else(String::new, |query| format!("?{query}"));
        format!("{}{path}{query}", self.base)
    }
}
