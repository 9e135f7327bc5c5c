//! Rows of a table that lies in the caller's memory: columns, embeddings, and whether the model was right.

#![expect(unsafe_code, reason = "follows the pointers in the caller's structs")]

use std::collections::HashSet;

use selvedge::drift::{FeatureSource, Fourier, Row};
use selvedge::{DType, Error, Result};

use crate::abi::*;
use crate::cells::Cells;
use crate::memory::{self, invalid};
use crate::request::{check_flags, unknown};

/// The rows of a call, which live for `'a`.
pub(crate) struct Rows<'a> {
    pub(crate) columns: Vec<Column<'a>>,
    pub(crate) count: usize,
    embeddings: Option<Embeddings<'a>>,
    right: Option<&'a [u8]>,
}

/// One of their columns.
pub(crate) struct Column<'a> {
    pub(crate) name: &'a str,
    pub(crate) source: FeatureSource,
    /// Texts, or numbers that are names.
    pub(crate) is_category: bool,
    cells: Cells<'a>,
}

/// A vector per row, as cells of numbers.
struct Embeddings<'a> {
    width: usize,
    numbers: Cells<'a>,
}

impl<'a> Rows<'a> {
    /// # Safety
    ///
    /// As of [`memory::read`], and the pointers within are as the header asks during `'a`.
    pub(crate) unsafe fn read(place: *const selvedge_rows) -> Result<Self> {
        // SAFETY: the caller vouches for it, here and below.
        let r = unsafe { memory::read(place) }?;
        // SAFETY: as above.
        let given = unsafe { memory::read_array("selvedge_rows.columns", r.columns, r.column_count) }?;
        // SAFETY: as above.
        let columns = given.iter().map(|c| unsafe { Column::read(c, r.row_count) }).collect::<Result<Vec<_>>>()?;
        let mut names = HashSet::new();
        if let Some(twice) = columns.iter().find(|c| !names.insert(c.name)) {
            return Err(invalid(format!("selvedge_rows.columns: column '{}' is named twice", twice.name)));
        }
        // SAFETY: as above.
        let (embeddings, right) = unsafe { (Embeddings::read(&r)?, right(&r)?) };
        Ok(Self { columns, count: r.row_count, embeddings, right })
    }

    /// Numbers of each embedding; `None` without.
    pub(crate) fn embedding_width(&self) -> Option<usize> {
        self.embeddings.as_ref().map(|e| e.width)
    }

    /// Gives one row after the other, of these columns.
    pub(crate) fn each(&self, columns: &[&Column<'a>], visit: &mut dyn FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
        let mut values = Vec::with_capacity(columns.len());
        let mut embedding = Vec::with_capacity(self.embedding_width().unwrap_or(0));
        for at in 0..self.count {
            values.clear();
            for column in columns {
                let within = |e: Error| e.during(format!("reading column '{}'", column.name));
                values.push(column.cells.get(at).map_err(within)?);
            }
            embedding.clear();
            if let Some(given) = &self.embeddings {
                given.read_row(at, &mut embedding)?;
            }
            let row = Row::new(&values).embedding(&embedding);
            visit(&match self.right {
                Some(right) => row.right(right[at] == 1),
                None => row,
            })?;
        }
        Ok(())
    }
}

impl<'a> Column<'a> {
    /// # Safety
    ///
    /// The pointers are as the header asks during `'a`.
    unsafe fn read(c: &selvedge_column, rows: usize) -> Result<Self> {
        // SAFETY: the caller vouches for it, here and below.
        let name = unsafe { memory::name("selvedge_column.name", c.name.data, c.name.len) }?;
        // SAFETY: as above.
        unsafe { Self::named(name, c, rows) }.map_err(|e| e.during(format!("reading column '{name}'")))
    }

    /// # Safety
    ///
    /// As of [`Column::read`].
    unsafe fn named(name: &'a str, c: &selvedge_column, rows: usize) -> Result<Self> {
        check_flags("selvedge_column.flags", c.flags, SELVEDGE_COLUMN_CATEGORY)?;
        check_flags("selvedge_column.reserved", c.reserved, 0)?;
        let source = match c.source {
            SELVEDGE_FEATURE_INPUT => FeatureSource::Input,
            SELVEDGE_FEATURE_CLASS => FeatureSource::Class,
            SELVEDGE_FEATURE_CONFIDENCE => FeatureSource::Confidence,
            SELVEDGE_FEATURE_ENTROPY => FeatureSource::Entropy,
            SELVEDGE_FEATURE_LATENCY => FeatureSource::Latency,
            SELVEDGE_FEATURE_LENGTH => FeatureSource::Length,
            other => return Err(unknown("selvedge_feature_source", other)),
        };
        let dtype = DType::ALL.into_iter().find(|d| *d as i32 == c.dtype && *d != DType::BF16);
        let dtype = dtype.ok_or_else(|| {
            let want = "F32, F64, F16, an integer, BOOL or STRING";
            invalid(format!("dtype: expected {want}, got {}", dtype_name(c.dtype)))
        })?;
        let marked = dtype == DType::String || c.flags & SELVEDGE_COLUMN_CATEGORY != 0;
        let may_be_category = matches!(source, FeatureSource::Input | FeatureSource::Class);
        if marked && !may_be_category {
            return Err(invalid(format!("source: expected numbers of a {source:?}, got categories")));
        }
        // SAFETY: the caller vouches for it.
        let cells = unsafe { Cells::new(c.data, c.stride, dtype, rows) }?;
        Ok(Self { name, source, is_category: marked || source == FeatureSource::Class, cells })
    }

    /// What it holds, for people.
    pub(crate) fn kind(&self) -> &'static str {
        match (self.cells.are_texts(), self.is_category) {
            (true, _) => "texts",
            (false, true) => "numbers that are categories",
            (false, false) => "numbers",
        }
    }
}

impl Embeddings<'_> {
    /// # Safety
    ///
    /// The pointers are as the header asks.
    unsafe fn read(r: &selvedge_rows) -> Result<Option<Self>> {
        let (width, most) = (r.embedding_width, Fourier::MAX_WIDTH);
        match (r.embeddings.is_null(), width) {
            (true, 0) => return Ok(None),
            (true, _) => {
                return Err(invalid(format!(
                    "selvedge_rows.embeddings: expected a pointer, got NULL and a width of {width}"
                )));
            }
            (false, width) if width == 0 || width > most => {
                return Err(invalid(format!("selvedge_rows.embedding_width: expected 1 to {most}, got {width}")));
            }
            _ => {}
        }
        let numbers = r.row_count.checked_mul(width);
        let beyond = || invalid(format!("selvedge_rows.embeddings: {} rows of {width} exceed memory", r.row_count));
        // SAFETY: the caller vouches for it.
        let numbers = unsafe { Cells::new(r.embeddings.cast(), 0, DType::F32, numbers.ok_or_else(beyond)?) };
        let numbers = numbers.map_err(|e| e.during("reading selvedge_rows.embeddings"))?;
        Ok(Some(Self { width, numbers }))
    }

    fn read_row(&self, row: usize, into: &mut Vec<f32>) -> Result<()> {
        for i in 0..self.width {
            if let selvedge::drift::CellValue::Number(number) = self.numbers.get(row * self.width + i)? {
                into.push(number);
            }
        }
        Ok(())
    }
}

/// # Safety
///
/// The pointers are as the header asks during `'a`.
unsafe fn right<'a>(r: &selvedge_rows) -> Result<Option<&'a [u8]>> {
    if r.right.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller vouches for it.
    let right = unsafe { memory::bytes("selvedge_rows.right", r.right, r.row_count) }?;
    match right.iter().position(|b| *b > 1) {
        Some(at) => Err(invalid(format!("selvedge_rows.right[{at}]: expected 0 or 1, got {}", right[at]))),
        None => Ok(Some(right)),
    }
}

fn dtype_name(number: i32) -> String {
    let known = DType::ALL.into_iter().find(|d| *d as i32 == number);
    known.map_or_else(|| number.to_string(), |dtype| dtype.to_string())
}
