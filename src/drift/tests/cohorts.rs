use crate::drift::{Cohorts, DelayAdjusted, Reliability, ScoredRow};

/// A reference of many rows, in which the middle of each bin is right as often as it says.
fn reliability() -> Reliability {
    let mut reliability = Reliability::default();
    (0..Reliability::BINS).for_each(|bin| {
        reliability.rows[bin] = 1_000_000;
        reliability.right[bin] = 100_000 * bin as u64 + 50_000;
    });
    reliability
}

/// Answers of windows 0, 1, …: bin, whether right, and delay of the label, if it ever comes.
fn stream(windows: i64, labelled: u64) -> Vec<(i64, usize, bool, Option<i64>)> {
    let mut state = 5u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let row = |i: i64| {
        let (bin, chance) = (draw() as usize % 10, draw() % 1000);
        // Less often than the confidence says.
        let right = chance < [20, 60, 110, 160, 220, 290, 370, 470, 600, 800][bin];
        let delay = if right { draw() % 2 } else { 1 + draw() % 4 } as i64;
        (i / 100, bin, right, (draw() % 100 < labelled).then_some(delay))
    };
    (0..windows * 100).map(row).collect()
}

fn middle(bin: usize) -> f64 {
    (bin as f64 + 0.5) / Reliability::BINS as f64
}

/// The same windows, in the order of a log: a label comes before its window, or the one in which it is due, closes.
fn cohorts(rows: &[(i64, usize, bool, Option<i64>)], windows: i64) -> Cohorts {
    let mut cohorts = Cohorts::default();
    for now in 0..windows {
        let mut counts = [0; Reliability::BINS];
        for (at, bin, right, delay) in rows {
            counts[*bin] += u64::from(*at == now);
            if delay.is_some_and(|delay| at + delay == now) {
                cohorts.label(*at as u64, middle(*bin) as f32, *right);
            }
        }
        cohorts.close(now as u64, &counts);
    }
    cohorts
}

/// Where every answer gets its label, windows are rows whose time is their number.
#[test]
fn counts_of_windows_say_what_rows_do() {
    let windows = 30;
    let rows = stream(windows, 100);
    let got = cohorts(&rows, windows).estimate(&reliability()).unwrap();
    let reference: Vec<(f64, bool)> =
        (0..10).flat_map(|bin| (0..2000).map(move |i| (middle(bin), i < 200 * bin + 100))).collect();
    let model = DelayAdjusted::fit(&reference, 0.0).unwrap().window(16).curve(64);
    let now = windows - 1;
    let row = |(at, bin, right, delay): &(i64, usize, bool, Option<i64>)| {
        ScoredRow::new(middle(*bin), *at, delay.map(|delay| (*right, at + delay)).filter(|(_, came)| *came <= now))
    };
    let history: Vec<ScoredRow> = rows.iter().map(row).collect();
    let delayed = model.learn(&history, now).unwrap();
    let last: Vec<ScoredRow> = history.iter().filter(|row| row.at == now).copied().collect();
    let of_rows = delayed.in_flight(&last).unwrap();
    assert_eq!((got.rows, got.of), (delayed.rows, of_rows.of));
    assert!((got.offset - delayed.offset).abs() < 1e-4 && got.offset < -0.3, "{got:?}, {}", delayed.offset);
    assert!((got.value - of_rows.accuracy).abs() < 1e-4, "{got:?}, {of_rows:?}");
}

/// Most answers never get a label, and that of a wrong one comes later: neither is taken for the other.
#[test]
fn labels_that_never_come_are_not_late_ones() {
    let windows = 64;
    let reliability = reliability();
    let all = cohorts(&stream(windows, 100), windows).estimate(&reliability).unwrap();
    for labelled in [50, 20] {
        let some = cohorts(&stream(windows, labelled), windows).estimate(&reliability).unwrap();
        assert!((some.offset - all.offset).abs() < 0.3, "{labelled} %: {some:?}, all: {all:?}");
    }
}

#[test]
fn what_a_process_left_is_as_old_as_it_became() {
    let (windows, reliability) = (20, reliability());
    let mut cohorts = cohorts(&stream(windows, 100), windows);
    let before = cohorts.estimate(&reliability).unwrap();
    cohorts.restart();
    assert_eq!(cohorts.estimate(&reliability), Some(before));
    // Windows of nobody: the answers of before could not get a label meanwhile.
    (20..24).for_each(|window| cohorts.close(window, &[0, 0, 0, 0, 0, 1, 1, 1, 1, 1]));
    let after = cohorts.estimate(&reliability).unwrap();
    assert!((after.offset - before.offset).abs() < 0.15, "{before:?}, {after:?}");
}

/// A log may be damaged, and whoever wrote it may mean ill.
#[test]
fn numbers_that_make_no_sense_are_harmless() {
    let mut cohorts = Cohorts::default();
    assert_eq!(cohorts.estimate(&reliability()), None);
    cohorts.label(u64::MAX, 0.5, true);
    cohorts.close(u64::MAX - 1, &[u64::MAX; 20]);
    cohorts.close(3, &[7; 20]);
    for window in (0..200).map(|i| u64::MAX - 100 + i % 101) {
        cohorts.label(window, 0.5, true);
        cohorts.label(window, f32::NAN, false);
        cohorts.label(window, -0.1, false);
        cohorts.close(window, &[u64::MAX; 3]);
        cohorts.close(window, &[]);
        cohorts.restart();
    }
    let estimate = cohorts.estimate(&reliability());
    assert!(estimate.is_none_or(|estimate| (0.0..=1.0).contains(&estimate.value)), "{estimate:?}");
}

/// What is kept does not grow.
#[test]
fn the_oldest_windows_give_way() {
    let windows = 200;
    let rows = stream(windows, 100);
    let (long, short) = (cohorts(&rows, windows), 64 * 750);
    assert!(long.bytes() <= short, "{}", long.bytes());
    let latest: Vec<_> = rows.into_iter().filter(|row| row.0 >= windows - 64).collect();
    let mut cohorts = Cohorts::default();
    for now in windows - 64..windows {
        let mut counts = [0; Reliability::BINS];
        for (at, bin, right, delay) in &latest {
            counts[*bin] += u64::from(*at == now);
            if delay.is_some_and(|delay| at + delay == now) {
                cohorts.label(*at as u64, middle(*bin) as f32, *right);
            }
        }
        cohorts.close(now as u64, &counts);
    }
    assert_eq!(long.estimate(&reliability()), cohorts.estimate(&reliability()));
}
