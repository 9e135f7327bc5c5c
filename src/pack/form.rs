//! Forms of a packed model for a runtime: its graph, and the tensors of its arena.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::kernel::BlockFormat;
use crate::tensor::Bytes;

/// Weights per block, in both formats.
pub(super) const BLOCK: u64 = 32;

/// The location of tensors that are in no file, but made of blocks.
pub(crate) const ARENA: &str = "selvedge.arena";

/// Who reads the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runtime {
    Ort,
    Rten,
    Tract,
}

/// A tensor of the arena.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// Which of the block tensors it is made of.
    pub tensor: usize,
    pub form: Form,
    pub len: u64,
}

/// What is made of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Unsigned quants around 8 or 128, without scales; the low half of a byte first. Bytes per row.
    Quants { row: u64 },
    /// The scales of all blocks, in f32.
    Scales,
    /// The weights, in f32.
    Floats,
    /// The numbers of the rows, in i32.
    Numbers,
}

/// A tensor of blocks in the weight file.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub place: Range<usize>,
    pub format: BlockFormat,
    pub rows: usize,
    pub columns: usize,
    /// What the blocks are multiplied with.
    pub scale: f32,
}

/// A packed model, for one runtime.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    /// The graph.
    pub graph: Bytes,
    /// The weight file, which is external data of the graph.
    pub weights: Bytes,
    /// The tensors in the arena, by where they begin.
    pub(super) pieces: BTreeMap<u64, Piece>,
    /// Bytes of the arena.
    pub arena_len: u64,
    pub(super) stored: Vec<Stored>,
}
