//! Tiles: a tensor dequantized a part at a time, in a buffer of the caller's.

use super::dispatch::active_table;
use super::format::BlockFormat;
use crate::{Error, Result};

/// A tile: weights `first .. first + values.len()` of the tensor.
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub struct Tile<'t> {
    /// The index of the first weight.
    pub first: usize,
    /// The weights; as long as the buffer allows, in whole blocks, and shorter at the end.
    pub values: &'t [f32],
}

/// Dequantizes a tensor a tile at a time into `buffer`, for work on weights that never stand in memory as a whole.
///
/// A buffer of a few thousand weights keeps a tile in the first cache.
///
/// # Errors
///
/// `InvalidArgument` for a buffer smaller than a block, and unless `blocks` is whole blocks.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "experimental")] {
/// use selvedge::kernel::{BlockFormat, quantize_into, tiles};
/// let mut blocks = vec![0; BlockFormat::Q8_0.bytes(1024).unwrap()];
/// quantize_into(BlockFormat::Q8_0, &[1.0; 1024], &mut blocks)?;
/// let (mut sum, mut buffer) = (0.0, [0.0; 256]);
/// let mut tiles = tiles(BlockFormat::Q8_0, &blocks, &mut buffer)?;
/// while let Some(tile) = tiles.next() {
///     sum += tile.values.iter().sum::<f32>();
/// }
/// assert!((sum - 1024.0f32).abs() < 1.0);
/// # }
/// # Ok::<(), selvedge::Error>(())
/// ```
pub fn tiles<'t>(format: BlockFormat, blocks: &'t [u8], buffer: &'t mut [f32]) -> Result<Tiles<'t>> {
    let elements = (blocks.len() / format.block_bytes()).checked_mul(format.block_elements());
    let elements = elements.ok_or_else(|| Error::invalid(format!("{format}: more weights than fit a usize")))?;
    format.check(blocks, elements)?;
    let whole = buffer.len() / format.block_elements() * format.block_elements();
    if whole == 0 {
        return Err(Error::invalid(format!(
            "tile of {format}: expected room for at least {} weights, got {}",
            format.block_elements(),
            buffer.len()
        )));
    }
    Ok(Tiles { format, blocks, buffer: &mut buffer[..whole], first: 0 })
}

/// The tiles of a tensor, from [`tiles`]. Each lives in the same buffer, hence no `Iterator`.
#[derive(Debug)]
pub struct Tiles<'t> {
    format: BlockFormat,
    blocks: &'t [u8],
    buffer: &'t mut [f32],
    first: usize,
}

impl Tiles<'_> {
    /// The next tile; `None` after the last.
    #[cfg_attr(
        feature = "experimental",
        expect(clippy::should_implement_trait, reason = "a tile borrows the buffer, which Iterator cannot say")
    )]
    pub fn next(&mut self) -> Option<Tile<'_>> {
        let bytes =
            (self.buffer.len() / self.format.block_elements() * self.format.block_bytes()).min(self.blocks.len());
        if bytes == 0 {
            return None;
        }
        let (blocks, rest) = self.blocks.split_at(bytes);
        let values = &mut self.buffer[..bytes / self.format.block_bytes() * self.format.block_elements()];
        active_table().decode[self.format as usize](blocks, values);
        let first = self.first;
        (self.blocks, self.first) = (rest, first + values.len());
        Some(Tile { first, values })
    }
}
