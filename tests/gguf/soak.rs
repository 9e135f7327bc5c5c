//! A long life: after thousands of runs an engine has the memory and the threads that it had after the first ones.
//!
//! 1,500 runs, 10,000 with `SELVEDGE_LONG=1`.

use std::time::{Duration, Instant};

use selvedge::{Call, Cancel, Code, Engine, Step};

use crate::memory::{CHILD, in_a_child, number_of, resident};
use crate::requests::{COUNT, Chance, Family, Models, Outcome, request};

const CONTEXT: usize = 640;
const CALLERS: usize = 4;
/// How a run ends that is not answered.
const CANCELLED: usize = 0;
const DROPPED: usize = 1;
const LATE: usize = 2;
/// Bytes that the allocator may keep more of what was freed: in 10,000 runs it kept 1.5 MiB, in 1,500 up to 2.4. A leak of
/// 1 KiB a run would be twice this in 10,000.
const MAX_GROWTH: u64 = 4 << 20;

/// In a process of its own: what other tests allocate meanwhile would count, too.
#[test]
fn thousands_of_runs_leave_memory_and_threads_as_they_were() {
    if std::env::var_os(CHILD).is_none() {
        return in_a_child("soak::thousands_of_runs_leave_memory_and_threads_as_they_were");
    }
    let runs = if std::env::var_os("SELVEDGE_LONG").is_some() { 10_000 } else { 1_500 };
    let mut models = Models::new();
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
    // What is made once is made: graphs of every width, parts of the cache, arenas of the allocator.
    life(runs / 5);
    let (threads, mut resident_at) = (settled_threads(0), vec![resident()]);
    for _ in 0..8 {
        life(runs / 10);
        resident_at.push(resident());
        assert_eq!(settled_threads(threads), threads);
    }
    println!("{runs} runs in {:?}: {threads} threads, resident after each tenth: {resident_at:?}", begin.elapsed());
    let first = resident_at[..2].iter().max().unwrap();
    let last = resident_at.last().unwrap();
    assert!(*last <= first + MAX_GROWTH, "resident memory has grown: {resident_at:?}");
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
