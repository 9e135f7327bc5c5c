//! Run of a call that was not found: the engine's own, whose answer is kept.

use std::sync::Arc;

use super::LAYER;
use super::canonical::Key;
use super::entry::{Entry, piece_bytes};
use super::store::Store;
use crate::engine::{Answer, Event, Piece, Provenance, Run, Step};
use crate::layer::route;
use crate::{Digest, Result};

pub(super) struct RecordRun {
    run: Box<dyn Run>,
    /// `None` if the answer is not to be kept.
    key: Option<Key>,
    pieces: Vec<Piece>,
    bytes: usize,
    /// The key's model.
    model: Digest,
    routes: Arc<Routes>,
    store: Arc<Store>,
}

/// The provenance of the engine's spec, and that of the cache's, as they were when the cache was made.
pub(super) struct Routes {
    pub(super) inner: Arc<Provenance>,
    pub(super) outer: Arc<Provenance>,
}

impl RecordRun {
    pub(super) fn new(
        run: Box<dyn Run>,
        key: Option<Key>,
        model: Digest,
        routes: Arc<Routes>,
        store: Arc<Store>,
    ) -> Self {
        Self { run, key, pieces: Vec::new(), bytes: 0, model, routes, store }
    }

    fn add(&mut self, event: &Event) {
        if self.key.is_none() {
            return;
        }
        let Event::Text(piece) = event;
        self.bytes += piece_bytes(piece);
        if self.bytes as u64 > self.store.max_bytes() {
            (self.key, self.pieces) = (None, Vec::new());
        } else {
            self.pieces.push(piece.clone());
        }
    }

    fn keep(&mut self, answer: &Answer) {
        let Some(key) = self.key.take() else { return };
        // An engine of several versions may have answered with another one than it was to.
        if answer.provenance.digest != self.model {
            return;
        }
        if let Some(entry) = Entry::of(answer, std::mem::take(&mut self.pieces)) {
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
                answer.provenance = route::provenance(LAYER, own, &self.routes.inner, &self.routes.outer);
                self.keep(answer);
            }
            Step::Working(_) => {}
        }
        Ok(step)
    }
}
