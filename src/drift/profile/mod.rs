//! The reference profile: what a model was made for, and how it is made from rows.

mod bins;
mod codec;
mod column;
mod dependence;
mod fit;
mod learn;
mod passes;
mod reference;
mod rows;
#[cfg(feature = "cli")]
mod table;

pub use bins::{Bins, Categories, MAX_BINS, MISSING};
pub use fit::Fit;
pub use learn::Learner;
pub use reference::{EmbeddingProfile, FeatureProfile, FeatureSource, Moments, Profile, Reliability};
pub use rows::{CellValue, Column, Row, RowDependence, RowSink};
