mod accumulating;
mod cohorts;
#[cfg(feature = "csv")]
mod csv;
mod delayed;
mod detecting;
mod judging;
#[cfg(feature = "npy")]
mod npy;
mod profile;
mod rounding;
mod statistics;
mod storms;
mod watching;
