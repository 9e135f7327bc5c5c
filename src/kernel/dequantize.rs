//! Dequantization of blocks into slices: checks, the split over threads, and the choice of stores.

use half::{bf16, f16};
use rayon::prelude::*;

use super::dispatch::active_table;
use super::format::BlockFormat;
use super::resident::is_resident;
use crate::{Result, threads};

/// From so many bytes of output on, [`Stores::Auto`] bypasses the caches: more than the last cache of common CPUs
/// holds, so that the output would leave it before anyone reads it.
const STREAM_FROM: usize = 32 << 20;
/// From so many weights on, the work is split over rayon's threads.
const SPLIT_FROM: usize = 1 << 20;
/// Weights per piece of split work; a multiple of every block.
const PIECE: usize = 1 << 18;
/// Weights of a tile on the stack, small enough to stay in the first cache; a multiple of every block.
const TILE: usize = 1 << 10;

/// Stores: how results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stores {
    /// Streaming for outputs of 32 MiB and more that have been written before, else cached. Only Linux and Android can be
    /// asked whether they have; elsewhere give `Cached` for fresh memory.
    #[default]
    Auto,
    /// Through the caches. Right for memory that is fresh from the system: its first touch costs a page fault, and
    /// the fault has just brought the page into the cache.
    Cached,
    /// Past the caches (non-temporal), which saves reading each line before it is overwritten: 1.3 to 2.5 times as
    /// fast into large memory that has been written before, and slower everywhere else. The same as `Cached` where the
    /// instruction set has no such stores.
    Streaming,
}

/// Dequantizes blocks into `out`, one `f32` per weight.
///
/// For a part of a tensor give the sub-slice of its blocks. A large output is split over the current rayon thread pool.
/// Give a buffer that is used again and again: page faults of fresh memory cost several times the work itself.
///
/// # Errors
///
/// `InvalidArgument` unless `blocks` is exactly the blocks of `out.len()` weights.
pub fn dequantize_into(format: BlockFormat, blocks: &[u8], out: &mut [f32]) -> Result<()> {
    dequantize_with(format, blocks, out, Stores::Auto)
}

/// As [`dequantize_into`], with a choice of how results are written. The values do not depend on it.
///
/// # Errors
///
/// As [`dequantize_into`].
pub fn dequantize_with(format: BlockFormat, blocks: &[u8], out: &mut [f32], stores: Stores) -> Result<()> {
    format.check(blocks, out.len())?;
    let table = active_table();
    let streams = match stores {
        Stores::Auto => size_of_val(out) >= STREAM_FROM && is_resident(out),
        Stores::Cached => false,
        Stores::Streaming => true,
    };
    let decode = if streams { table.stream } else { table.decode }[format as usize];
    split(format, blocks, out, decode);
    Ok(())
}

/// As [`dequantize_into`], rounded to the nearest `f16`, ties to even. [`BlockFormat::F16`] is copied.
///
/// A weight beyond ±65504 becomes infinite.
///
/// # Errors
///
/// As [`dequantize_into`].
pub fn dequantize_f16_into(format: BlockFormat, blocks: &[u8], out: &mut [f16]) -> Result<()> {
    format.check(blocks, out.len())?;
    if format == BlockFormat::F16 {
        let copy = |blocks: &[u8], out: &mut [f16]| {
            blocks.as_chunks().0.iter().zip(out).for_each(|(b, y)| *y = f16::from_le_bytes(*b));
        };
        split(format, blocks, out, copy);
    } else {
        split(format, blocks, out, |blocks, out| narrow(format, blocks, out, active_table().narrow_f16));
    }
    Ok(())
}

/// As [`dequantize_into`], rounded to the nearest `bf16`, ties to even. [`BlockFormat::Bf16`] is copied.
///
/// # Errors
///
/// As [`dequantize_into`].
pub fn dequantize_bf16_into(format: BlockFormat, blocks: &[u8], out: &mut [bf16]) -> Result<()> {
    format.check(blocks, out.len())?;
    if format == BlockFormat::Bf16 {
        let copy = |blocks: &[u8], out: &mut [bf16]| {
            blocks.as_chunks().0.iter().zip(out).for_each(|(b, y)| *y = bf16::from_le_bytes(*b));
        };
        split(format, blocks, out, copy);
    } else {
        split(format, blocks, out, |blocks, out| narrow(format, blocks, out, active_table().narrow_bf16));
    }
    Ok(())
}

/// Runs `kernel` over the whole, or over pieces of it on several threads.
fn split<T: Send>(format: BlockFormat, blocks: &[u8], out: &mut [T], kernel: impl Fn(&[u8], &mut [T]) + Send + Sync) {
    let piece_bytes = PIECE / format.block_elements() * format.block_bytes();
    if out.len() < SPLIT_FROM || threads::pool().is_err() || rayon::current_num_threads() == 1 {
        kernel(blocks, out);
    } else {
        blocks.par_chunks(piece_bytes).zip(out.par_chunks_mut(PIECE)).for_each(|(blocks, out)| kernel(blocks, out));
    }
}

/// Dequantizes a tile at a time, which stays in the first cache, and narrows it.
fn narrow<T>(format: BlockFormat, blocks: &[u8], out: &mut [T], narrow: fn(&[f32], &mut [T])) {
    let decode = active_table().decode[format as usize];
    let tile_bytes = TILE / format.block_elements() * format.block_bytes();
    let mut tile = [0.0; TILE];
    for (blocks, out) in blocks.chunks(tile_bytes).zip(out.chunks_mut(TILE)) {
        let tile = &mut tile[..out.len()];
        decode(blocks, tile);
        narrow(tile, out);
    }
}
