//! Tables of vectors.

#![expect(unsafe_code, reason = "calls the C ABI")]

use std::ptr;

use selvedge_ffi::abi::*;
use selvedge_ffi::{
    selvedge_table_gather, selvedge_table_open, selvedge_table_pool, selvedge_table_search, selvedge_table_shape,
};

use crate::descriptor::{Buffer, Floats, Ints, Longs, Objects, Str};
use crate::env::Env;
use crate::failure::{Result, call, handle, invalid, pointer};
use crate::native::natives;
use crate::opening::Source;

natives! {
    fn table_open(
        env, path: Str, file: i64, offset: i64, length: i64, memory: Buffer, tensor: Str, loading: i32,
    ) -> i64 {
        let source = Source::read(env, path, file, offset, length, memory)?;
        let tensor = env.text("tensor", tensor)?;
        let raw = source.lend(env, memory)?;
        // SAFETY: source and name live until the call returns; memory that is lent, until it is released.
        handle(|out, err| unsafe {
            selvedge_table_open(&raw, tensor.as_ptr().cast(), tensor.len(), loading, out, err)
        })
    }

    /// Rows and width.
    fn table_shape(env, table: i64) -> Longs {
        let (rows, width) = shape(table)?;
        env.new_longs(&[rows as i64, width as i64])
    }

    fn table_gather(env, table: i64, ids: Ints) -> Floats {
        let ids = env.ints(ids)?;
        let mut out = numbers(table, ids.len())?;
        // SAFETY: ids and places live until the call returns.
        call(|err| unsafe {
            let (to, len) = (out.as_mut_ptr(), out.len());
            selvedge_table_gather(pointer(table), ids.as_ptr().cast(), ids.len(), to, len, err)
        })?;
        env.new_floats(&out)
    }

    /// `weights` may be null.
    fn table_pool(env, table: i64, ids: Ints, pool: i32, weights: Floats, flags: i32) -> Floats {
        let ids = env.ints(ids)?;
        let given = weights_of(env, weights, ids.len())?;
        let mut out = numbers(table, 1)?;
        let weights = given.as_ref().map_or(ptr::null(), |given| given.as_ptr());
        // SAFETY: ids, weights and places live until the call returns.
        call(|err| unsafe {
            let (to, len) = (out.as_mut_ptr(), out.len());
            let (ids, count) = (ids.as_ptr().cast(), ids.len());
            selvedge_table_pool(pointer(table), ids, count, pool, weights, flags as u32, to, len, err)
        })?;
        env.new_floats(&out)
    }

    /// An `int[]` of rows, and a `float[]` of their scores.
    fn table_search(env, table: i64, query: Floats, k: i32) -> Objects {
        let query = env.floats(query)?;
        let k = usize::try_from(k).map_err(|_| invalid(format!("k: expected no negative number, got {k}")))?;
        let most = usize::try_from(shape(table)?.0).unwrap_or(usize::MAX);
        let (mut hits, mut found) = (vec![selvedge_hit::default(); k.min(most)], 0);
        // SAFETY: query and places live until the call returns.
        call(|err| unsafe {
            let (to, most) = (hits.as_mut_ptr(), hits.len());
            selvedge_table_search(pointer(table), query.as_ptr(), query.len(), most, to, &mut found, err)
        })?;
        hits.truncate(found);
        let rows = env.new_ints(&hits.iter().map(|hit| hit.row as i32).collect::<Vec<_>>())?;
        let scores = env.new_floats(&hits.iter().map(|hit| hit.score).collect::<Vec<_>>())?;
        env.objects(&[rows.0, scores.0])
    }
}

fn shape(table: i64) -> Result<(u64, u64)> {
    let (mut rows, mut width) = (0, 0);
    // SAFETY: all places are this call's.
    call(|err| unsafe { selvedge_table_shape(pointer(table), &mut rows, &mut width, err) })?;
    Ok((rows, width))
}

/// Room for `count` rows.
fn numbers(table: i64, count: usize) -> Result<Vec<f32>> {
    let len = usize::try_from(shape(table)?.1).ok().and_then(|width| width.checked_mul(count));
    len.filter(|len| i32::try_from(*len).is_ok())
        .map(|len| vec![0.0; len])
        .ok_or_else(|| invalid(format!("ids: {count} rows do not fit in an array")))
}

fn weights_of(env: Env, weights: Floats, count: usize) -> Result<Option<Vec<f32>>> {
    if weights.0.is_null() {
        return Ok(None);
    }
    let weights = env.floats(weights)?;
    if weights.len() == count {
        return Ok(Some(weights));
    }
    Err(invalid(format!("weights: expected {count}, as many as ids, got {}", weights.len())))
}
