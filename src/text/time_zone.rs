//! The time at the place of the device: the zone that `TZ` names, or else the file `/etc/localtime`, read as POSIX and
//! the format TZif have it. Where there is neither, as on Windows, it is UTC.

use std::io::Read;
use std::time::{SystemTime, UNIX_EPOCH};

use super::jinja::Clock;

/// The largest of the zones has less than 4 KiB.
const MAX_FILE: u64 = 64 << 10;
const FOLDERS: &[&str] = &["/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/etc/zoneinfo"];
const DAY: i64 = 86_400;

pub(super) fn now() -> Clock {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(0);
    Clock { seconds, micros: since.subsec_micros(), offset: offset(std::env::var("TZ").ok().as_deref(), seconds) }
}

/// Seconds ahead of UTC.
pub(super) fn offset(zone: Option<&str>, seconds: i64) -> i32 {
    let found = match zone {
        None => read("/etc/localtime").and_then(|file| of_file(&file, seconds)),
        Some(zone) => {
            let zone = zone.strip_prefix(':').unwrap_or(zone);
            let named = if zone.starts_with('/') {
                read(zone)
            } else if zone.is_empty() || zone.split('/').any(|part| part == "..") {
                None
            } else {
                FOLDERS.iter().find_map(|folder| read(&format!("{folder}/{zone}")))
            };
            named.and_then(|file| of_file(&file, seconds)).or_else(|| Rule::read(zone)?.offset(seconds))
        }
    };
    found.unwrap_or(0)
}

fn read(path: &str) -> Option<Vec<u8>> {
    if !std::fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

// ---- the format TZif, RFC 9636

const HEADER: usize = 44;

struct Counts {
    leaps: usize,
    times: usize,
    types: usize,
    letters: usize,
    standards: usize,
    utcs: usize,
}

fn of_file(file: &[u8], seconds: i64) -> Option<i32> {
    let first = counts(file)?;
    if file.get(4)? < &b'2' {
        return of_block(file.get(HEADER..)?, &first, 4, seconds);
    }
    let second = file.get(HEADER + first.size(4)..)?;
    let counts = counts(second)?;
    let block = second.get(HEADER..)?;
    let rule = block.get(counts.size(8)..).and_then(|footer| footer.strip_prefix(b"\n")?.split(|b| *b == b'\n').next());
    let rule = rule.and_then(|rule| Rule::read(std::str::from_utf8(rule).ok()?));
    let last = counts.times.checked_sub(1).and_then(|last| number(block, last * 8, 8));
    match rule {
        Some(rule) if last.is_none_or(|last| seconds >= last) => rule.offset(seconds),
        _ => of_block(block, &counts, 8, seconds),
    }
}

fn counts(bytes: &[u8]) -> Option<Counts> {
    bytes.strip_prefix(b"TZif")?;
    let count = |i: usize| usize::try_from(number(bytes, 20 + 4 * i, 4)?).ok().filter(|n| *n <= MAX_FILE as usize);
    Some(Counts {
        utcs: count(0)?,
        standards: count(1)?,
        leaps: count(2)?,
        times: count(3)?,
        types: count(4)?,
        letters: count(5)?,
    })
}

impl Counts {
    fn size(&self, width: usize) -> usize {
        self.times * (width + 1) + self.types * 6 + self.letters + self.leaps * (width + 4) + self.standards + self.utcs
    }
}

fn of_block(block: &[u8], counts: &Counts, width: usize, seconds: i64) -> Option<i32> {
    let passed =
        (0..counts.times).take_while(|i| number(block, i * width, width).is_some_and(|at| at <= seconds)).count();
    let kind = match passed.checked_sub(1) {
        None => 0,
        Some(last) => usize::from(*block.get(counts.times * width + last)?),
    };
    i32::try_from(number(block, counts.times * (width + 1) + kind * 6, 4)?).ok().filter(is_offset)
}

fn is_offset(offset: &i32) -> bool {
    i64::from(offset.unsigned_abs()) < 8 * DAY
}

/// A big-endian number with a sign.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<i64> {
    let bytes = bytes.get(at..at.checked_add(width)?)?;
    let negative = bytes.first()? & 0x80 != 0;
    Some(bytes.iter().fold(if negative { -1 } else { 0 }, |n: i64, byte| n << 8 | i64::from(*byte)))
}

// ---- the rule of a zone, as POSIX has it in `TZ`: `CET-1CEST,M3.5.0,M10.5.0/3`

struct Rule {
    standard: i32,
    /// The offset of summer time, and when it begins and ends.
    summer: Option<(i32, When, When)>,
}

struct When {
    day: Day,
    /// Seconds after that day's midnight, by the clock that ends.
    time: i64,
}

enum Day {
    /// 1 to 365; the 29th of February does not count.
    Julian(i64),
    /// 0 to 365.
    Ordinal(i64),
    /// Month, week (5 is the last), day of the week from Sunday.
    Week(i64, i64, i64),
}

impl Rule {
    fn read(text: &str) -> Option<Self> {
        let mut rest = name(text)?;
        let standard = -clock_time(&mut rest)?;
        let standard = i32::try_from(standard).ok().filter(is_offset)?;
        if rest.is_empty() {
            return Some(Self { standard, summer: None });
        }
        rest = name(rest)?;
        let ahead = match rest.starts_with(['+', '-']) || rest.starts_with(|c: char| c.is_ascii_digit()) {
            true => i32::try_from(-clock_time(&mut rest)?).ok().filter(is_offset)?,
            false => standard + 3600,
        };
        let (begin, end) = match rest.strip_prefix(',') {
            Some(rules) => rules.split_once(',')?,
            None => ("M3.2.0", "M11.1.0"),
        };
        Some(Self { standard, summer: Some((ahead, When::read(begin)?, When::read(end)?)) })
    }

    fn offset(&self, seconds: i64) -> Option<i32> {
        let Some((summer, begin, end)) = &self.summer else { return Some(self.standard) };
        let local = time::OffsetDateTime::from_unix_timestamp(seconds.checked_add(self.standard.into())?).ok()?;
        let begin = begin.seconds(local.year())? - i64::from(self.standard);
        let end = end.seconds(local.year())? - i64::from(*summer);
        let is_summer = match begin < end {
            true => (begin..end).contains(&seconds),
            false => !(end..begin).contains(&seconds),
        };
        Some(if is_summer { *summer } else { self.standard })
    }
}

/// What follows the name of a zone: three letters or more, or anything in `<>`.
fn name(text: &str) -> Option<&str> {
    if let Some(quoted) = text.strip_prefix('<') {
        return Some(quoted.split_once('>')?.1);
    }
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    (end >= 3).then(|| &text[end..])
}

/// `[+-]hh[:mm[:ss]]` in seconds; takes it off the text.
fn clock_time(text: &mut &str) -> Option<i64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !"+-:".contains(c)).unwrap_or(text.len());
    let (time, rest) = text.split_at(end);
    *text = rest;
    let (negative, time) = match time.strip_prefix('-') {
        Some(time) => (true, time),
        None => (false, time.strip_prefix('+').unwrap_or(time)),
    };
    let mut seconds = 0;
    for (part, unit) in time.splitn(3, ':').zip([3600, 60, 1]) {
        seconds += part.parse::<i64>().ok().filter(|n| (0..=167).contains(n))? * unit;
    }
    Some(if negative { -seconds } else { seconds })
}

impl When {
    fn read(text: &str) -> Option<Self> {
        let (day, mut time) = text.split_once('/').unwrap_or((text, "2"));
        let time = clock_time(&mut time)?;
        let within = |text: &str, least: i64, most: i64| text.parse().ok().filter(|n| (least..=most).contains(n));
        let day = if let Some(week) = day.strip_prefix('M') {
            let mut parts = week.split('.');
            let mut part = |least, most| within(parts.next()?, least, most);
            Day::Week(part(1, 12)?, part(1, 5)?, part(0, 6)?)
        } else if let Some(day) = day.strip_prefix('J') {
            Day::Julian(within(day, 1, 365)?)
        } else {
            Day::Ordinal(within(day, 0, 365)?)
        };
        Some(Self { day, time })
    }

    /// In a year, by the local clock.
    fn seconds(&self, year: i32) -> Option<i64> {
        let first = time::Date::from_ordinal_date(year, 1).ok()?;
        let leap = time::util::is_leap_year(year);
        let days = match self.day {
            Day::Ordinal(day) => day,
            Day::Julian(day) => day - 1 + i64::from(leap && day >= 60),
            Day::Week(month, week, weekday) => {
                let month = time::Month::try_from(u8::try_from(month).ok()?).ok()?;
                let begin = time::Date::from_calendar_date(year, month, 1).ok()?;
                let to_weekday = (weekday - i64::from(begin.weekday().number_days_from_sunday())).rem_euclid(7);
                let mut day = to_weekday + 7 * (week - 1);
                if day >= i64::from(month.length(year)) {
                    day -= 7;
                }
                i64::from(begin.ordinal()) - 1 + day
            }
        };
        let midnight = first.midnight().assume_utc().unix_timestamp();
        Some(midnight + days * DAY + self.time)
    }
}
