//! Storms: thousands of short random schedules of starts, steps, cancels, drops, errors and panics on several threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::super::{Models, Schedule, ScheduleOptions};
use super::{below, random};
use crate::engine::{Call, Cancel, Dim, Engine, MemoryEstimate, Port, Priority, Request, Run, Step, Tensors};
use crate::fake::Fake;
use crate::threads::contained;
use crate::{Code, DType, Error, Result, Tensor};

/// No storm takes this long, even on a slow machine: what does, hangs.
const NO_HANG: Duration = Duration::from_secs(600);
const PRIORITIES: [Priority; 3] = [Priority::Background, Priority::Normal, Priority::Interactive];

/// What an engine saw: how many computed at once, and how many at most.
#[derive(Default)]
struct Watch {
    now: AtomicUsize,
    most: AtomicUsize,
}

struct Inside<'a>(&'a Watch);

impl<'a> Inside<'a> {
    fn new(watch: &'a Watch) -> Self {
        watch.most.fetch_max(watch.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        Self(watch)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Answers, fails or panics, as the request says.
fn engine(watch: Arc<Watch>) -> Arc<dyn Engine> {
    let port = |name| Port::tensor(name, DType::F32, vec![Dim::Fixed(1)]);
    let fake = Fake::tensors(vec![port("x")], vec![port("y")], move |inputs| {
        let _inside = Inside::new(&watch);
        std::thread::yield_now();
        let x = inputs[0].clone().unwrap();
        match x.as_slice::<f32>()?[0] {
            1.0 => Err(Error::backend("as the test wants it")),
            2.0 => panic!("as the test wants it"),
            _ => Ok(vec![x]),
        }
    });
    fake.build()
}

fn request(x: u64) -> Request {
    Tensors::from([("x", Tensor::new(&[1], vec![x as f32]).unwrap())]).into()
}

/// How the runs of a storm ended.
#[derive(Default, Debug)]
struct Ends {
    done: usize,
    dropped: usize,
    failed: Vec<Code>,
}

/// One thread of a storm.
fn blow(engines: &[Arc<dyn Engine>], cancel: &Cancel, state: &mut u64) -> Ends {
    let mut ends = Ends::default();
    let mut runs: Vec<(Box<dyn Run>, u64)> = Vec::new();
    for _ in 0..6 {
        match below(state, 8) {
            0 => cancel.cancel(),
            1 if !runs.is_empty() => {
                drop(runs.swap_remove(0));
                ends.dropped += 1;
            }
            2 | 3 if !runs.is_empty() => step(&mut runs, &mut ends, state),
            _ => {
                let kind = below(state, 6);
                let mut call = Call::new().caller(below(state, 3)).priority(PRIORITIES[below(state, 3) as usize]);
                match below(state, 4) {
                    0 => call = call.cancel(cancel),
                    1 => call = call.timeout(Duration::from_micros(below(state, 400))),
                    _ => {}
                }
                match engines[below(state, engines.len() as u64) as usize].start(request(kind), call) {
                    Ok(run) => runs.push((run, kind)),
                    Err(error) => ends.failed.push(error.code()),
                }
            }
        }
    }
    while !runs.is_empty() {
        step(&mut runs, &mut ends, state);
    }
    ends
}

/// Steps one of the runs, in turn: whoever steps one to its end while another holds the slot would wait for ever.
fn step(runs: &mut Vec<(Box<dyn Run>, u64)>, ends: &mut Ends, state: &mut u64) {
    let i = below(state, runs.len() as u64) as usize;
    let (run, kind) = &mut runs[i];
    match contained(|| run.step()) {
        Ok(Ok(Step::Done(answer))) => {
            assert_eq!(answer.output("y").unwrap().as_slice::<f32>().unwrap(), [*kind as f32]);
            ends.done += 1;
        }
        Ok(Ok(_)) => return,
        Ok(Err(error)) => ends.failed.push(error.code()),
        Err(_) => ends.failed.push(Code::Panic),
    }
    drop(runs.swap_remove(i));
}

/// Runs `storm` for each seed, and says which one hangs.
fn each(seeds: u64, storm: impl Fn(u64) + Send + 'static) {
    let (done, wait) = channel();
    let at = Arc::new(Mutex::new(0));
    let now = at.clone();
    std::thread::spawn(move || {
        for seed in 0..seeds {
            *now.lock().unwrap() = seed;
            storm(seed);
        }
        done.send(()).unwrap();
    });
    match wait.recv_timeout(NO_HANG) {
        Ok(()) => {}
        Err(RecvTimeoutError::Timeout) => panic!("storm {} hangs", at.lock().unwrap()),
        Err(RecvTimeoutError::Disconnected) => panic!("storm {}: see the panic above", at.lock().unwrap()),
    }
}

fn storm(engines: &[Arc<dyn Engine>], seed: u64) -> Vec<Ends> {
    let cancel = Cancel::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|thread| {
                let (cancel, state) = (&cancel, &mut (seed * 31 + thread).clone());
                let mut state = random(state);
                scope.spawn(move || blow(engines, cancel, &mut state))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn expected(ends: &[Ends]) {
    let codes = [Code::Busy, Code::Cancelled, Code::DeadlineExceeded, Code::Backend, Code::Panic];
    for code in ends.iter().flat_map(|ends| &ends.failed) {
        assert!(codes.contains(code), "{code:?}");
    }
}

#[test]
fn ten_thousand_storms_lose_no_run_and_no_slot() {
    let totals = Arc::new([const { AtomicUsize::new(0) }; 4]);
    let sums = totals.clone();
    each(10_000, move |seed| {
        let watches: [Arc<Watch>; 2] = Default::default();
        let mut options = ScheduleOptions::new().capacity(1 + (seed % 5) as usize);
        options.at_once = (seed % 3 == 0).then_some(1);
        let (schedule, slots) = (Schedule::new(options).unwrap(), [1, 1 + (seed % 2) as usize]);
        let engines: Vec<_> = watches
            .iter()
            .zip(slots)
            .map(|(watch, slots)| schedule.around_with(engine(watch.clone()), slots).unwrap())
            .collect();
        let ends = storm(&engines, seed);
        expected(&ends);
        for (watch, slots) in watches.iter().zip(slots) {
            assert!(watch.most.load(Ordering::SeqCst) <= slots, "more than {slots} computed at once");
        }
        let status = schedule.status();
        assert_eq!((status.waiting, status.computing), (0, 0), "{ends:?}");
        let busy = ends.iter().flat_map(|e| &e.failed).filter(|code| **code == Code::Busy).count();
        assert_eq!(busy as u64, status.busy);
        // No slot is lost: each engine still serves.
        for engine in &engines {
            let mut run = engine.start(request(5), Call::new()).unwrap();
            assert!(matches!(run.step().unwrap(), Step::Done(_)));
        }
        sums[0].fetch_add(ends.iter().map(|e| e.done).sum(), Ordering::Relaxed);
        sums[1].fetch_add(ends.iter().map(|e| e.dropped).sum(), Ordering::Relaxed);
        sums[2].fetch_add(busy, Ordering::Relaxed);
        sums[3]
            .fetch_add(ends.iter().flat_map(|e| &e.failed).filter(|c| **c == Code::Panic).count(), Ordering::Relaxed);
    });
    // The storms meet what they are to meet.
    let totals: Vec<usize> = totals.iter().map(|n| n.load(Ordering::Relaxed)).collect();
    assert!(totals.iter().all(|n| *n > 1000), "done, dropped, busy, panicked: {totals:?}");
}

#[test]
fn models_in_storms_stay_within_the_budget_and_come_back() {
    each(1000, |seed| {
        let (models, open_bytes) = (Models::new(100), Arc::new(AtomicUsize::new(0)));
        let most = Arc::new(AtomicUsize::new(0));
        let sizes = [60, 40, 50];
        for (i, bytes) in sizes.into_iter().enumerate() {
            let (open_bytes, most) = (open_bytes.clone(), most.clone());
            let open = move |_: &Cancel| -> Result<Arc<dyn Engine>> {
                let now = open_bytes.fetch_add(bytes, Ordering::SeqCst) + bytes;
                most.fetch_max(now, Ordering::SeqCst);
                Ok(Arc::new(Sized { engine: engine(Arc::default()), bytes, open: open_bytes.clone() }))
            };
            models.add(format!("{i}"), MemoryEstimate::new(bytes as u64, 0, 0), open).unwrap();
        }
        let engines: Vec<_> = (0..3).map(|i| models.engine(&i.to_string()).unwrap()).collect();
        let schedule = Schedule::new(ScheduleOptions::new().at_once(1)).unwrap();
        let stacked: Vec<_> = engines.iter().map(|engine| schedule.around(engine.clone())).collect();
        expected(&storm(if seed % 2 == 0 { &engines } else { &stacked }, seed));
        assert!(most.load(Ordering::SeqCst) <= 100, "{most:?} bytes were open");
        for engine in &engines {
            let mut run = engine.start(request(5), Call::new()).unwrap();
            assert!(matches!(run.step().unwrap(), Step::Done(_)), "an idle shelf opens at once");
        }
        models.pressure(super::super::Pressure::Critical);
        assert_eq!((models.status().used, open_bytes.load(Ordering::SeqCst)), (0, 0));
    });
}

/// An engine whose end is seen.
struct Sized {
    engine: Arc<dyn Engine>,
    bytes: usize,
    open: Arc<AtomicUsize>,
}

impl Engine for Sized {
    fn spec(&self) -> &crate::engine::Spec {
        self.engine.spec()
    }

    fn start(&self, request: Request, call: Call) -> Result<Box<dyn Run>> {
        self.engine.start(request, call)
    }
}

impl Drop for Sized {
    fn drop(&mut self) {
        self.open.fetch_sub(self.bytes, Ordering::SeqCst);
    }
}

/// A cancel falls at any moment of a wait: the run hears of it long before its step would end by itself.
#[test]
fn a_cancel_is_never_missed() {
    let schedule = Schedule::new(ScheduleOptions::new()).unwrap();
    let engine = schedule.around(Fake::text("so it goes").build());
    let mut holds = engine.start(crate::Generate::text("and").into(), Call::new()).unwrap();
    holds.step().unwrap();
    let mut slow = 0;
    for round in 0..300u64 {
        let cancel = Cancel::new();
        let mut run = engine.start(crate::Generate::text("and").into(), Call::new().cancel(&cancel)).unwrap();
        std::thread::scope(|scope| {
            let canceller = scope.spawn(|| {
                std::thread::sleep(Duration::from_micros(round));
                cancel.cancel();
                Instant::now()
            });
            let ended = loop {
                match catch_unwind(AssertUnwindSafe(|| run.step())).unwrap() {
                    Ok(Step::Working(_)) => {}
                    Ok(step) => panic!("{step:?}"),
                    Err(error) => break error,
                }
            };
            assert_eq!(ended.code(), Code::Cancelled);
            let heard = canceller.join().unwrap().elapsed();
            slow += usize::from(heard > Duration::from_millis(40));
        });
    }
    // A missed one is heard of after 50 ms, when the step ends. A busy machine may delay some.
    assert!(slow < 100, "{slow} of 300 cancels were missed");
    drop(holds);
}
