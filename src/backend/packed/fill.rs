//! Blocks to what a runtime's operators read. No f32 copy of quants is made on the way.

use half::f16;
use rayon::prelude::*;

use super::{Form, Packed, Source};
use crate::engine::Call;
use crate::kernel::{Format, dequantize_into};
use crate::tensor::Bytes;
use crate::{Error, Result};

/// Rows that a thread takes at a time.
const ROWS: usize = 64;
/// Weights that are dequantized at a time: few enough for the first cache, and whole blocks of any format.
const TILE: usize = 1 << 10;

impl Packed {
    /// All tensors of the arena, in memory of their own.
    #[cfg_attr(not(feature = "onnx"), allow(dead_code, reason = "tract fills its own tensors"))]
    pub(in crate::backend) fn arena(&self, call: &Call) -> Result<Bytes> {
        let len = usize::try_from(self.arena_len).map_err(|_| Error::corrupt("packed model: its size overflows"))?;
        let mut arena = Bytes::zeroed(len)?;
        let room = arena.get_mut().ok_or_else(|| Error::backend("a fresh allocation is shared"))?;
        for (begin, piece) in &self.pieces {
            call.check()?;
            // Both are at most `len`.
            let (start, len) = (*begin as usize, piece.len as usize);
            let room = room.get_mut(start..start + len);
            self.fill(*begin, room.ok_or_else(|| Error::backend("a tensor exceeds the arena"))?)?;
        }
        Ok(arena)
    }

    /// The tensor that begins there in the arena, whose bytes `room` must have.
    pub(in crate::backend) fn fill(&self, begin: u64, room: &mut [u8]) -> Result<()> {
        let piece = self.pieces.get(&begin).filter(|piece| piece.len == room.len() as u64);
        let piece = piece.ok_or_else(|| Error::corrupt(format!("packed model: no such tensor at {begin}")))?;
        let source = &self.sources[piece.tensor];
        let blocks = self.weights.as_slice().get(source.place.clone());
        let blocks = blocks.ok_or_else(|| Error::corrupt("packed model: its blocks exceed the weight file"))?;
        source.fill(piece.form, blocks, room)
    }
}

/// Writes what is made of a row of blocks.
type Write = fn(Format, &[u8], &mut [u8]) -> Result<()>;

impl Source {
    fn fill(&self, form: Form, blocks: &[u8], room: &mut [u8]) -> Result<()> {
        let row_blocks = self.columns.div_ceil(self.format.block_elements());
        let row_bytes = row_blocks * self.format.block_bytes();
        let (room_bytes, write): (usize, Write) = match form {
            Form::Quants { row } => (usize::try_from(row).unwrap_or(0), quants_into),
            Form::Scales => (row_blocks * 4, scales_into),
            Form::Floats => (self.columns * 4, floats_into),
            Form::Numbers => {
                room.as_chunks_mut().0.iter_mut().zip(0i32..).for_each(|(to, row)| *to = row.to_le_bytes());
                return Ok(());
            }
        };
        if row_bytes == 0 || blocks.len() / row_bytes != self.rows || room.len() != self.rows * room_bytes {
            return Err(Error::corrupt("packed model: its blocks do not fit their tensor"));
        }
        let pieces = blocks.par_chunks(row_bytes * ROWS).zip(room.par_chunks_mut(room_bytes * ROWS));
        pieces.try_for_each(|(blocks, room)| {
            let mut rows = blocks.chunks_exact(row_bytes).zip(room.chunks_exact_mut(room_bytes));
            rows.try_for_each(|(blocks, room)| write(self.format, blocks, room))
        })
    }
}

/// Dequantizes blocks into the bytes of f32; of a last block only what there is room for.
pub(in crate::backend) fn floats_into(format: Format, blocks: &[u8], room: &mut [u8]) -> Result<()> {
    let mut tile = [0.0f32; TILE];
    let tile_bytes = TILE / format.block_elements() * format.block_bytes();
    for (blocks, room) in blocks.chunks(tile_bytes).zip(room.chunks_mut(TILE * 4)) {
        let tile = &mut tile[..blocks.len() / format.block_bytes() * format.block_elements()];
        dequantize_into(format, blocks, tile)?;
        room.copy_from_slice(&bytemuck::cast_slice(tile)[..room.len()]);
    }
    Ok(())
}

/// The quants of blocks as `MatMulNBits` counts them: from 0, along the row, the low half of a byte first.
fn quants_into(format: Format, blocks: &[u8], room: &mut [u8]) -> Result<()> {
    let quants = format.block_elements() * if format == Format::Q4_0 { 4 } else { 8 } / 8;
    for (block, room) in blocks.chunks_exact(format.block_bytes()).zip(room.chunks_mut(quants)) {
        // The scale stands first, in both.
        let from = &block[2..];
        match format {
            Format::Q4_0 => {
                for (i, (to, pair)) in room.iter_mut().zip(from.as_chunks::<2>().0.iter().cycle()).enumerate() {
                    // Weights 0 to 15 are the low halves, 16 to 31 the high ones.
                    *to = if i < 8 { pair[0] & 15 | pair[1] << 4 } else { pair[0] >> 4 | pair[1] & 0xf0 };
                }
            }
            _ => room.iter_mut().zip(from).for_each(|(to, q)| *to = q ^ 0x80),
        }
    }
    Ok(())
}

fn scales_into(format: Format, blocks: &[u8], room: &mut [u8]) -> Result<()> {
    for (block, room) in blocks.chunks_exact(format.block_bytes()).zip(room.as_chunks_mut::<4>().0) {
        *room = f16::from_le_bytes([block[0], block[1]]).to_f32().to_le_bytes();
    }
    Ok(())
}
