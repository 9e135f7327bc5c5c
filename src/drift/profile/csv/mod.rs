//! CSV tables as references and as windows (feature `csv`), read twice or once and never held.

mod lines;
mod separator;
mod table;

use std::io::Read;

use super::super::window::WindowCounts;
use super::bins::{Bins, MISSING};
use super::fit::Fit;
use super::reference::{FeatureSource, Profile};
use super::rows::{CellValue, Named, Row, RowSink};
use crate::{Error, Result};
use table::decimal_comma;
pub use table::{CsvRow, CsvTable};

impl Fit {
    /// Fits a CSV with a header line, as [`CsvTable`] reads it. `open` gives the bytes from their beginning; it is called
    /// two or three times.
    ///
    /// Takes the columns that were named, in any order; the others are left out. If none was named, all are taken: as
    /// numbers where every cell is one, `true` and `false` among them (1 and 0), else as categories. Of columns without
    /// a name, two are left out then: a first one of whole numbers, which is an index (`Unnamed: 0` is one, too), and
    /// one without any value, as a comma at the end of each line makes it.
    ///
    /// # Errors
    ///
    /// `NotFound` for a named column that is not there, `InvalidArgument` for one that is there twice, for a cell of a
    /// numeric column that is no number, for another column without a name, and for one of numbers with decimal commas
    /// where they are not read; and as for [`CsvTable`] and [`stream`](Self::stream).
    pub fn of_csv<R: Read>(mut self, mut open: impl FnMut() -> Result<R>) -> Result<Profile> {
        let separator = self.separator;
        let mut table = || CsvTable::open(open()?, separator);
        if self.features.is_empty() {
            self.features = guess(table()?)?;
        }
        let features = self.features.clone();
        self.stream(|sink| csv_pass(table()?, &features, sink))
    }

    /// What separates the fields of a CSV, if it is not to be found by its header: any ASCII character but letters,
    /// digits, quotes and ends of lines.
    #[must_use]
    pub fn separator(self, separator: char) -> Self {
        Self { separator: Some(separator), ..self }
    }
}

impl WindowCounts {
    /// Counts the rows of a CSV with a header line, as [`CsvTable`] reads it: the profile's features by name, in any order.
    ///
    /// # Errors
    ///
    /// `NotFound` for a feature that is not there, `InvalidArgument` for one that is there twice and for a cell of a
    /// numeric feature that is no number; and as for [`CsvTable`].
    ///
    /// # Examples
    ///
    /// ```
    /// use selvedge::drift::{Profile, WindowCounts};
    /// let profile = Profile::fit().of_csv(|| Ok("sky;wind\nsun;1,5\nrain;4,0\n".as_bytes()))?;
    /// let window = WindowCounts::of_csv(&profile, "wind,sky\n4.0,sun\n".as_bytes(), None)?;
    /// assert_eq!((window.rows, &window.features[1][..]), (1, &[0, 0, 1, 0, 0][..]));
    /// # Ok::<(), selvedge::Error>(())
    /// ```
    pub fn of_csv(profile: &Profile, source: impl Read, separator: Option<char>) -> Result<Self> {
        let mut table = CsvTable::open(source, separator)?;
        let places = profile.features.iter().map(|f| table.column(&f.name)).collect::<Result<Vec<usize>>>()?;
        let mut counts = Self::new(profile);
        let mut bins = vec![MISSING; places.len()];
        while let Some(row) = table.next_row()? {
            for ((bin, feature), place) in bins.iter_mut().zip(&profile.features).zip(&places) {
                *bin = match &feature.bins {
                    Bins::Numeric { .. } => row.number(*place)?.map_or(MISSING, |v| feature.bin(v)),
                    Bins::Categories(_) => row.text(*place).map_or(MISSING, |name| feature.bins.of_category(name)),
                };
            }
            counts.add_row(&bins);
        }
        Ok(counts)
    }
}

/// What the cells of a column have been so far.
#[derive(Clone, Default)]
struct Seen {
    filled: bool,
    /// A cell that is no number, whatever stands before its decimals.
    text: bool,
    /// The first decimal comma that is not read.
    comma: Option<String>,
    not_whole: bool,
}

fn guess(mut table: CsvTable<impl Read>) -> Result<Vec<Named>> {
    let mut seen = vec![Seen::default(); table.names().len()];
    while let Some(row) = table.next_row()? {
        for (i, seen) in seen.iter_mut().enumerate() {
            if let Some(cell) = row.text(i) {
                seen.add(cell, &row, i);
            }
        }
    }
    let mut features = Vec::new();
    for (i, (name, seen)) in table.names().iter().zip(seen).enumerate() {
        let is_unnamed = name.is_empty();
        let is_index = i == 0 && (is_unnamed || name == "Unnamed: 0") && !seen.not_whole;
        if is_index || is_unnamed && !seen.filled {
            continue;
        }
        if is_unnamed {
            let want = "expected a name for every column, but for an index of whole numbers in the first one";
            return Err(Error::invalid(format!("csv: column {}: {want}, got none", i + 1)));
        }
        if let Some(comma) = seen.comma.filter(|_| !seen.text) {
            return Err(Error::invalid(comma));
        }
        features.push(Named { name: name.clone(), source: FeatureSource::Input, category: seen.text });
    }
    Ok(features)
}

impl Seen {
    fn add(&mut self, cell: &str, row: &CsvRow<'_>, column: usize) {
        self.filled = true;
        self.not_whole |= cell.trim().parse::<u64>().is_err();
        if row.number(column).is_err() {
            match decimal_comma(cell) {
                Some(_) if self.comma.is_none() => self.comma = row.number(column).err().map(|e| e.message().into()),
                Some(_) => {}
                None => self.text = true,
            }
        }
    }
}

fn csv_pass(mut table: CsvTable<impl Read>, features: &[Named], sink: &mut RowSink<'_>) -> Result<()> {
    let places = features.iter().map(|feature| table.column(&feature.name)).collect::<Result<Vec<usize>>>()?;
    while let Some(row) = table.next_row()? {
        let cell = |(feature, place): (&Named, &usize)| match feature.category {
            true => Ok(row.text(*place).map_or(CellValue::Missing, CellValue::Category)),
            false => Ok(row.number(*place)?.map_or(CellValue::Missing, CellValue::Number)),
        };
        let values = features.iter().zip(&places).map(cell).collect::<Result<Vec<CellValue<'_>>>>()?;
        sink(&Row::new(&values))?;
    }
    Ok(())
}
