//! Tables of vectors in weight files: gathered, pooled and searched in the caller's memory.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::ffi::c_char;

use selvedge::weights::{Pool, Table, WeightFile};
use selvedge::{Loading, Result};

use crate::abi::*;
use crate::guard;
use crate::handle::{self, Tag, object};
use crate::memory::{self, NO_PLACE, Out, Values, borrow_values, check_apart, invalid};
use crate::request::{check_flags, unknown};
use crate::source::Given;

/// Opens a tensor of a weight file as a table.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_table_open(
    source: *const selvedge_source,
    tensor: *const c_char,
    tensor_len: usize,
    loading: i32,
    out: *mut *mut selvedge_table,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        // First, for whatever fails lets go of what the source lends.
        // SAFETY: as above.
        let source = unsafe { Given::take(source) }?;
        // SAFETY: as above.
        let (tensor, source) = unsafe { (memory::name("tensor", tensor, tensor_len)?, source.open()?) };
        let file = WeightFile::open(source, way(loading)?)?;
        handle::publish(TableObject(Table::new(&file.tensor(tensor)?)?))
    })
}

/// The number of rows, and of numbers in each.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_table_shape(
    table: *const selvedge_table,
    rows: *mut u64,
    width: *mut u64,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (rows, width, err) = unsafe { (Out::zeroed("rows", rows), Out::zeroed("width", width), Out::optional(err)) };
    guard::give(memory::both(rows, width), err, || {
        let table = handle::resolve::<TableObject>(table)?;
        Ok((table.0.rows() as u64, table.0.width() as u64))
    })
}

/// Writes rows, one after the other.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_table_gather(
    table: *const selvedge_table,
    ids: *const u32,
    id_count: usize,
    out: *mut f32,
    out_len: usize,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let err = unsafe { Out::optional(err) };
    guard::give(NO_PLACE, err, || {
        let table = handle::resolve::<TableObject>(table)?;
        expect_len("out_len", id_count.checked_mul(table.0.width()), out_len)?;
        // SAFETY: as above, and the lengths are those of ids and rows.
        let (ids, out) = unsafe { (borrow_values("ids", ids, id_count)?, Values::new("out", out, out_len)?) };
        check_apart("out", &out, &ids)?;
        out.fill(|out| table.0.gather_into(&ids, out))
    })
}

/// Writes the mean or sum of rows.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_table_pool(
    table: *const selvedge_table,
    ids: *const u32,
    id_count: usize,
    pool: i32,
    weights: *const f32,
    flags: u32,
    out: *mut f32,
    out_len: usize,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let err = unsafe { Out::optional(err) };
    guard::give(NO_PLACE, err, || {
        let table = handle::resolve::<TableObject>(table)?;
        check_flags("flags", flags, SELVEDGE_POOL_NORMALIZE)?;
        expect_len("out_len", Some(table.0.width()), out_len)?;
        let count = if weights.is_null() { 0 } else { id_count };
        // SAFETY: as above, and the lengths are those of ids and rows.
        let (ids, weights_, out) = unsafe {
            let ids = borrow_values("ids", ids, id_count)?;
            (ids, borrow_values("weights", weights, count)?, Values::new("out", out, out_len)?)
        };
        let pool = match (pool, weights.is_null()) {
            (SELVEDGE_POOL_MEAN, true) => Pool::Mean,
            (SELVEDGE_POOL_MEAN, false) => {
                return Err(invalid("weights: expected none with SELVEDGE_POOL_MEAN".into()));
            }
            (SELVEDGE_POOL_SUM, true) => Pool::Sum,
            (SELVEDGE_POOL_SUM, false) => Pool::Weighted(&weights_),
            (other, _) => return Err(unknown("selvedge_pool", other)),
        };
        check_apart("out", &out, &ids)?;
        check_apart("out", &out, &weights_)?;
        out.fill(|out| table.0.pool_into(&ids, pool, flags & SELVEDGE_POOL_NORMALIZE != 0, out))
    })
}

/// Finds the rows nearest to a query.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_table_search(
    table: *const selvedge_table,
    query: *const f32,
    query_len: usize,
    k: usize,
    hits: *mut selvedge_hit,
    found: *mut usize,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (found, err) = unsafe { (Out::zeroed("found", found), Out::optional(err)) };
    guard::give(found, err, || {
        let table = handle::resolve::<TableObject>(table)?;
        expect_len("query_len", Some(table.0.width()), query_len)?;
        let k = k.min(table.0.rows());
        // SAFETY: as above, and the lengths are those of a row and of what may be found.
        let (query, hits) = unsafe { (borrow_values("query", query, query_len)?, Values::new("hits", hits, k)?) };
        let best = table.0.search(&query, k)?;
        let best: Vec<_> = best.iter().map(|hit| selvedge_hit { row: hit.row, score: hit.score }).collect();
        hits.write(&best);
        Ok(best.len())
    })
}

/// Frees a table.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_table_free(table: *mut selvedge_table) -> selvedge_status {
    guard::status(|| handle::retire::<TableObject>(table).map(drop))
}

/// A table behind its handle; it shares the file's bytes.
struct TableObject(Table);

fn way(loading: i32) -> Result<Loading> {
    match loading {
        SELVEDGE_LOADING_MAPPED => Ok(Loading::Mapped),
        SELVEDGE_LOADING_READ => Ok(Loading::Read),
        other => Err(unknown("selvedge_loading", other)),
    }
}

fn expect_len(name: &str, expected: Option<usize>, got: usize) -> Result<()> {
    match expected {
        Some(expected) if expected == got => Ok(()),
        Some(expected) => Err(invalid(format!("{name}: expected {expected}, got {got}"))),
        None => Err(invalid(format!("{name}: so many rows exceed the address space, got {got}"))),
    }
}

object!(TableObject, selvedge_table, Tag::Table);
