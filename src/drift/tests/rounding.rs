//! The reference's own values, rounded on their way as values are, are no drift.

use half::f16;

use super::super::python_random::PythonRandom;
use super::super::{CellValue, Column, Finding, Profile, Row, check};

/// A column, and whether an `f16` holds it: in its range, and in steps that are no coarser than its bins.
struct Case {
    name: &'static str,
    values: Vec<f64>,
    half: bool,
    /// Values differ in the first six digits.
    varies: bool,
}

const ROWS: usize = 5000;

fn normal(random: &mut PythonRandom) -> f64 {
    (0..12).map(|_| random.unit()).sum::<f64>() - 6.0
}

fn cases() -> Vec<Case> {
    let mut random = PythonRandom::new(21);
    let mut cases = Vec::new();
    let mut column = |name, half, varies, value: &mut dyn FnMut(&mut PythonRandom) -> f64| {
        let values = (0..ROWS).map(|_| value(&mut random)).collect();
        cases.push(Case { name, values, half, varies });
    };
    let hundredths = |x: f64| (x * 100.0).round() / 100.0;
    column("digits", true, true, &mut |r| r.below(10) as f64);
    column("tenths below one", true, true, &mut |r| r.below(10) as f64 / 10.0);
    column("flags", true, true, &mut |r| r.below(2) as f64);
    column("whole numbers", true, true, &mut |r| r.below(1000) as f64);
    column("years", true, true, &mut |r| 1990.0 + r.below(34) as f64);
    column("temperatures in tenths", true, true, &mut |r| (normal(r) * 80.0 + 120.0).round() / 10.0);
    column("kelvins", true, true, &mut |r| 290.0 + 8.0 * normal(r));
    column("money", true, true, &mut |r| hundredths((normal(r) + 4.0).exp()));
    column("log-normal", true, true, &mut |r| (2.0 * normal(r)).exp());
    column("normal", true, true, &mut normal);
    column("clipped", true, true, &mut |r| normal(r).clamp(-0.9, 0.9));
    column("mostly zero", true, true, &mut |r| (normal(r) - 0.7).max(0.0));
    column("probabilities", true, true, &mut |r| 1.0 - r.unit().powi(12));
    column("percent", true, true, &mut |r| hundredths(100.0 * r.unit()));
    column("quarters", true, true, &mut |r| 400.0 + r.below(2000) as f64 / 4.0);
    column("halves that are ties", true, true, &mut |r| 1024.5 + r.below(200) as f64);
    column("two zeros", true, true, &mut |r| [0.0, -0.0, 1.0, -1.0][r.below(4)]);
    column("infinities", true, true, &mut |r| [f64::INFINITY, f64::NEG_INFINITY, 0.1, 0.2, 0.3][r.below(5)]);
    column("missing", true, true, &mut |r| if r.below(3) == 0 { f64::NAN } else { r.unit() });
    column("constant tenth", true, false, &mut |_| 0.1);
    column("constant zero", true, false, &mut |_| 0.0);
    column("constant pressure", true, false, &mut |_| 1013.25);
    column("constant below zero", true, false, &mut |_| -7.3);
    column("a street's latitudes", false, true, &mut |r| 52.52 + 0.002 * normal(r));
    column("codes beyond f16", false, true, &mut |r| 101_150.0 + r.below(12) as f64);
    column("a billion and little", false, false, &mut |r| 1e9 + r.below(300) as f64);
    column("a billion and more", false, true, &mut |r| 1e9 + 1e6 * r.unit());
    column("seconds since 1970", false, true, &mut |r| 1.7e9 + 3e7 * r.unit());
    column("huge", false, true, &mut |r| 1e30 * normal(r));
    column("the largest", false, true, &mut |r| f64::from(f32::MAX) * (2.0 * r.unit() - 1.0));
    column("tiny", false, true, &mut |r| 1e-30 * normal(r));
    column("subnormal", false, true, &mut |r| 1e-40 * (1.0 + r.unit()));
    cases
}

/// The ways that a value may come.
/// A way that a number goes, and its name.
type Way = (&'static str, fn(f64) -> f32);

fn ways(half: bool) -> Vec<Way> {
    let mut ways: Vec<Way> = vec![
        ("f32", |v| v as f32),
        ("text", |v| v.to_string().parse().unwrap()),
        ("text of the f32", |v| (v as f32).to_string().parse().unwrap()),
        ("six digits", |v| format!("{v:.5e}").parse().unwrap()),
        ("f32 in six digits", |v| format!("{:.5e}", v as f32).parse().unwrap()),
    ];
    if half {
        ways.push(("f16", |v| f16::from_f64(v).to_f32()));
        ways.push(("f32 as f16", |v| f16::from_f32(v as f32).to_f32()));
        ways.push(("f16 in six digits", |v| format!("{:.5e}", f16::from_f32(v as f32).to_f32()).parse().unwrap()));
        ways.push(("six digits as f16", |v| f16::from_f64(format!("{v:.5e}").parse().unwrap()).to_f32()));
    }
    ways
}

#[test]
fn rounding_is_no_drift() {
    let mut found = Vec::new();
    for case in cases() {
        for bins in [4, 16, 64] {
            let profile = Profile::fit().bins(bins).number("x").of_columns(&[Column::F64(&case.values)]).unwrap();
            for (way, rounded) in ways(case.half) {
                let rows: Vec<[f32; 1]> = case.values.iter().map(|v| [rounded(*v)]).collect();
                let drift = check(&profile, &rows).unwrap().features.remove(0);
                let infinite = case.values.iter().filter(|v| v.is_infinite()).count() as f64 / ROWS as f64;
                if drift.p < 0.9 || (drift.out_of_range - infinite).abs() > 1e-9 || drift.finding.is_some() {
                    let (p, out, edges) = (drift.p, drift.out_of_range, &profile.features[0].bins);
                    found.push(format!("{}, {bins} bins, {way}: p {p}, {out} out of range, {edges:?}", case.name));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// What is more than rounding is seen as before.
#[test]
fn more_than_rounding_is_drift() {
    for case in cases().into_iter().filter(|case| case.varies) {
        let profile = Profile::fit().number("x").of_columns(&[Column::F64(&case.values)]).unwrap();
        let deviation = profile.features[0].moments.unwrap().deviation as f32;
        let rows: Vec<[f32; 1]> = case.values.iter().map(|v| [*v as f32 + deviation]).collect();
        let drift = check(&profile, &rows).unwrap().features.remove(0);
        assert!(drift.finding.is_some() && drift.p < 1e-9, "{}: {drift:?}", case.name);
    }
    for constant in [0.1f32, 0.0, 1013.25, -7.3] {
        let profile = Profile::fit().number("x").of_rows(&[[constant]; 500]).unwrap();
        for other in [constant + 0.01 * constant.abs().max(1.0), constant - 0.01 * constant.abs().max(1.0)] {
            let drift = check(&profile, &[[other]; 500]).unwrap().features.remove(0);
            assert_eq!(drift.finding, Some(Finding::OutOfRange), "{constant} and {other}: {drift:?}");
        }
    }
}

#[test]
fn tenths_that_are_computed_are_those_that_were_read() {
    let reference: Vec<f64> = (0..5000).map(|i| f64::from(i % 10) / 10.0).collect();
    let profile = Profile::fit().number("x").of_columns(&[Column::F64(&reference)]).unwrap();
    let rows: Vec<[f32; 1]> = (0..5000).map(|i| [(i % 10) as f32 * 0.1f32]).collect();
    let drift = check(&profile, &rows).unwrap().features.remove(0);
    assert!(drift.p > 0.99 && drift.out_of_range == 0.0 && drift.finding.is_none(), "{drift:?}");
    // The value after the last is not one of them.
    assert_eq!(profile.features[0].bin(1.0), profile.features[0].bin(f32::INFINITY));
    assert_eq!(profile.features[0].bin(-0.1), 0);
    assert_eq!((1..=10).map(|i| profile.features[0].bins.name(i)).collect::<Vec<_>>()[3], "0.3");
}

/// A sensor that gives no values below zero is out of range with the first one that is.
#[test]
fn room_for_rounding_does_not_reach_below_zero() {
    let mut random = PythonRandom::new(2);
    let rows: Vec<[f32; 1]> = (0..5000).map(|_| [(2.0 * normal(&mut random)).exp() as f32]).collect();
    let profile = Profile::fit().number("x").of_rows(&rows).unwrap();
    assert_eq!(profile.features[0].bin(-0.01), 0);
}

/// Columns of few values keep the value of each bin, in their bytes as well.
#[test]
fn edges_lie_between_values() {
    let profile = Profile::fit().number("x").of_rows(&[[1.0f32], [2.0], [2.0], [10.0]]).unwrap();
    let feature = &profile.features[0];
    let of = [0.9, 0.9999, 1.4, 1.6, 5.9, 6.1, 10.001, 10.1].map(|v| feature.bin(v));
    assert_eq!(of, [0, 1, 1, 2, 2, 3, 3, 4]);
    assert_eq!((1..4).map(|i| feature.bins.name(i)).collect::<Vec<_>>(), ["1", "2", "10"]);
    assert_eq!(feature.bins.centres().unwrap()[1..4], [1.0, 2.0, 10.0]);
    assert_eq!(Profile::decode(&profile.encode()).unwrap(), profile);
}

/// Names that say numbers are those numbers, however they are written.
#[test]
fn categories_that_say_numbers_are_numbers() {
    let names = ["1.0", "True", "0", "False", "0.1", "rain"];
    let profile = Profile::fit().category("x").of_columns(&[Column::Names(&names)]).unwrap();
    let bins = &profile.features[0].bins;
    // 0 and False, 1.0 and True: two of each; then 0.1 and rain.
    assert_eq!(profile.features[0].counts, [2, 2, 1, 1, 0, 0]);
    let zero = bins.of_category("0");
    assert_eq!([bins.of_category("false"), bins.of(0.0), bins.of(-0.0)], [zero; 3]);
    assert_eq!([bins.of_category("TRUE"), bins.of_category("1"), bins.of(1.0)], [1 - zero; 3]);
    let tenth = bins.of_category("0.1");
    assert_eq!([bins.of(0.1), bins.of(f16::from_f32(0.1).to_f32()), bins.of_category("0.100")], [tenth; 3]);
    assert_eq!([bins.of(0.11), bins.of(2.0), bins.of(f32::INFINITY), bins.of_category("hail")], [4; 4]);
    let codes = Profile::fit().category("x").of_columns(&[Column::Names(&["5001", "5002"])]).unwrap();
    assert_eq!([5001.0, 5002.0, 5003.0].map(|v| codes.features[0].bins.of(v)), [0, 1, 2]);
}

#[test]
fn truths_are_numbers() {
    let cells = ["True", "false", " TRUE ", "0", "1", "x"];
    let profile = Profile::fit()
        .number("x")
        .stream(|sink| cells.iter().try_for_each(|cell| sink(&Row::new(&[CellValue::Category(cell)]))))
        .unwrap();
    assert_eq!(profile.features[0].counts, [0, 2, 3, 0, 1]);
}
