//! GPTQ and AWQ: 4-bit weights in groups, from the bytes of their tensors; `weights::WeightFile` finds the tensors.

use half::f16;
use rayon::prelude::*;

use crate::{Error, Result};

/// Nibbles in a word.
const EIGHT: usize = 8;

/// The number that the zero points of a GPTQ checkpoint stand for.
///
/// A checkpoint says `"checkpoint_format": "gptq_v2"` for the second; some say `"gptq"` and are of the second as well,
/// so an app may need to know better than the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ZeroPoints {
    /// One more than what is stored.
    LessOne,
    /// The number that is stored.
    AsStored,
}

/// The 4-bit weights of one GPTQ layer: `K` inputs, `N` outputs. Tensors are the little-endian bytes of the file.
///
/// `weight[k][n] = (q - zero point) · scale`, with the scale and zero point of the group of `k`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gptq<'w> {
    /// `K`, a multiple of 8.
    pub inputs: usize,
    /// `N`, a multiple of 8.
    pub outputs: usize,
    /// Inputs that share scales where there is no `g_idx`; at least 1.
    pub group: usize,
    /// `i32 [K / 8, N]`: eight inputs in a word, the first lowest.
    pub qweight: &'w [u8],
    /// `i32 [groups, N / 8]`: eight outputs in a word, the first lowest.
    pub qzeros: &'w [u8],
    /// `f16 [groups, N]`.
    pub scales: &'w [u8],
    /// `i32 [K]`: the group of each input, where inputs were reordered.
    pub g_idx: Option<&'w [u8]>,
    /// The number that zero points stand for.
    pub zero_points: ZeroPoints,
}

/// The 4-bit weights of one AWQ layer: `K` inputs, `N` outputs. Tensors are the little-endian bytes of the file.
///
/// `weight[k][n] = (q - zero point) · scale`. The outputs of a word stand in the order 0, 2, 4, 6, 1, 3, 5, 7.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Awq<'w> {
    /// `K`.
    pub inputs: usize,
    /// `N`, a multiple of 8.
    pub outputs: usize,
    /// Inputs that share scales; at least 1.
    pub group: usize,
    /// `i32 [K, N / 8]`.
    pub qweight: &'w [u8],
    /// `i32 [groups, N / 8]`.
    pub qzeros: &'w [u8],
    /// `f16 [groups, N]`.
    pub scales: &'w [u8],
}

impl Gptq<'_> {
    /// Dequantizes the inputs from `first` on, as many as `out` has rows, to `[inputs, N]`; rows are split over the
    /// current rayon thread pool.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` where a length does not fit the shape or the rows are not there, `Corrupt` for a `g_idx` beyond
    /// the groups.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "experimental")] {
    /// use selvedge::kernel::gptq::{Gptq, ZeroPoints};
    /// let layer = Gptq {
    ///     inputs: 8,
    ///     outputs: 8,
    ///     group: 8,
    ///     qweight: &[0x10, 0x32, 0x54, 0x76].repeat(8), // 0 to 7 down each column
    ///     qzeros: &[0x33; 4],
    ///     scales: &[0x00, 0x38].repeat(8), // 0.5
    ///     g_idx: None,
    ///     zero_points: ZeroPoints::LessOne,
    /// };
    /// let mut row = [0.0; 8];
    /// layer.dequantize_into(6, &mut row)?;
    /// assert_eq!(row, [(6.0 - 4.0) * 0.5; 8]);
    /// # }
    /// # Ok::<(), selvedge::Error>(())
    /// ```
    pub fn dequantize_into(&self, first: usize, out: &mut [f32]) -> Result<()> {
        self.dequantize(first, out, |weight| weight)
    }

    /// [`Gptq::dequantize_into`], rounded to the nearest `f16`, ties to even; beyond ±65504 it is infinite.
    ///
    /// # Errors
    ///
    /// As [`Gptq::dequantize_into`].
    pub fn dequantize_f16_into(&self, first: usize, out: &mut [f16]) -> Result<()> {
        self.dequantize(first, out, f16::from_f32)
    }

    fn dequantize<T: Send>(&self, first: usize, out: &mut [T], to: impl Fn(f32) -> T + Sync) -> Result<()> {
        let groups = self.groups()?;
        expect("qweight", words(self.inputs / EIGHT, self.outputs), self.qweight)?;
        let plus = if self.zero_points == ZeroPoints::LessOne { 1 } else { 0 };
        let zero_point = |group: usize, n: usize| {
            i32::from(nibble(self.qzeros, group * self.outputs / EIGHT + n / EIGHT, n % EIGHT)) + plus
        };
        let group_of = |k: usize| match self.g_idx {
            None => k / self.group,
            Some(g_idx) => word(g_idx, k) as usize,
        };
        if let Some(k) = (0..self.inputs).find(|k| group_of(*k) >= groups) {
            return Err(Error::corrupt(format!("g_idx[{k}]: expected less than {groups}, got {}", group_of(k))));
        }
        rows(self.inputs, self.outputs, first, out, |k, out| {
            let group = group_of(k);
            for (n, y) in out.iter_mut().enumerate() {
                let q = i32::from(nibble(self.qweight, k / EIGHT * self.outputs + n, k % EIGHT));
                *y = to((q - zero_point(group, n)) as f32 * scale(self.scales, group * self.outputs + n));
            }
        })
    }

    fn groups(&self) -> Result<usize> {
        if !self.inputs.is_multiple_of(EIGHT) {
            return Err(Error::invalid(format!("GPTQ inputs: expected a multiple of 8, got {}", self.inputs)));
        }
        if let Some(g_idx) = self.g_idx {
            expect("g_idx", words(self.inputs, 1), g_idx)?;
        }
        check_groups(self.inputs, self.outputs, self.group, self.qzeros, self.scales)
    }
}

impl Awq<'_> {
    /// Dequantizes the inputs from `first` on, as many as `out` has rows, to `[inputs, N]`; rows are split over the
    /// current rayon thread pool.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` where a length does not fit the shape or the rows are not there.
    pub fn dequantize_into(&self, first: usize, out: &mut [f32]) -> Result<()> {
        self.dequantize(first, out, |weight| weight)
    }

    /// [`Awq::dequantize_into`], rounded to the nearest `f16`, ties to even; beyond ±65504 it is infinite.
    ///
    /// # Errors
    ///
    /// As [`Awq::dequantize_into`].
    pub fn dequantize_f16_into(&self, first: usize, out: &mut [f16]) -> Result<()> {
        self.dequantize(first, out, f16::from_f32)
    }

    fn dequantize<T: Send>(&self, first: usize, out: &mut [T], to: impl Fn(f32) -> T + Sync) -> Result<()> {
        check_groups(self.inputs, self.outputs, self.group, self.qzeros, self.scales)?;
        expect("qweight", words(self.inputs, self.outputs / EIGHT), self.qweight)?;
        /// The nibble of each output of eight.
        const NIBBLE: [usize; EIGHT] = [0, 4, 1, 5, 2, 6, 3, 7];
        rows(self.inputs, self.outputs, first, out, |k, out| {
            let group = k / self.group;
            for (n, y) in out.iter_mut().enumerate() {
                let (word, nth) = (n / EIGHT, NIBBLE[n % EIGHT]);
                let q = i32::from(nibble(self.qweight, k * self.outputs / EIGHT + word, nth));
                let zero_point = i32::from(nibble(self.qzeros, group * self.outputs / EIGHT + word, nth));
                *y = to((q - zero_point) as f32 * scale(self.scales, group * self.outputs + n));
            }
        })
    }
}

/// Runs `one` for each row of `out`.
fn rows<T: Send>(
    inputs: usize,
    outputs: usize,
    first: usize,
    out: &mut [T],
    one: impl Fn(usize, &mut [T]) + Sync,
) -> Result<()> {
    if out.is_empty() {
        return Ok(());
    }
    let whole = outputs > 0 && out.len().is_multiple_of(outputs);
    if !whole || first.checked_add(out.len() / outputs).is_none_or(|end| end > inputs) {
        return Err(Error::invalid(format!(
            "weights from input {first} on: expected whole rows of {outputs} of {inputs} inputs, got {}",
            out.len()
        )));
    }
    let min_rows = (1 << 16) / outputs + 1;
    crate::threads::pool()?;
    out.par_chunks_mut(outputs).with_min_len(min_rows).enumerate().for_each(|(i, out)| one(first + i, out));
    Ok(())
}

fn check_groups(inputs: usize, outputs: usize, group: usize, qzeros: &[u8], scales: &[u8]) -> Result<usize> {
    if group == 0 || !outputs.is_multiple_of(EIGHT) {
        return Err(Error::invalid(format!(
            "expected groups of at least 1 and a multiple of 8 outputs, got {group} and {outputs}"
        )));
    }
    let groups = inputs.div_ceil(group);
    expect("qzeros", words(groups, outputs / EIGHT), qzeros)?;
    expect("scales", groups.checked_mul(outputs).and_then(|n| n.checked_mul(2)), scales)?;
    Ok(groups)
}

/// Bytes of `rows · columns` words.
fn words(rows: usize, columns: usize) -> Option<usize> {
    rows.checked_mul(columns)?.checked_mul(4)
}

fn expect(what: &str, bytes: Option<usize>, got: &[u8]) -> Result<()> {
    match bytes {
        Some(bytes) if bytes == got.len() => Ok(()),
        Some(bytes) => Err(Error::invalid(format!("{what}: expected {bytes} bytes, got {}", got.len()))),
        None => Err(Error::invalid(format!("{what}: more elements than fit a usize"))),
    }
}

fn word(words: &[u8], i: usize) -> u32 {
    u32::from_le_bytes([words[4 * i], words[4 * i + 1], words[4 * i + 2], words[4 * i + 3]])
}

/// The `nth` nibble of a word, from the lowest.
fn nibble(words: &[u8], word: usize, nth: usize) -> u8 {
    words[4 * word + nth / 2] >> (4 * (nth % 2)) & 15
}

fn scale(scales: &[u8], i: usize) -> f32 {
    f16::from_le_bytes([scales[2 * i], scales[2 * i + 1]]).to_f32()
}
