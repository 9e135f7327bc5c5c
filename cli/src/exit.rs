//! How the command ends.

use std::error::Error;
use std::process::ExitCode;

/// The command was done, and its answer is no.
pub(crate) const NO: u8 = 1;
/// It could not be done.
pub(crate) const FAILED: u8 = 2;
/// Drift was found.
pub(crate) const DRIFT: u8 = 3;
/// Ctrl-C ended it, as shells have it.
pub(crate) const INTERRUPTED: u8 = 130;

pub(crate) type Outcome = Result<ExitCode, Box<dyn Error>>;
