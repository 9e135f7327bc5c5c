//! Shadow: a candidate answers in the background what the current version has answered, and is compared.
//!
//! A caller pays the copies of its request and of the answer, and only where the queue has room: what finds it full is
//! dropped and counted. The queue is bounded in answers and in bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Builder;

use super::likeness::{Expected, Likeness};
use super::plan::RolloutPlan;
use super::serving::Serving;
use crate::engine::{Answer, Call, Cancel, Events, Exposure, Priority, Request, Tensors};
use crate::{Code, DType, Error, Result, Tensor};

/// Answers that wait.
const MAX_WAITING: usize = 8;
/// Bytes of the tensors of one request or answer.
const MAX_BYTES: usize = 16 << 20;

/// Counts of a shadow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShadowCounts {
    /// Answers that were compared.
    pub compared: u64,
    /// Those that were alike.
    pub alike: u64,
    /// Requests that the candidate failed.
    pub failed: u64,
    /// Answers that found the queue full, or were too large for it.
    pub dropped: u64,
}

/// The queue of a shadow. Its thread ends when it is dropped.
pub(super) struct ShadowLane {
    pub(super) candidate: Arc<Serving>,
    jobs: SyncSender<Box<Job>>,
    counts: Arc<Counts>,
    cancel: Cancel,
}

#[derive(Default)]
struct Counts {
    waiting: AtomicU64,
    compared: AtomicU64,
    alike: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    has_ended: AtomicBool,
}

struct Job {
    request: Request,
    expected: Expected,
}

/// What the thread of a shadow tells after each answer: the number of answers so far, and whether they are enough.
pub(super) type Report = Box<dyn Fn(&Serving, u64, bool) + Send>;

/// What the thread of a shadow has.
struct Worker {
    report: Report,
    candidate: Arc<Serving>,
    likeness: Likeness,
    answers: u64,
    counts: Arc<Counts>,
    call: Call,
}

impl ShadowLane {
    /// # Errors
    ///
    /// `OutOfMemory` where the thread does not start.
    pub(super) fn spawn(candidate: Arc<Serving>, plan: &RolloutPlan, report: Report) -> Result<Self> {
        let (jobs, waiting) = sync_channel(MAX_WAITING);
        let (cancel, counts) = (Cancel::new(), Arc::new(Counts::default()));
        let worker = Worker {
            report,
            candidate: candidate.clone(),
            likeness: plan.likeness,
            answers: plan.shadow.into(),
            counts: counts.clone(),
            call: Call {
                exposure: Some(Exposure::Shadow),
                ..Call::new().cancel(&cancel).priority(Priority::Background)
            },
        };
        let refused = |e| Error::new(Code::OutOfMemory, "shadow: the system starts no thread").because(e);
        Builder::new().name("selvedge-shadow".into()).spawn(move || worker.work(&waiting)).map_err(refused)?;
        Ok(Self { candidate, jobs, counts, cancel })
    }

    pub(super) fn has_room(&self) -> bool {
        self.counts.waiting.load(Relaxed) < MAX_WAITING as u64 && !self.counts.has_ended.load(Relaxed)
    }

    pub(super) fn count_dropped(&self) {
        self.counts.dropped.fetch_add(1, Relaxed);
    }

    /// Puts a request and what was answered into the queue, if it has room.
    pub(super) fn push(&self, request: Request, answer: &Answer) {
        let text = (!answer.text.is_empty()).then(|| answer.text.clone());
        let outputs = all_owned(&answer.outputs);
        self.counts.waiting.fetch_add(1, Relaxed);
        let job = outputs.map(|outputs| Box::new(Job { request, expected: Expected { outputs, text } }));
        if job.is_none_or(|job| self.jobs.try_send(job).is_err()) {
            self.counts.waiting.fetch_sub(1, Relaxed);
            self.count_dropped();
        }
    }

    pub(super) fn counts(&self) -> ShadowCounts {
        self.counts.read()
    }
}

impl Drop for ShadowLane {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl Counts {
    fn read(&self) -> ShadowCounts {
        ShadowCounts {
            compared: self.compared.load(Relaxed),
            alike: self.alike.load(Relaxed),
            failed: self.failed.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
        }
    }
}

impl Worker {
    fn work(&self, jobs: &Receiver<Box<Job>>) {
        while let Ok(job) = jobs.recv() {
            self.counts.waiting.fetch_sub(1, Relaxed);
            if self.candidate.closed.load(Relaxed) || self.counts.has_ended.load(Relaxed) {
                continue;
            }
            let Job { request, expected } = *job;
            let run = || Events::new(self.candidate.engine.start(request, self.call.clone())?).answer();
            let answer = crate::threads::contained(run);
            let has_failed = match answer {
                Ok(Err(error)) if error.code() == Code::Cancelled => continue,
                Ok(Ok(answer)) => {
                    let is_alike = self.likeness.difference(&expected, &answer).is_none();
                    self.counts.alike.fetch_add(u64::from(is_alike), Relaxed);
                    self.counts.compared.fetch_add(1, Relaxed);
                    false
                }
                Ok(Err(_)) | Err(_) => true,
            };
            self.counts.failed.fetch_add(u64::from(has_failed), Relaxed);
            self.judge(has_failed);
        }
    }

    fn judge(&self, has_failed: bool) {
        let ended = self.candidate.tally.end(has_failed, None);
        let counts = self.counts.read();
        let is_enough = counts.compared + counts.failed >= self.answers;
        (self.report)(&self.candidate, ended, is_enough && !self.counts.has_ended.swap(true, Relaxed));
    }
}

/// A request that borrows no memory of its caller; `None` for one that is too large.
pub(super) fn owned(request: &Request) -> Option<Request> {
    match request {
        Request::Tensors(tensors) => {
            let inputs = all_owned(&tensors.inputs)?;
            Some(Tensors { inputs, outputs: tensors.outputs.clone() }.into())
        }
        other => Some(other.clone()),
    }
}

fn all_owned(tensors: &[(String, Tensor)]) -> Option<Vec<(String, Tensor)>> {
    let size = |tensor: &Tensor| match tensor.dtype() {
        DType::String => tensor.as_strings().map_or(0, |all| all.iter().map(String::len).sum()),
        _ => tensor.bytes().map_or(0, <[u8]>::len),
    };
    let bytes: usize = tensors.iter().map(|(_, tensor)| size(tensor)).sum();
    if bytes > MAX_BYTES {
        return None;
    }
    tensors.iter().map(|(name, tensor)| Some((name.clone(), copied(tensor).ok()?))).collect()
}

fn copied(tensor: &Tensor) -> Result<Tensor> {
    match tensor.dtype() {
        // Strings are the library's own.
        DType::String => Ok(tensor.clone()),
        dtype => Tensor::copy_from(dtype, tensor.shape().clone(), tensor.bytes()?),
    }
}
