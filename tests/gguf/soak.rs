//! A long life: after thousands of runs an engine has the memory and the threads that it had after the first ones.
//!
//! 1,500 runs, 10,000 with `SELVEDGE_LONG=1`.

use std::time::{Duration, Instant};

use selvedge::{Call, Cancel, Code, Engine, Step, Trim};

use crate::allocator::allocated;
use crate::memory::{CHILD, in_a_child, number_of};
use crate::requests::{COUNT, Chance, Family, Models, Outcome, request};

const CONTEXT: usize = 640;
const CALLERS: usize = 4;
/// How a run ends that is not answered.
const CANCELLED: usize = 0;
const DROPPED: usize = 1;
const LATE: usize = 2;
/// Bytes that the engine may have more by chance: how it divides its cache, and what it keeps for later prompts (27 to 29 MiB in all).
const MAX_GROWTH: u64 = 4 << 20;
/// The same once it has given back what it can make anew, so that only what was lost is left: a hundred bytes of each of 1,200 runs, a
/// dozen of 8,000. Seen: 50,000 bytes, and 8,000.
const MAX_LOSS: u64 = 128 << 10;

/// In a process of its own: what other tests allocate meanwhile would count, too.
#[test]
fn thousands_of_runs_leave_memory_and_threads_as_they_were() {
    if std::env::var_os(CHILD).is_none() {
        return in_a_child("soak::thousands_of_runs_leave_memory_and_threads_as_they_were");
    }
    let runs = if std::env::var_os("SELVEDGE_LONG").is_some() { 10_000 } else { 1_500 };
    let mut models = Models::new(false);
    let expected: Vec<Outcome> = (0..COUNT).map(|number| models.alone(Family::Llama, CONTEXT, number)).collect();
    let engine = models.open(Family::Llama, models.options(Family::Llama, CONTEXT, false).parallel(4));
    let begin = Instant::now();
    let mut lived = 0;
    let mut life = |runs: usize| {
        lived += 1;
        std::thread::scope(|scope| {
            for caller in 0..CALLERS {
                let (engine, expected, mut chance) = (&*engine, &expected, Chance(lived * 100 + caller as u64));
                scope.spawn(move || (0..runs / CALLERS).for_each(|_| one(engine, expected, &mut chance)));
            }
        });
    };
    let left = || {
        engine.trim(Trim::All).unwrap();
        allocated()
    };
    // What is made once is made: graphs of every width, parts of the cache.
    life(runs / 5);
    let left_at_first = left();
    life(runs / 10);
    let (threads, mut allocated_at) = (settled_threads(0), vec![allocated()]);
    for _ in 0..7 {
        life(runs / 10);
        allocated_at.push(allocated());
        assert_eq!(settled_threads(threads), threads);
    }
    let left = left();
    println!(
        "{runs} runs in {:?}: {threads} threads, allocated after each tenth: {allocated_at:?}; {left_at_first} bytes left at first, {left} now",
        begin.elapsed()
    );
    let first = allocated_at[..2].iter().max().unwrap();
    let last = allocated_at.last().unwrap();
    assert!(*last <= first + MAX_GROWTH, "allocated memory has grown: {allocated_at:?}");
    assert!(left <= left_at_first + MAX_LOSS, "{left_at_first} bytes were left at first, {left} now");
}

/// Threads, once there are so many, or once those that have ended have had the time to go.
fn settled_threads(expected: u64) -> u64 {
    for _ in 0..100 {
        if number_of("Threads:") == expected {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    number_of("Threads:")
}

/// A run that is answered, cancelled, dropped, or too late.
fn one(engine: &dyn Engine, expected: &[Outcome], chance: &mut Chance) {
    let (number, cancel, ends, left) = (chance.below(COUNT), Cancel::new(), chance.below(8), 1 + chance.below(10));
    let mut call = Call::new().cancel(&cancel);
    if ends == LATE {
        call = call.timeout(Duration::from_micros(chance.below(2000) as u64));
    }
    let mut run = match engine.start(request(number, CONTEXT), call) {
        Ok(run) => run,
        Err(error) => return assert_eq!((ends, error.code()), (LATE, Code::DeadlineExceeded)),
    };
    for step in 0.. {
        match ends {
            CANCELLED if step == left => cancel.cancel(),
            DROPPED if step == left => return,
            _ => {}
        }
        match run.step() {
            Ok(Step::Done(answer)) => return assert_eq!(Outcome::from(&answer), expected[number], "request {number}"),
            Ok(_) => {}
            Err(error) => {
                let code = if ends == CANCELLED { Code::Cancelled } else { Code::DeadlineExceeded };
                return assert!(ends <= LATE && error.code() == code, "request {number}: {error}");
            }
        }
    }
}
