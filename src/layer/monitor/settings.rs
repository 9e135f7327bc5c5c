//! Settings of a monitor: what the closing of windows goes by.

use std::time::Duration;

use super::callback::AlertCallback;
use crate::drift::{Detector, FalseAlarm, Persistence, Slo};

pub(super) struct Settings {
    pub(super) window: u64,
    pub(super) time_cap: Duration,
    pub(super) false_alarm: FalseAlarm,
    pub(super) persistence: Persistence,
    pub(super) slo: Slo,
    pub(super) calm: u32,
    pub(super) unlabelled: usize,
    /// In the order of [`MonitoredStream::ALL`](super::MonitoredStream::ALL).
    pub(super) detectors: [Detector; 3],
    pub(super) callback: Option<AlertCallback>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: 1024,
            time_cap: Duration::from_secs(3600),
            false_alarm: FalseAlarm::Windows(10_000.0),
            persistence: Persistence::TWO_OF_THREE,
            slo: Slo::default(),
            calm: 3,
            unlabelled: 4096,
            detectors: [Detector::default(); 3],
            callback: None,
        }
    }
}

impl Settings {
    /// The mean number of windows to a false alarm. Where rows are rare, windows close for their age and not for their
    /// rows, and there are more of them in the time that was asked for.
    pub(super) fn windows_to_false_alarm(&self) -> f64 {
        let windows = self.false_alarm.in_windows(self.window);
        match self.false_alarm {
            // The age of a window begins with its first row.
            FalseAlarm::Every { time, rate } if rate > 0.0 => {
                windows.max(time.as_secs_f64() / (self.time_cap.as_secs_f64() + 1.0 / rate))
            }
            _ => windows,
        }
    }
}
