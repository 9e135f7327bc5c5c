use std::sync::Arc;

use super::super::python_random::PythonRandom;
use super::super::{Column, FalseAlarm, Finding, Judge, Persistence, Policy, Profile, RowDependence, WindowCounts};

fn bell(random: &mut PythonRandom) -> f32 {
    ((0..12).map(|_| random.unit()).sum::<f64>() - 6.0) as f32
}

fn normal(rows: usize, dependence: RowDependence) -> Arc<Profile> {
    let mut random = PythonRandom::new(1);
    let x: Vec<f32> = (0..rows).map(|_| bell(&mut random)).collect();
    Arc::new(Profile::fit().number("x").block(dependence).of_columns(&[Column::F32(&x)]).unwrap())
}

fn window(profile: &Profile, rows: usize, mut value: impl FnMut() -> f32) -> WindowCounts {
    let mut counts = WindowCounts::new(profile);
    (0..rows).for_each(|_| counts.add_row(&[profile.features[0].bin(value())]));
    counts
}

#[test]
fn what_no_window_shows_windows_show_together() {
    let profile = normal(20_000, RowDependence::Independent);
    let mut judge = Judge::new(profile.clone(), Policy::new(64, FalseAlarm::windows(10_000.0))).unwrap();
    let mut random = PythonRandom::new(2);
    let mut judged = |shift: f32| judge.judge(&window(&profile, 64, || bell(&mut random) + shift)).unwrap();
    for _ in 0..200 {
        assert!(!judged(0.0).drifted());
    }
    let found = (1..400).find_map(|windows| {
        let drift = judged(0.25).features.remove(0);
        drift.drifted.then_some((windows, drift))
    });
    let (windows, drift) = found.expect("a shift of a quarter of a deviation");
    let together = drift.accumulated.expect("it is the windows together that show it");
    assert!(windows < 64, "{windows}");
    assert_eq!((drift.finding, together.finding), (Some(Finding::Shift), Finding::Shift));
    assert!(together.windows > 4 && together.rows == 64 * together.windows && together.p() < 1e-4, "{together:?}");
    assert!(together.ln_p < drift.ln_p, "{drift:?}");
    // It lasts as long as it does, and no longer.
    for _ in 0..100 {
        assert!(judged(0.25).drifted());
    }
    let over = (1..400).find(|_| !judged(0.0).drifted());
    assert!(over.is_some_and(|windows| windows <= 4 * together.windows), "{over:?} of {together:?}");
}

/// A window whose evidence stands for itself must be followed by another: it does not raise an alert by way of a sum.
#[test]
fn a_window_that_was_rejected_is_no_part_of_a_sum() {
    let profile = normal(20_000, RowDependence::Independent);
    let mut judge = Judge::new(profile.clone(), Policy::new(256, FalseAlarm::windows(1e6))).unwrap();
    let mut random = PythonRandom::new(3);
    for i in 0..200 {
        let shift = if i % 8 == 3 { 3.0 } else { 0.0 };
        let verdict = judge.judge(&window(&profile, 256, || bell(&mut random) + shift)).unwrap();
        assert_eq!(verdict.features[0].finding.is_some(), shift > 0.0, "{i}");
        assert!(!verdict.drifted(), "{i}");
    }
}

/// Where rows are rare, windows close for their age.
#[test]
fn windows_of_a_row_are_put_together() {
    let profile = normal(5000, RowDependence::Independent);
    let policy = Policy::new(32, FalseAlarm::windows(10_000.0));
    let until = |value: f32| {
        let mut judge = Judge::new(profile.clone(), policy).unwrap();
        let mut random = PythonRandom::new(4);
        for _ in 0..500 {
            assert!(!judge.judge(&window(&profile, 1, || bell(&mut random))).unwrap().drifted());
        }
        (1..500).find(|_| judge.judge(&window(&profile, 1, || value)).unwrap().drifted())
    };
    for value in [0.0, f32::NAN, 1e9] {
        assert!(until(value).is_some_and(|rows| rows < 100), "{value}: {:?}", until(value));
    }
}

#[test]
fn a_value_that_stays_is_dead_until_another_comes() {
    let profile = normal(5000, RowDependence::Rows(40));
    let (feature, policy) = (&profile.features[0], Policy::new(8, FalseAlarm::windows(10_000.0)));
    let mut judge = Judge::new(profile.clone(), policy).unwrap();
    let reach = judge.reach().remove(0);
    assert!(reach.blind().is_empty() && reach.dead.is_some_and(|rows| rows % 8 == 0), "{reach:?}");
    let mut dead = |value: f32| {
        let drift = judge.judge(&window(&profile, 8, || value)).unwrap().features.remove(0);
        (drift.drifted, drift.finding, drift.accumulated.map_or(0, |a| a.rows))
    };
    let found = (1..100).find_map(|windows| {
        let (drifted, finding, rows) = dead(0.1);
        drifted.then_some((8 * windows, finding, rows))
    });
    let rows = reach.dead.unwrap();
    assert_eq!(found, Some((rows, Some(Finding::DeadFeature), rows)), "as the reach says");
    assert_eq!(dead(0.1), (true, Some(Finding::DeadFeature), rows + 8));
    assert!(feature.bin(0.1) != feature.bin(1.1));
    assert!(!dead(1.1).0, "another bin, though it stays there too");
    judge.reset();
    assert!(!judge.judge(&window(&profile, 8, || 0.1)).unwrap().drifted());
}

/// The reference stood still for most of the time: that it does so again is nothing new.
#[test]
fn what_the_reference_bore_is_no_alarm() {
    let mut random = PythonRandom::new(5);
    // Nights of no light, and days.
    let sun: Vec<f32> = (0..9000).map(|hour| if hour % 24 < 13 { 0.0 } else { random.unit() as f32 }).collect();
    let fit = Profile::fit().number("sun").block(RowDependence::Rows(48));
    let profile = Arc::new(fit.of_columns(&[Column::F32(&sun)]).unwrap());
    let policy = Policy::new(8, FalseAlarm::windows(10_000.0)).persistence(Persistence::new(1, 1).unwrap());
    let mut judge = Judge::new(profile.clone(), policy).unwrap();
    let mut hours = (0..).map(|hour| if hour % 24 < 13 { 0.0 } else { random.unit() as f32 });
    for _ in 0..3000 {
        let verdict = judge.judge(&window(&profile, 8, || hours.next().unwrap())).unwrap();
        assert!(!verdict.drifted(), "{verdict:?}");
    }
    let night = (1..200).find(|_| judge.judge(&window(&profile, 8, || 0.0)).unwrap().drifted());
    assert!(night.is_some_and(|windows| windows <= 20), "{night:?}");
}

#[test]
fn runs_are_kept_in_the_profile_and_older_bytes_have_none() {
    let mut profile = Arc::unwrap_or_clone(normal(3000, RowDependence::Rows(30)));
    let runs = profile.features[0].runs.expect("rows depend on each other");
    // Rows that do not, in truth: a bin of a sixteenth is left at once.
    assert!((0.3..3.0).contains(&runs.endurance) && (1.0..1.7).contains(&runs.cluster), "{runs:?}");
    let bytes = profile.encode();
    assert_eq!(Profile::decode(&bytes).unwrap(), profile);
    profile.features[0].runs = None;
    let older = profile.encode();
    assert_eq!((Profile::decode(&older).unwrap(), bytes.len() - older.len()), (profile, 8));
    assert_eq!(normal(3000, RowDependence::Independent).features[0].runs, None);
}

#[test]
fn values_that_come_in_spells_have_long_runs() {
    let mut random = PythonRandom::new(6);
    // Each value comes five times.
    let spells: Vec<f32> = (0..4000).flat_map(|_| [bell(&mut random); 5]).collect();
    let fit = Profile::fit().number("x").block(RowDependence::Rows(50));
    let profile = fit.of_columns(&[Column::F32(&spells)]).unwrap();
    let runs = profile.features[0].runs.unwrap();
    assert!((4.0..7.0).contains(&runs.cluster), "{runs:?}");
    assert!((3.0..9.0).contains(&runs.endurance), "{runs:?}");
}
