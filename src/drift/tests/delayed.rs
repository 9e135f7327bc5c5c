use crate::Code;
use crate::drift::isotonic::Isotonic;
use crate::drift::{DelayAdjusted, ScoredRow};

/// SplitMix64, as a number in 0..1.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[test]
fn isotonic_regression_is_the_max_of_mins() {
    let mut chance = Chance(3);
    for n in [1, 2, 3, 10, 60] {
        // Some scores come more than once.
        let rows: Vec<(f64, bool)> = (0..n).map(|_| ((chance.next() * 20.0).floor(), chance.next() < 0.5)).collect();
        let fitted = Isotonic::fit(rows.iter().copied());
        let mean = |from: f64, to: f64| {
            let inside: Vec<f64> =
                rows.iter().filter(|(x, _)| (from..=to).contains(x)).map(|(_, y)| f64::from(u8::from(*y))).collect();
            inside.iter().sum::<f64>() / inside.len() as f64
        };
        for (x, _) in &rows {
            let from = rows.iter().map(|(from, _)| *from).filter(|from| from <= x);
            let least = |from: f64| {
                rows.iter().map(|(to, _)| *to).filter(|to| to >= x).map(|to| mean(from, to)).fold(1.0, f64::min)
            };
            let expected = from.map(least).fold(0.0, f64::max);
            assert!((fitted.probability(*x) - expected).abs() < 1e-12, "{n} rows, at {x}");
        }
    }
    let line = Isotonic::fit([(0.0, false), (1.0, true)]);
    assert_eq!([-5.0, 0.0, 0.25, 1.0, 5.0].map(|x| line.probability(x)), [0.0, 0.0, 0.25, 1.0, 1.0]);
}

/// Rows of a model whose scores are right, in a world whose logits lie `shift` higher. Ones are known after 2 to 11 days, zeros
/// after 30 to 59.
fn world(days: i64, shift: f64) -> Vec<(ScoredRow, bool)> {
    let mut chance = Chance(17);
    let row = |day: i64| {
        let score = chance.next();
        let truth = chance.next() < 1.0 / (1.0 + (-((score / (1.0 - score)).ln() + shift)).exp());
        let delay = if truth { 2 + day % 10 } else { 30 + day % 30 };
        (ScoredRow::new(score, day, Some((truth, day + delay))), truth)
    };
    (0..days).map(row).collect()
}

fn fitted() -> DelayAdjusted {
    let reference: Vec<(f64, bool)> = world(3000, 0.0).iter().map(|(row, truth)| (row.score, *truth)).collect();
    DelayAdjusted::fit(&reference, 0.5).unwrap()
}

#[test]
fn a_shift_is_found_though_early_labels_are_mostly_ones() {
    let model = fitted();
    for shift in [-1.5, 0.0, 1.0] {
        let history: Vec<ScoredRow> = world(400, shift).into_iter().map(|(row, _)| row).collect();
        let learned = model.learn(&history, 400).unwrap();
        assert!((learned.offset - shift).abs() < 0.45, "{shift}: {}", learned.offset);
        // What is known of the last 30 days is ones alone, and who counts just these is far off.
        let late = &history[370..];
        let ones = late.iter().filter_map(|row| row.label).filter(|(_, came)| *came <= 400);
        assert!(ones.clone().all(|(one, _)| one) && ones.count() > 3);
        let truth = world(400, shift)[370..].iter().filter(|(_, truth)| *truth).count() as f64 / 30.0;
        let book = learned.in_flight(late).unwrap();
        assert!((book.ones - truth).abs() < 0.12, "{shift}: expected {truth}, got {}", book.ones);
    }
}

#[test]
fn a_label_of_later_is_not_seen() {
    let model = fitted();
    let known: Vec<ScoredRow> = world(400, -1.0).into_iter().map(|(row, _)| row).collect();
    let so_far = |row: &ScoredRow| ScoredRow { label: row.label.filter(|(_, came)| *came <= 400), ..*row };
    let unknown: Vec<ScoredRow> = known.iter().map(so_far).collect();
    let (a, b) = (model.learn(&known, 400).unwrap(), model.learn(&unknown, 400).unwrap());
    assert_eq!((a.offset, a.rows), (b.offset, b.rows));
    assert_eq!(a.in_flight(&known), b.in_flight(&unknown));
    assert!(a.offset != model.learn(&known, 460).unwrap().offset, "it is seen once it has come");
}

#[test]
fn too_few_labels_are_plain_cbpe() {
    let model = fitted();
    let history: Vec<ScoredRow> = world(400, -1.0).into_iter().map(|(row, _)| row).collect();
    let scores: Vec<f64> = history.iter().map(|row| row.score).collect();
    let plain = model.cbpe(&scores).unwrap();
    // No rows, no labels, few labels, few rows of use.
    for (rows, now) in [(&history[..0], 400), (&history[..1], 1), (&history[..50], 60), (&history[..90], 2000)] {
        let learned = model.learn(rows, now).unwrap();
        assert_eq!((learned.offset, learned.rows), (0.0, 0));
        let estimate = learned.estimate(&scores).unwrap();
        assert!((estimate.accuracy - plain.accuracy).abs() < 1e-4, "{estimate:?}, {plain:?}");
    }
    let learned = model.learn(&history, 400).unwrap();
    assert!(learned.rows > 100 && learned.estimate(&[]).is_none() && learned.in_flight(&[]).is_none());
    assert!(model.cbpe(&[]).is_none());
}

#[test]
fn an_offset_stays_in_its_range() {
    let model = fitted().window(100);
    // Of the last hundred days all are of class 1, or of class 0: no offset is large enough.
    for truth in [true, false] {
        let row = |day: i64| ScoredRow::new(0.5, day, Some((if day < 200 { day % 2 == 0 } else { truth }, day + 1)));
        let history: Vec<ScoredRow> = (0..400).map(row).collect();
        let learned = model.learn(&history, 400).unwrap();
        assert_eq!((learned.offset.abs().round(), learned.offset > 0.0), (6.0, truth), "{}", learned.offset);
    }
}

#[test]
fn what_is_wrong_is_told() {
    let code = |result: crate::Result<()>| result.err().map(|error| error.code());
    let model = fitted();
    let learn = |row: ScoredRow| code(model.learn(&[row], 10).map(drop));
    assert_eq!(learn(ScoredRow::new(0.5, 10, Some((true, 10)))), None);
    for row in
        [ScoredRow::new(f64::NAN, 1, None), ScoredRow::new(0.5, 11, None), ScoredRow::new(0.5, 5, Some((true, 4)))]
    {
        assert_eq!(learn(row), Some(Code::InvalidArgument), "{row:?}");
    }
    for (reference, threshold) in [(vec![], 0.5), (vec![(f64::INFINITY, true)], 0.5), (vec![(0.5, true)], f64::NAN)] {
        assert_eq!(code(DelayAdjusted::fit(&reference, threshold).map(drop)), Some(Code::InvalidArgument));
    }
    // Times at the ends of their range do not overflow.
    let rows: Vec<ScoredRow> =
        (0..300).map(|i| ScoredRow::new(0.5, i64::MIN + i, Some((i % 2 == 0, i64::MAX)))).collect();
    let _ = model.learn(&rows, i64::MAX).map(drop);
}
