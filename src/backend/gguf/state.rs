//! The context of all generations, and what finished ones left in it.

use super::cells::{Cell, Cells};
use super::context::Context;
use super::lane::{Lane, Place};

/// Fewer tokens than this in common are not worth a sequence's bookkeeping.
const LEAST_REUSED: usize = 8;

pub(super) struct State {
    pub(super) context: Context,
    pub(super) cells: Cells,
    reuses: bool,
    /// Sequences that nobody uses.
    unused: Vec<u32>,
    /// What finished runs computed, the one used longest ago first.
    kept: Vec<Kept>,
}

struct Kept {
    sequence: u32,
    tokens: Vec<u32>,
    cells: Vec<Cell>,
}

/// Where the beginning of a prompt is computed already.
#[derive(Clone, Copy)]
pub(super) struct Beginning {
    source: Source,
    len: usize,
}

#[derive(Clone, Copy)]
enum Source {
    Kept(u32),
    Lane(usize),
}

impl State {
    pub(super) fn new(context: Context, sequences: u32, reuses: bool) -> Self {
        let cells = Cells::new(context.capacity());
        Self { context, cells, reuses, unused: (0..sequences).rev().collect(), kept: Vec::new() }
    }

    /// Whether a computation that was given up leaves what was there before, so that it can be repeated. A recurrent
    /// state is lost.
    pub(super) fn restores(&self) -> bool {
        self.reuses
    }

    /// The longest computed beginning of `tokens`. The last token is computed in any case: its result is wanted.
    pub(super) fn longest_beginning(&self, tokens: &[u32], lanes: &[Lane]) -> Option<Beginning> {
        if !self.reuses {
            return None;
        }
        let most = tokens.len().saturating_sub(1);
        let common = |other: &[u32]| tokens.iter().zip(other).take_while(|(a, b)| a == b).count().min(most);
        let kept = self.kept.iter().map(|k| Beginning { source: Source::Kept(k.sequence), len: common(&k.tokens) });
        let lanes = lanes.iter().enumerate().filter(|(_, lane)| lane.place.is_some());
        let running =
            lanes.map(|(i, lane)| Beginning { source: Source::Lane(i), len: common(&lane.tokens[..lane.computed]) });
        kept.chain(running).max_by_key(|b| b.len).filter(|b| b.len >= LEAST_REUSED)
    }

    /// A sequence that begins with what `beginning` found; with the number of tokens it has.
    pub(super) fn place(&mut self, beginning: Option<Beginning>, lanes: &[Lane]) -> Option<(Place, usize)> {
        if let Some(Beginning { source: Source::Kept(sequence), .. }) = beginning
            && let Some(i) = self.kept.iter().position(|k| k.sequence == sequence)
        {
            let used = self.kept.remove(i);
            self.kept.push(used);
        }
        while self.unused.is_empty() {
            // The one that is to be shared is the last, and there are more sequences than lanes.
            self.forget_oldest()?;
        }
        let sequence = self.unused.pop()?;
        if let Some(Beginning { source, len }) = beginning {
            let found = match source {
                Source::Kept(of) => self.kept.iter().find(|k| k.sequence == of).map(|k| (of, &k.cells[..len])),
                Source::Lane(i) => lanes[i].place.as_ref().map(|p| (p.sequence, &p.cells[..len])),
            };
            if let Some((of, cells)) = found {
                if self.context.share(of, sequence, len) {
                    let cells = self.cells.share(cells);
                    return Some((Place { sequence, cells }, len));
                }
                self.context.forget(sequence, 0);
            }
        }
        Some((Place { sequence, cells: Vec::new() }, 0))
    }

    /// Frees cells until there are `count`, by forgetting what is merely kept; false if that is not enough.
    pub(super) fn make_room(&mut self, count: usize) -> bool {
        while self.cells.free() < count {
            if self.forget_oldest().is_none() {
                return false;
            }
        }
        true
    }

    /// Takes a lane's place away; it starts again from its first token.
    pub(super) fn vacate(&mut self, lane: &mut Lane) {
        lane.computed = 0;
        if let Some(place) = lane.place.take() {
            self.free(place.sequence, place.cells);
        }
    }

    /// Takes the place of a lane that has ended, and keeps what it computed.
    pub(super) fn keep(&mut self, lane: &mut Lane) {
        let computed = lane.computed;
        if !self.reuses || computed < LEAST_REUSED {
            return self.vacate(lane);
        }
        let Some(place) = lane.place.take() else { return };
        let mut tokens = std::mem::take(&mut lane.tokens);
        tokens.truncate(computed);
        // Cells that were taken for a computation that did not take place.
        let mut cells = place.cells;
        self.cells.release(cells.split_off(computed.min(cells.len())));
        while let Some(i) = self.kept.iter().position(|k| tokens.starts_with(&k.tokens)) {
            let shorter = self.kept.remove(i);
            self.free(shorter.sequence, shorter.cells);
        }
        self.kept.push(Kept { sequence: place.sequence, tokens, cells });
    }

    pub(super) fn forget_kept(&mut self) {
        while self.forget_oldest().is_some() {}
    }

    fn forget_oldest(&mut self) -> Option<()> {
        if self.kept.is_empty() {
            return None;
        }
        let oldest = self.kept.remove(0);
        self.free(oldest.sequence, oldest.cells);
        Some(())
    }

    pub(super) fn free(&mut self, sequence: u32, cells: Vec<Cell>) {
        // Forgetting a whole sequence never fails.
        self.context.forget(sequence, 0);
        self.cells.release(cells);
        self.unused.push(sequence);
    }
}
