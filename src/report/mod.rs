//! Reports of a telemetry folder, for people: numbers to print, or one page to read.
//!
//! Enters: a folder, or a verdict. Leaves: a [`Story`] or a [`Comparison`], and its HTML; [`Evidence`] for
//! whoever retrains. May import: telemetry, drift, sync, store, crash, digest, disk.
//!
//! ```
//! use selvedge::report::Story;
//! use selvedge::telemetry::{Exponential, Limits, ModelInfo, ModelSlot, Record, Telemetry, Window};
//! # let folder = tempfile::tempdir().unwrap();
//! # let folder = folder.path();
//! let telemetry = Telemetry::open(folder, Limits::default());
//! telemetry.seal(&Record::Model(ModelInfo { slot: ModelSlot(1), name: "rain".into(), ..ModelInfo::default() }))?;
//! let mut latency = Exponential::default();
//! latency.record(830);
//! telemetry.seal(&Record::Window(Window { model_slot: ModelSlot(1), rows: 1, latency, ..Window::default() }))?;
//!
//! let story = Story::read(folder)?; // the app may go on meanwhile
//! assert_eq!((story.models[0].rows(), &*story.models[0].info.name), (1, "rain"));
//! assert!(story.html().contains("<h2>rain</h2>"));
//! # Ok::<(), selvedge::Error>(())
//! ```

mod chart;
mod classes;
mod comparison;
mod evidence;
mod feature;
mod gather;
mod html;
mod page;
mod rollout;
mod stored;
mod story;
#[cfg(test)]
mod tests;
mod versions;

pub use classes::AlertClass;
pub use comparison::Comparison;
pub use evidence::Evidence;
pub use stored::{CrashedModel, StoredVersion};
pub use story::{Model, Seen, Story};
pub use versions::VersionSummary;
