//! The time that templates tell.

use super::super::jinja::Clock;
use super::super::jinja::strftime::strftime;
use super::super::time_zone::offset;

fn at(format: &str, seconds: i64) -> String {
    strftime(format, Clock { seconds, micros: 1234, offset: 0 })
}

#[test]
fn the_time_of_day() {
    // 2024-02-29 13:05:09 UTC, a Thursday and the 60th day; from `date -u -d @1709211909`.
    let seconds = 1_709_211_909;
    assert_eq!(at("%Y-%m-%d %H:%M:%S", seconds), "2024-02-29 13:05:09");
    assert_eq!(
        at("%d %b %Y|%A %a %B %j %y %I %p %-d %e %F %T %% %q", seconds),
        "29 Feb 2024|Thursday Thu February 060 24 01 PM 29 29 2024-02-29 13:05:09 % %q"
    );
    assert_eq!(at("%F %A", 0), "1970-01-01 Thursday");
    assert_eq!(at("%F %a", 4_107_542_399), "2100-02-28 Sun");
    assert_eq!(at("%F", 4_107_542_400), "2100-03-01");
    assert_eq!(at("%-d %-m %-I", 0), "1 1 12");
    assert_eq!(
        at("%D|%R|%u%w|%U %W %V %G|%C|%k|%l|%s|%f|%Z%z", seconds),
        "02/29/24|13:05|44|08 09 09 2024|20|13| 1|1709211909|001234|"
    );
    assert_eq!(at("%", 0), "%");
    assert_eq!(at("%99999999999999999999d", 0).len(), 1000);
}

#[test]
fn the_place_of_the_device_counts() {
    let clock = Clock { seconds: 1_709_211_909, micros: 0, offset: -5 * 3600 };
    assert_eq!(strftime("%H:%M %s", clock), "08:05 1709211909");
    let west = Clock { seconds: i64::MAX, micros: 0, offset: 1 };
    assert_eq!(strftime("%F", west), "1970-01-01");
}

#[test]
fn zones_are_read_from_rules() {
    let (winter, summer) = (1_704_067_200, 1_719_792_000); // 2024-01-01, 2024-07-01
    let cases = [
        ("UTC0", 0, 0),
        ("", 0, 0),
        ("EST5", -18_000, -18_000),
        ("<+0530>-5:30", 19_800, 19_800),
        ("CET-1CEST,M3.5.0,M10.5.0/3", 3_600, 7_200),
        (":CET-1CEST,M3.5.0,M10.5.0/3", 3_600, 7_200),
        ("EST5EDT", -18_000, -14_400),
        ("EST5EDT,J60/0,J300/0", -18_000, -14_400),
        ("EST5EDT,59/0,299/0", -18_000, -14_400),
        ("AEST-10AEDT,M10.1.0,M4.1.0/3", 39_600, 36_000),
        ("nonsense", 0, 0),
        ("../../etc/passwd", 0, 0),
        ("/dev/zero", 0, 0),
        ("CET-1CEST,M13.5.0,M10.5.0/3", 0, 0),
        ("ABC999999999999", 0, 0),
    ];
    for (zone, in_winter, in_summer) in cases {
        assert_eq!((offset(Some(zone), winter), offset(Some(zone), summer)), (in_winter, in_summer), "{zone}");
    }
    // The switch itself, to the second: 2024-03-31 01:00 UTC and 2024-10-27 01:00 UTC.
    let zone = Some("CET-1CEST,M3.5.0,M10.5.0/3");
    assert_eq!(
        [1_711_846_799, 1_711_846_800, 1_729_990_799, 1_729_990_800].map(|at| offset(zone, at)),
        [3_600, 7_200, 7_200, 3_600]
    );
    assert_eq!(offset(zone, i64::MAX), 0);
}

/// A file of the second version: one switch in the past, and a rule for what follows.
#[test]
fn zones_are_read_from_files() {
    let block = |width: usize, times: &[i64], kinds: &[u8], offsets: &[i32]| {
        let mut bytes = b"TZif2".to_vec();
        bytes.extend([0; 15]);
        for count in [0, 0, 0, times.len(), offsets.len(), 4] {
            bytes.extend((count as u32).to_be_bytes());
        }
        for time in times {
            bytes.extend(&time.to_be_bytes()[8 - width..]);
        }
        bytes.extend(kinds);
        for offset in offsets {
            bytes.extend(offset.to_be_bytes());
            bytes.extend([0, 0]);
        }
        bytes.extend(b"ABC\0");
        bytes
    };
    let times = [-1_000_000_000, 1_000_000_000];
    let mut file = block(4, &[], &[], &[0]);
    file.extend(block(8, &times, &[1, 2], &[600, -3_600, 7_200]));
    let without_rule = [&*file, b"\n\n"].concat();
    let with_rule = [&*file, b"\nCET-1CEST,M3.5.0,M10.5.0/3\n"].concat();
    let folder = tempfile::tempdir().unwrap();
    let read = |bytes: &[u8], at: i64| {
        let path = folder.path().join("zone");
        std::fs::write(&path, bytes).unwrap();
        offset(path.to_str(), at)
    };
    assert_eq!(
        [-2_000_000_000, -1_000_000_000, 0, 1_000_000_000].map(|at| read(&without_rule, at)),
        [600, -3_600, -3_600, 7_200]
    );
    assert_eq!([0, 1_704_067_200, 1_719_792_000].map(|at| read(&with_rule, at)), [-3_600, 3_600, 7_200]);
    // Damaged ones are no zone, whatever is left of them.
    for end in 0..with_rule.len() {
        read(&with_rule[..end], 0);
        let mut damaged = with_rule.clone();
        damaged[end] ^= 0xff;
        read(&damaged, 1_719_792_000);
    }
}
