use std::sync::Arc;

use super::super::python_random::PythonRandom;
use super::super::{
    CellValue, Column, FalseAlarm, Finding, Judge, Persistence, Policy, Profile, Row, WindowCounts, compare,
};
use crate::Code;

fn reference() -> Arc<Profile> {
    let mut random = PythonRandom::new(1);
    let wind: Vec<f32> = (0..20_000).map(|_| bell(&mut random)).collect();
    let sky: Vec<&str> = (0..20_000).map(|_| ["sun", "rain", "fog"][random.below(3)]).collect();
    let fit = Profile::fit().number("wind").category("sky").number("still");
    let still = vec![1.5; 20_000];
    Arc::new(fit.of_columns(&[Column::F32(&wind), Column::Names(&sky), Column::F32(&still)]).unwrap())
}

fn bell(random: &mut PythonRandom) -> f32 {
    ((0..12).map(|_| random.unit()).sum::<f64>() - 6.0) as f32
}

/// The finding of each feature in a window of 1,024 rows.
fn findings(profile: &Arc<Profile>, mut row: impl FnMut(usize, &mut PythonRandom) -> [u8; 3]) -> [Option<Finding>; 3] {
    let policy = Policy::new(1024, FalseAlarm::windows(10_000.0)).persistence(Persistence::new(1, 1).unwrap());
    let mut judge = Judge::new(profile.clone(), policy).unwrap();
    let (mut counts, mut random) = (WindowCounts::new(profile), PythonRandom::new(9));
    (0..1024).for_each(|i| counts.add_row(&row(i, &mut random)));
    let verdict = judge.judge(&counts.close()).unwrap();
    assert_eq!(verdict.drifted(), verdict.features.iter().any(|f| f.finding.is_some()));
    [0, 1, 2].map(|i| verdict.features[i].finding)
}

#[test]
fn what_is_wrong_is_named() {
    let profile = reference();
    let f = &profile.features;
    let sky = |random: &mut PythonRandom| f[1].bins.of_category(["sun", "rain", "fog"][random.below(3)]);
    let still = f[2].bin(1.5);
    let wind = |v: f32| f[0].bin(v);
    type Case<'a> = (Box<dyn FnMut(usize, &mut PythonRandom) -> [u8; 3] + 'a>, [Option<Finding>; 3]);
    let cases: Vec<Case<'_>> = vec![
        (Box::new(|_, r| [wind(bell(r)), sky(r), still]), [None; 3]),
        // A sensor that sticks, at a value it often had.
        (Box::new(|_, r| [wind(0.0), sky(r), still]), [Some(Finding::DeadFeature), None, None]),
        (Box::new(|_, r| [255, sky(r), still]), [Some(Finding::DeadFeature), None, None]),
        // Eight of a thousand, where there never was one.
        (
            Box::new(|i, r| [if i % 128 == 0 { 255 } else { wind(bell(r)) }, sky(r), still]),
            [Some(Finding::Missing), None, None],
        ),
        (
            Box::new(|i, r| [if i % 128 == 0 { wind(9e9) } else { wind(bell(r)) }, sky(r), still]),
            [Some(Finding::OutOfRange), None, None],
        ),
        (Box::new(|_, r| [wind(bell(r) + 0.4), sky(r), still]), [Some(Finding::Shift), None, None]),
        (Box::new(|_, r| [wind(bell(r) * 1.4), sky(r), still]), [Some(Finding::Shift), None, None]),
        (
            Box::new(|i, r| [wind(bell(r)), if i % 128 == 0 { f[1].bins.of_category("hail") } else { sky(r) }, still]),
            [None, Some(Finding::NewCategory), None],
        ),
        (
            Box::new(|_, r| [wind(bell(r)), f[1].bins.of_category(["sun", "sun", "rain", "fog"][r.below(4)]), still]),
            [None, Some(Finding::Shift), None],
        ),
        // What never varied is not dead, and what leaves its only value is out of range.
        (Box::new(|_, r| [wind(bell(r)), sky(r), f[2].bin(0.0)]), [None, None, Some(Finding::OutOfRange)]),
    ];
    for (i, (row, want)) in cases.into_iter().enumerate() {
        assert_eq!(findings(&profile, row), want, "case {i}");
    }
}

#[test]
fn one_bad_window_does_not_alarm_and_two_do() {
    let profile = reference();
    let mut judge = Judge::new(profile.clone(), Policy::new(256, FalseAlarm::windows(1000.0))).unwrap();
    let mut drifted = |bad: bool| {
        let (mut counts, mut random) = (WindowCounts::new(&profile), PythonRandom::new(4));
        for _ in 0..256 {
            let wind = profile.features[0].bin(bell(&mut random) + if bad { 2.0 } else { 0.0 });
            counts.add_row(&[wind, random.below(3) as u8, 1]);
        }
        judge.judge(&counts.close()).unwrap().features[0].drifted
    };
    let got = [true, false, false, true, false, true, false, false].map(&mut drifted);
    assert_eq!(got, [false, false, false, false, false, true, false, false]);
    judge.reset();
}

#[test]
fn windows_are_merged_by_addition() {
    let profile = reference();
    let (mut a, mut b, mut both) =
        (WindowCounts::new(&profile), WindowCounts::new(&profile), WindowCounts::new(&profile));
    for i in 0..100u8 {
        let row = [i % 19, i % 5, i % 4];
        (if i % 3 == 0 { &mut a } else { &mut b }).add_row(&row);
        both.add_row(&row);
    }
    a.merge(&b);
    assert_eq!(a, both);
    // A bin that is none, and one that is not brought, are missing; one too many is nothing.
    let mut odd = WindowCounts::new(&profile);
    odd.add_row(&[200, 0]);
    odd.add_row(&[0, 0, 0, 0]);
    assert_eq!(odd.features[0].last(), Some(&1));
    assert_eq!(odd.features[2].last(), Some(&1));
    assert_eq!(odd.rows, 2);
}

#[test]
fn empty_and_foreign_windows() {
    let profile = reference();
    let mut judge = Judge::new(profile.clone(), Policy::default()).unwrap();
    let verdict = judge.judge(&WindowCounts::new(&profile)).unwrap();
    assert!(verdict.features.iter().all(|f| f.finding.is_none() && f.p == 1.0 && f.psi.is_finite() && f.js == 0.0));
    let other = Profile::fit().number("a").of_rows(&[[1.0f32]]).unwrap();
    let error = judge.judge(&WindowCounts::new(&other)).unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::InvalidArgument, "window: expected counts of 3 features, got 1")
    );
    let mut wrong = WindowCounts::new(&profile);
    wrong.features[1].push(0);
    let error = judge.judge(&wrong).unwrap_err();
    assert_eq!(error.message(), "window: feature 'sky': expected 5 bins, got 6");
    for windows in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Judge::new(profile.clone(), Policy::new(256, FalseAlarm::windows(windows))).is_err());
    }
}

#[test]
fn a_profile_of_one_row_judges_nothing_rashly() {
    let profile = Profile::fit().number("a").of_rows(&[[1.0f32]]).unwrap();
    let drift = compare(&profile.features[0], &[0, 0, 1, 0]).unwrap();
    assert!(drift.p > 0.01, "{drift:?}");
    let drift = compare(&profile.features[0], &[0, 0, 0, 0]).unwrap();
    assert!(drift.p == 1.0 && !drift.constant, "{drift:?}");
    for wrong in [&[][..], &[1, 2, 3], &[0; 5]] {
        let error = compare(&profile.features[0], wrong).unwrap_err();
        assert_eq!(error.message(), format!("window of 'a': expected 4 bins, got {}", wrong.len()));
    }
}

#[test]
fn embeddings_that_move_are_seen_and_others_are_not() {
    let mut random = PythonRandom::new(21);
    let mut draw = |shift: f32| [0; 6].map(|_| bell(&mut random) + shift);
    let rows: Vec<[f32; 6]> = (0..5000).map(|_| draw(0.0)).collect();
    let fit = Profile::fit().embedding(6);
    let profile =
        Arc::new(fit.stream(|sink| rows.iter().try_for_each(|r| sink(&Row::default().embedding(r)))).unwrap());
    let embedding = profile.embedding.as_ref().unwrap();
    assert!((2.0..5.0).contains(&embedding.fourier.scale()), "{}", embedding.fourier.scale());
    let mut judge = Judge::new(profile.clone(), Policy::new(256, FalseAlarm::windows(1000.0))).unwrap();
    let mut window = |shift: f32| {
        let mut counts = WindowCounts::new(&profile);
        for _ in 0..256 {
            counts.rows += 1;
            counts.add_embedding(&embedding.fourier.signs(&draw(shift)).unwrap());
        }
        judge.judge(&counts.close()).unwrap().embedding.unwrap()
    };
    let (mut small, mut rejected) = (0, 0);
    for _ in 0..400 {
        let calm = window(0.0);
        small += u32::from(calm.p <= 0.1);
        rejected += u32::from(calm.rejected);
    }
    // A tenth of 400, within three deviations.
    assert!((22..=58).contains(&small), "{small} of 400 at or below 0.1");
    assert!(rejected <= 15, "{rejected}");
    let moved = window(0.3);
    assert!(moved.rejected && moved.p < 1e-6 && moved.mmd2 > 0.0, "{moved:?}");
    assert!(window(0.3).drifted);
    // No embeddings in a window: nothing is said.
    assert_eq!(judge.judge(&WindowCounts::new(&profile)).unwrap().embedding, None);
}

#[test]
fn values_that_cannot_be_read_are_missing() {
    let profile = Profile::fit()
        .number("a")
        .stream(|sink| ["1", "x", " 2 "].iter().try_for_each(|t| sink(&Row::new(&[CellValue::Category(t)]))))
        .unwrap();
    assert_eq!(profile.features[0].counts, [0, 1, 1, 0, 1]);
}
