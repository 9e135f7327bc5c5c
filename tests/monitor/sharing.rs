//! Several models in one folder.

use std::path::Path;

use selvedge::layer::monitor::Monitor;
use selvedge::layer::probe::Columns;
use selvedge::telemetry::{Cursor, Durability, Limits, Record, Telemetry};

use crate::{COLUMNS, Noise, ask, echo, profile};

fn open(dir: &Path) -> Telemetry {
    Telemetry::open(dir, Limits::default().durability(Durability::Process))
}

fn monitor(telemetry: &Telemetry, name: &str) -> Monitor {
    let engine = echo().name(name).build();
    let probe = Columns::of("x", COLUMNS);
    Monitor::builder(engine, telemetry.clone(), probe).profile(profile()).window(100).build().unwrap()
}

fn counted(monitor: &Monitor) -> (u64, u64) {
    let report = monitor.report();
    (report.totals.rows, report.in_progress)
}

#[test]
fn two_models_in_one_folder_have_books_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut noise = Noise(10);
    {
        let telemetry = open(dir.path());
        let (a, b) = (monitor(&telemetry, "a"), monitor(&telemetry, "b"));
        for call in 0..750 {
            ask(if call % 3 == 0 { &a } else { &b }, noise.row(), call);
        }
        assert_eq!((counted(&a), counted(&b)), ((200, 50), (500, 0)));
        (0..10).for_each(|call| ask(&b, noise.row(), call));
        // Another monitor of the same model under the same profile keeps the same books.
        let again = monitor(&telemetry, "a");
        ask(&again, noise.row(), 1);
        assert_eq!((counted(&a), counted(&again)), ((200, 51), (200, 51)));
    }
    // The end of the process leaves the windows in progress to the next one, whose monitors come one by one.
    let telemetry = open(dir.path());
    let b = monitor(&telemetry, "b");
    assert_eq!(counted(&b), (500, 10));
    assert_eq!(b.report().unclaimed, 0);
    let a = monitor(&telemetry, "a");
    assert_eq!(counted(&a), (200, 51));
    (0..49).for_each(|call| ask(&a, noise.row(), call));
    assert_eq!((counted(&a), counted(&b)), ((300, 0), (500, 10)));
    let windows = telemetry.read(Cursor::start(), usize::MAX).into_iter().filter_map(|(_, record)| match record {
        Record::Window(window) => Some((window.index, window.rows)),
        _ => None,
    });
    let mut windows: Vec<_> = windows.collect();
    windows.sort_unstable();
    let of = |n: u64| (0..n).map(|i| (i, 100));
    let mut expected: Vec<_> = of(3).chain(of(5)).collect();
    expected.sort_unstable();
    assert_eq!(windows, expected);
}

/// Where nothing can be kept, answers and drift go on, and the report says so.
#[test]
fn a_folder_that_cannot_be_written_costs_the_memory_of_it_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a file");
    std::fs::write(&file, "in the way").unwrap();
    let telemetry = open(&file);
    let monitor = monitor(&telemetry, "a");
    let mut noise = Noise(11);
    (0..300).for_each(|call| ask(&monitor, [noise.row()[0], 0.0], call));
    let report = monitor.report();
    assert_eq!((report.totals.rows, report.alerts.len(), &*report.alerts[0].feature), (300, 1, "flow"));
    assert!(report.to_string().contains("counts only"), "{report}");
}
