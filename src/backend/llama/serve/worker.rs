//! Worker: the one thread that computes for a model, and serves all its runs.
//!
//! It works in rounds. A round is one computation: the next token of every run that generates, with short prompts
//! among them; or a slice of one long prompt; or some texts to embed. Long prompts and the rest take turns, so a long
//! prompt slows answers down but does not stop them. A run that is not stepped is left out once it is a few steps
//! ahead. With nothing to do for a run, answers are computed again as prompts, for the next turns of their chats; then the
//! thread sleeps.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel, sync_channel};

use super::super::native::model::Model;
use super::super::plan::Plan;
use super::batcher::Batcher;
use super::embedder::Embedder;
use super::queue::{Command, Queue};
use crate::crash::Mark;
use crate::{Code, Error, Result};

struct Worker {
    inbox: Receiver<Command>,
    batcher: Batcher,
    embedder: Embedder,
    /// Whose turn it is if there is both to generate and to embed.
    embeds_next: bool,
    /// Whether a command may have come since the last look.
    arrived: Arc<AtomicBool>,
}

/// Starts the worker; a generating model's context is made at once, so that want of memory shows now. With a
/// mark, a death of the thread is one of the mark's engine.
pub(in crate::backend::llama) fn start(model: Arc<Model>, plan: Plan, mark: Option<Arc<Mark>>) -> Result<Queue> {
    let (commands, inbox) = channel();
    let (ready, is_ready) = sync_channel(1);
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = stop.clone();
    let arrived = Arc::<AtomicBool>::default();
    let arriving = arrived.clone();
    let work = move || {
        let _in_call = mark.as_ref().map(Mark::call);
        let worked = catch_unwind(AssertUnwindSafe(|| {
            let mut batcher = Batcher::new(model.clone(), plan, stopping.clone());
            batcher.yields_to(arriving.clone());
            let embedder = Embedder::new(model, plan, stopping);
            let mut worker = Worker { inbox, batcher, embedder, embeds_next: false, arrived: arriving };
            let made = if plan.generates { worker.batcher.prepare() } else { Ok(()) };
            let failed = made.is_err();
            if ready.send(made).is_ok() && !failed {
                worker.batcher.warm_up();
                worker.work();
            }
        }));
        if worked.is_err() {
            tracing::error!("the thread that computes for a GGUF model panicked");
        }
    };
    let thread = std::thread::Builder::new()
        .name("selvedge-llama".into())
        .spawn(work)
        .map_err(|e| Error::backend("no thread to compute on").because(e))?;
    let queue = Queue::new(commands, (arrived, stop), thread);
    is_ready.recv().map_err(|_| Error::new(Code::Panic, "the thread that computes for a model panicked"))??;
    Ok(queue)
}

impl Worker {
    fn work(&mut self) {
        loop {
            self.arrived.store(false, Ordering::Release);
            loop {
                match self.inbox.try_recv() {
                    Ok(command) => self.handle(command),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            self.batcher.drop_abandoned();
            self.embedder.drop_abandoned();
            if self.round() || self.batcher.settle() {
                continue;
            }
            match self.inbox.recv() {
                Ok(command) => self.handle(command),
                Err(_) => return,
            }
        }
    }

    /// Computes something; false if there is nothing to compute.
    fn round(&mut self) -> bool {
        self.embeds_next = !self.embeds_next;
        match self.embeds_next {
            true => self.embedder.round() || self.batcher.round(),
            false => self.batcher.round() || self.embedder.round(),
        }
    }

    fn handle(&mut self, command: Command) {
        match command {
            Command::Generate(sequence) => self.batcher.add(*sequence),
            Command::Embed(job) => self.embedder.add(*job),
            Command::Wake => {}
            Command::Save(reply) => _ = reply.send(self.batcher.save()),
            Command::Restore(layout, saved, reply) => _ = reply.send(self.batcher.restore(&layout, saved)),
            Command::Layout(reply) => _ = reply.send(self.batcher.layout()),
            Command::Trim(level, reply) => {
                let freed = self.batcher.trim(level) + self.embedder.trim(level);
                // Whoever asked may be gone.
                let _ = reply.send(freed);
            }
        }
    }
}
