//! The hand-over of a lane and the overwriting of records, under all interleavings that matter (loom).
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --no-default-features --lib lane::model`

use std::panic::{AssertUnwindSafe, catch_unwind};

use loom::sync::Arc;
use loom::thread;

use super::*;

struct Lane {
    words: Vec<AtomicU64>,
    state: State,
}

impl Lane {
    fn new(slots: usize) -> Self {
        let words = (0..slots * 8).map(|_| AtomicU64::new(0)).collect();
        Self { words, state: State::new(Place { seq: 0, pos: 0 }) }
    }

    fn ring(&self) -> Ring<'_> {
        Ring::new(&self.words)
    }

    fn write(&self, id: u64) {
        self.ring().write(&self.state, &Inference { id, ..Inference::default() }, 1, id * 10);
    }

    fn drain(&self, reader: &mut Reader) -> (Vec<u64>, u64) {
        let (mut ids, mut lost) = (Vec::new(), 0);
        let mut each = |_, inference: &Inference| {
            assert_eq!(inference.at, inference.id * 10);
            ids.push(inference.id);
        };
        let mut missed = |missed: Missed| {
            assert!(!missed.are_torn);
            lost += missed.records;
        };
        reader.drain(self.ring(), &self.state, &mut [0; Inference::MAX_BINS], &mut each, &mut missed);
        (ids, lost)
    }
}

fn model(preemptions: usize, check: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(check);
}

/// Two threads that want the same lane: each record that was written is there, once, whoever had the lane when.
fn hand_over(claim: fn(&State) -> bool) {
    model(3, move || {
        let lane = Arc::new(Lane::new(4));
        let writers: Vec<_> = (1..3)
            .map(|id| {
                let lane = lane.clone();
                thread::spawn(move || {
                    let is_mine = claim(&lane.state);
                    if is_mine {
                        lane.write(id);
                        lane.state.release();
                    }
                    u64::from(is_mine)
                })
            })
            .collect();
        let written: u64 = writers.into_iter().map(|w| w.join().unwrap()).sum();
        assert!(written > 0);
        let (mut ids, lost) = lane.drain(&mut Reader::new(Place { seq: 0, pos: 0 }));
        ids.dedup();
        assert_eq!((ids.len() as u64, lost), (written, 0));
        assert_eq!(lane.state.next().seq, written);
    });
}

#[test]
fn a_lane_has_one_writer_at_a_time() {
    hand_over(State::claim);
}

#[test]
fn a_claim_in_two_steps_is_noticed() {
    let in_two_steps = |state: &State| {
        let is_free = !state.busy.load(Ordering::Acquire);
        if is_free {
            state.busy.store(true, Ordering::Release);
        }
        is_free
    };
    assert!(catch_unwind(AssertUnwindSafe(|| hand_over(in_two_steps))).is_err());
}

#[test]
fn a_claim_that_does_not_see_the_last_writer_is_noticed() {
    let blind = |state: &State| state.busy.compare_exchange(false, true, Ordering::Relaxed, Ordering::Relaxed).is_ok();
    assert!(catch_unwind(AssertUnwindSafe(|| hand_over(blind))).is_err());
}

/// A reader beside a writer that laps it: what it hands over is whole and in order, and the rest is counted.
#[test]
fn a_reader_beside_a_writer_gets_whole_records() {
    model(2, || {
        let lane = Arc::new(Lane::new(2));
        lane.write(0);
        let writer = {
            let lane = lane.clone();
            thread::spawn(move || (1..3).for_each(|id| lane.write(id)))
        };
        let mut reader = Reader::new(Place { seq: 0, pos: 0 });
        let (mut ids, mut lost) = lane.drain(&mut reader);
        writer.join().unwrap();
        let (rest, more) = lane.drain(&mut reader);
        ids.extend(rest);
        lost += more;
        assert!(ids.is_sorted() && ids.last() == Some(&2), "{ids:?}");
        assert_eq!(ids.len() as u64 + lost, 3, "{ids:?}");
    });
}
