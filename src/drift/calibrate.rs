//! From the false alarms one will bear to the level of each test.

use std::time::Duration;

/// How often an alarm without drift is borne, on average.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum FalseAlarm {
    /// One in so many windows.
    Windows(f64),
    /// One in such a time, at an expected rate of rows per second.
    Every {
        /// The mean time.
        time: Duration,
        /// Rows per second, over day and night.
        rate: f64,
    },
}
