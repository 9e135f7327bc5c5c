//! Dispatch: the kernels of the best instruction set that the CPU has, chosen once.

use std::sync::OnceLock;

#[cfg(target_arch = "aarch64")]
use super::neon;
use super::scalar;
use super::table::{Isa, Table};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};

/// Instruction set whose kernels run in this process.
///
/// It is chosen at the first use: the best that the CPU has, or the one named by the environment variable
/// `SELVEDGE_KERNEL` (`scalar`, `avx2`, `avx512`, `neon`). A name that this CPU cannot run is logged as a warning and
/// not followed. Results do not depend on it.
///
/// # Examples
///
/// ```
/// println!("kernels: {}", selvedge::kernel::active().name());
/// ```
pub fn active() -> Isa {
    active_table().isa
}

/// The table in use.
pub(super) fn active_table() -> &'static Table {
    static ACTIVE: OnceLock<Table> = OnceLock::new();
    ACTIVE.get_or_init(|| {
        let wish = std::env::var("SELVEDGE_KERNEL").ok();
        let table = choose(&available(), wish.as_deref());
        tracing::debug!("kernels: {}", table.isa);
        table
    })
}

/// Every table that this CPU can run, the slowest first.
pub(super) fn available() -> Vec<Table> {
    let mut tables = vec![scalar::table()];
    #[cfg(target_arch = "x86_64")]
    tables.extend([avx2::table(), avx512::table()].into_iter().flatten());
    #[cfg(target_arch = "aarch64")]
    tables.extend(neon::table());
    tables
}

/// The table named by `wish`, or the last where there is no wish or no table of that name.
pub(super) fn choose(available: &[Table], wish: Option<&str>) -> Table {
    let best = available.last().copied().unwrap_or_else(scalar::table);
    let Some(wish) = wish.filter(|wish| !wish.is_empty()) else { return best };
    match available.iter().find(|table| table.isa.name() == wish) {
        Some(table) => *table,
        None => {
            tracing::warn!("SELVEDGE_KERNEL={wish}: this machine has no such kernels, using {}", best.isa);
            best
        }
    }
}
