//! Whether the world is still the one the model was made for. Plain numbers in and out: no clock, no I/O.
//!
//! Enters: a reference ([`Profile`]) and counts ([`Counts`]), scalars, labels. Leaves: a [`Verdict`], an [`Alert`].
//! May import: nothing of the crate.

mod adwin;
mod alert;
mod calibrate;
mod compare;
mod concept;
mod ddm;
mod eigen;
mod fourier;
mod health;
mod holm;
mod judge;
mod kswin;
mod page_hinkley;
mod persistence;
mod profile;
mod python_random;
pub mod statistic;
mod tail;
#[cfg(test)]
mod tests;
mod window;

pub use adwin::Adwin;
pub use alert::{Action, Alert, Alerts, Change, Severity, Signal, What};
pub use calibrate::FalseAlarm;
pub use compare::{FeatureDrift, compare};
pub use concept::{Concept, Feedback, Share};
pub use ddm::Ddm;
pub use fourier::Fourier;
pub use health::{Breach, Health, Latency, Outcome, Slo};
pub use judge::{EmbeddingDrift, Finding, Judge, Policy, Verdict};
pub use kswin::Kswin;
pub use page_hinkley::PageHinkley;
pub use persistence::Persistence;
pub use profile::{
    Bins, Block, Categories, Column, Embedding, Feature, Fit, Learner, MAX_BINS, MISSING, Moments, Profile,
    Reliability, Row, Sink, Source, Value,
};
pub use window::Counts;
