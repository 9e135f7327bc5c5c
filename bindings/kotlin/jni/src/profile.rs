//! Profiles: fit, encode, compare.

#![expect(unsafe_code, reason = "calls the C ABI")]

use std::ptr;

use selvedge_ffi::abi::*;
use selvedge_ffi::{
    selvedge_profile_compare, selvedge_profile_decode, selvedge_profile_encode, selvedge_profile_fit,
    selvedge_profile_json,
};

use crate::base::{Owned, text_of};
use crate::descriptor::{Buffer, Bytes, Ints, Longs, Objects, Str, Strs};
use crate::env::Env;
use crate::failure::{Result, handle, invalid, pointer};
use crate::native::natives;
use crate::opening::digest;
use crate::request::{Elements, text};

natives! {
    fn profile_fit(
        env, names: Strs, dtypes: Ints, sources: Ints, flags: Ints, strides: Longs, data: Objects, row_count: i64,
        embeddings: Buffer, embedding_width: i64, right: Buffer, bins: i32, categories: i32, seed: i32, block: i32,
        sha256: Bytes,
    ) -> i64 {
        let columns = Columns { names, dtypes, sources, flags, strides, data };
        let rows = Rows::read(env, columns, row_count, embeddings, embedding_width, right)?;
        let sha256 = env.bytes(sha256)?;
        if !sha256.is_empty() {
            digest(&sha256)?;
        }
        let fit = selvedge_fit {
            struct_size: size_of::<selvedge_fit>(),
            bins: bins as u32,
            categories: categories as u32,
            seed: seed as u32,
            block: block as u32,
            sha256: if sha256.is_empty() { ptr::null() } else { sha256.as_ptr() },
        };
        let raw = rows.raw();
        // SAFETY: rows and fit live until the call returns, and Java holds the buffers.
        handle(|out, err| unsafe { selvedge_profile_fit(&raw, &fit, out, err) })
    }

    fn profile_decode(env, bytes: Bytes) -> i64 {
        let bytes = env.bytes(bytes)?;
        // SAFETY: the bytes live until the call returns.
        handle(|out, err| unsafe { selvedge_profile_decode(bytes.as_ptr().cast(), bytes.len(), out, err) })
    }

    fn profile_encode(env, profile: i64) -> Bytes {
        // SAFETY: both places are this call's.
        let buffer = handle(|out, err| unsafe { selvedge_profile_encode(pointer(profile), out, err) })?;
        env.new_bytes(Owned(buffer).bytes())
    }

    fn profile_json(env, profile: i64) -> Str {
        // SAFETY: both places are this call's.
        text_of(env, |out, err| unsafe { selvedge_profile_json(pointer(profile), out, err) })
    }

    fn profile_compare(
        env, profile: i64, names: Strs, dtypes: Ints, sources: Ints, flags: Ints, strides: Longs, data: Objects,
        row_count: i64, embeddings: Buffer, embedding_width: i64, right: Buffer,
    ) -> Str {
        let columns = Columns { names, dtypes, sources, flags, strides, data };
        let rows = Rows::read(env, columns, row_count, embeddings, embedding_width, right)?;
        let raw = rows.raw();
        // SAFETY: the rows live until the call returns, and Java holds the buffers.
        text_of(env, |out, err| unsafe { selvedge_profile_compare(pointer(profile), &raw, out, err) })
    }
}

/// The arrays of Java's that say what the columns are.
struct Columns {
    names: Strs,
    dtypes: Ints,
    sources: Ints,
    flags: Ints,
    strides: Longs,
    /// Of each a direct `ByteBuffer`, or a `String[]` where the dtype is STRING.
    data: Objects,
}

/// Rows, and what the C ABI's structs point to.
struct Rows {
    _names: Vec<String>,
    _elements: Vec<Elements>,
    columns: Vec<selvedge_column>,
    rest: selvedge_rows,
}

impl Rows {
    fn read(
        env: Env,
        columns: Columns,
        row_count: i64,
        embeddings: Buffer,
        embedding_width: i64,
        right: Buffer,
    ) -> Result<Self> {
        let row_count = usize::try_from(row_count).map_err(|_| invalid("row_count: expected no negative number"))?;
        let width = usize::try_from(embedding_width).map_err(|_| invalid("width: expected no negative number"))?;
        let mut rows = Self {
            _names: Vec::new(),
            _elements: Vec::new(),
            columns: Vec::new(),
            rest: selvedge_rows {
                struct_size: size_of::<selvedge_rows>(),
                row_count,
                embeddings: checked(env, "embeddings", embeddings, row_count.checked_mul(width), 4)?.cast(),
                embedding_width: width,
                right: checked(env, "right", right, Some(row_count), 1)?.cast(),
                ..Default::default()
            },
        };
        rows.add(env, columns)?;
        Ok(rows)
    }

    fn add(&mut self, env: Env, columns: Columns) -> Result<()> {
        self._names = env.texts("column", columns.names)?;
        let (dtypes, sources) = (env.ints(columns.dtypes)?, env.ints(columns.sources)?);
        let (flags, strides) = (env.ints(columns.flags)?, env.longs(columns.strides)?);
        let count = self._names.len();
        if [dtypes.len(), sources.len(), flags.len(), strides.len()] != [count; 4] {
            return Err(invalid("columns: arrays of different lengths"));
        }
        for i in 0..count {
            let object = env.element(columns.data.0, i)?;
            let mut raw = selvedge_column {
                struct_size: size_of::<selvedge_column>(),
                name: text(&self._names[i]),
                stride: usize::try_from(strides[i]).map_err(|_| invalid("stride: expected no negative number"))?,
                dtype: dtypes[i],
                source: sources[i],
                flags: flags[i] as u32,
                ..Default::default()
            };
            raw.data = if raw.dtype == SELVEDGE_STRING {
                let elements = Elements::read(env, &self._names[i], Strs(object))?;
                if elements.raw.len() != self.rest.row_count {
                    let (name, len) = (&self._names[i], elements.raw.len());
                    return Err(invalid(format!("column '{name}': expected {} rows, got {len}", self.rest.row_count)));
                }
                let data = elements.raw.as_ptr().cast();
                self._elements.push(elements);
                data
            } else {
                self.numbers(env, &raw, Buffer(object), i)?
            };
            env.forget(object);
            self.columns.push(raw);
        }
        Ok(())
    }

    /// The memory of a column of numbers, which the C ABI reads as far as rows and stride say.
    fn numbers(&self, env: Env, column: &selvedge_column, buffer: Buffer, i: usize) -> Result<*const std::ffi::c_void> {
        let size = match column.dtype {
            SELVEDGE_F64 | SELVEDGE_I64 | SELVEDGE_U64 => 8,
            SELVEDGE_F32 | SELVEDGE_I32 | SELVEDGE_U32 => 4,
            SELVEDGE_F16 | SELVEDGE_BF16 | SELVEDGE_I16 | SELVEDGE_U16 => 2,
            _ => 1,
        };
        let (data, len) = env.memory(&self._names[i], buffer)?;
        let stride = if column.stride == 0 { size } else { column.stride };
        let last = self.rest.row_count.saturating_sub(1).checked_mul(stride).and_then(|at| at.checked_add(size));
        if self.rest.row_count > 0 && last.is_none_or(|end| end > len) {
            let (name, rows) = (&self._names[i], self.rest.row_count);
            return Err(invalid(format!("column '{name}': expected {rows} rows, got a buffer of {len} bytes")));
        }
        Ok(data)
    }

    /// Lives as long as this does.
    fn raw(&self) -> selvedge_rows {
        selvedge_rows { columns: self.columns.as_ptr(), column_count: self.columns.len(), ..self.rest }
    }
}

/// The memory of `count` elements of `size` bytes; NULL for null.
fn checked(env: Env, name: &str, buffer: Buffer, count: Option<usize>, size: usize) -> Result<*mut std::ffi::c_void> {
    let (data, len) = env.memory(name, buffer)?;
    let expected = count.and_then(|count| count.checked_mul(size));
    if !buffer.0.is_null() && expected != Some(len) {
        return Err(invalid(format!("{name}: expected {expected:?} bytes, got {len}")));
    }
    Ok(data)
}
