//! Expectation of a wait: when a slot is free, if all that is ahead takes what it is expected to.

use std::time::Duration;

/// The time until the first of so many slots is free, where some compute and will for so long, and those ahead take the
/// earliest slot in turn.
pub(super) fn earliest(
    slots: usize,
    running: impl Iterator<Item = Duration>,
    ahead: impl Iterator<Item = Duration>,
) -> Duration {
    let mut free: Vec<Duration> = running.collect();
    if free.len() < slots {
        // A slot beyond those that the ones ahead can fill is free now.
        let (waiting, unused) = (ahead.collect::<Vec<_>>(), slots - free.len());
        if waiting.len() < unused {
            return Duration::ZERO;
        }
        free.resize(slots, Duration::ZERO);
        return fill(free, waiting.into_iter());
    }
    fill(free, ahead)
}

fn fill(mut free: Vec<Duration>, ahead: impl Iterator<Item = Duration>) -> Duration {
    for time in ahead {
        if let Some(first) = free.iter_mut().min() {
            *first = first.saturating_add(time);
        }
    }
    free.into_iter().min().unwrap_or_default()
}
