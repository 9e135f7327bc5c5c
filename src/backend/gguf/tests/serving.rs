//! The books and the pace of the worker.

use std::time::Duration;

use super::super::cells::Cells;
use super::super::pace::Pace;

#[test]
fn cells_are_counted_per_user() {
    let mut cells = Cells::new(10);
    let mut first = Vec::new();
    assert!(cells.take(6, &mut first));
    let second = cells.share(&first[..4]);
    let mut third = Vec::new();
    assert!(!cells.take(5, &mut third), "only 4 are free");
    assert!(third.is_empty());
    assert_eq!(cells.free(), 4);
    assert_eq!(cells.distinct([&*first, &*second].into_iter()), 6);
    cells.release(first);
    // The shared ones are still in use.
    assert_eq!(cells.free(), 6);
    cells.release(second);
    assert_eq!((cells.free(), cells.capacity()), (10, 10));
}

/// Runs rounds on a machine that takes `seconds(threads)` for one; returns the threads used for each.
fn rounds(pace: &mut Pace, count: usize, seconds: impl Fn(u32) -> f64) -> Vec<u32> {
    let mut used = Vec::new();
    for _ in 0..count {
        let (threads, limit) = pace.next(1);
        let time = Duration::from_secs_f64(seconds(threads));
        used.push(threads);
        if limit.is_some_and(|limit| time > limit) {
            pace.took(None);
            used.push(pace.threads());
        } else {
            pace.took(Some(time));
        }
    }
    used
}

/// Threads that have a core each share the work; with something else on the machine they wait for each other.
fn quiet(threads: u32) -> f64 {
    0.1 / f64::from(threads)
}

fn contended(threads: u32) -> f64 {
    if threads > 2 { 2.0 } else { quiet(threads) }
}

#[test]
fn a_quiet_machine_keeps_all_threads() {
    let mut pace = Pace::new(8);
    assert!(pace.is_new());
    let used = rounds(&mut pace, 1000, quiet);
    assert!(!pace.is_new());
    assert_eq!(pace.threads(), 8);
    // Trials of fewer threads cost little: they become rare.
    assert!(used.iter().filter(|&&t| t < 8).count() <= 20, "{used:?}");
}

#[test]
fn contention_is_found_at_once_and_left_again() {
    let mut pace = Pace::new(8);
    rounds(&mut pace, 100, quiet);
    let used = rounds(&mut pace, 30, contended);
    assert_eq!(pace.threads(), 2, "{used:?}");
    assert!(used.iter().filter(|&&t| t > 2).count() <= 12, "{used:?}");
    // While it lasts, trials of more threads become rare, too.
    let used = rounds(&mut pace, 1000, contended);
    assert!(used.iter().filter(|&&t| t > 2).count() <= 20);
    assert_eq!(pace.threads(), 2);
    rounds(&mut pace, 4200, quiet);
    assert_eq!(pace.threads(), 8);
}

#[test]
fn contention_from_the_start_is_found() {
    let mut pace = Pace::new(8);
    let used = rounds(&mut pace, 20, contended);
    assert_eq!(pace.threads(), 2, "{used:?}");
}

#[test]
fn a_single_slow_round_changes_nothing() {
    let mut pace = Pace::new(4);
    rounds(&mut pace, 100, quiet);
    rounds(&mut pace, 1, |_| 5.0);
    let used = rounds(&mut pace, 50, quiet);
    assert_eq!(pace.threads(), 4);
    assert!(used.iter().filter(|&&t| t < 4).count() <= 4, "{used:?}");
}

#[test]
fn one_thread_is_never_tried_against_another() {
    let mut pace = Pace::new(1);
    assert!(!pace.is_new());
    assert!(rounds(&mut pace, 100, contended).iter().all(|&t| t == 1));
}

#[test]
fn a_new_width_is_measured_anew() {
    let mut pace = Pace::new(4);
    rounds(&mut pace, 50, quiet);
    // Eight tokens take longer than one, which is not contention.
    for _ in 0..5 {
        assert_eq!(pace.next(8), (4, None));
        pace.took(Some(Duration::from_secs_f64(0.2)));
    }
    assert_eq!(pace.threads(), 4);
}
