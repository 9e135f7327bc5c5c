//! Walk over the cells that some tokens look at.

use std::ops::Range;

use super::PANEL;
use super::cells::Cells;
use super::machine::Machine;
use super::softmax::softmax;

/// What is added to the scores of a token: 0 for a cell that it looks at, minus infinity for another.
#[derive(Clone, Copy)]
pub(crate) struct Mask<'a> {
    pub(crate) numbers: &'a [f32],
    /// Numbers from the row of a token to that of the next.
    pub(crate) stride: usize,
}

impl<'a> Mask<'a> {
    /// From a token on.
    pub(crate) fn from(&self, token: usize) -> Self {
        Self { numbers: &self.numbers[token * self.stride..], ..*self }
    }

    fn row(&self, token: usize, cells: &Range<usize>) -> &'a [f32] {
        &self.numbers[token * self.stride..][cells.clone()]
    }

    /// The panels from the first to the last in which one of so many tokens looks at anything.
    pub(crate) fn panels(&self, tokens: Range<usize>, cells: usize) -> Range<usize> {
        let is_seen = |panel: usize| {
            let cells = panel * PANEL..(panel + 1) * PANEL;
            tokens.clone().any(|token| self.row(token, &cells).iter().any(|number| *number > f32::NEG_INFINITY))
        };
        let panels = cells / PANEL;
        let first = (0..panels).find(|panel| is_seen(*panel)).unwrap_or(panels);
        let end = (first..panels).rfind(|panel| is_seen(*panel)).map_or(first, |last| last + 1);
        first..end
    }
}

/// Some tokens of a prompt, in one head.
#[derive(Clone, Copy)]
pub(crate) struct Tokens<'a> {
    /// A row for each.
    pub(crate) queries: &'a [f32],
    pub(crate) scale: f32,
    /// From the row of the first.
    pub(crate) mask: Mask<'a>,
}

/// [`walk`] in an instruction set.
pub(super) type Kernel = fn(&Cells, Range<usize>, &Tokens<'_>, &mut [f32]);

#[inline(always)]
pub(super) fn walk<M: Machine>(machine: M, cells: &Cells, panels: Range<usize>, tokens: &Tokens<'_>, out: &mut [f32]) {
    let (key_size, value_size) = (cells.key_size, cells.value_size);
    let (count, width) = (tokens.queries.len() / key_size, panels.len() * PANEL);
    let mut scores = vec![0.0; count * width];
    let mut tile = [[0.0; PANEL]; 16];
    for (i, panel) in panels.clone().enumerate() {
        let panel = &cells.keys[panel * key_size..][..key_size];
        for first in (0..count).step_by(M::ROWS) {
            let tile = &mut tile[..M::ROWS.min(count - first)];
            machine.multiply(panel, &tokens.queries[first * key_size..], key_size, tile);
            for (row, of_row) in tile.iter().enumerate() {
                scores[(first + row) * width + i * PANEL..][..PANEL].copy_from_slice(of_row);
            }
        }
    }
    let cells_seen = panels.start * PANEL..panels.end * PANEL;
    for token in 0..count {
        let scores = &mut scores[token * width..][..width];
        softmax(machine, scores, tokens.mask.row(token, &cells_seen), tokens.scale);
    }
    for channel in (0..value_size).step_by(PANEL) {
        let panel = &cells.values[channel / PANEL * cells.count..][cells_seen.clone()];
        let channels = PANEL.min(value_size - channel);
        for first in (0..count).step_by(M::ROWS) {
            let tile = &mut tile[..M::ROWS.min(count - first)];
            machine.multiply(panel, &scores[first * width..], width, tile);
            for (row, of_row) in tile.iter().enumerate() {
                let to = &mut out[(first + row) * value_size + channel..][..channels];
                to.copy_from_slice(&of_row[..channels]);
            }
        }
    }
}
