//! Drift: the rate of false alarms, real weather, and other people's statistics and detectors on the same data.

mod calibration;
mod oracles;
mod weather;
