//! The queue as plain state, on a clock of the test's own: thousands of random walks, each decision held against the rule.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::options::ScheduleOptions;
use super::super::queue::{ANY_EVERY, Queue, TRY_AFTER, Terms, Work};
use super::{below, random};
use crate::Code;
use crate::engine::{Priority, Usage};

const PRIORITIES: [Priority; 3] = [Priority::Background, Priority::Normal, Priority::Interactive];

fn terms(engine: usize, caller: u64, priority: Priority) -> Terms {
    Terms { engine, work: Work::Tensors, caller, priority, deadline: None }
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The queue with the test's own books.
struct Bench {
    queue: Queue,
    now: Instant,
    running: BTreeMap<u64, Terms>,
    /// Those that wait, and whether their owner is there.
    waiting: BTreeMap<u64, (Terms, bool)>,
    /// Those granted since last asked.
    granted: Vec<u64>,
}

impl Bench {
    fn new(options: ScheduleOptions, slots: &[usize]) -> Self {
        let mut queue = Queue::new(options);
        for n in slots {
            queue.add_engine(*n);
        }
        let (running, waiting) = Default::default();
        Self { queue, now: Instant::now(), running, waiting, granted: vec![] }
    }

    fn enter(&mut self, terms: Terms) -> crate::Result<u64> {
        let now = self.now;
        let number = self.queue.enter(&terms, || now)?;
        self.waiting.insert(number, (terms, false));
        Ok(number)
    }

    fn arrive(&mut self, number: u64) {
        self.waiting.get_mut(&number).unwrap().1 = true;
        if self.queue.arrive(number, self.now) {
            self.note(number);
        } else {
            self.queue.signal(number).unwrap();
        }
        self.notice();
    }

    fn start(&mut self, terms: Terms) -> u64 {
        let number = self.enter(terms).unwrap();
        self.arrive(number);
        number
    }

    fn end(&mut self, number: u64, is_answered: bool) {
        let usage = Usage::default();
        self.queue.end(number, self.now, is_answered.then_some(&usage));
        assert!(self.running.remove(&number).is_some() | self.waiting.remove(&number).is_some());
        self.notice();
    }

    /// One run after another, until one is left that computes.
    fn next_after(&mut self, took: Duration) -> u64 {
        self.now += took;
        let running = *self.running.keys().next().unwrap();
        self.granted.clear();
        self.end(running, true);
        assert_eq!(self.granted.len(), 1);
        self.granted[0]
    }

    fn note(&mut self, number: u64) {
        let (terms, _) = self.waiting.remove(&number).unwrap();
        self.running.insert(number, terms);
        self.granted.push(number);
    }

    /// Finds out who was granted, by asking for the signals of those that wait.
    fn notice(&mut self) {
        let here: Vec<u64> = self.waiting.iter().filter(|(_, w)| w.1).map(|(n, _)| *n).collect();
        for number in here {
            if self.queue.signal(number).is_none() {
                self.note(number);
            }
        }
    }
}

#[test]
fn random_walks_stay_within_bounds_and_leave_no_slot_free() {
    for seed in 0..3000u64 {
        let state = &mut (seed * 77);
        let slots = [1 + below(state, 3) as usize, 1 + below(state, 2) as usize];
        let (capacity, at_once) = (1 + below(state, 6) as usize, 1 + below(state, 4) as usize);
        let mut options = ScheduleOptions::new().capacity(capacity).weight(1, 3);
        options.at_once = (seed % 2 == 0).then_some(at_once);
        options.caller_capacity = (seed % 3 == 0).then_some(2);
        let mut bench = Bench::new(options.clone(), &slots);
        for _ in 0..60 {
            bench.now += Duration::from_micros(below(state, 3000));
            let known: Vec<u64> = bench.waiting.keys().chain(bench.running.keys()).copied().collect();
            let any = known.get(below(state, known.len().max(1) as u64) as usize).copied();
            match (below(state, 5), any) {
                (0 | 1, _) | (_, None) => {
                    let priority = PRIORITIES[below(state, 3) as usize];
                    let terms = terms(below(state, 2) as usize, below(state, 4), priority);
                    let own = bench.waiting.values().filter(|w| w.0.caller == terms.caller).count();
                    let is_full = bench.waiting.len() >= capacity || options.caller_capacity.is_some_and(|c| own >= c);
                    match bench.enter(terms) {
                        Ok(_) => assert!(!is_full, "seed {seed}"),
                        Err(error) => {
                            assert!(is_full && error.code() == Code::Busy, "seed {seed}: {error}");
                            assert!(error.retry_after().is_some_and(|wait| wait >= ms(1)));
                        }
                    }
                }
                (2, Some(n)) if bench.waiting.contains_key(&n) => bench.arrive(n),
                (3, Some(n)) if bench.waiting.contains_key(&n) => {
                    bench.queue.step_away(n);
                    bench.waiting.get_mut(&n).unwrap().1 = false;
                }
                (_, Some(n)) => bench.end(n, random(state).is_multiple_of(2)),
            }
            let running = |engine| bench.running.values().filter(|t| t.engine == engine).count();
            assert!(running(0) <= slots[0] && running(1) <= slots[1], "seed {seed}");
            assert!(options.at_once.is_none_or(|most| bench.running.len() <= most), "seed {seed}");
            assert_eq!((bench.queue.waiting(), bench.queue.running()), (bench.waiting.len(), bench.running.len()));
            let has_room = options.at_once.is_none_or(|most| bench.running.len() < most);
            let idle = |t: &Terms| has_room && running(t.engine) < slots[t.engine];
            assert!(!bench.waiting.values().any(|(t, here)| *here && idle(t)), "seed {seed}: a slot is left free");
        }
        let rest: Vec<u64> = bench.waiting.keys().chain(bench.running.keys()).copied().collect();
        for number in rest {
            bench.end(number, false);
        }
        assert_eq!((bench.queue.waiting(), bench.queue.running(), bench.queue.callers()), (0, 0, 0), "seed {seed}");
    }
}

#[test]
fn of_one_caller_priority_then_arrival_decide_and_one_in_eight_knows_no_priority() {
    for seed in 0..300u64 {
        let state = &mut (seed + 5);
        let mut bench = Bench::new(ScheduleOptions::new(), &[1]);
        bench.start(terms(0, 0, Priority::Normal));
        for _ in 0..40 {
            bench.start(terms(0, 0, PRIORITIES[below(state, 3) as usize]));
        }
        let mut passed = 0;
        while !bench.waiting.is_empty() {
            let oldest = *bench.waiting.keys().next().unwrap();
            let best = bench.waiting.iter().max_by_key(|(n, (t, _))| (t.priority, std::cmp::Reverse(**n)));
            let (best, (terms, _)) = best.unwrap();
            let is_due = passed + 1 >= ANY_EVERY;
            let expected = if is_due { oldest } else { *best };
            let passes = bench.waiting.values().any(|(other, _)| other.priority < terms.priority);
            assert_eq!(bench.next_after(ms(1 + below(state, 9))), expected, "seed {seed}");
            passed = if is_due { 0 } else { passed + u32::from(passes) };
        }
    }
}

/// New callers come all the time, with higher priorities and shorter runs: the worst for one who waits.
#[test]
fn nobody_waits_for_ever() {
    for seed in 0..200u64 {
        let state = &mut (seed + 9);
        // One engine, or two that share one slot.
        let (engines, options) = match seed % 2 {
            0 => (1, ScheduleOptions::new()),
            _ => (2, ScheduleOptions::new().at_once(1)),
        };
        let mut bench = Bench::new(options, &[1, 1]);
        bench.start(terms(0, 0, Priority::Interactive));
        for i in 0..3 {
            bench.start(terms(0, i, Priority::Interactive));
        }
        let victim = bench.start(terms(engines - 1, 0, Priority::Background));
        for round in 0.. {
            let fresh = 100 + random(state);
            bench.start(terms(below(state, engines as u64) as usize, fresh, Priority::Interactive));
            if bench.next_after(Duration::from_micros(1 + below(state, 50))) == victim {
                break;
            }
            assert!(round < ANY_EVERY * 50, "seed {seed}: still waiting after {round} grants");
        }
    }
}

#[test]
fn callers_have_time_by_their_weights_whatever_their_runs_take() {
    for seed in 0..20u64 {
        let state = &mut (seed + 3);
        let mut bench = Bench::new(ScheduleOptions::new().weight(2, 3), &[1]);
        let mut time = [Duration::ZERO; 2];
        bench.start(terms(0, 9, Priority::Normal));
        for caller in [1, 2, 1, 2, 1, 2] {
            bench.start(terms(0, caller, Priority::Normal));
        }
        let mut took = ms(1);
        for _ in 0..4000 {
            let next = bench.next_after(took);
            let caller = bench.running[&next].caller;
            // Runs of caller 1 are ten times as long; each has always some that wait.
            took = Duration::from_micros(if caller == 1 { 5000 } else { 500 } + below(state, 100));
            if caller < 9 {
                time[caller as usize - 1] += took;
                bench.start(terms(0, caller, Priority::Normal));
            }
        }
        let ratio = time[1].as_secs_f64() / time[0].as_secs_f64();
        assert!((2.9..3.1).contains(&ratio), "seed {seed}: {ratio}");
    }
}

#[test]
fn who_was_away_has_no_credit() {
    let mut bench = Bench::new(ScheduleOptions::new(), &[1]);
    bench.start(terms(0, 1, Priority::Normal));
    bench.start(terms(0, 1, Priority::Normal));
    for _ in 0..100 {
        bench.start(terms(0, 1, Priority::Normal));
        bench.next_after(ms(10));
    }
    // Caller 2 comes with many runs: it may not have them all before caller 1 has one.
    let first = *bench.waiting.keys().next().unwrap();
    for _ in 0..20 {
        bench.start(terms(0, 2, Priority::Normal));
    }
    let turn = (0..).find(|_| bench.next_after(ms(10)) == first).unwrap();
    assert!(turn <= 2, "after {turn} runs of the other");
}

#[test]
fn what_many_callers_leave_behind_is_bounded() {
    let mut bench = Bench::new(ScheduleOptions::new(), &[2]);
    let keeps = bench.start(terms(0, 0, Priority::Normal));
    for caller in 1..20_000 {
        let run = bench.start(terms(0, caller, Priority::Normal));
        bench.now += ms(1);
        bench.end(run, true);
    }
    assert!(bench.queue.callers() <= 1026, "{}", bench.queue.callers());
    bench.end(keeps, true);
    assert_eq!(bench.queue.callers(), 0);
}

#[test]
fn a_deadline_that_cannot_be_met_is_refused_at_once() {
    let mut bench = Bench::new(ScheduleOptions::new(), &[1]);
    let within = |bench: &Bench, left| Terms { deadline: Some(bench.now + left), ..terms(0, 1, Priority::Normal) };
    // Nothing is known yet.
    let run = bench.enter(within(&bench, ms(1))).unwrap();
    bench.end(run, false);
    for _ in 0..8 {
        let run = bench.start(terms(0, 0, Priority::Normal));
        bench.now += ms(100);
        bench.end(run, true);
    }
    // One computes for 60 ms more, one waits for 100: the third ends after 260.
    bench.start(terms(0, 0, Priority::Normal));
    bench.now += ms(40);
    bench.start(terms(0, 0, Priority::Normal));
    let error = bench.enter(within(&bench, ms(259))).unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert_eq!(error.message(), "expected to wait 160.0ms and to take 100.0ms, the deadline is in 259.0ms");
    let kept = bench.enter(within(&bench, ms(260))).unwrap();
    bench.end(kept, false);
    // Those behind do not count.
    let urgent = Terms { priority: Priority::Interactive, ..within(&bench, ms(160)) };
    let urgent = bench.enter(urgent).unwrap();
    bench.end(urgent, false);
    // An engine is given another chance now and then.
    let refused = (0..).find(|_| bench.enter(within(&bench, ms(1))).is_ok());
    assert_eq!(refused, Some(TRY_AFTER));
    assert_eq!(bench.enter(within(&bench, ms(1))).unwrap_err().code(), Code::DeadlineExceeded);
}

#[test]
fn a_backlog_of_another_caller_is_no_reason_to_refuse() {
    let mut bench = Bench::new(ScheduleOptions::new(), &[1]);
    for _ in 0..8 {
        let run = bench.start(terms(0, 0, Priority::Normal));
        bench.now += ms(10);
        bench.end(run, true);
    }
    for _ in 0..30 {
        bench.start(terms(0, 0, Priority::Normal));
    }
    // Its turn comes after the one that computes and at most one more.
    let light = Terms { deadline: Some(bench.now + ms(30)), ..terms(0, 1, Priority::Normal) };
    bench.enter(light).unwrap();
    let heavy = Terms { deadline: Some(bench.now + ms(30)), ..terms(0, 0, Priority::Normal) };
    assert_eq!(bench.enter(heavy).unwrap_err().code(), Code::DeadlineExceeded);
}

#[test]
fn of_text_the_tokens_asked_for_count() {
    let mut bench = Bench::new(ScheduleOptions::new(), &[1]);
    let text = |tokens| Terms { work: Work::Generate(tokens), ..terms(0, 0, Priority::Normal) };
    for _ in 0..8 {
        let run = bench.start(text(None));
        bench.now += ms(1100);
        let usage = Usage { output_tokens: 100, generate: ms(1000), ..Usage::default() };
        bench.queue.end(run, bench.now, Some(&usage));
        bench.running.clear();
    }
    // 100 ms until the first token, 10 for each.
    for (tokens, needs) in [(Some(5), 150), (Some(90), 1000), (Some(1000), 1100), (None, 1100)] {
        let mut enter = |left| bench.enter(Terms { deadline: Some(bench.now + ms(left)), ..text(tokens) });
        assert_eq!(enter(needs - 1).map(drop).unwrap_err().code(), Code::DeadlineExceeded, "{tokens:?}");
        let run = enter(needs + 1).unwrap();
        bench.end(run, false);
    }
}
