//! Times: seconds since 1970, written as `2027-01-31T12:00:00Z`, and what a clock may say.

use time::{Date, Month, OffsetDateTime};

use super::json::{Members, shown};
use crate::error::{Error, Result};

/// When this version was made: no clock that is right shows an earlier time. 1 November 2026.
const MADE: u64 = 1_793_491_200;

/// The time that is reckoned with: what the clock shows, but never earlier than the latest time that is known to have passed, which
/// is the later of `passed` and the time at which this version was made. A clock that was set back so wins no more than that.
pub(super) fn believed(clock: u64, passed: u64) -> u64 {
    clock.max(passed).max(MADE)
}

/// # Errors
///
/// `Corrupt` for any other form than `2027-01-31T12:00:00Z`, and for a day or an hour that is none.
pub(super) fn parse(members: &Members<'_>, key: &str) -> Result<u64> {
    let text = members.text(key)?;
    let expected = "a time as '2027-01-31T12:00:00Z'";
    parse_text(text)
        .ok_or_else(|| Error::corrupt(format!("{}: '{key}': expected {expected}, got '{}'", members.what, shown(text))))
}

pub(super) fn write(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok());
    match time {
        Some(t) => {
            let (year, month, day) = t.to_calendar_date();
            let (hour, minute, second) = t.to_hms();
            format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month))
        }
        None => format!("{seconds} s after 1970"),
    }
}

/// The same of a text, without a word on what is wrong with it.
pub(super) fn parse_text(text: &str) -> Option<u64> {
    const FORM: &[u8; 20] = b"0000-00-00T00:00:00Z";
    let bytes: &[u8; 20] = text.as_bytes().try_into().ok()?;
    let fits = |(got, form): (&u8, &u8)| if *form == b'0' { got.is_ascii_digit() } else { got == form };
    if !bytes.iter().zip(FORM).all(fits) {
        return None;
    }
    let number =
        |from: usize, to: usize| bytes[from..to].iter().fold(0_u16, |n, digit| n * 10 + u16::from(digit - b'0'));
    let small = |from: usize| u8::try_from(number(from, from + 2)).ok();
    let date = Date::from_calendar_date(number(0, 4).into(), Month::try_from(small(5)?).ok()?, small(8)?).ok()?;
    let time = date.with_hms(small(11)?, small(14)?, small(17)?).ok()?;
    u64::try_from(time.assume_utc().unix_timestamp()).ok()
}
