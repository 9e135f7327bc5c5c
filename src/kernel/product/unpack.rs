//! Unpacking: from records of a panel to codes and scales as the kernels read them, a stretch of `k` at a time.
//!
//! Plain Rust, which the compiler turns into the instruction set of its caller.

use super::layout::{GROUP, GROUP_BYTES, GROUPS, Kind, Layout, PANEL, PIECE};
use crate::kernel::block::{LARGE, SMALL};

/// Pieces in a stretch.
pub(super) const PIECES: usize = LARGE / SMALL;

/// Weights of a panel along a stretch of 256, ready to be multiplied; what a format lacks holds anything.
#[repr(C, align(64))]
pub(super) struct Stretch {
    /// `[group][lane][4]`
    pub(super) codes: [u8; LARGE * PANEL],
    /// Of codes of eight bits, where `Spread::WIDE`, what they mean: two of a lane's four weights, the even ones, then the
    /// odd ones: `[group][2][lane][2]`.
    pub(super) wide: [Wide; 2 * LARGE / GROUP],
    /// By piece; of a large block, the first alone.
    pub(super) scales: [[f32; PANEL]; PIECES],
    /// By piece; of a large block, the first alone.
    pub(super) minima: [[f32; PANEL]; PIECES],
    /// Scales within a large block, each twice.
    pub(super) subs: [[[i16; 2]; PANEL]; 2 * PIECES],
    /// What is multiplied by the sums of activations of the same subs, two to a lane: minima within a large block, or
    /// where codes have an offset, the subs times minus the offset.
    pub(super) pairs: [[[i16; 2]; PANEL]; PIECES],
    /// Of formats that have no codes: `[k][lane]`.
    pub(super) floats: [[f32; PANEL]; LARGE],
}

impl Stretch {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self {
            codes: [0; LARGE * PANEL],
            wide: [[0; GROUP_BYTES / 2]; 2 * LARGE / GROUP],
            scales: [[0.0; PANEL]; PIECES],
            minima: [[0.0; PANEL]; PIECES],
            subs: [[[0; 2]; PANEL]; 2 * PIECES],
            pairs: [[[0; 2]; PANEL]; PIECES],
            floats: [[0.0; PANEL]; LARGE],
        })
    }
}

/// Half of a group in sixteen bits, as many bytes.
pub(super) type Wide = [i16; GROUP_BYTES / 2];

/// What the compiler makes of plain Rust is too slow here. A value is the proof that the CPU has the instructions.
pub(super) trait Spread: Copy {
    /// Whether what is multiplied by codes of eight bits has sixteen, as they then have: where an instruction has no room for
    /// the products of bytes.
    const WIDE: bool = false;

    /// Whether the products of a layout are of numbers of sixteen bits.
    fn is_wide(layout: &Layout) -> bool {
        Self::WIDE && layout.kind == Kind::Small && layout.width() == 8
    }

    /// Sixteen binary16 numbers as `f32`.
    fn halves(self, from: &[u8; 2 * PANEL], to: &mut [f32; PANEL]);

    /// The largest magnitude of numbers, a multiple of eight, or what is not a finite number.
    fn largest(self, values: &[f32]) -> f32;

    /// Codes of -127 ..= 127 of numbers times a factor, rounded to nearest, ties to even; of what is not a number, -127.
    /// Returns their sum.
    fn quantize(self, values: &[f32; 16], factor: f32, codes: &mut [i8; 16]) -> i32;

    /// The nearest binary16 number, ties to even.
    fn round_to_half(self, x: f32) -> f32;

    /// What codes of a group mean, in sixteen bits: the even ones and the odd ones.
    fn widen(self, codes: &[u8; GROUP_BYTES], offset: i16, even: &mut Wide, odd: &mut Wide) {
        for (([a, b], even), odd) in codes.as_chunks::<2>().0.iter().zip(even).zip(odd) {
            *even = i16::from(*a) - offset;
            *odd = i16::from(*b) - offset;
        }
    }

    /// Replaces nibbles by their levels.
    fn levels(self, levels: &[u8; 16], codes: &mut [u8; PIECE]);
}

impl Stretch {
    /// Reads the records of a stretch: one large block, or up to [`PIECES`] small ones.
    #[inline(always)]
    pub(super) fn read(&mut self, spread: impl Spread, layout: &Layout, records: &[u8]) {
        match layout.kind {
            Kind::Float => self.floats(spread, layout, records),
            Kind::Large => {
                self.scales(spread, layout, 0, records);
                self.subs(layout, &records[layout.subs_at()..layout.pieces_at()]);
                let pieces = records[layout.pieces_at()..].chunks_exact(layout.piece_bytes());
                pieces.enumerate().for_each(|(i, piece)| self.piece(spread, layout, i, piece));
            }
            Kind::Small => {
                for (i, record) in records.chunks_exact(layout.record_bytes()).enumerate() {
                    self.scales(spread, layout, i, record);
                    self.piece(spread, layout, i, &record[layout.pieces_at()..]);
                }
            }
        }
    }

    #[inline(always)]
    fn floats(&mut self, spread: impl Spread, layout: &Layout, records: &[u8]) {
        for (from, to) in records.as_chunks().0.iter().zip(&mut self.floats) {
            numbers(spread, layout.brain, from, to);
        }
    }

    #[inline(always)]
    fn scales(&mut self, spread: impl Spread, layout: &Layout, i: usize, record: &[u8]) {
        let fields = record.as_chunks().0;
        numbers(spread, layout.brain, &fields[0], &mut self.scales[i]);
        if layout.minima {
            numbers(spread, layout.brain, &fields[1], &mut self.minima[i]);
        }
    }

    #[inline(always)]
    fn subs(&mut self, layout: &Layout, bytes: &[u8]) {
        let (subs, minima) = bytes.as_chunks::<PANEL>().0.split_at(layout.subs);
        // The subs of codes with an offset have a sign.
        let number = |byte: u8| if layout.offset > 0 { i16::from(byte as i8) } else { i16::from(byte) };
        for (from, to) in subs.iter().zip(&mut self.subs) {
            from.iter().zip(to).for_each(|(byte, to)| *to = [number(*byte); 2]);
        }
        let (paired, factor) = if layout.minima { (minima, 1) } else { (subs, -layout.offset as i16) };
        for (two, to) in paired.as_chunks::<2>().0.iter().zip(&mut self.pairs) {
            for (lane, to) in to.iter_mut().enumerate() {
                *to = [number(two[0][lane]) * factor, number(two[1][lane]) * factor];
            }
        }
    }

    #[inline(always)]
    fn piece<S: Spread>(&mut self, spread: S, layout: &Layout, i: usize, piece: &[u8]) {
        let codes = &mut self.codes.as_chunks_mut::<PIECE>().0[i];
        unpack(spread, layout, piece, codes);
        if S::is_wide(layout) {
            let groups = codes.as_chunks::<GROUP_BYTES>().0.iter();
            let wide = &mut self.wide.as_chunks_mut::<2>().0[i * GROUPS..];
            for (codes, [even, odd]) in groups.zip(wide) {
                spread.widen(codes, layout.offset as i16, even, odd);
            }
        }
    }
}

#[inline(always)]
fn unpack(spread: impl Spread, layout: &Layout, piece: &[u8], codes: &mut [u8; PIECE]) {
    if layout.bits == 8 {
        codes.copy_from_slice(piece);
        return;
    }
    let (upper, lower) = piece.split_at(PIECE / 8 * (layout.bits - 4));
    let (low, high) = codes.split_at_mut(PIECE / 2);
    for (byte, (low, high)) in lower.iter().zip(low.iter_mut().zip(high)) {
        *low = byte & 15;
        *high = byte >> 4;
    }
    match layout.bits {
        5 => {
            for (g, group) in codes.as_chunks_mut::<GROUP_BYTES>().0.iter_mut().enumerate() {
                group.iter_mut().zip(upper).for_each(|(code, upper)| *code |= (upper >> g & 1) << 4);
            }
        }
        6 => {
            for (g, group) in codes.as_chunks_mut::<GROUP_BYTES>().0.iter_mut().enumerate() {
                let upper = &upper[g / (GROUPS / 2) * GROUP_BYTES..];
                let shift = 2 * (g % (GROUPS / 2));
                group.iter_mut().zip(upper).for_each(|(code, upper)| *code |= (upper >> shift & 3) << 4);
            }
        }
        _ => {}
    }
    if let Some(levels) = layout.levels {
        spread.levels(levels, codes);
    }
}

#[inline(always)]
fn numbers(spread: impl Spread, brain: bool, from: &[u8; 2 * PANEL], to: &mut [f32; PANEL]) {
    if brain {
        for (from, to) in from.as_chunks().0.iter().zip(to) {
            *to = f32::from_bits(u32::from(u16::from_le_bytes(*from)) << 16);
        }
    } else {
        spread.halves(from, to);
    }
}
