//! A CSV table, row by row.

use std::io::{Chain, Cursor, Read};

use super::super::number::read_number;
use super::lines::Lines;
use super::separator::{asked, found};
use crate::{Code, Error, Result};

/// Cells that mean "no value", in any case.
const NOTHING: [&str; 8] = ["", "na", "n/a", "#n/a", "<na>", "nan", "null", "none"];
/// Bytes in which the separator is looked for.
const HEAD: u64 = 65_536;

/// A CSV table with a header line, read row by row (RFC 4180; fields may be quoted).
///
/// Fields are separated by a comma, semicolon, tab or `|`, whichever the header has most of, or by what is asked for. A
/// byte order mark, lines that end in CR, LF or both, empty lines, and a first line `sep=;` are taken. Names are trimmed.
/// Empty cells, NA, N/A, #N/A, \<NA\>, NaN, null and none, in any case, are missing values. A number has a decimal point;
/// **a decimal comma is read where the separator is a semicolon**, and nowhere else. `true` and `false`, in any case, are
/// the numbers 1 and 0.
///
/// # Errors
///
/// `Corrupt` for a line of another number of fields than the header, and for text that is not UTF-8;
/// `InvalidArgument` for a separator that cannot be one; and the errors of the source.
///
/// # Examples
///
/// ```
/// use selvedge::drift::CsvTable;
/// let mut table = CsvTable::open("temp;\"open\"\r\n21,5;True\r\n;NA\r\n".as_bytes(), None)?;
/// assert_eq!((table.names(), table.separator()), (&["temp".to_string(), "open".to_string()][..], ';'));
/// let row = table.next_row()?.unwrap();
/// assert_eq!((row.number(0)?, row.number(1)?, row.text(1)), (Some(21.5), Some(1.0), Some("True")));
/// let row = table.next_row()?.unwrap();
/// assert_eq!((row.line(), row.number(0)?, row.text(1)), (3, None, None));
/// assert!(table.next_row()?.is_none());
/// # Ok::<(), selvedge::Error>(())
/// ```
pub struct CsvTable<R: Read> {
    reader: csv::Reader<Lines<Chain<Cursor<Vec<u8>>, R>>>,
    names: Vec<String>,
    separator: u8,
    record: csv::StringRecord,
}

/// A row of a [`CsvTable`].
#[derive(Clone, Copy)]
pub struct CsvRow<'t> {
    names: &'t [String],
    record: &'t csv::StringRecord,
    separator: u8,
    line: u64,
}

impl<R: Read> CsvTable<R> {
    /// Reads the header. The separator is found by it unless one is given.
    ///
    /// # Errors
    ///
    /// See [`CsvTable`].
    pub fn open(source: R, separator: Option<char>) -> Result<Self> {
        let mut source = source;
        let mut head = Vec::new();
        source
            .by_ref()
            .take(HEAD)
            .read_to_end(&mut head)
            .map_err(|e| Error::new(Code::Io, "csv: I/O failed").because(e))?;
        if head.starts_with(b"\xFF\xFE") || head.starts_with(b"\xFE\xFF") {
            return Err(Error::corrupt("csv: expected text in UTF-8, got UTF-16"));
        }
        let mut begin = if head.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
        let said = said_separator(&head[begin..]);
        begin += said.map_or(0, |(_, length)| length);
        let separator = match (separator, said) {
            (Some(separator), _) => asked(separator)?,
            (None, Some((separator, _))) => asked(separator.into())?,
            (None, None) => found(&head[begin..]),
        };
        let mut source = Cursor::new(head).chain(source);
        source.get_mut().0.set_position(begin as u64);
        let lines = Lines::new(source, if said.is_some() { 2 } else { 1 });
        let mut reader = csv::ReaderBuilder::new().delimiter(separator).flexible(true).from_reader(lines);
        let names = match reader.headers() {
            Ok(header) => header.iter().map(|name| name.trim().to_owned()).collect(),
            Err(e) => return Err(csv_error(e, reader.get_mut())),
        };
        Ok(Self { reader, names, separator, record: csv::StringRecord::new() })
    }

    /// The names of the columns, in their order; some may be empty.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What separates the fields.
    pub fn separator(&self) -> char {
        self.separator.into()
    }

    /// The place of a column.
    ///
    /// # Errors
    ///
    /// `NotFound` for one that is not there, `InvalidArgument` for one that is there twice.
    pub fn column(&self, name: &str) -> Result<usize> {
        let mut places = (0..self.names.len()).filter(|i| self.names[*i] == name);
        match (places.next(), places.next()) {
            (Some(place), None) => Ok(place),
            (None, _) => {
                let names = &self.names;
                Err(Error::new(Code::NotFound, format!("csv: column '{name}': expected one of {names:?}")))
            }
            (Some(a), Some(b)) => {
                let (a, b) = (a + 1, b + 1);
                Err(Error::invalid(format!("csv: column '{name}': expected one of this name, got columns {a} and {b}")))
            }
        }
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    ///
    /// See [`CsvTable`].
    pub fn next_row(&mut self) -> Result<Option<CsvRow<'_>>> {
        match self.reader.read_record(&mut self.record) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(e) => return Err(csv_error(e, self.reader.get_mut())),
        }
        let begin = self.record.position().map_or(0, csv::Position::byte);
        let line = self.reader.get_mut().line_from(begin);
        let (want, got) = (self.names.len(), self.record.len());
        if want != got {
            return Err(Error::corrupt(format!(
                "csv: line {line}: expected {want} fields, as in the header, got {got}"
            )));
        }
        Ok(Some(CsvRow { names: &self.names, record: &self.record, separator: self.separator, line }))
    }
}

impl<'t> CsvRow<'t> {
    /// The number of its line in the file, from 1; of several, the first.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// A cell as it stands; `None` where a value is missing.
    pub fn text(&self, column: usize) -> Option<&'t str> {
        self.record.get(column).filter(|cell| !is_nothing(cell))
    }

    /// A cell as a number, `None` where a value is missing.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a cell that is no number.
    pub fn number(&self, column: usize) -> Result<Option<f32>> {
        let Some(cell) = self.text(column) else { return Ok(None) };
        let comma = decimal_comma(cell);
        match (read_number(cell), comma.filter(|_| self.separator == b';')) {
            (Some(number), _) | (None, Some(number)) => Ok(Some(number)),
            (None, None) => {
                let (line, name) = (self.line, self.names.get(column).map_or("", String::as_str));
                let hint =
                    if comma.is_some() { "; a decimal comma is read where ';' separates the fields" } else { "" };
                Err(Error::invalid(format!("csv: line {line}, column '{name}': expected a number, got '{cell}'{hint}")))
            }
        }
    }
}

/// The number that a text says with a decimal comma.
pub(super) fn decimal_comma(cell: &str) -> Option<f32> {
    let (whole, decimals) = cell.trim().split_once(',')?;
    let fits = !whole.contains('.') && decimals.starts_with(|c: char| c.is_ascii_digit()) && !decimals.contains('.');
    if fits { format!("{whole}.{decimals}").parse().ok() } else { None }
}

fn is_nothing(cell: &str) -> bool {
    NOTHING.iter().any(|n| cell.trim().eq_ignore_ascii_case(n))
}

/// The separator that a first line `sep=;` says, as spreadsheets write it, and the length of the line.
fn said_separator(head: &[u8]) -> Option<(u8, usize)> {
    let line = head.split_inclusive(|byte| *byte == b'\n').next()?;
    match line.strip_prefix(b"sep=")? {
        [separator, b'\n'] | [separator, b'\r', b'\n'] => Some((*separator, line.len())),
        _ => None,
    }
}

fn csv_error<R>(error: csv::Error, lines: &mut Lines<R>) -> Error {
    let line = lines.line_from(error.position().map_or(0, csv::Position::byte));
    match error.kind() {
        csv::ErrorKind::Utf8 { err, .. } => {
            let field = err.field() + 1;
            Error::corrupt(format!("csv: line {line}: expected text in UTF-8, got other bytes in field {field}"))
        }
        csv::ErrorKind::Io(io) if io.kind() != std::io::ErrorKind::InvalidData => {
            Error::new(Code::Io, "csv: I/O failed").because(error)
        }
        _ => Error::corrupt(format!("csv: {error}")),
    }
}
