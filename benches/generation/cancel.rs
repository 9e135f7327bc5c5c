//! Cancelling in the middle of a long prompt.

use std::path::Path;
use std::time::{Duration, Instant};

use selvedge::{Ask, Call, Cancel, Code, Trim};

use crate::asking::{engine, prompt, request};
use crate::figures::{at_most_ms, load, median, p99};

const RUNS: usize = 200;
const PROMPT: usize = 2000;
const CONTEXT: u32 = 4096;
/// All well before a prompt of this length is computed.
const FIRST: Duration = Duration::from_millis(20);
const STEP: Duration = Duration::from_millis(37);
const STEPS: usize = 16;

/// From the cancelling to the return of the run, beside the time until the engine could serve the next one.
pub(crate) fn bench(path: &Path, threads: u32) {
    let engine = engine(path, threads, CONTEXT, 1);
    let (mut returned, mut free) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let cancel = Cancel::new();
        let call = Call::new().cancel(&cancel);
        let request = request(&prompt(&*engine, &format!("Run {run}"), PROMPT), 8);
        let (cancelled, ended) = std::thread::scope(|scope| {
            let asked = scope.spawn(|| {
                let error = engine.run_with(request, call).expect_err("ends before the answer");
                assert_eq!(error.code(), Code::Cancelled);
                Instant::now()
            });
            std::thread::sleep(FIRST + STEP * (run * 7 % STEPS) as u32);
            let cancelled = Instant::now();
            cancel.cancel();
            // The thread that computes answers this once it computes no more.
            engine.trim(Trim::Caches).expect("forgets");
            free.push(cancelled.elapsed().as_secs_f64());
            (cancelled, asked.join().expect("returns"))
        });
        returned.push((ended - cancelled).as_secs_f64());
    }
    println!(
        "cancel, {threads} threads: returned after {:.3} ms (median), the engine free after {:.3} ms (99 of 100: {:.3} ms), load {}",
        median(&mut returned) * 1e3,
        median(&mut free) * 1e3,
        p99(&mut free) * 1e3,
        load()
    );
    at_most_ms(&format!("cancel_{threads}t_return_p99"), p99(&mut returned), 50.0);
}
