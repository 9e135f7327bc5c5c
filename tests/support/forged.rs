//! Contents of telemetry folders of at most 4 MiB, forged so that a careless reader takes gigabytes or minutes.

#![allow(dead_code, reason = "each binary uses a part of this module")]

use crate::segments::{self, Window, zeros};

/// Bytes of the largest folder.
pub(crate) const MOST: usize = 4 << 20;

/// A name, and what makes the one segment of the folder.
pub(crate) type Segment = (&'static str, fn() -> Vec<u8>);

/// Every kind of segment.
pub(crate) const SEGMENTS: [Segment; 22] = [
    ("bomb", bomb),
    ("bombs", || full(bomb_record)),
    ("padded windows", padded_windows),
    ("small features", || full(|seq| Window { features: vec![zeros(3); 8], ..Window::new(seq) }.payload())),
    ("windows", || full(|seq| Window::new(seq).payload())),
    ("windows of many models", || full(|seq| Window { model: seq, ..Window::new(seq) }.payload())),
    ("labels", || full(segments::feedback)),
    ("clocks", || full(segments::anchor)),
    ("boots", || full(segments::boot)),
    ("losses", || full(|seq| segments::drops(seq, &[(0, u64::MAX), (3, u64::MAX)]))),
    ("floors", || full(|seq| segments::floor(1, seq))),
    ("alerts", || full(|seq| segments::alert(seq, &format!("{seq}"), true))),
    ("clocks and windows", || {
        full(|seq| match seq % 2 {
            0 => segments::anchor(seq),
            _ => Window::new(seq).payload(),
        })
    }),
    ("models", || full(|seq| segments::model(seq, seq as u32, digest(seq), &[]))),
    ("a model again and again", || full(|seq| segments::model(seq, 7, digest(seq), &[]))),
    ("models and windows", || {
        full(|seq| match seq % 2 {
            0 => Window { model: seq - 1, ..Window::new(seq) }.payload(),
            _ => segments::model(seq, seq as u32, digest(seq), &[]),
        })
    }),
    ("a large profile", || beside(&segments::profile(40_000, 1000), Window::new)),
    ("large counts beside a profile", large_counts),
    ("classes", classes),
    ("marks", marks),
    ("marks and records", marks_and_records),
    ("numbers at the limit", || numbers_at_the_limit(u64::MAX)),
];

/// 119 kB that stand for 4.2 GB of zeros.
pub(crate) fn bomb() -> Vec<u8> {
    segments::segment(1, (1..=2000).map(bomb_record))
}

fn bomb_record(seq: u64) -> Vec<u8> {
    Window { features: vec![zeros(1 << 18)], ..Window::new(seq) }.payload()
}

/// Counts that take as much memory as records of their length may.
pub(crate) fn padded_windows() -> Vec<u8> {
    full(|seq| Window { features: vec![zeros(1 << 14)], padding: 8 << 10, ..Window::new(seq) }.payload())
}

fn large_counts() -> Vec<u8> {
    let feature = segments::numbers(&[4, 1 << 40, 1 << 40, 0, 0, 1 << 40]);
    beside(&segments::profile(1000, u64::MAX / 4), |seq| Window {
        features: vec![feature.clone(); 1000],
        rows: u64::MAX,
        ..Window::new(seq)
    })
}

/// A model with a profile, and its windows.
fn beside(profile: &[u8], window: impl Fn(u64) -> Window) -> Vec<u8> {
    full(|seq| match seq {
        1 => segments::model(seq, 7, [0x11; 32], profile),
        _ => window(seq).payload(),
    })
}

fn classes() -> Vec<u8> {
    let many: Vec<(u64, u64)> = (0..65_536).map(|class| (class, 1)).collect();
    full(|seq| match seq {
        1 => segments::model(seq, 7, [0x11; 32], &[]),
        2 => Window { classes: many.clone(), ..Window::new(seq) }.payload(),
        3 => Window { outcomes: many.clone(), ..Window::new(seq) }.payload(),
        _ => {
            Window { classes: vec![(seq % 65_536, 1)], outcomes: vec![(seq % 65_536, 1)], ..Window::new(seq) }.payload()
        }
    })
}

/// Every twelve bytes a frame that says it goes on to the end.
pub(crate) fn marks() -> Vec<u8> {
    let mut file = segments::header(1, (0, 0), 0);
    while file.len() + 12 <= MOST {
        file.extend(segments::broken_frame((MOST - file.len() - 12) as u32));
    }
    file.resize(MOST, 0);
    file
}

/// Whole records between such frames.
fn marks_and_records() -> Vec<u8> {
    let mut file = segments::header(1, (0, 0), 0);
    for seq in 1.. {
        let whole = segments::frame(&segments::boot(seq));
        if file.len() + whole.len() + 12 > MOST {
            break;
        }
        file.extend(segments::broken_frame(MOST.saturating_sub(file.len() + 76) as u32));
        file.extend(whole);
    }
    file.resize(MOST, 0);
    file
}

/// A window of numbers that no sum bears.
pub(crate) fn window_at_the_limit(seq: u64) -> Window {
    let most = u64::MAX;
    Window {
        rows: most,
        index: most,
        outcomes: vec![(0, most), (1, most), (9, most)],
        classes: vec![(0, most), (1, most)],
        features: vec![segments::numbers(&[4, most, most, most, most])],
        ..Window::new(seq)
    }
}

/// A few records of every kind, the last with this number.
pub(crate) fn numbers_at_the_limit(last: u64) -> Vec<u8> {
    let most = u64::MAX;
    segments::segment(
        1,
        [
            segments::model(1, 7, [0x11; 32], &segments::profile(1, most)),
            window_at_the_limit(2).payload(),
            window_at_the_limit(3).payload(),
            segments::drops(4, &[(0, most), (0, most), (4, most), (5, most)]),
            segments::anchor(5),
            segments::feedback(6),
            window_at_the_limit(last).payload(),
            segments::floor(most, most),
        ],
    )
}

/// States of `sync` in which two bytes ask for a model, a list or a number.
pub(crate) fn sync_states() -> [(&'static str, Vec<u8>); 3] {
    let models = [0x1a_u8, 0].repeat(2 << 20 >> 1);
    let bins = [0x1a_u8, 0].repeat(1 << 20);
    let totals = [&[0x52_u8][..], &segments::number(bins.len() as u64), &bins].concat();
    let features = [&[0x1a_u8][..], &segments::number(totals.len() as u64), &totals].concat();
    let slots = [0x22_u8, 0].repeat(2 << 20 >> 1);
    [("models", models), ("features", features), ("slots", slots)].map(|(name, message)| (name, sync_state(&message)))
}

/// A state of `sync` around any message.
pub(crate) fn sync_state(message: &[u8]) -> Vec<u8> {
    let len = (message.len() as u32).to_le_bytes();
    [b"SLVSYNC1", &crc32c::crc32c(message).to_le_bytes()[..], &len, message].concat()
}

/// As many records as there is room for.
pub(crate) fn full(mut payload: impl FnMut(u64) -> Vec<u8>) -> Vec<u8> {
    let mut file = segments::header(1, (0, 0), 0);
    for seq in 1.. {
        let frame = segments::frame(&payload(seq));
        if file.len() + frame.len() > MOST {
            break;
        }
        file.extend(frame);
    }
    file
}

fn digest(seq: u64) -> [u8; 32] {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&seq.to_le_bytes());
    digest
}
