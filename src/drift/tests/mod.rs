mod detecting;
mod judging;
mod profile;
mod statistics;
#[cfg(feature = "cli")]
mod table;
mod watching;
