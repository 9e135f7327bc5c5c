//! Memory budget: what an estimate is held against before a runtime loads anything.

use super::options::Options;
use crate::engine::MemoryEstimate;
use crate::{Code, Error, Result};

/// Checks an estimate against [`Options::memory_limit`].
///
/// # Errors
///
/// `OutOfMemory` with what is needed and the limit.
pub(super) fn check_memory(estimate: MemoryEstimate, options: &Options) -> Result<()> {
    match options.memory_limit {
        Some(have) if estimate.total() > have => Err(Error::new(
            Code::OutOfMemory,
            format!(
                "needs about {} bytes (weights {}, context {}, scratch {}), the limit is {have}",
                estimate.total(),
                estimate.weights,
                estimate.context,
                estimate.scratch
            ),
        )),
        _ => Ok(()),
    }
}

/// Bytes of memory of this machine, where the system says so.
#[cfg(any(feature = "rten", feature = "tract"))]
pub(super) fn machine_memory() -> Option<u64> {
    if !cfg!(any(target_os = "linux", target_os = "android")) {
        return None;
    }
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kibibytes = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim().strip_suffix(" kB")?;
    kibibytes.trim().parse::<u64>().ok()?.checked_mul(1024)
}
