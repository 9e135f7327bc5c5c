//! Plans: how the context is divided, and how many threads compute.

use std::time::Duration;

use super::super::plan::{Division, Needs, Plan};
use super::super::serve::threads::ThreadTuner;

#[test]
fn a_context_is_divided_as_the_longest_run_needs() {
    let plan = |context, parallel| Plan {
        context,
        parallel,
        threads: 1,
        prompt_threads: 1,
        text: context,
        generates: true,
        reuses: true,
        products: true,
        embeds: false,
        ranks: false,
        generation: Default::default(),
        embedding: Default::default(),
        work: Default::default(),
    };
    let divide = |tokens, context, parallel| {
        let division = Division::for_tokens(tokens, &plan(context, parallel));
        (division.sequences, division.length)
    };
    assert_eq!(divide(1, 4096, 4), (4, 1024));
    assert_eq!(divide(1024, 4096, 4), (4, 1024));
    assert_eq!(divide(1025, 4096, 4), (3, 1280));
    assert_eq!(divide(2000, 4096, 4), (2, 2048));
    assert_eq!(divide(4096, 4096, 4), (1, 4096));
    // Rounded up to what llama.cpp gives anyway.
    assert_eq!(divide(100, 100, 1), (1, 256));
    assert_eq!(divide(1, 600, 3), (3, 256));
    assert_eq!(divide(600, 600, 3), (1, 768));
    assert_eq!(Division::max_cells(&plan(600, 4)), 1024);
    assert_eq!(Division::max_cells(&plan(4096, 4)), 4096);
    // The tables of the largest context are memory that must be there before it is made.
    assert_eq!(plan(1 << 30, 1).made(&Needs::default()), 64 << 30);
}

/// Runs rounds on a machine that takes `seconds(threads)` for one; returns the threads used for each.
fn rounds(tuner: &mut ThreadTuner, count: usize, seconds: impl Fn(u32) -> f64) -> Vec<u32> {
    let mut used = Vec::new();
    for _ in 0..count {
        let (threads, limit) = tuner.next(1);
        let time = Duration::from_secs_f64(seconds(threads));
        used.push(threads);
        if limit.is_some_and(|limit| time > limit) {
            tuner.record_time(None);
            used.push(tuner.threads());
        } else {
            tuner.record_time(Some(time));
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
    let mut tuner = ThreadTuner::new(8);
    assert!(tuner.is_new());
    let used = rounds(&mut tuner, 1000, quiet);
    assert!(!tuner.is_new());
    assert_eq!(tuner.threads(), 8);
    // Trials of fewer threads cost little: they become rare.
    assert!(used.iter().filter(|&&t| t < 8).count() <= 20, "{used:?}");
}

#[test]
fn contention_is_found_at_once_and_left_again() {
    let mut tuner = ThreadTuner::new(8);
    rounds(&mut tuner, 100, quiet);
    let used = rounds(&mut tuner, 30, contended);
    assert_eq!(tuner.threads(), 2, "{used:?}");
    assert!(used.iter().filter(|&&t| t > 2).count() <= 12, "{used:?}");
    // While it lasts, trials of more threads become rare, too.
    let used = rounds(&mut tuner, 1000, contended);
    assert!(used.iter().filter(|&&t| t > 2).count() <= 20);
    assert_eq!(tuner.threads(), 2);
    rounds(&mut tuner, 4200, quiet);
    assert_eq!(tuner.threads(), 8);
}

#[test]
fn contention_from_the_start_is_found() {
    let mut tuner = ThreadTuner::new(8);
    let used = rounds(&mut tuner, 20, contended);
    assert_eq!(tuner.threads(), 2, "{used:?}");
}

#[test]
fn a_single_slow_round_changes_nothing() {
    let mut tuner = ThreadTuner::new(4);
    rounds(&mut tuner, 100, quiet);
    rounds(&mut tuner, 1, |_| 5.0);
    let used = rounds(&mut tuner, 50, quiet);
    assert_eq!(tuner.threads(), 4);
    assert!(used.iter().filter(|&&t| t < 4).count() <= 4, "{used:?}");
}

#[test]
fn one_thread_is_never_tried_against_another() {
    let mut tuner = ThreadTuner::new(1);
    assert!(!tuner.is_new());
    assert!(rounds(&mut tuner, 100, contended).iter().all(|&t| t == 1));
}

#[test]
fn a_new_width_is_measured_anew() {
    let mut tuner = ThreadTuner::new(4);
    rounds(&mut tuner, 50, quiet);
    // Eight tokens take longer than one, which is not contention.
    for _ in 0..5 {
        assert_eq!(tuner.next(8), (4, None));
        tuner.record_time(Some(Duration::from_secs_f64(0.2)));
    }
    assert_eq!(tuner.threads(), 4);
}

#[test]
fn a_round_that_was_given_up_and_was_no_trial_says_nothing() {
    let mut tuner = ThreadTuner::new(4);
    for _ in 0..20 {
        tuner.next(1);
        tuner.record_time(None);
    }
    assert_eq!(tuner.next(1), (4, None));
    rounds(&mut tuner, 50, quiet);
    assert_eq!(tuner.threads(), 4);
}
