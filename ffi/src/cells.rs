//! Cells of a column that lies in the caller's memory, read where they are: at any distance from each other, and at any
//! alignment.

#![expect(unsafe_code, reason = "reads the caller's columns")]

use std::ffi::c_void;
use std::marker::PhantomData;

use half::f16;
use selvedge::drift::CellValue;
use selvedge::{DType, Result};

use crate::abi::selvedge_text;
use crate::memory::{self, invalid};

/// The cells of one column, which live for `'a`.
#[derive(Clone, Copy)]
pub(crate) struct Cells<'a> {
    data: *const u8,
    /// Bytes from one to the next.
    stride: usize,
    rows: usize,
    dtype: DType,
    life: PhantomData<&'a u8>,
}

impl<'a> Cells<'a> {
    /// # Safety
    ///
    /// `data` is NULL with no rows, or points to `rows` elements, `stride` bytes from each to the next (0: one after the
    /// other), which are readable and stay as they are during `'a`; so do the texts that they point to.
    pub(crate) unsafe fn new(data: *const c_void, stride: usize, dtype: DType, rows: usize) -> Result<Self> {
        let size = dtype.size().unwrap_or(size_of::<selvedge_text>());
        let stride = if stride == 0 { size } else { stride };
        if stride < size {
            return Err(invalid(format!("stride: expected at least the {size} bytes of {dtype}, got {stride}")));
        }
        let last = rows.saturating_sub(1).checked_mul(stride);
        let span = if rows == 0 { Some(0) } else { last.and_then(|last| last.checked_add(size)) };
        let beyond = || invalid(format!("{rows} rows, {stride} bytes apart, exceed the address space"));
        memory::check_span("data", data.cast(), span.ok_or_else(beyond)?)?;
        Ok(Self { data: data.cast(), stride, rows, dtype, life: PhantomData })
    }

    /// Whether the cells are texts.
    pub(crate) fn are_texts(&self) -> bool {
        self.dtype == DType::String
    }

    /// The cell of a row, as a model gets it.
    pub(crate) fn get(&self, row: usize) -> Result<CellValue<'a>> {
        if row >= self.rows {
            return Ok(CellValue::Missing);
        }
        // SAFETY: the row is one of those that whoever made this vouched for, each of a size of at least the type's.
        let number = unsafe {
            match self.dtype {
                DType::F32 => self.read::<f32>(row),
                DType::F64 => self.read::<f64>(row) as f32,
                DType::F16 => f16::from_bits(self.read(row)).to_f32(),
                DType::I8 => self.read::<i8>(row).into(),
                DType::U8 => self.read::<u8>(row).into(),
                DType::I16 => self.read::<i16>(row).into(),
                DType::U16 => self.read::<u16>(row).into(),
                DType::I32 => self.read::<i32>(row) as f32,
                DType::U32 => self.read::<u32>(row) as f32,
                DType::I64 => self.read::<i64>(row) as f32,
                DType::U64 => self.read::<u64>(row) as f32,
                DType::Bool => match self.read::<u8>(row) {
                    0 => 0.0,
                    1 => 1.0,
                    other => return Err(invalid(format!("row {row}: expected a bool, 0 or 1, got {other}"))),
                },
                DType::String => return self.text(row),
                other => return Err(invalid(format!("dtype: {other} is none of a column"))),
            }
        };
        Ok(CellValue::Number(number))
    }

    fn text(&self, row: usize) -> Result<CellValue<'a>> {
        // SAFETY: as in `get`, and whoever made this vouched for the text.
        let text = unsafe {
            let text = self.read::<selvedge_text>(row);
            if text.data.is_null() && text.len == 0 {
                return Ok(CellValue::Missing);
            }
            memory::text("text", text.data, text.len)
        };
        text.map(CellValue::Category).map_err(|e| e.during(format!("reading row {row}")))
    }

    /// # Safety
    ///
    /// `row` is below the number of rows, and `T` is what an element is.
    unsafe fn read<T: Copy>(&self, row: usize) -> T {
        // SAFETY: the caller vouches for it; `new` has seen that the distance does not overflow.
        unsafe { self.data.add(row * self.stride).cast::<T>().read_unaligned() }
    }
}
