//! View of a deployment: who answers now. Readers take it without a lock; each switch puts another one in its place.
//!
//! Under a lock for reading, a call costs the same (40 ns, alone and with 8 threads); but a reader that the system puts to sleep
//! would hold up the switch, and the switch every reader after it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;

use super::cohort;
use super::judge::RolloutJudge;
use super::plan::RolloutPlan;
use super::serving::Serving;
use super::shadow::ShadowLane;
use crate::engine::{Call, Provenance, Request, Spec};
use crate::{Digest, Error, Result};

/// What a key is taken from: the number of whoever asks, if it is known.
pub(super) type Key = dyn Fn(&Request, &Call) -> Option<u64> + Send + Sync;

/// What the threads that answer share.
pub(super) struct Shared {
    pub(super) view: ArcSwap<View>,
    pub(super) judge: RolloutJudge,
    pub(super) key: Option<Box<Key>>,
    pub(super) calls: AtomicU64,
    pub(super) specs: Specs,
    pub(super) worker: Sender<Message>,
}

/// What the worker is told.
pub(super) enum Message {
    /// A candidate was found worse.
    Judged {
        version: String,
    },
    /// The whole judge is to be asked.
    Consider,
    ShadowEnded,
    /// Something may have drained.
    Drain,
    /// Answered once all that came before is done, and nothing drains any more.
    Settle(Sender<()>),
    Stop,
}

#[derive(Default)]
pub(super) struct View {
    /// None while the memory is needed for another version.
    pub(super) current: Option<Arc<Serving>>,
    pub(super) canary: Option<Canary>,
    pub(super) shadow: Option<Arc<ShadowLane>>,
    /// Why there is no current version any more.
    pub(super) failure: Option<Error>,
}

impl View {
    pub(super) fn servings(&self) -> impl Iterator<Item = &Arc<Serving>> {
        let canary = self.canary.as_ref().map(|canary| &canary.serving);
        let shadow = self.shadow.as_ref().map(|lane| &lane.candidate);
        [self.current.as_ref(), canary, shadow].into_iter().flatten()
    }
}

/// The candidate that answers a share of the calls.
pub(super) struct Canary {
    pub(super) serving: Arc<Serving>,
    pub(super) plan: RolloutPlan,
}

impl Shared {
    /// Who answers this call. `None` while nobody does, and it has to wait.
    ///
    /// # Errors
    ///
    /// Why no version answers any more.
    pub(super) fn pick(&self, request: &Request, call: &Call) -> Result<Option<Arc<Serving>>> {
        let view = self.view.load();
        if let Some(canary) = &view.canary
            && !canary.serving.closed.load(Ordering::Acquire)
            && self.bucket(canary, request, call) < canary.plan.calls
        {
            return Ok(Some(canary.serving.clone()));
        }
        match (&view.current, &view.failure) {
            (None, Some(failure)) => Err(failure.clone()),
            (current, _) => Ok(current.clone()),
        }
    }

    /// The bucket of whoever asks; of the call, where that is not known.
    fn bucket(&self, canary: &Canary, request: &Request, call: &Call) -> u16 {
        match self.key.as_ref().and_then(|key| key(request, call)) {
            Some(key) => cohort::bucket(canary.plan.salt_of(&canary.serving.version), &key.to_le_bytes()),
            None => cohort::alternating(self.calls.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// Judges the arm that a call has just ended in. A candidate that is worse gets no further call.
    pub(super) fn judge(&self, candidate: &Serving, ended: u64) {
        /// A promotion can wait so many answers.
        const STRIDE: u64 = 16;
        let Some(control) = &candidate.control else { return };
        if self.judge.is_worse(&control.counts(), &candidate.tally.counts()) {
            if !candidate.closed.swap(true, Ordering::AcqRel) {
                self.tell(Message::Judged { version: candidate.version.clone() });
            }
        } else if ended.is_multiple_of(STRIDE) {
            self.tell(Message::Consider);
        }
    }

    pub(super) fn tell(&self, message: Message) {
        // Without a worker the deployment is gone, and a last run of it ends.
        let _ = self.worker.send(message);
    }
}

/// The specs of the versions that were current: a spec is lent for as long as the deployment lives.
pub(super) struct Specs {
    first: Node,
    current: AtomicUsize,
}

struct Node {
    spec: Spec,
    next: OnceLock<Box<Node>>,
}

impl Specs {
    pub(super) fn new() -> Self {
        let nobody = Spec::new(Provenance::new("", Digest::default(), "deployment", ""));
        Self { first: Node { spec: nobody, next: OnceLock::new() }, current: AtomicUsize::new(0) }
    }

    /// The current one; `None` before there is one.
    pub(super) fn known(&self) -> Option<&Spec> {
        (self.current.load(Ordering::Acquire) > 0).then(|| self.current())
    }

    pub(super) fn current(&self) -> &Spec {
        let mut node = &self.first;
        for _ in 0..self.current.load(Ordering::Acquire) {
            let Some(next) = node.next.get() else { break };
            node = next;
        }
        &node.spec
    }

    /// Makes this spec the current one; one that is known is used again.
    pub(super) fn set(&self, spec: &Spec) {
        let (mut node, mut at) = (&self.first, 0);
        while at == 0 || node.spec.provenance != spec.provenance {
            node = node.next.get_or_init(|| Box::new(Node { spec: spec.clone(), next: OnceLock::new() }));
            at += 1;
        }
        self.current.store(at, Ordering::Release);
    }
}
