//! Queue of commands from runs and the engine to the worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, SyncSender};
use std::thread::JoinHandle;

use super::embedder::EmbedJob;
use super::kv_cache::saved::SavedPrefix;
use super::layout::Layout;
use super::sequence::Sequence;
use crate::engine::Trim;
use crate::{Code, Error, Result};

/// What a worker is asked to do.
pub(in crate::backend::llama) enum Command {
    Generate(Box<Sequence>),
    Embed(Box<EmbedJob>),
    /// A run took a step or went away.
    Wake,
    Trim(Trim, SyncSender<u64>),
    /// What is in the cache.
    Save(SyncSender<Result<(Layout, Vec<SavedPrefix>)>>),
    /// What to take into the cache; answered with the prefixes and tokens that were.
    Restore(Layout, Vec<SavedPrefix>, SyncSender<Result<(u64, u64)>>),
    Layout(SyncSender<Result<Layout>>),
}

/// The way to the worker. The last owner, engine or run, waits for the worker's end.
pub(in crate::backend::llama) struct Queue {
    commands: Option<Sender<Command>>,
    /// Set with each command, until the worker looks for some.
    arrived: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Queue {
    /// `stop` ends a computation that is under way, and `arrived` one that nobody waits for yet.
    pub(in crate::backend::llama) fn new(
        commands: Sender<Command>,
        (arrived, stop): (Arc<AtomicBool>, Arc<AtomicBool>),
        thread: JoinHandle<()>,
    ) -> Self {
        Self { commands: Some(commands), arrived, stop, thread: Some(thread) }
    }

    pub(in crate::backend::llama) fn send(&self, command: Command) -> Result<()> {
        let sent = self.commands.as_ref().is_some_and(|commands| commands.send(command).is_ok());
        self.arrived.store(true, Ordering::Release);
        if sent { Ok(()) } else { Err(stopped()) }
    }

    pub(in crate::backend::llama) fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // Its panic has been reported to the runs already.
            let _ = thread.join();
        }
    }
}

pub(in crate::backend::llama) fn stopped() -> Error {
    Error::new(Code::Panic, "the thread that computes for this model has stopped")
}
