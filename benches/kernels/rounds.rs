//! Alternating rounds: noise of the machine falls on all sides alike.

/// Something to time, under a name; it returns seconds.
pub(crate) struct Side<'f> {
    pub(crate) name: &'static str,
    run: Box<dyn FnMut() -> f64 + 'f>,
}

impl<'f> Side<'f> {
    pub(crate) fn new(name: &'static str, run: impl FnMut() -> f64 + 'f) -> Self {
        Self { name, run: Box::new(run) }
    }
}

/// Median seconds of each side: one after the other, each round beginning with another.
pub(crate) fn interleave(rounds: usize, sides: &mut [Side<'_>]) -> Vec<f64> {
    let mut seconds = vec![Vec::new(); sides.len()];
    // One round of warming up, not counted.
    for round in 0..=rounds {
        for i in 0..sides.len() {
            let i = (i + round) % sides.len();
            let taken = (sides[i].run)();
            if round > 0 {
                seconds[i].push(taken);
            }
        }
    }
    seconds.iter_mut().map(|s| median(s)).collect()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
