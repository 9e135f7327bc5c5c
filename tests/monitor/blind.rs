//! A monitor is not blind without a word: what no single window shows, windows together do; what none ever shows, it says.

use std::time::Duration;

use selvedge::drift::{AlertKind, Finding, Profile, RowDependence};
use selvedge::layer::monitor::{Monitor, Reference};
use selvedge::layer::probe::Columns;
use selvedge::telemetry::Telemetry;

use crate::{COLUMNS, Noise, ask, echo, folder, open};

/// Temperatures by the hour, and a second column that has nothing to do with them. Each is as the hours before it.
struct Hours {
    noise: Noise,
    hour: u64,
    weather: [f32; 2],
}

impl Hours {
    fn new(seed: u64) -> Self {
        Self { noise: Noise(seed), hour: 0, weather: [0.0; 2] }
    }

    fn next(&mut self) -> [f32; 2] {
        self.hour += 1;
        for weather in &mut self.weather {
            let bell: f32 = (0..4).map(|_| self.noise.next()).sum::<f32>() - 2.0;
            *weather = 0.95 * *weather + bell;
        }
        let day = (self.hour as f32 * std::f32::consts::TAU / 24.0).sin();
        [11.0 + 4.0 * day + self.weather[0], 5.0 + self.weather[1]]
    }
}

fn kinds(monitor: &Monitor) -> Vec<(String, AlertKind)> {
    monitor.alerts().into_iter().map(|a| (a.feature, a.kind)).collect()
}

fn dead(feature: &str) -> (String, AlertKind) {
    (feature.into(), AlertKind::Feature(Finding::DeadFeature))
}

/// With the defaults: a profile learned of four windows of 1,024 rows, in which a row is like the one before.
#[test]
fn a_sensor_that_sticks_is_found_though_rows_depend_on_each_other() {
    let (_folder, telemetry) = folder();
    let monitor = Monitor::builder(echo().build(), telemetry, Columns::of("x", COLUMNS)).build().unwrap();
    let mut hours = Hours::new(1);
    (0..8000).for_each(|_| ask(&monitor, hours.next(), 0));
    assert_eq!((monitor.report().reference, kinds(&monitor)), (Reference::Learned, vec![]));
    assert!(monitor.profile().unwrap().block > 1, "{:?}", monitor.profile());
    let [stuck, _] = hours.next();
    let mut until = 0;
    while until < 6000 && monitor.alerts().is_empty() {
        ask(&monitor, [stuck, hours.next()[1]], 0);
        until += 1;
    }
    assert!(until <= 4 * 1024, "{until} rows");
    (until..6000).for_each(|_| ask(&monitor, [stuck, hours.next()[1]], 0));
    assert_eq!(kinds(&monitor), [dead("level")], "after {until} rows: {}", monitor.report());
}

fn reference(hours: &mut Hours, rows: usize) -> Profile {
    let rows: Vec<[f32; 2]> = (0..rows).map(|_| hours.next()).collect();
    let fit = COLUMNS.iter().fold(Profile::fit(), |fit, name| fit.number(*name));
    fit.block(RowDependence::Rows(44)).of_rows(&rows).unwrap()
}

fn daily(telemetry: &Telemetry, profile: &Profile) -> Monitor {
    let builder = Monitor::builder(echo().build(), telemetry.clone(), Columns::of("x", COLUMNS));
    builder.profile(profile.clone()).window(24).build().unwrap()
}

/// A window of a day, where it takes 44 hours to have an hour that knows nothing of the one before.
#[test]
fn windows_shorter_than_a_block_see_together_what_none_sees_alone() {
    let mut hours = Hours::new(2);
    let profile = reference(&mut hours, 8000);
    type Broken = fn([f32; 2], f32) -> f32;
    let cases: [(&str, Broken); 6] = [
        ("stuck", |_, last| last),
        ("missing", |_, _| f32::NAN),
        ("zero", |_, _| 0.0),
        ("out of range", |_, _| 500.0),
        ("sign", |row, _| -row[0]),
        ("scale", |row, _| 10.0 * row[0]),
    ];
    for (name, broken) in cases {
        let (_folder, telemetry) = folder();
        let monitor = daily(&telemetry, &profile);
        (0..100 * 24).for_each(|_| ask(&monitor, hours.next(), 0));
        assert_eq!(kinds(&monitor), [], "{name}: before");
        let [last, _] = hours.next();
        let mut until = 0;
        while until < 4000 && monitor.alerts().is_empty() {
            let row = hours.next();
            ask(&monitor, [broken(row, last), row[1]], 0);
            until += 1;
        }
        let found = kinds(&monitor);
        assert_eq!(found.iter().map(|(feature, _)| &**feature).collect::<Vec<_>>(), ["level"], "{name}");
        assert!(until < 2000, "{name}: {until} rows");
    }
}

/// A process that ends every few windows forgets nothing of what they show together.
#[test]
fn what_windows_show_together_outlives_the_process() {
    let mut hours = Hours::new(3);
    let profile = reference(&mut hours, 8000);
    let (folder, telemetry) = folder();
    drop(telemetry);
    let mut lives = 0;
    let found = loop {
        let telemetry = open(&folder);
        let monitor = daily(&telemetry, &profile);
        for row in 0..2 * 24 {
            let [level, flow] = hours.next();
            ask(&monitor, [if row % 3 == 0 { f32::NAN } else { level }, flow], 0);
        }
        lives += 1;
        if !monitor.alerts().is_empty() || lives > 60 {
            break kinds(&monitor);
        }
    };
    assert_eq!(found, [("level".to_owned(), AlertKind::Feature(Finding::Missing))], "after {lives} lives");
    assert!(lives > 2, "two windows of a day show nothing");
}

/// What was found together stands until windows together are calm, and is then over.
#[test]
fn what_was_found_together_is_over_in_the_end() {
    let mut hours = Hours::new(4);
    let profile = reference(&mut hours, 8000);
    let (_folder, telemetry) = folder();
    let monitor = daily(&telemetry, &profile);
    let mut live = |monitor: &Monitor, missing: bool, until: &dyn Fn(&Monitor) -> bool| {
        for rows in 0..20_000 {
            if until(monitor) {
                return rows;
            }
            let [level, flow] = hours.next();
            // Every third value is missing: no window of a day shows it.
            let lost = missing && rows % 3 == 0;
            ask(monitor, [if lost { f32::NAN } else { level }, flow], 0);
        }
        panic!("it never came: {}", monitor.report());
    };
    live(&monitor, true, &|monitor| !monitor.alerts().is_empty());
    assert_eq!(kinds(&monitor), [("level".to_owned(), AlertKind::Feature(Finding::Missing))]);
    let evidence = &monitor.alerts()[0].evidence;
    assert!(evidence.contains("together") && evidence.contains("33.3 % missing"), "{evidence}");
    // While it lasts there is one alert, which stands.
    for rows in 0..3000 {
        let [level, flow] = hours.next();
        ask(&monitor, [if rows % 3 == 0 { f32::NAN } else { level }, flow], 0);
        assert_eq!(monitor.alerts().len(), 1, "after {rows} rows");
    }
    for _ in 0..20_000 {
        if monitor.alerts().is_empty() {
            return;
        }
        ask(&monitor, hours.next(), 0);
    }
    panic!("it is never over: {}", monitor.report());
}

/// An hour a row, and 1,268 of them: the defaults learn from 4,096.
#[test]
fn a_baseline_says_how_far_it_is() {
    let (_folder, telemetry) = folder();
    let monitor = Monitor::builder(echo().build(), telemetry, Columns::of("x", COLUMNS)).build().unwrap();
    let state = |monitor: &Monitor| monitor.report().learning.map(|learning| (learning.rows, learning.of));
    assert_eq!(state(&monitor), Some((0, 4096)));
    let mut hours = Hours::new(5);
    (0..1268).for_each(|_| ask(&monitor, hours.next(), 0));
    let report = monitor.report();
    assert_eq!((state(&monitor), report.reference), (Some((1268, 4096)), Reference::Learning { left: 4096 - 1268 }));
    assert!(report.to_string().contains("learning: 1268 of 4096 rows"), "{report}");
    (0..4096 - 1268).for_each(|_| ask(&monitor, hours.next(), 0));
    assert_eq!((state(&monitor), monitor.report().reference), (None, Reference::Learned));
}

/// The same rows, where an hour closes a window that is not full: such windows would take a year to have 4,096.
#[test]
fn a_baseline_does_not_wait_for_windows_that_never_fill() {
    for ticks in [false, true] {
        let (_folder, telemetry) = folder();
        let builder = Monitor::builder(echo().build(), telemetry, Columns::of("x", COLUMNS));
        let monitor = builder.time_cap(Duration::ZERO).build().unwrap();
        let mut hours = Hours::new(5);
        let mut live = |rows: usize, stuck: Option<f32>| {
            for _ in 0..rows {
                let [level, flow] = hours.next();
                ask(&monitor, [stuck.unwrap_or(level), flow], 0);
                if ticks {
                    monitor.tick();
                }
            }
        };
        live(400, None);
        let learning = monitor.report().learning.unwrap();
        assert_eq!((learning.rows, learning.of), (400, 512));
        assert!(monitor.report().to_string().contains("learning: 400 of 512 rows"));
        live(400, None);
        let report = monitor.report();
        assert_eq!((report.reference, &report.alerts[..]), (Reference::Learned, &[][..]), "{report}");
        assert!(report.windows.iter().any(|window| window.verdict.is_some()), "{report}");
        live(468, Some(11.0));
        assert_eq!(kinds(&monitor), [dead("level")], "{}", monitor.report());
    }
}

/// Slow at first, then fast: a reference has rows for windows as they are now.
#[test]
fn a_baseline_of_windows_that_grow_grows_with_them() {
    let (_folder, telemetry) = folder();
    let monitor = Monitor::builder(echo().build(), telemetry, Columns::of("x", COLUMNS)).build().unwrap();
    let mut noise = Noise(8);
    let of = |monitor: &Monitor| monitor.report().learning.map(|learning| learning.of);
    for window in 1..=4 {
        (0..10).for_each(|_| ask(&monitor, noise.row(), 0));
        monitor.close_window();
        assert_eq!(of(&monitor), Some(if window < 4 { 4096 } else { 512 }));
    }
    (0..300).for_each(|_| ask(&monitor, noise.row(), 0));
    assert_eq!(of(&monitor), Some(1200), "four windows of as many rows as the one in progress has");
    monitor.close_window();
    (0..859).for_each(|_| ask(&monitor, noise.row(), 0));
    assert_eq!(of(&monitor), Some(4 * 859));
    (0..1024).for_each(|_| ask(&monitor, noise.row(), 0));
    assert_eq!(of(&monitor), Some(4096), "a full window");
    (0..1900).for_each(|_| ask(&monitor, noise.row(), 0));
    assert_eq!((of(&monitor), monitor.report().reference), (None, Reference::Learned));
    assert_eq!(monitor.profile().unwrap().rows, 4096);
}

#[test]
fn a_monitor_says_what_it_would_never_see() {
    let (_folder, telemetry) = folder();
    let monitor_of = |rows: &[[f32; 2]]| {
        let profile = COLUMNS.iter().fold(Profile::fit(), |fit, name| fit.number(*name)).of_rows(rows).unwrap();
        let builder = Monitor::builder(echo().build(), telemetry.clone(), Columns::of("x", COLUMNS));
        builder.profile(profile).window(64).build().unwrap()
    };
    let mut noise = Noise(6);
    // The second column never varies: that it stands still is nothing new.
    let report = monitor_of(&(0..5000).map(|_| [noise.next(), 1.5]).collect::<Vec<_>>()).report();
    let [level, flow] = &report.reach[..] else { panic!("{:?}", report.reach) };
    assert_eq!((level.blind(), flow.blind()), (vec![], vec!["dead", "shift"]));
    assert_eq!((level.dead, level.missing, level.out_of_range), (Some(128), Some(128), Some(128)));
    assert!(report.to_string().contains("blind      flow: not seen if dead, shift"), "{report}");
    // Three rows are no reference to speak of.
    let report = monitor_of(&[[1.0, 2.0], [2.0, 1.0], [3.0, 3.0]]).report();
    assert!(report.reach.iter().all(|reach| reach.blind().contains(&"shift")), "{:?}", report.reach);
}
