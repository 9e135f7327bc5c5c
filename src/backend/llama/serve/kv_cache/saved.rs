//! Prefixes that leave the cache and come back: into a file, or into a cache that is divided anew.

use super::super::layout::Layout;
use super::super::prefix::{MIN_COPY, Prefix};
use super::super::sequence::Sequence;
use super::{CachedSequence, KvCache};
use crate::Result;
use crate::backend::llama::native::context::{Batch, Decoded};

/// What a finished run left in a sequence, with its keys and values.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::backend::llama) struct SavedPrefix {
    pub(in crate::backend::llama) prefix: Prefix,
    /// Tokens from the front that were computed as a prompt.
    pub(in crate::backend::llama) exact: usize,
    /// Whether the others are to be computed again.
    pub(in crate::backend::llama) settles: bool,
    /// By the layout, so many as the tokens have.
    pub(in crate::backend::llama) rows: Vec<u8>,
}

impl KvCache {
    /// All that finished runs left, the one that was used longest ago first.
    pub(in crate::backend::llama::serve) fn save(&mut self) -> Result<(Layout, Vec<SavedPrefix>)> {
        let state = self.context.state()?;
        let (layout, rows) = Layout::read(&state)?;
        drop(state);
        let mut saved = Vec::new();
        for (cached, rows) in self.sequences.iter().zip(rows) {
            if !cached.taken && !cached.prefix.is_empty() && rows.in_order && rows.tokens == cached.prefix.len() {
                let (prefix, exact, settles) = (cached.prefix.clone(), cached.exact, cached.settles);
                saved.push((cached.used, SavedPrefix { prefix, exact, settles, rows: rows.bytes }));
            }
        }
        saved.sort_by_key(|(used, _)| *used);
        let layout = match layout {
            Some(layout) => layout,
            None => self.layout()?,
        };
        Ok((layout, saved.into_iter().map(|(_, saved)| saved).collect()))
    }

    /// The layout of the context's state.
    pub(in crate::backend::llama::serve) fn layout(&mut self) -> Result<Layout> {
        if let (Some(layout), _) = Layout::read(&self.context.state()?)? {
            return Ok(layout);
        }
        // Nothing is in it, so nobody minds a token.
        let mut batch = Batch::default();
        batch.push(0, 0, 0, true);
        let decoded = self.context.decode(&mut batch)?;
        let state = self.context.state();
        self.context.forget(0, 0);
        let (layout, _) = Layout::read(&state?)?;
        match (layout, decoded) {
            (Some(layout), Decoded::Done) => Ok(layout),
            _ => Err(crate::Error::backend("llama.cpp did not compute a token")),
        }
    }

    /// Takes a prefix in, in the place of what was used longest ago; false if there is no place for it.
    pub(in crate::backend::llama::serve) fn restore(
        &mut self,
        saved: SavedPrefix,
        layout: &Layout,
        now: u64,
    ) -> Result<bool> {
        let tokens = saved.prefix.len();
        let free = self.sequences.iter().enumerate().filter(|(_, s)| !s.taken);
        let oldest = free.min_by_key(|(_, s)| (!s.prefix.is_empty(), s.used)).map(|(i, _)| i);
        let Some(seq_id) = oldest.filter(|_| self.reuses && tokens > 0 && tokens <= self.length) else {
            return Ok(false);
        };
        let state = layout.write(seq_id as u32, self.sequences.len(), tokens, &saved.rows)?;
        self.drop_kept(seq_id);
        if !self.context.set_state(seq_id as u32, &state)? || !self.context.cut(seq_id as u32, tokens) {
            self.drop_kept(seq_id);
            return Err(crate::Error::backend(format!("llama.cpp did not take the state of {tokens} tokens")));
        }
        let SavedPrefix { prefix, exact, settles, .. } = saved;
        self.sequences[seq_id] = CachedSequence { prefix, exact, settles, used: now, ..CachedSequence::default() };
        Ok(true)
    }

    /// What a prompt that waits for another division can go on from; nothing else is kept.
    pub(in crate::backend::llama::serve) fn carry(&mut self, waiting: &Sequence) -> Result<(Layout, Vec<SavedPrefix>)> {
        let best = self.longest_beginning(waiting, &[]).filter(|best| self.reuses && best.len >= MIN_COPY);
        let others = (0..self.sequences.len()).filter(|&i| best.is_none_or(|best| best.seq_id != i));
        others.collect::<Vec<_>>().into_iter().for_each(|seq_id| self.drop_kept(seq_id));
        match best {
            Some(_) => self.save(),
            None => Ok(Default::default()),
        }
    }
}
