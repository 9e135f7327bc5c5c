//! The one thread that computes for a model, and serves all its runs.
//!
//! It works in rounds. A round is one computation: the next token of every run that generates, with short prompts
//! among them; or a slice of one long prompt; or some texts to embed. Long prompts and the rest take turns, so a long
//! prompt slows answers down but does not stop them. A run that is not stepped is left out once it is a few steps
//! ahead. With nothing to do, the thread sleeps.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, channel, sync_channel};

use super::embedder::{EmbedJob, Embedder};
use super::estimate::{Embedding, Needs};
use super::generator::Generator;
use super::lane::Lane;
use super::native::Model;
use super::run::Link;
use crate::engine::Trim;
use crate::{Code, Error, Result};

/// What a worker is asked to do.
pub(super) enum Command {
    Generate(Box<Lane>),
    Embed(Box<EmbedJob>),
    /// A run took a step or went away.
    Look,
    Trim(Trim, SyncSender<u64>),
}

/// How a model is to be served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Tokens that all runs hold together.
    pub(super) context: u32,
    /// Runs served side by side.
    pub(super) parallel: u32,
    pub(super) threads: u32,
    /// The longest text to embed, in tokens.
    pub(super) text: u32,
    pub(super) generates: bool,
    pub(super) embeds: bool,
    /// Whether what a run computed can serve the next one that begins alike.
    pub(super) reuses: bool,
    /// What the context of all generations takes, and what contexts to embed with do, by estimate.
    pub(super) generation: Needs,
    pub(super) embedding: Embedding,
}

struct Worker {
    inbox: Receiver<Command>,
    generator: Generator,
    embedder: Embedder,
    /// Whose turn it is if there is both to generate and to embed.
    embeds_next: bool,
}

/// Starts the worker; a generating model's context is made at once, so that want of memory shows now.
pub(super) fn start(model: Arc<Model>, plan: Plan) -> Result<Link> {
    let (commands, inbox) = channel();
    let (ready, is_ready) = sync_channel(1);
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = stop.clone();
    let work = move || {
        let worked = catch_unwind(AssertUnwindSafe(|| {
            let generator = Generator::new(model.clone(), plan, stopping.clone());
            let embedder = Embedder::new(model, plan, stopping);
            let mut worker = Worker { inbox, generator, embedder, embeds_next: false };
            let made = if plan.generates { worker.generator.prepare() } else { Ok(()) };
            let failed = made.is_err();
            if ready.send(made).is_ok() && !failed {
                worker.generator.warm_up();
                worker.work();
            }
        }));
        if worked.is_err() {
            tracing::error!("the thread that computes for a GGUF model panicked");
        }
    };
    let thread = std::thread::Builder::new()
        .name("selvedge-gguf".into())
        .spawn(work)
        .map_err(|e| Error::backend("no thread to compute on").because(e))?;
    let link = Link::new(commands, stop, thread);
    is_ready.recv().map_err(|_| Error::new(Code::Panic, "the thread that computes for a model panicked"))??;
    Ok(link)
}

impl Worker {
    fn work(&mut self) {
        loop {
            loop {
                match self.inbox.try_recv() {
                    Ok(command) => self.obey(command),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            self.generator.let_go();
            self.embedder.let_go();
            if self.round() {
                continue;
            }
            match self.inbox.recv() {
                Ok(command) => self.obey(command),
                Err(_) => return,
            }
        }
    }

    /// Computes something; false if there is nothing to compute.
    fn round(&mut self) -> bool {
        self.embeds_next = !self.embeds_next;
        match self.embeds_next {
            true => self.embedder.round() || self.generator.round(),
            false => self.generator.round() || self.embedder.round(),
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Generate(lane) => self.generator.add(*lane),
            Command::Embed(job) => self.embedder.add(*job),
            Command::Look => {}
            Command::Trim(level, reply) => {
                let freed = self.generator.trim(level) + self.embedder.trim(level);
                // Whoever asked may be gone.
                let _ = reply.send(freed);
            }
        }
    }
}
