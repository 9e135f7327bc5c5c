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
pub use reference::{Embedding, Feature, Moments, Profile, Reliability, Source};
pub use rows::{Block, Column, Row, Sink, Value};
