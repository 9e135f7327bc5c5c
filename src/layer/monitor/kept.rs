//! A record that waits for whom it belongs to.

use crate::telemetry::Inference;

#[derive(Debug)]
pub(super) struct Kept {
    inference: Inference<'static>,
    bins: Box<[u8]>,
}

impl Kept {
    pub(super) fn of(inference: &Inference) -> Self {
        Self { inference: Inference { bins: &[], ..*inference }, bins: inference.bins.into() }
    }

    pub(super) fn lend(&self) -> Inference<'_> {
        Inference { bins: &self.bins, ..self.inference }
    }
}
