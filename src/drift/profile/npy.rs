//! NPY arrays as references (feature `npy`), read twice and never held.

use std::io::Read;

use half::f16;
use npyz::{NpyFile, Order};

use super::fit::Fit;
use super::reference::Profile;
use super::rows::{CellValue, Row, RowSink};
use crate::{Error, Result};

impl Fit {
    /// Fits an NPY array of two dimensions, rows × features, or of one, rows of a single feature. Numbers of any NumPy
    /// type, or booleans, which are 1 and 0, in C order. `open` gives the bytes from their beginning; it is called twice or three times.
    ///
    /// If no feature was named, they are called `x0`, `x1`, …; with an [`embedding`](Self::embedding) and no features,
    /// the rows are embeddings.
    ///
    /// # Errors
    ///
    /// `Corrupt` for bytes that are no NPY file or end too early, `Unsupported` for another type of elements,
    /// Fortran order or more dimensions, `InvalidArgument` for another number of columns than features; and as for
    /// [`stream`](Self::stream).
    pub fn of_npy<R: Read>(mut self, mut open: impl FnMut() -> Result<R>) -> Result<Profile> {
        if self.features.is_empty() && self.embedding.is_none() {
            let columns = columns(&npy(open()?)?)?;
            self = (0..columns).fold(self, |fit, i| fit.number(format!("x{i}")));
        }
        let embeds = self.features.is_empty();
        self.stream(|sink| npy_pass(npy(open()?)?, embeds, sink))
    }
}

fn npy<R: Read>(source: R) -> Result<NpyFile<R>> {
    let file = NpyFile::new(source).map_err(|e| Error::corrupt(format!("npy: {e}")))?;
    if file.order() != Order::C && file.shape().len() > 1 {
        return Err(Error::unsupported("npy: expected C order, got Fortran order; np.ascontiguousarray makes it"));
    }
    Ok(file)
}

fn columns<R: Read>(file: &NpyFile<R>) -> Result<usize> {
    match *file.shape() {
        [_] => Ok(1),
        [_, columns] if (1..=65_536).contains(&columns) => Ok(columns as usize),
        ref other => {
            Err(Error::unsupported(format!("npy: expected rows × columns (1 to 65536 of them), got shape {other:?}")))
        }
    }
}

fn npy_pass<R: Read>(file: NpyFile<R>, embeds: bool, sink: &mut RowSink<'_>) -> Result<()> {
    let columns = columns(&file)?;
    macro_rules! try_types {
        ($file:expr, $($type:ty: $number:expr),*) => {{
            let file = $file;
            $(let file = match file.try_data::<$type>() {
                Ok(data) => return rows(data.map(|v| v.map($number)), columns, embeds, sink),
                Err(file) => file,
            };)*
            file
        }};
    }
    let file = try_types!(
        file,
        f32: |v| v, f64: |v| v as f32, f16: f16::to_f32, bool: |v| f32::from(u8::from(v)),
        i64: |v| v as f32, i32: |v| v as f32, i16: f32::from, i8: f32::from,
        u64: |v| v as f32, u32: |v| v as f32, u16: f32::from, u8: f32::from
    );
    Err(Error::unsupported(format!("npy: expected numbers, got elements of type {}", file.dtype().descr())))
}

fn rows(
    numbers: impl Iterator<Item = std::io::Result<f32>>,
    columns: usize,
    embeds: bool,
    sink: &mut RowSink<'_>,
) -> Result<()> {
    let mut row = Vec::with_capacity(columns);
    for number in numbers {
        row.push(number.map_err(|e| Error::corrupt(format!("npy: {e}")))?);
        if row.len() == columns {
            if embeds {
                sink(&Row::default().embedding(&row))?;
            } else {
                let values: Vec<CellValue<'_>> = row.iter().map(|v| CellValue::Number(*v)).collect();
                sink(&Row::new(&values))?;
            }
            row.clear();
        }
    }
    Ok(())
}
