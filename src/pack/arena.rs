//! Blocks to what a runtime's operators read. No f32 copy of quants is made on the way.

use rayon::prelude::*;

use super::form::{Form, Packed, Stored};
use crate::engine::Call;
use crate::kernel::ints::NBits;
use crate::kernel::{BlockFormat, dequantize_into};
use crate::tensor::Bytes;
use crate::{Error, Result};

/// Rows that a thread takes at a time.
const ROWS: usize = 64;
/// Weights that are dequantized at a time: few enough for the first cache, and whole blocks of any format.
const TILE: usize = 1 << 10;

impl Packed {
    /// All tensors of the arena, in memory of their own.
    #[cfg_attr(not(any(feature = "ort", feature = "rten")), allow(dead_code, reason = "tract fills its own tensors"))]
    pub(crate) fn arena(&self, call: &Call) -> Result<Bytes> {
        let len = usize::try_from(self.arena_len).map_err(|_| Error::corrupt("packed model: its size overflows"))?;
        let mut arena = Bytes::zeroed(len)?;
        let room = arena.get_mut().ok_or_else(|| Error::internal("a fresh allocation is shared"))?;
        for (begin, piece) in &self.pieces {
            call.check()?;
            // Both are at most `len`.
            let (start, len) = (*begin as usize, piece.len as usize);
            let room = room.get_mut(start..start + len);
            self.fill(*begin, room.ok_or_else(|| Error::internal("a tensor exceeds the arena"))?)?;
        }
        Ok(arena)
    }

    /// The tensor that begins there in the arena, whose bytes `room` must have.
    pub(crate) fn fill(&self, begin: u64, room: &mut [u8]) -> Result<()> {
        let piece = self.pieces.get(&begin).filter(|piece| piece.len == room.len() as u64);
        let piece = piece.ok_or_else(|| Error::corrupt(format!("packed model: no such tensor at {begin}")))?;
        let stored = &self.stored[piece.tensor];
        let blocks = self.weights.as_slice().get(stored.place.clone());
        let blocks = blocks.ok_or_else(|| Error::corrupt("packed model: its blocks exceed the weight file"))?;
        stored.fill(piece.form, blocks, room)
    }
}

impl Stored {
    fn fill(&self, form: Form, blocks: &[u8], room: &mut [u8]) -> Result<()> {
        let row_blocks = self.columns.div_ceil(self.format.block_elements());
        let row_bytes = row_blocks * self.format.block_bytes();
        let room_bytes = match form {
            Form::Quants { row } => usize::try_from(row).unwrap_or(0),
            Form::Scales => row_blocks * 4,
            Form::Floats => self.columns * 4,
            Form::Numbers => {
                room.as_chunks_mut().0.iter_mut().zip(0i32..).for_each(|(to, row)| *to = row.to_le_bytes());
                return Ok(());
            }
        };
        if row_bytes == 0 || blocks.len() / row_bytes != self.rows || room.len() != self.rows * room_bytes {
            return Err(Error::corrupt("packed model: its blocks do not fit their tensor"));
        }
        let parts = blocks.par_chunks(row_bytes * ROWS).zip(room.par_chunks_mut(room_bytes * ROWS));
        parts.try_for_each(|(blocks, room)| {
            if form == Form::Floats {
                let mut rows = blocks.chunks_exact(row_bytes).zip(room.chunks_exact_mut(room_bytes));
                rows.try_for_each(|(blocks, room)| floats_into(self.format, blocks, room))?;
                if self.scale != 1.0 {
                    let scaled = |b: &mut [u8; 4]| *b = (f32::from_le_bytes(*b) * self.scale).to_le_bytes();
                    room.as_chunks_mut().0.iter_mut().for_each(scaled);
                }
                return Ok(());
            }
            let shape = self.shape(blocks, row_bytes)?;
            match form {
                Form::Scales => {
                    let mut scales = vec![0.0; shape.scales()];
                    shape.repack_scales_into(self.format, blocks, &mut scales)?;
                    scales.iter_mut().for_each(|scale| *scale *= self.scale);
                    room.copy_from_slice(bytemuck::cast_slice(&scales));
                }
                _ if room.len() == shape.value_bytes() => shape.repack_values_into(self.format, blocks, room)?,
                // A table has no padding at the end of a row.
                _ => {
                    let mut values = vec![0; shape.value_bytes()];
                    shape.repack_values_into(self.format, blocks, &mut values)?;
                    let padded = values.len() / (blocks.len() / row_bytes);
                    let rows = values.chunks_exact(padded).zip(room.chunks_exact_mut(room_bytes));
                    rows.for_each(|(values, room)| room.copy_from_slice(&values[..room.len()]));
                }
            }
            Ok(())
        })
    }

    /// Some of the rows, as `MatMulNBits` has them.
    fn shape(&self, blocks: &[u8], row_bytes: usize) -> Result<NBits> {
        let (block, bits) = (self.format.block_elements(), if self.format == BlockFormat::Q4_0 { 4 } else { 8 });
        NBits::new(bits, block, blocks.len() / row_bytes, row_bytes / self.format.block_bytes() * block)
    }
}

/// Dequantizes blocks into the bytes of f32; of a last block only what there is room for.
pub(crate) fn floats_into(format: BlockFormat, blocks: &[u8], room: &mut [u8]) -> Result<()> {
    let mut tile = [0.0f32; TILE];
    let tile_bytes = TILE / format.block_elements() * format.block_bytes();
    for (blocks, room) in blocks.chunks(tile_bytes).zip(room.chunks_mut(TILE * 4)) {
        let tile = &mut tile[..blocks.len() / format.block_bytes() * format.block_elements()];
        dequantize_into(format, blocks, tile)?;
        room.copy_from_slice(&bytemuck::cast_slice(tile)[..room.len()]);
    }
    Ok(())
}
