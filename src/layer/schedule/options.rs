//! Options of a schedule: how much waits, how much runs at once, and who has which share.

use crate::{Error, Result};

/// Options of a [`Schedule`](super::Schedule).
///
/// ```
/// use selvedge::layer::schedule::{Schedule, ScheduleOptions};
/// let options = ScheduleOptions::new().capacity(32).caller_capacity(8).at_once(2).weight(7, 3);
/// assert!(Schedule::new(options).is_ok());
/// assert!(Schedule::new(ScheduleOptions::new().capacity(0)).is_err());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ScheduleOptions {
    /// Runs that may wait, of all engines together; a further one is `Busy`. 1 to 4096; the default is 64.
    pub capacity: usize,
    /// Runs of one caller that may wait; a further one of it is `Busy`. At least 1; `None`, the default, is no limit but
    /// [`capacity`](Self::capacity).
    pub caller_capacity: Option<usize>,
    /// Runs that compute at the same time, of all engines together. At least 1; `None`, the default, is no limit but those
    /// of the engines.
    pub at_once: Option<usize>,
    /// The weights of callers by their key, see [`Call::caller`](crate::Call::caller): a caller of weight 3 has three times
    /// the time of one of weight 1, which those that are not listed have. 1 to 1000.
    pub weights: Vec<(u64, u32)>,
}

impl Default for ScheduleOptions {
    fn default() -> Self {
        Self { capacity: 64, caller_capacity: None, at_once: None, weights: Vec::new() }
    }
}

impl ScheduleOptions {
    /// The default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many runs may wait.
    #[must_use]
    pub fn capacity(mut self, runs: usize) -> Self {
        self.capacity = runs;
        self
    }

    /// Sets how many runs of one caller may wait.
    #[must_use]
    pub fn caller_capacity(mut self, runs: usize) -> Self {
        self.caller_capacity = Some(runs);
        self
    }

    /// Sets how many runs compute at the same time, of all engines together.
    #[must_use]
    pub fn at_once(mut self, runs: usize) -> Self {
        self.at_once = Some(runs);
        self
    }

    /// Sets the weight of a caller.
    #[must_use]
    pub fn weight(mut self, caller: u64, weight: u32) -> Self {
        self.weights.push((caller, weight));
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        let within = |name: &str, value: usize, min: usize, max: usize| match (min..=max).contains(&value) {
            true => Ok(()),
            false => Err(Error::invalid(format!("schedule: {name}: expected {min} to {max}, got {value}"))),
        };
        within("capacity", self.capacity, 1, 4096)?;
        within("caller_capacity", self.caller_capacity.unwrap_or(1), 1, usize::MAX)?;
        within("at_once", self.at_once.unwrap_or(1), 1, usize::MAX)?;
        self.weights.iter().try_for_each(|(_, weight)| within("weight", *weight as usize, 1, 1000))
    }
}
