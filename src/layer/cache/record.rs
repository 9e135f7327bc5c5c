//! Run of a call that was not found: the engine's own, whose answer is kept.

use std::sync::Arc;

use super::LAYER;
use super::canonical::Key;
use super::entry::{Entry, event_bytes};
use super::store::Store;
use crate::engine::{Answer, Event, Provenance, Run, Step};
use crate::layer::route;
use crate::{Digest, Result};

pub(super) struct RecordRun {
    run: Box<dyn Run>,
    /// `None` if the answer is not to be kept.
    key: Option<Key>,
    events: Vec<Event>,
    bytes: usize,
    /// The key's model.
    model: Digest,
    shared: Arc<Shared>,
    store: Arc<Store>,
}

/// What every run shares, as it was when the cache was made: the provenance of the engine's spec and of the cache's, and the
/// names of the outputs.
pub(super) struct Shared {
    pub(super) inner: Arc<Provenance>,
    pub(super) outer: Arc<Provenance>,
    pub(super) outputs: Arc<[String]>,
}

impl RecordRun {
    pub(super) fn new(
        run: Box<dyn Run>,
        key: Option<Key>,
        model: Digest,
        shared: Arc<Shared>,
        store: Arc<Store>,
    ) -> Self {
        Self { run, key, events: Vec::new(), bytes: 0, model, shared, store }
    }

    fn add(&mut self, event: &Event) {
        if self.key.is_none() {
            return;
        }
        self.bytes += event_bytes(event);
        if self.bytes as u64 > self.store.max_bytes() {
            (self.key, self.events) = (None, Vec::new());
        } else {
            self.events.push(event.clone());
        }
    }

    fn keep(&mut self, answer: &Answer) {
        let Some(key) = self.key.take() else { return };
        // An engine of several versions may have answered with another one than it was to.
        if answer.provenance.digest != self.model {
            return;
        }
        if let Some(entry) = Entry::of(answer, std::mem::take(&mut self.events), &self.shared.outputs) {
            self.store.insert(key, entry);
        }
    }
}

impl Run for RecordRun {
    fn step(&mut self) -> Result<Step> {
        let mut step = self.run.step()?;
        match &mut step {
            Step::Event(event) => self.add(event),
            Step::Done(answer) => {
                let own = answer.provenance.clone();
                answer.provenance = route::provenance(LAYER, own, &self.shared.inner, &self.shared.outer);
                self.keep(answer);
            }
            Step::Working(_) => {}
        }
        Ok(step)
    }
}
