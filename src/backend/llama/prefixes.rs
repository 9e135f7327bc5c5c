//! The prefix cache of an engine: what its callers save and restore.

use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};

use super::adapters::MAX_ADAPTERS;
use super::saved::{self, Binding, Bounds};
use super::serve::layout::Layout;
use super::serve::queue::{Command, stopped};
use super::{Llama, MAX_PARALLEL};
use crate::Result;
use crate::engine::{PrefixCache, Prefixes};

impl PrefixCache for Llama {
    fn save(&self, path: &Path) -> Result<Prefixes> {
        self.reuses()?;
        let (layout, prefixes) = self.ask(Command::Save)?;
        let bytes = saved::write(path, &self.binding(&layout), &prefixes)?;
        let tokens = prefixes.iter().map(|saved| saved.prefix.len() as u64).sum();
        Ok(Prefixes::new(prefixes.len() as u64, tokens, bytes))
    }

    fn restore(&self, path: &Path) -> Result<Prefixes> {
        self.reuses()?;
        let layout = self.ask(Command::Layout)?;
        let bounds = Bounds {
            tokens: self.plan.context as usize,
            vocabulary: self.model.tokens(),
            prefixes: MAX_PARALLEL as usize,
            adapters: MAX_ADAPTERS,
        };
        let (prefixes, bytes) = saved::read(path, &self.binding(&layout), &layout, bounds)?;
        let (count, tokens) = self.ask(|reply| Command::Restore(layout, prefixes, reply))?;
        Ok(Prefixes::new(count, tokens, bytes))
    }
}

impl Llama {
    fn binding(&self, layout: &Layout) -> Binding {
        let context = [self.plan.context.to_le_bytes().to_vec(), layout.key()].concat();
        Binding {
            model: self.spec.provenance.digest,
            build: saved::digest(self.model.build().as_bytes()),
            context: saved::digest(&context),
            adapters: self.spec.adapters.iter().map(|adapter| adapter.digest).collect(),
        }
    }

    fn reuses(&self) -> Result<()> {
        if self.plan.generates && self.plan.reuses { Ok(()) } else { Err(self.unsupported("saved prefixes")) }
    }

    /// Asks the worker for something.
    fn ask<T>(&self, command: impl FnOnce(SyncSender<Result<T>>) -> Command) -> Result<T> {
        let (reply, answer) = sync_channel(1);
        self.queue.send(command(reply))?;
        answer.recv().map_err(|_| stopped())?
    }
}
