//! Separators of a CSV: which character stands between the fields.

use crate::{Error, Result};

/// The separators that are found by themselves, the likeliest first.
const FOUND: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The separator that was asked for, as it may be one.
pub(super) fn asked(separator: char) -> Result<u8> {
    let fits = |c: &char| c.is_ascii() && !c.is_ascii_alphanumeric() && !"\"\r\n\0".contains(*c);
    let byte = u8::try_from(Some(separator).filter(fits).unwrap_or('\0')).unwrap_or(0);
    match byte {
        0 => Err(Error::invalid(format!(
            "csv: separator: expected an ASCII character but letters, digits, quotes and ends of lines, got {separator:?}"
        ))),
        byte => Ok(byte),
    }
}

/// The separator of a table that begins so: the one that the header has most of, first among those of which the next
/// line has as many. A comma where there is none at all.
pub(super) fn found(head: &[u8]) -> u8 {
    let mut lines = records(head);
    let (header, next) = (lines.next().unwrap_or_default(), lines.next());
    let counts = FOUND.map(|separator| (separator, count(header, separator)));
    let agrees = |separator: u8, of: usize| next.is_none_or(|line| count(line, separator) == of);
    let best = |only_agreeing: bool| {
        let candidates = counts.iter().filter(|(s, of)| *of > 0 && (!only_agreeing || agrees(*s, *of)));
        // The first of the largest.
        candidates.rev().max_by_key(|(_, of)| *of).map(|(separator, _)| *separator)
    };
    best(true).or_else(|| best(false)).unwrap_or(b',')
}

/// The lines that hold something; one may go on within quotes.
fn records(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let lines = bytes.split(move |byte| {
        quoted ^= *byte == b'"';
        !quoted && matches!(byte, b'\n' | b'\r')
    });
    lines.filter(|line| !line.is_empty())
}

fn count(line: &[u8], separator: u8) -> usize {
    let mut quoted = false;
    line.iter()
        .filter(|byte| {
            quoted ^= **byte == b'"';
            !quoted && **byte == separator
        })
        .count()
}
