//! Drift: the rate of false alarms, real weather, and other people's statistics and detectors on the same data.

mod breaking;
#[path = "../../benches/drift/broken.rs"]
mod broken;
mod calibration;
mod delayed;
mod oracles;
#[path = "../../benches/drift/trial.rs"]
mod trial;
mod weather;
