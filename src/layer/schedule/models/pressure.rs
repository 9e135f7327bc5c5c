//! Pressure on the memory of the machine, and the thread that looks for it.
//!
//! Linux says for how long tasks have waited for memory, as totals in microseconds, of the machine and of each control
//! group. The share of the time between two looks is what counts: it needs no rights, no file kept open, and is right for
//! any time between the looks.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crate::threads::unpoisoned;
use crate::{Code, Error, Result};

/// How short memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Pressure {
    /// Memory is short: caches are given back, and idle models closed but the one used last. Android's
    /// `TRIM_MEMORY_RUNNING_LOW` and levels like it.
    Warning,
    /// The system is about to end processes: all idle models are closed, and the others give back all they can. Android's
    /// `TRIM_MEMORY_RUNNING_CRITICAL` and `onLowMemory`, the memory warning of iOS.
    Critical,
}

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(2);
/// The share of the time from which on stalls count.
const SHORT: f64 = 0.1;

/// A thread that looks for pressure, from [`Models::watch_pressure`](super::Models::watch_pressure). Dropped, it ends the
/// thread and waits for that.
#[derive(Debug)]
pub struct PressureWatch {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl PressureWatch {
    pub(super) fn start(told: impl Fn(Pressure) + Send + 'static) -> Result<Self> {
        Self::of(Stalls::of_system(Path::new("/"))?, INTERVAL, told)
    }

    fn of(mut stalls: Stalls, interval: Duration, told: impl Fn(Pressure) + Send + 'static) -> Result<Self> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let ends = stop.clone();
        let work = move || {
            while !sleep(&ends, interval) {
                if let Some(pressure) = stalls.look(Instant::now()) {
                    told(pressure);
                }
            }
        };
        let refused = |e| Error::new(Code::OutOfMemory, "no thread for a look at the pressure on memory").because(e);
        let thread = Builder::new().name("selvedge-pressure".into()).spawn(work).map_err(refused)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for PressureWatch {
    fn drop(&mut self) {
        *unpoisoned(self.stop.0.lock()) = true;
        self.stop.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // An engine that panicked in a trim tells its next run.
            let _ = thread.join();
        }
    }
}

/// Sleeps; whether it is to stop.
fn sleep(stop: &(Mutex<bool>, Condvar), interval: Duration) -> bool {
    let (until, mut stops) = (Instant::now() + interval, unpoisoned(stop.0.lock()));
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if *stops || left.is_zero() {
            return *stops;
        }
        stops = unpoisoned(stop.1.wait_timeout(stops, left)).0;
    }
}

/// The files that tell, and what they told last.
struct Stalls {
    files: Vec<PathBuf>,
    last: Vec<Option<Totals>>,
    looked: Instant,
}

/// Microseconds for which some task waited, and for which all did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Totals {
    some: u64,
    full: u64,
}

impl Stalls {
    /// Those of the machine and of the process's control group, below a root.
    fn of_system(root: &Path) -> Result<Self> {
        let mut files = vec![root.join("proc/pressure/memory")];
        let groups = std::fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
        // Of version 2, the line is `0::` and the path.
        if let Some(group) = groups.lines().find_map(|line| line.strip_prefix("0::/")) {
            files.push(root.join("sys/fs/cgroup").join(group).join("memory.pressure"));
        }
        files.retain(|file| Totals::read(file).is_some());
        if files.is_empty() {
            let what =
                "pressure on memory: this system does not tell, neither in /proc/pressure nor for a control group";
            return Err(Error::unsupported(what));
        }
        let last = files.iter().map(|file| Totals::read(file)).collect();
        Ok(Self { files, last, looked: Instant::now() })
    }

    fn look(&mut self, now: Instant) -> Option<Pressure> {
        let micros = now.saturating_duration_since(std::mem::replace(&mut self.looked, now)).as_micros() as f64;
        let mut worst = None;
        for (file, last) in self.files.iter().zip(&mut self.last) {
            let before = std::mem::replace(last, Totals::read(file));
            let (Some(before), Some(after)) = (before, *last) else { continue };
            let is_short = |after: u64, before: u64| after.saturating_sub(before) as f64 >= SHORT * micros;
            worst = worst.max(if is_short(after.full, before.full) {
                Some(Pressure::Critical)
            } else if is_short(after.some, before.some) {
                Some(Pressure::Warning)
            } else {
                None
            });
        }
        worst
    }
}

impl Totals {
    fn read(file: &Path) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(file).ok()?)
    }

    /// Lines such as `some avg10=0.00 avg60=0.00 avg300=0.00 total=1234`. Old kernels have no `full` for some of them.
    fn parse(text: &str) -> Option<Self> {
        let total = |kind: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(kind))?;
            line.split_whitespace().find_map(|word| word.strip_prefix("total="))?.parse().ok()
        };
        Some(Self { some: total("some ")?, full: total("full ").unwrap_or(0) })
    }
}

#[cfg(test)]
mod tests;
