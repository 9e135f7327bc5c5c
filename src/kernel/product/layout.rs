//! Bytes of panels.
//!
//! A panel is [`PANEL`] rows of weights side by side: its records follow each other along `k`, each the blocks of all
//! rows at one place, 32 or 256 weights long. Rows that the matrix does not have are zeros.
//!
//! ```text
//! record │ scales u16[16] │ minima u16[16] │ subs [s][16] │ sub-minima [8][16] │ piece … │
//! piece  │ upper bits of codes │ lower bits of codes │      32 weights of 16 rows: one in a small record, eight in a large
//! ```
//!
//! Minima, subs and sub-minima stand where the format has them: subs are the scales of 32 (`s` = 8) or 16 (`s` = 16)
//! weights within a large block. A code is what a weight's bits mean plus [`Layout::offset`], so never negative.
//! Four weights of a row are neighbours, a lane; lane `n` of group `g` has weights `4g .. 4g + 4` of row `n`, so a group
//! is 64 bytes `i`. In a piece of eight groups:
//!
//! ```text
//! lower, 4 bits u8[4][64]   byte i of group g: lo of [g][i], of group g + 4: hi
//! lower, 8 bits u8[8][64]   the codes, nothing upper
//! upper, 1 bit  u8[64]      bit g of [i]
//! upper, 2 bits u8[2][64]   group g: bits 2(g % 4) of [g / 4][i]
//! ```
//!
//! Weights of F16 and BF16 are records of 32 as well: `u16[32][16]`, row by row of the panel's columns.

use crate::kernel::block::{self, LARGE, SMALL};
use crate::kernel::format::BlockFormat;

/// Rows of weights in a panel.
pub(super) const PANEL: usize = 16;
/// Weights that lie together in a lane, and rows of activations that lie together.
pub(super) const GROUP: usize = 4;
/// Bytes of a group of weights.
pub(super) const GROUP_BYTES: usize = PANEL * GROUP;
/// Groups in a piece.
pub(super) const GROUPS: usize = SMALL / GROUP;
/// Codes of a piece.
pub(super) const PIECE: usize = SMALL * PANEL;

/// The levels of IQ4_NL above the lowest.
const IQ4_CODES: [u8; 16] = above(&block::IQ4_LEVELS, 127);
/// The levels of MXFP4 above the lowest.
const E2M1_CODES: [u8; 16] = above(&block::E2M1_DOUBLED, 12);

/// What the scales of a record multiply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// 32 whole numbers.
    Small,
    /// 256 whole numbers, with subs.
    Large,
    /// There are none: weights are numbers by themselves.
    Float,
}

/// How the blocks of a format lie in a panel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Layout {
    pub(super) kind: Kind,
    /// Bits of a code in its record: 4, 5, 6, 8, or 16 of a number.
    pub(super) bits: usize,
    /// By how much a code is larger than what it means.
    pub(super) offset: i32,
    /// Whether blocks have minima.
    pub(super) minima: bool,
    /// Scales within a large block.
    pub(super) subs: usize,
    /// Codes that the nibbles stand for.
    pub(super) levels: Option<&'static [u8; 16]>,
    /// Whether scales, or weights, are BF16; else they are F16.
    pub(super) brain: bool,
}

impl Layout {
    /// `None` for formats without products.
    pub(super) const fn of(format: BlockFormat) -> Option<Layout> {
        Some(match format {
            BlockFormat::Q4_0 => small(4, 8, false),
            BlockFormat::Q4_1 => small(4, 0, true),
            BlockFormat::Q5_0 => small(5, 16, false),
            BlockFormat::Q5_1 => small(5, 0, true),
            BlockFormat::Q8_0 => small(8, 128, false),
            BlockFormat::Iq4Nl => Layout { levels: Some(&IQ4_CODES), ..small(4, 127, false) },
            BlockFormat::Mxfp4 => Layout { levels: Some(&E2M1_CODES), brain: true, ..small(4, 12, false) },
            BlockFormat::Q4K => large(4, 0, 8),
            BlockFormat::Q5K => large(5, 0, 8),
            BlockFormat::Q6K => large(6, 32, 16),
            BlockFormat::F16 => float(false),
            BlockFormat::Bf16 => float(true),
            BlockFormat::F32 | BlockFormat::Q2K | BlockFormat::Q3K | BlockFormat::Iq4Xs => return None,
        })
    }

    /// Bits of the largest code.
    pub(super) const fn width(&self) -> usize {
        match self.levels {
            None => self.bits,
            Some(_) if self.offset < 16 => 5,
            Some(_) => 8,
        }
    }

    /// Weights of a row in a record.
    pub(super) const fn elements(&self) -> usize {
        if matches!(self.kind, Kind::Large) { LARGE } else { SMALL }
    }

    /// Where the subs of a record begin.
    pub(super) const fn subs_at(&self) -> usize {
        match (self.kind, self.minima) {
            (Kind::Float, _) => 0,
            (_, false) => 2 * PANEL,
            (_, true) => 4 * PANEL,
        }
    }

    /// Where the pieces of a record begin.
    pub(super) const fn pieces_at(&self) -> usize {
        let sub_minima = if self.subs > 0 && self.minima { self.subs } else { 0 };
        self.subs_at() + (self.subs + sub_minima) * PANEL
    }

    pub(super) const fn piece_bytes(&self) -> usize {
        PIECE / 8 * self.bits
    }

    pub(super) const fn record_bytes(&self) -> usize {
        self.pieces_at() + self.elements() / SMALL * self.piece_bytes()
    }
}

const fn small(bits: usize, offset: i32, minima: bool) -> Layout {
    Layout { kind: Kind::Small, bits, offset, minima, subs: 0, levels: None, brain: false }
}

/// Large blocks of 8 subs have minima, those of 16 have codes with a sign.
const fn large(bits: usize, offset: i32, subs: usize) -> Layout {
    Layout { kind: Kind::Large, subs, ..small(bits, offset, subs == 8) }
}

const fn float(brain: bool) -> Layout {
    Layout { kind: Kind::Float, brain, ..small(16, 0, false) }
}

const fn above(levels: &[i8; 16], offset: i32) -> [u8; 16] {
    let (mut codes, mut i) = ([0; 16], 0);
    while i < 16 {
        codes[i] = (levels[i] as i32 + offset) as u8;
        i += 1;
    }
    codes
}

// As many bytes as the blocks of the rows, but for the subs of K-quants, which get a byte each.
const _: () = {
    assert!(bytes(BlockFormat::Q4_0) == 16 * 18 && bytes(BlockFormat::Q4_1) == 16 * 20);
    assert!(bytes(BlockFormat::Q5_0) == 16 * 22 && bytes(BlockFormat::Q5_1) == 16 * 24);
    assert!(bytes(BlockFormat::Q8_0) == 16 * 34 && bytes(BlockFormat::Iq4Nl) == 16 * 18);
    assert!(bytes(BlockFormat::Mxfp4) == 16 * 18 && bytes(BlockFormat::F16) == 16 * 64);
    assert!(bytes(BlockFormat::Q4K) == 16 * 148 && bytes(BlockFormat::Q5K) == 16 * 180);
    assert!(bytes(BlockFormat::Q6K) == 16 * 210);
};

const fn bytes(format: BlockFormat) -> usize {
    match Layout::of(format) {
        Some(layout) => layout.record_bytes(),
        None => 0,
    }
}
