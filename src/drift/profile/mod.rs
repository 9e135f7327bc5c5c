//! The reference profile: what a model was made for, and how it is made from rows.

mod bins;
mod codec;
mod column;
#[cfg(feature = "csv")]
mod csv;
mod dependence;
mod edges;
mod fit;
mod learn;
#[cfg(feature = "npy")]
mod npy;
mod number;
mod passes;
mod reference;
mod rows;
mod runs;

pub use bins::{Bins, Categories, MAX_BINS, MISSING};
#[cfg(feature = "csv")]
pub use csv::{CsvRow, CsvTable};
pub use fit::Fit;
pub use learn::Learner;
pub(crate) use number::category_code;
pub use reference::{EmbeddingProfile, FeatureProfile, FeatureSource, Moments, Profile, Reliability, Runs};
pub use rows::{CellValue, Column, Row, RowDependence, RowSink};
