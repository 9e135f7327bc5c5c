mod accumulating;
#[cfg(feature = "csv")]
mod csv;
mod detecting;
#[cfg(feature = "csv")]
mod external;
mod judging;
#[cfg(feature = "npy")]
mod npy;
mod profile;
mod rounding;
mod statistics;
mod storms;
mod watching;
