//! CSV tables as references (feature `csv`), read twice and never held.

use std::io::Read;

use super::fit::Fit;
use super::reference::{FeatureSource, Profile};
use super::rows::{CellValue, Named, Row, RowSink};
use crate::{Code, Error, Result};

/// Cells that mean "no value", in any case.
const NOTHING: [&str; 6] = ["", "na", "n/a", "nan", "null", "none"];

impl Fit {
    /// Fits a CSV with a header line (RFC 4180; fields may be quoted). `open` gives the bytes from their beginning; it
    /// is called two or three times.
    ///
    /// Takes the columns that were named, in any order; the others are left out. If none was named, all are taken: as
    /// numbers where every cell is one, else as categories. Empty cells, NA, NaN, null and none are missing.
    ///
    /// # Errors
    ///
    /// `NotFound` for a named column that is not there, `InvalidArgument` for a cell of a numeric column that is no
    /// number, `Corrupt` for lines of differing length or text that is not UTF-8; and as for [`stream`](Self::stream).
    pub fn of_csv<R: Read>(mut self, mut open: impl FnMut() -> Result<R>) -> Result<Profile> {
        if self.features.is_empty() {
            self.features = guess(open()?)?;
        }
        let features = self.features.clone();
        self.stream(|sink| csv_pass(open()?, &features, sink))
    }
}

fn csv_error(error: csv::Error) -> Error {
    match error.kind() {
        csv::ErrorKind::Io(io) if io.kind() != std::io::ErrorKind::InvalidData => {
            Error::new(Code::Io, "csv: I/O failed").because(error)
        }
        _ => Error::corrupt(format!("csv: {error}")),
    }
}

fn guess(source: impl Read) -> Result<Vec<Named>> {
    let mut reader = csv::Reader::from_reader(source);
    let names: Vec<String> = reader.headers().map_err(csv_error)?.iter().map(|n| n.trim().to_string()).collect();
    let mut numeric = vec![true; names.len()];
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(csv_error)? {
        for (numeric, cell) in numeric.iter_mut().zip(&record) {
            *numeric &= is_nothing(cell) || cell.trim().parse::<f32>().is_ok();
        }
    }
    let named = |(name, numeric): (String, bool)| Named { name, source: FeatureSource::Input, category: !numeric };
    Ok(names.into_iter().zip(numeric).map(named).collect())
}

fn csv_pass(source: impl Read, features: &[Named], sink: &mut RowSink<'_>) -> Result<()> {
    let mut reader = csv::Reader::from_reader(source);
    let header = reader.headers().map_err(csv_error)?.clone();
    let place = |feature: &Named| {
        header.iter().position(|h| h.trim() == feature.name).ok_or_else(|| {
            let columns: Vec<&str> = header.iter().collect();
            Error::new(Code::NotFound, format!("csv: column '{}': expected one of {columns:?}", feature.name))
        })
    };
    let places = features.iter().map(place).collect::<Result<Vec<usize>>>()?;
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(csv_error)? {
        let cell = |(feature, place): (&Named, &usize)| match record.get(*place).unwrap_or("") {
            cell if is_nothing(cell) => Ok(CellValue::Missing),
            cell if feature.category => Ok(CellValue::Category(cell)),
            cell => cell.trim().parse().map(CellValue::Number).map_err(|_| {
                let line = record.position().map_or(0, |p| p.line());
                let name = &feature.name;
                Error::invalid(format!("csv: line {line}, column '{name}': expected a number, got '{cell}'"))
            }),
        };
        let values = features.iter().zip(&places).map(cell).collect::<Result<Vec<CellValue<'_>>>>()?;
        sink(&Row::new(&values))?;
    }
    Ok(())
}

fn is_nothing(cell: &str) -> bool {
    NOTHING.iter().any(|n| cell.trim().eq_ignore_ascii_case(n))
}
