//! Alternating rounds: noise of the machine falls on both sides alike.

use std::time::{Duration, Instant};

/// Median seconds per call of both sides.
pub(crate) struct Pair {
    pub(crate) ours: f64,
    pub(crate) bare: f64,
}

/// Longer than ONNX Runtime's threads look for work after a call, if one lets them: 37 ms of a core were measured.
const REST: Duration = Duration::from_millis(100);

/// Times `calls` calls of each side per round, in alternating order, and takes the medians of all rounds. Where a side
/// has several `threads`, the machine rests between the two, or those that one leaves behind would slow down the other.
pub(crate) fn alternate(
    rounds: usize,
    calls: u32,
    threads: u32,
    mut ours: impl FnMut(),
    mut bare: impl FnMut(),
) -> Pair {
    let time = |f: &mut dyn FnMut()| {
        if threads > 1 {
            std::thread::sleep(REST);
            f();
        }
        let start = Instant::now();
        for _ in 0..calls {
            f();
        }
        start.elapsed().as_secs_f64() / f64::from(calls)
    };
    let (mut a, mut b) = (Vec::new(), Vec::new());
    // One round of warming up, not counted.
    for round in 0..=rounds {
        let (x, y) = if round % 2 == 0 {
            let x = time(&mut ours);
            (x, time(&mut bare))
        } else {
            let y = time(&mut bare);
            (time(&mut ours), y)
        };
        if round > 0 {
            a.push(x);
            b.push(y);
        }
    }
    Pair { ours: median(&mut a), bare: median(&mut b) }
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

impl Pair {
    /// Prints both medians, and the ratio beside the most that it may be.
    pub(crate) fn at_most(&self, name: &str, bar: f64) {
        println!("{name}: selvedge {}, bare {}", human(self.ours), human(self.bare));
        println!("RATIO {name} {:.4} <={bar}", self.ours / self.bare);
    }

    /// Prints both medians, and the difference beside the most that it may be.
    pub(crate) fn overhead(&self, name: &str, bar: Duration) {
        println!("{name}: selvedge {}, bare {}", human(self.ours), human(self.bare));
        println!("RATIO {name} {:.3} <={}", (self.ours - self.bare) * 1e6, bar.as_secs_f64() * 1e6);
    }
}

fn human(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.2} µs", s * 1e6),
        s if s < 1.0 => format!("{:.3} ms", s * 1e3),
        s => format!("{s:.3} s"),
    }
}
