//! Activations, quantized for one format of weights.

use super::layout::{GROUP, Kind, Layout};
use super::unpack::Spread;
use crate::kernel::block::{LARGE, SMALL};
use crate::kernel::format::BlockFormat;

/// Rows of activations, quantized as ggml does for weights of one format; made once, and shared by threads.
///
/// For Q4_0, Q5_0, Q8_0, IQ4_NL and MXFP4 each 32 numbers are signed bytes with a binary16 scale (Q8_0), for Q4_1 and
/// Q5_1 with their sum as well (Q8_1); for K-quants each 256 have an `f32` scale (Q8_K). For F16 and BF16 each number is
/// rounded to that. A block that holds a number which is not finite makes its row not a number.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "experimental")] {
/// use selvedge::kernel::{BlockFormat, product::Activations};
/// let two_rows: Vec<f32> = (0..64).map(|i| i as f32).collect();
/// let activations = Activations::quantize(BlockFormat::Q4_0, &two_rows, 2, 32)?;
/// assert_eq!((activations.rows(), activations.cols()), (2, 32));
/// assert!(Activations::quantize(BlockFormat::Q4K, &two_rows, 2, 32).is_err());
/// # }
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Activations {
    pub(super) format: BlockFormat,
    rows: usize,
    cols: usize,
    /// Of each of four rows four signed bytes in a word: `[rows / 4][cols / 4][4]`. Never -128. Where products are wide,
    /// two words of sixteen bits, the even ones and the odd ones: `[rows / 4][cols / 4][2][4]`.
    pub(super) codes: Vec<[u32; GROUP]>,
    /// Words of a row for each four columns.
    pub(super) words: usize,
    /// `[rows / 4][blocks][4]`, as are the next two.
    pub(super) scales: Vec<[f32; GROUP]>,
    /// Of small blocks without minima: the sum of codes times minus the offset of the weights' codes.
    pub(super) starts: Vec<[i32; GROUP]>,
    /// Of small blocks with minima: what a minimum is multiplied by.
    pub(super) sums: Vec<[f32; GROUP]>,
    /// Of large blocks: sums of codes of each 16 or 32, two of a row side by side: `[rows / 4][blocks][subs / 2][4][2]`.
    pub(super) pairs: Vec<[[i16; 2]; GROUP]>,
    /// For weights without codes: `[rows / 4][cols][4]`.
    pub(super) floats: Vec<[f32; GROUP]>,
}

impl Activations {
    /// Rows of zeros, with room for what the layout needs, in so many words for each four columns.
    pub(super) fn zeros(format: BlockFormat, layout: &Layout, words: usize, rows: usize, cols: usize) -> Self {
        let (groups, blocks) = (rows.div_ceil(GROUP), cols / layout.elements());
        let mut a = Self::empty(format, words, rows, cols);
        if layout.kind == Kind::Float {
            a.floats = vec![[0.0; GROUP]; groups * cols];
        } else {
            a.codes = vec![[0; GROUP]; groups * cols / GROUP * words];
            a.scales = vec![[0.0; GROUP]; groups * blocks];
        }
        match layout.kind {
            Kind::Small if layout.minima => a.sums = vec![[0.0; GROUP]; groups * blocks],
            Kind::Small => a.starts = vec![[0; GROUP]; groups * blocks],
            Kind::Large => a.pairs = vec![[[0; 2]; GROUP]; groups * blocks * layout.subs / 2],
            Kind::Float => {}
        }
        a
    }

    fn empty(format: BlockFormat, words: usize, rows: usize, cols: usize) -> Self {
        let (codes, scales, starts) = (Vec::new(), Vec::new(), Vec::new());
        let (sums, pairs, floats) = (Vec::new(), Vec::new(), Vec::new());
        Self { format, rows, cols, codes, words, scales, starts, sums, pairs, floats }
    }

    /// Rows.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Numbers in a row.
    pub const fn cols(&self) -> usize {
        self.cols
    }

    /// Writes a group of rows, of which the last may be missing; those for formats without codes are rounded already.
    /// `words` has room for the group's codes. Plain Rust, which the compiler turns into the instruction set of its caller.
    #[inline(always)]
    pub(super) fn put_group(
        &mut self,
        spread: impl Spread,
        layout: &Layout,
        group: usize,
        values: &[f32],
        words: &mut [u32],
    ) {
        for (row, values) in values.chunks_exact(self.cols).enumerate() {
            let words = &mut words[row * (self.cols / GROUP)..][..self.cols / GROUP];
            let codes = bytemuck::cast_slice_mut(words);
            match layout.kind {
                Kind::Small => self.small(spread, layout, (group, row), values, codes),
                Kind::Large => self.large(spread, layout, (group, row), values, codes),
                Kind::Float => {}
            }
        }
        if layout.kind == Kind::Float {
            interleave(values, &mut self.floats[group * self.cols..][..self.cols]);
        } else {
            let len = self.cols / GROUP * self.words;
            let (words, to) = (&words[..values.len() / GROUP], &mut self.codes[group * len..][..len]);
            if self.words == 1 { interleave(words, to) } else { interleave_wide(words, to) }
        }
    }

    #[inline(always)]
    fn small(
        &mut self,
        spread: impl Spread,
        layout: &Layout,
        (group, row): (usize, usize),
        values: &[f32],
        codes: &mut [i8],
    ) {
        let blocks = values.as_chunks::<SMALL>().0.iter().zip(codes.as_chunks_mut::<SMALL>().0);
        for (block, (values, codes)) in blocks.enumerate() {
            let largest = spread.largest(values);
            let d = if largest.is_finite() { largest / 127.0 } else { f32::NAN };
            let factor = if largest == 0.0 { 0.0 } else { 127.0 / largest };
            let parts = values.as_chunks().0.iter().zip(codes.as_chunks_mut().0);
            let sum: i32 = parts.map(|(values, codes)| spread.quantize(values, factor, codes)).sum();
            let at = group * (self.cols / SMALL) + block;
            self.scales[at][row] = spread.round_to_half(d);
            if layout.minima {
                self.sums[at][row] = spread.round_to_half(d * sum as f32);
            } else {
                self.starts[at][row] = -layout.offset * sum;
            }
        }
    }

    #[inline(always)]
    fn large(
        &mut self,
        spread: impl Spread,
        layout: &Layout,
        (group, row): (usize, usize),
        values: &[f32],
        codes: &mut [i8],
    ) {
        let blocks = values.as_chunks::<LARGE>().0.iter().zip(codes.as_chunks_mut::<LARGE>().0);
        for (block, (values, codes)) in blocks.enumerate() {
            let largest = spread.largest(values);
            let inverse = if largest == 0.0 { 0.0 } else { -127.0 / signed(values, largest) };
            let d = if largest == 0.0 { 0.0 } else { 1.0 / inverse };
            let at = group * (self.cols / LARGE) + block;
            self.scales[at][row] = if largest.is_finite() { d } else { f32::NAN };
            let subs = values.as_chunks().0.iter().zip(codes.as_chunks_mut().0);
            let mut sums = [0; 16];
            subs.zip(&mut sums)
                .for_each(|((values, codes), sum)| *sum = spread.quantize(values, inverse, codes) as i16);
            let pairs = self.pairs[at * layout.subs / 2..][..layout.subs / 2].iter_mut();
            match layout.subs {
                16 => pairs.zip(sums.as_chunks().0).for_each(|(pair, sums)| pair[row] = *sums),
                _ => pairs.zip(sums.as_chunks().0).for_each(|(pair, [a, b, c, d])| pair[row] = [a + b, c + d]),
            }
        }
    }
}

/// Lays up to four rows side by side.
#[inline(always)]
fn interleave<T: Copy>(rows: &[T], to: &mut [[T; GROUP]]) {
    let row = |row: usize| rows.get(row * to.len()..).and_then(|rest| rest.get(..to.len()));
    if let [Some(a), Some(b), Some(c), Some(d)] = [row(0), row(1), row(2), row(3)] {
        for (i, to) in to.iter_mut().enumerate() {
            *to = [a[i], b[i], c[i], d[i]];
        }
        return;
    }
    for (row, values) in rows.chunks_exact(to.len()).enumerate() {
        values.iter().zip(&mut *to).for_each(|(x, to)| to[row] = *x);
    }
}

/// Lays them side by side in sixteen bits. `to` has two words for each of `rows`; its first half is room for the bytes.
#[inline(always)]
fn interleave_wide(rows: &[u32], to: &mut [[u32; GROUP]]) {
    let half = to.len() / 2;
    // Backwards, so that no bytes are written over before they are read.
    interleave(rows, &mut to[..half]);
    for i in (0..half).rev() {
        let words: [u16; 2 * GROUP] = bytemuck::cast(to[i]);
        to[2 * i] = bytemuck::cast(words.map(|word| ((word << 8) as i16) >> 8));
        to[2 * i + 1] = bytemuck::cast(words.map(|word| (word as i16) >> 8));
    }
}

/// The number of largest magnitude, with the sign of the first such number.
#[inline(always)]
fn signed(values: &[f32], largest: f32) -> f32 {
    let plus = values.iter().fold(0, |any, x| any | u32::from(*x == largest));
    let minus = values.iter().fold(0, |any, x| any | u32::from(*x == -largest));
    match (plus, minus) {
        (1, 1) => values.iter().copied().find(|x| x.abs() == largest).unwrap_or(largest),
        (0, 1) => -largest,
        _ => largest,
    }
}
