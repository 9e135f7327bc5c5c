//! `strftime` and `strftime_now` of chat templates.

use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

/// The present time in the words of `format`, as `strftime` reads it, in UTC. Unknown directives stay as they are.
pub(super) fn strftime_now(format: &str) -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    strftime(format, seconds)
}

pub(super) fn strftime(format: &str, seconds: u64) -> String {
    // A clock past the year 9999 is wrong, and so is the epoch.
    let at = i64::try_from(seconds).ok().and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok());
    let at = at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    let (hour, minute, second) = at.to_hms();
    let (weekday, month_name) = (at.weekday().to_string(), at.month().to_string());
    let half = if hour % 12 == 0 { 12 } else { hour % 12 };
    let mut text = String::new();
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        // `%-d` is `%d` without padding.
        let (directive, bare) = match rest.next() {
            Some('-') => (rest.next(), true),
            other => (other, false),
        };
        let number = |n: u16, width: usize| if bare { n.to_string() } else { format!("{n:0width$}") };
        match directive {
            Some('Y') => text.push_str(&year.to_string()),
            Some('y') => text.push_str(&number((year % 100).unsigned_abs() as u16, 2)),
            Some('m') => text.push_str(&number(month.into(), 2)),
            Some('d') => text.push_str(&number(day.into(), 2)),
            Some('e') => text.push_str(&if bare { day.to_string() } else { format!("{day:2}") }),
            Some('j') => text.push_str(&number(at.ordinal(), 3)),
            Some('H') => text.push_str(&number(hour.into(), 2)),
            Some('I') => text.push_str(&number(half.into(), 2)),
            Some('M') => text.push_str(&number(minute.into(), 2)),
            Some('S') => text.push_str(&number(second.into(), 2)),
            Some('p') => text.push_str(if hour < 12 { "AM" } else { "PM" }),
            Some('A') => text.push_str(&weekday),
            Some('a') => text.push_str(&weekday[..3]),
            Some('B') => text.push_str(&month_name),
            Some('b' | 'h') => text.push_str(&month_name[..3]),
            Some('F') => text.push_str(&format!("{year}-{month:02}-{day:02}")),
            Some('T') => text.push_str(&format!("{hour:02}:{minute:02}:{second:02}")),
            Some('Z') => text.push_str("UTC"),
            Some('%') => text.push('%'),
            Some(other) => text.extend(["%", if bare { "-" } else { "" }, other.encode_utf8(&mut [0; 4])]),
            None => text.push('%'),
        }
    }
    text
}
