//! Which way an open goes after deaths.

use super::super::ladder::{Decision, counted, decide};
use super::{ASKED, death, unsure};
use crate::crash::{CrashPhase, CrashRecord, Death, Rung, Way};

const GENTLE: Way = Way { backend: "ort", threads: 1, is_mapped: false, is_accelerated: false };
const OTHER: Way = Way { backend: "tract", threads: 1, is_mapped: false, is_accelerated: false };

#[test]
fn the_default_ladder_costs_two_starts_whichever_way_they_die() {
    assert_eq!(CrashRecord::new("").rungs, [Rung::new().one_thread().read_whole().other_runtime()]);
    assert_eq!(decide(&[], ASKED, 1), Decision::Go);
    let one = [death(1, ASKED)];
    assert_eq!(decide(&one, ASKED, 1), Decision::Next, "the same again");
    assert_eq!(decide(&one, OTHER, 1), Decision::Go);
    for way in [GENTLE, OTHER] {
        let two = [death(1, ASKED), death(2, way)];
        for next in [ASKED, GENTLE, OTHER] {
            assert_eq!(decide(&two, next, 1), Decision::Refuse, "{next:?}");
        }
    }
}

/// No rung has one, so that the same otherwise is gentler.
#[test]
fn without_an_accelerator_is_another_way() {
    let with = Way { is_accelerated: true, ..GENTLE };
    let one = [death(1, with)];
    assert_eq!((decide(&one, with, 1), decide(&one, GENTLE, 1)), (Decision::Next, Decision::Go));
    assert_eq!(GENTLE.to_string(), "one thread, read whole");
    assert_eq!(with.to_string(), "one thread, read whole, accelerated");
}

/// Deaths of an engine that dies in every way, opened until it is refused: each rung in order, then the other variants of it.
#[test]
fn no_ladder_costs_more_starts_than_its_rungs_and_one() {
    let ways = [ASKED, GENTLE, OTHER, Way { threads: 2, ..ASKED }, Way { is_mapped: false, ..ASKED }];
    for rungs in 0..ways.len() {
        let mut deaths: Vec<Death> = Vec::new();
        'starts: for start in 0..20 {
            for way in ways {
                match decide(&deaths, way, rungs) {
                    Decision::Go => {
                        deaths.push(death(start, way));
                        continue 'starts;
                    }
                    Decision::Next => {}
                    Decision::Refuse => break 'starts,
                }
            }
        }
        assert_eq!(deaths.len(), rungs + 1);
    }
}

#[test]
fn two_deaths_that_are_not_sure_count_as_one_in_the_same_phase_alone() {
    let (open, first) = (unsure(1, ASKED, CrashPhase::Open), unsure(2, ASKED, CrashPhase::FirstUse));
    assert_eq!(counted(&[open.clone(), first.clone()]), 0);
    assert_eq!(decide(&[open.clone(), first], ASKED, 1), Decision::Go);
    let twice = [open.clone(), unsure(3, ASKED, CrashPhase::Open)];
    assert_eq!((counted(&twice), decide(&twice, ASKED, 1)), (1, Decision::Next));
    assert_eq!(decide(&[open, unsure(4, GENTLE, CrashPhase::Open)], ASKED, 1), Decision::Go, "of two ways");
}
