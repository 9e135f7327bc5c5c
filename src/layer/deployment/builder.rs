//! Builder of a deployment: its options and its parts.

use std::sync::atomic::AtomicU64;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread::Builder;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::Deployment;
use super::control::{Control, Inner};
use super::judge::RolloutJudge;
use super::state::State;
use super::tokens::CurrentTokenizer;
use super::versions::{Versions, check_name};
use super::view::{Key, Shared, Specs, View};
use super::worker;
use crate::engine::{Call, Request};
use crate::telemetry::Telemetry;
use crate::{Code, Error, Result};

/// A builder of a [`Deployment`].
#[must_use = "a builder does nothing until it is built"]
pub struct DeploymentBuilder {
    versions: Box<dyn Versions>,
    judge: RolloutJudge,
    install_id: String,
    memory: Option<u64>,
    key: Option<Box<Key>>,
    self_test: Duration,
    telemetry: Option<Telemetry>,
}

impl DeploymentBuilder {
    pub(super) fn new(versions: Box<dyn Versions>) -> Self {
        let self_test = Duration::from_secs(60);
        let judge = RolloutJudge::new();
        Self { versions, judge, install_id: String::new(), memory: None, key: None, self_test, telemetry: None }
    }

    /// The judge of candidates; [`RolloutJudge::new`] if not set.
    pub fn judge(self, judge: RolloutJudge) -> Self {
        Self { judge, ..self }
    }

    /// What tells this device from others, for as long as the app is installed: a random text that the app keeps. It is
    /// hashed, and leaves neither the process nor the memory. Without it, a device takes part in whole rollouts only: those with a
    /// share of 10,000.
    pub fn install_id(self, id: impl Into<String>) -> Self {
        Self { install_id: id.into(), ..self }
    }

    /// The bytes that versions may take together; no limit if not set. A version that does not fit beside the current one
    /// ([`Spec::memory`](crate::Spec::memory) and [`Versions::memory`]) is loaded after that one has drained: calls wait meanwhile,
    /// and none is lost. There is then neither a shadow nor a canary.
    pub fn memory(self, bytes: u64) -> Self {
        Self { memory: Some(bytes), ..self }
    }

    /// The number of whoever asks, so that each of them stays in one arm of a test; `None` where it is not known. If it is
    /// not set, calls alternate between the arms.
    ///
    /// A number is hashed as its eight bytes, little-endian. It is asked for while a candidate answers calls only.
    pub fn key(self, key: impl Fn(&Request, &Call) -> Option<u64> + Send + Sync + 'static) -> Self {
        Self { key: Some(Box::new(key)), ..self }
    }

    /// The time that the golden cases of a version may take together; 60 s if not set.
    pub fn self_test(self, time: Duration) -> Self {
        Self { self_test: time, ..self }
    }

    /// The telemetry folder that each step of a version goes into, with the verdict and its evidence, as a
    /// [`RolloutRecord`](crate::telemetry::RolloutRecord); none if not set. As a rule it is the folder of the versions' monitors.
    pub fn telemetry(self, telemetry: Telemetry) -> Self {
        Self { telemetry: Some(telemetry), ..self }
    }

    /// The deployment: at `first`, or where an earlier process has left off, with a version that is on trial loaded and
    /// tested anew.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a setting out of its range, or what is no name of a version; `Corrupt` for a saved state that is
    /// none; what the versions say of the current one, and of reading the state; `OutOfMemory` if no thread starts.
    pub fn build(self, first: &str) -> Result<Deployment> {
        check_name(first)?;
        self.judge.check()?;
        let mut inner = match self.versions.saved()? {
            Some(bytes) => Inner::decode(&bytes)?,
            None => Inner::new(State::new(first)),
        };
        self.telemetry.into_iter().for_each(|telemetry| inner.journal.write_to(telemetry));
        let (told, messages) = channel();
        let shared = Arc::new(Shared {
            view: ArcSwap::from_pointee(View::default()),
            judge: self.judge,
            key: self.key,
            calls: AtomicU64::new(0),
            specs: Specs::new(),
            worker: told,
        });
        let control = Arc::new(Control {
            versions: self.versions,
            shared: shared.clone(),
            install_id: self.install_id,
            memory: self.memory,
            self_test: self.self_test,
            operation: Mutex::new(()),
            inner: Mutex::new(inner),
        });
        control.begin()?;
        let refused = |e| Error::new(Code::OutOfMemory, "deployment: the system starts no thread").because(e);
        let of_worker = control.clone();
        let worker = Builder::new()
            .name("selvedge-deployment".into())
            .spawn(move || worker::work(&of_worker, &messages))
            .map_err(refused)?;
        let tokenizer = CurrentTokenizer::new(&shared);
        Ok(Deployment { control, shared, tokenizer, worker: Some(worker) })
    }
}
