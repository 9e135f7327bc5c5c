//! What an instruction set does.

use super::Lanes;

/// An instruction set. A value is the proof that the CPU has it.
pub(super) trait Machine: Copy {
    /// Rows that it takes at once.
    const ROWS: usize;

    /// The products of a panel and some rows, of which one begins at every so many numbers: in each lane a chain of fused
    /// multiplications and additions, from zero on.
    fn multiply(self, panel: &[Lanes], rows: &[f32], stride: usize, tile: &mut [Lanes]);

    /// `e^x` of numbers that are at most 0; 0 below -87.
    fn exp(self, numbers: &mut Lanes);
}
