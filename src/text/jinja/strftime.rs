//! `strftime` in the C locale, as Python has it for a time without a zone.

use time::OffsetDateTime;

/// A time at the place of the device.
#[derive(Clone, Copy, Debug)]
pub(in crate::text) struct Clock {
    /// Since 1970 in UTC.
    pub(in crate::text) seconds: i64,
    pub(in crate::text) micros: u32,
    /// Seconds that the local time is ahead of UTC.
    pub(in crate::text) offset: i32,
}

#[derive(Clone, Copy, Default)]
struct Flags {
    /// `-`, `_`, `0`: how numbers are filled.
    fill: Option<char>,
    /// `^`, `#`
    upper: bool,
    swap: bool,
    width: Option<usize>,
}

pub(in crate::text) fn strftime(format: &str, clock: Clock) -> String {
    // A clock past the year 9999 is wrong, and so is the epoch.
    let at = clock.seconds.checked_add(clock.offset.into()).and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok());
    let at = at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let mut text = String::new();
    let mut rest = format;
    while let Some(begin) = rest.find('%') {
        text.push_str(&rest[..begin]);
        let (flags, directive, len) = directive(&rest[begin + 1..]);
        let end = begin + 1 + len;
        match directive.and_then(|directive| written(directive, flags, at, clock)) {
            Some(part) => text.push_str(&part),
            None => text.push_str(&rest[begin..end]),
        }
        rest = &rest[end..];
    }
    text.push_str(rest);
    text
}

/// Flags, the letter, and the bytes of both.
fn directive(text: &str) -> (Flags, Option<char>, usize) {
    let mut flags = Flags::default();
    for (at, c) in text.char_indices() {
        match c {
            '-' | '_' => flags.fill = Some(c),
            '0' if flags.width.is_none() => flags.fill = Some(c),
            '^' => flags.upper = true,
            '#' => flags.swap = true,
            '0'..='9' => {
                let width = flags.width.unwrap_or(0) * 10 + c as usize - '0' as usize;
                flags.width = Some(width.min(1000));
            }
            // Other forms of the same in some locales, and the colons of `%:z`.
            'E' | 'O' | ':' => {}
            c => return (flags, Some(c), at + c.len_utf8()),
        }
    }
    (flags, None, text.len())
}

fn written(directive: char, flags: Flags, at: OffsetDateTime, clock: Clock) -> Option<String> {
    let number = |n: i64, width: usize, fill: char| Some(number(n, width, fill, flags));
    let words = |text: &str| Some(cased(text, flags, directive));
    let nested = |format: &str| Some(strftime(format, clock));
    let hour = i64::from(at.hour());
    let half = if hour % 12 == 0 { 12 } else { hour % 12 };
    let (year, day_of_year) = (i64::from(at.year()), i64::from(at.ordinal()));
    let (monday, sunday) =
        (i64::from(at.weekday().number_days_from_monday()), i64::from(at.weekday().number_days_from_sunday()));
    let (weekday, month) = (at.weekday().to_string(), at.month().to_string());
    let (iso_year, iso_week, _) = at.to_iso_week_date();
    match directive {
        'Y' => number(year, 1, '0'),
        'C' => number(year.div_euclid(100), 2, '0'),
        'y' => number(year.rem_euclid(100), 2, '0'),
        'G' => number(iso_year.into(), 1, '0'),
        'g' => number(i64::from(iso_year).rem_euclid(100), 2, '0'),
        'm' => number(u8::from(at.month()).into(), 2, '0'),
        'd' => number(at.day().into(), 2, '0'),
        'e' => number(at.day().into(), 2, ' '),
        'j' => number(day_of_year, 3, '0'),
        'H' => number(hour, 2, '0'),
        'k' => number(hour, 2, ' '),
        'I' => number(half, 2, '0'),
        'l' => number(half, 2, ' '),
        'M' => number(at.minute().into(), 2, '0'),
        'S' => number(at.second().into(), 2, '0'),
        'f' => Some(format!("{:06}", clock.micros)),
        's' => number(clock.seconds, 1, '0'),
        'u' => number(monday + 1, 1, '0'),
        'w' => number(sunday, 1, '0'),
        'U' => number((day_of_year + 6 - sunday) / 7, 2, '0'),
        'W' => number((day_of_year + 6 - monday) / 7, 2, '0'),
        'V' => number(iso_week.into(), 2, '0'),
        'A' => words(&weekday),
        'a' => words(&weekday[..3]),
        'B' => words(&month),
        'b' | 'h' => words(&month[..3]),
        'p' => words(if hour < 12 { "AM" } else { "PM" }),
        'P' => Some(if hour < 12 { "am" } else { "pm" }.to_owned()),
        'c' => nested("%a %b %e %H:%M:%S %Y"),
        'D' | 'x' => nested("%m/%d/%y"),
        'F' => nested("%Y-%m-%d"),
        'R' => nested("%H:%M"),
        'r' => nested("%I:%M:%S %p"),
        'T' | 'X' => nested("%H:%M:%S"),
        'n' => Some("\n".to_owned()),
        't' => Some("\t".to_owned()),
        '%' => Some("%".to_owned()),
        // The time has no zone, as `datetime.now()` has none.
        'z' | 'Z' => Some(String::new()),
        _ => None,
    }
}

fn number(n: i64, width: usize, fill: char, flags: Flags) -> String {
    let width = flags.width.unwrap_or(width);
    match flags.fill.unwrap_or(fill) {
        '-' => n.to_string(),
        '0' => format!("{n:0width$}"),
        _ => format!("{n:width$}"),
    }
}

fn cased(text: &str, flags: Flags, directive: char) -> String {
    let text = match (flags.upper, flags.swap) {
        (_, true) if directive == 'p' => text.to_lowercase(),
        (true, _) | (_, true) => text.to_uppercase(),
        _ => text.to_owned(),
    };
    match flags.width {
        Some(width) if flags.fill == Some('0') => "0".repeat(width.saturating_sub(text.len())) + &text,
        Some(width) => format!("{text:>width$}"),
        None => text,
    }
}
