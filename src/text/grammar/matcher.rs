//! Matcher: where a text is in its form.

use llguidance::api::StopReason;
use llguidance::toktrie::SimpleVob;

use super::said;
use crate::text::sampler::Allowed;
use crate::{Error, Result};

/// The form of one text, and how much of it is there.
pub(crate) struct Matcher {
    inner: llguidance::Matcher,
    mask: SimpleVob,
}

impl Matcher {
    /// A matcher at the beginning of a text.
    pub(super) fn new(inner: llguidance::Matcher) -> Self {
        Self { inner, mask: SimpleVob::new() }
    }

    /// The tokens that the text may go on with; those that end it are among them if it may end here.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` where the form is ambiguous beyond what may be spent on one token, or leaves no token at all.
    pub(crate) fn mask(&mut self) -> Result<Allowed<'_>> {
        match self.inner.compute_mask() {
            Ok(mask) => self.mask = mask,
            Err(error) => return Err(self.failed(error)),
        }
        Ok(Allowed::new(self.mask.as_slice()))
    }

    /// The text goes on with `token`, one of those that are allowed.
    ///
    /// # Errors
    ///
    /// As [`Matcher::mask`]; `InvalidArgument` for a token that is not allowed.
    pub(crate) fn accept(&mut self, token: u32) -> Result<()> {
        let accepted = self.inner.consume_token(token);
        accepted.map_err(|error| self.failed(error))
    }

    /// Whether the text could end here.
    ///
    /// # Errors
    ///
    /// As [`Matcher::mask`].
    pub(crate) fn may_end(&mut self) -> Result<bool> {
        let accepting = self.inner.is_accepting();
        accepting.map_err(|error| self.failed(error))
    }

    /// Whether the text is whole and nothing can follow.
    pub(crate) fn is_done(&self) -> bool {
        matches!(
            self.inner.stop_reason(),
            StopReason::NoExtension | StopReason::NoExtensionBias | StopReason::EndOfSentence
        )
    }

    fn failed(&self, error: impl std::fmt::Display) -> Error {
        match self.inner.stop_reason() {
            StopReason::NoExtensionBias => {
                Error::invalid("grammar: no token of the model's vocabulary can go on with the text")
            }
            _ => Error::invalid(format!("grammar: the text cannot go on: {}", said(error))),
        }
    }
}

impl std::fmt::Debug for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Matcher").field("stop_reason", &self.inner.stop_reason()).finish_non_exhaustive()
    }
}
