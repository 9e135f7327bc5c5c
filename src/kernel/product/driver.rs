//! Walk over a panel: stretches of `k`, and in each all rows of activations.

use super::activations::Activations;
use super::layout::{GROUP, Kind, Layout, PANEL};
use super::unpack::{PIECES, Spread, Stretch};

/// [`add_panel`] of an instruction set.
pub(super) type AddPanel = fn(&mut Stretch, &Layout, &[u8], &Activations, usize, &mut [[f32; PANEL]]);
/// [`Activations::put_group`] in an instruction set.
pub(super) type PutGroup = fn(&mut Activations, &Layout, usize, &[f32], &mut [u32]);

/// The kernels of one instruction set. Having them proves that the CPU can run them.
#[derive(Clone, Copy)]
pub(super) struct Kernels {
    pub(super) add_panel: AddPanel,
    pub(super) put_group: PutGroup,
    /// [`words`] of an instruction set.
    pub(super) words: fn(&Layout) -> usize,
}

/// Words of activations for each four columns.
pub(super) fn words<S: Spread>(layout: &Layout) -> usize {
    if S::is_wide(layout) { 2 } else { 1 }
}

/// Where a kernel reads activations.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) activations: &'a Activations,
    /// The first group of four rows.
    pub(super) group: usize,
    /// The first block of the stretch, or the first column where there are no blocks.
    pub(super) first: usize,
    /// Blocks, or columns.
    pub(super) count: usize,
}

impl At<'_> {
    /// Codes of four rows from a block on, to the end of the stretch.
    #[inline(always)]
    pub(super) fn codes(&self, group: usize, block: usize, elements: usize) -> &[[u32; GROUP]] {
        let words = elements / GROUP * self.activations.words;
        let first = (self.group + group) * self.next_group() + (self.first + block) * words;
        &self.activations.codes[first..][..(self.count - block) * words]
    }

    /// Words from codes of four rows to those of the next four.
    #[inline(always)]
    pub(super) fn next_group(&self) -> usize {
        self.activations.cols() / GROUP * self.activations.words
    }

    /// The index of a block's scales.
    #[inline(always)]
    pub(super) fn block(&self, group: usize, block: usize, elements: usize) -> usize {
        (self.group + group) * (self.activations.cols() / elements) + self.first + block
    }
}

/// The products of one instruction set, each of a stretch of a panel with some rows, added to the tile: a fused
/// multiplication and addition for each scale, in the order of `k`. A value is the proof that the CPU has the
/// instructions.
///
/// The tile has 1 to 3 rows, or a multiple of four up to `ROWS`.
pub(super) trait Machine: Spread {
    /// Rows of activations that it takes at once; a multiple of four.
    const ROWS: usize;

    /// Small blocks; with `MIN`, those with minima.
    fn small<const MIN: bool>(self, layout: &Layout, weights: &Stretch, at: At<'_>, tile: &mut [[f32; PANEL]]);

    /// A large block of so many subs: 8, with minima, or 16, whose codes have an offset.
    fn large<const SUBS: usize>(self, layout: &Layout, weights: &Stretch, at: At<'_>, tile: &mut [[f32; PANEL]]);

    /// Numbers.
    fn float(self, weights: &Stretch, at: At<'_>, tile: &mut [[f32; PANEL]]);
}

/// Adds the products of a panel and rows of activations to a tile, which has as many rows; `row` is the first of them
/// and a multiple of four.
#[inline(always)]
pub(super) fn add_panel<M: Machine>(
    machine: M,
    stretch: &mut Stretch,
    layout: &Layout,
    records: &[u8],
    activations: &Activations,
    row: usize,
    tile: &mut [[f32; PANEL]],
) {
    let (at_once, step) = match layout.kind {
        Kind::Small => (PIECES, 1),
        Kind::Large => (1, 1),
        Kind::Float => (PIECES, layout.elements()),
    };
    for (i, records) in records.chunks(at_once * layout.record_bytes()).enumerate() {
        stretch.read(machine, layout, records);
        let count = records.len() / layout.record_bytes() * step;
        let mut at = At { activations, group: row / GROUP, first: i * at_once * step, count };
        let mut left = &mut *tile;
        while !left.is_empty() {
            let rows = if left.len() < GROUP { left.len() } else { M::ROWS.min(left.len() / GROUP * GROUP) };
            let (now, rest) = left.split_at_mut(rows);
            match (layout.kind, layout.minima) {
                (Kind::Small, true) => machine.small::<true>(layout, stretch, at, now),
                (Kind::Small, false) => machine.small::<false>(layout, stretch, at, now),
                (Kind::Large, true) => machine.large::<8>(layout, stretch, at, now),
                (Kind::Large, false) => machine.large::<16>(layout, stretch, at, now),
                (Kind::Float, _) => machine.float(stretch, at, now),
            }
            at.group += rows / GROUP;
            left = rest;
        }
    }
}
