//! Options of an outbox.

use std::time::Duration;

use super::encoding::Encoding;
use super::privacy::Privacy;

/// Options of an [`Outbox`](super::Outbox): how batches are made.
///
/// ```
/// use selvedge::sync::{OutboxOptions, Privacy};
/// let options = OutboxOptions::new("field-notes").app_version("2.1.0");
/// assert_eq!(options.privacy, Privacy::default());
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OutboxOptions {
    /// `service.name`: the app.
    pub app: String,
    /// `service.version`: the app's version.
    pub app_version: Option<String>,
    /// Further attributes of the resource: a region, a channel. Nothing that tells one user from another.
    pub attributes: Vec<(String, String)>,
    /// The compression of bodies. Default: gzip.
    pub encoding: Encoding,
    /// Points are given at most once per interval of the wall clock, and at the end of a batch. Since points hold totals,
    /// fewer points lose no count, only resolution in time. Zero gives every window. Default: one hour.
    pub interval: Duration,
    /// The privacy of a batch: what is held back or blurred.
    pub privacy: Privacy,
}

impl OutboxOptions {
    /// The defaults, for an app of this name.
    pub fn new(app: impl Into<String>) -> Self {
        Self {
            app: app.into(),
            app_version: None,
            attributes: Vec::new(),
            encoding: Encoding::default(),
            interval: Duration::from_secs(3600),
            privacy: Privacy::default(),
        }
    }

    /// Sets the app's version.
    #[must_use]
    pub fn app_version(mut self, version: impl Into<String>) -> Self {
        self.app_version = Some(version.into());
        self
    }

    /// Adds an attribute of the resource.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// Sets how bodies are compressed.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Sets the least time between points of a series.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets what is held back or blurred.
    #[must_use]
    pub fn privacy(mut self, privacy: Privacy) -> Self {
        self.privacy = privacy;
        self
    }
}
