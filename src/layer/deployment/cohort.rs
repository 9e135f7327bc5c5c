//! Cohorts: which devices, or keys, a share stands for.
//!
//! ```text
//!   SHA-256(salt, one zero byte, id) ─► the first 8 bytes, big-endian: x ─► bucket = x · 10,000 / 2⁶⁴, rounded down
//! ```
//!
//! An id is in if its bucket is less than the share, 0 to 10,000. So who is in at 5 % is in at 10 %.

use crate::digest::Hasher;

/// All of them.
pub(super) const SHARES: u16 = 10_000;

/// The bucket of an id: 0 to 9,999.
pub(super) fn bucket(salt: &str, id: &[u8]) -> u16 {
    let mut hasher = Hasher::default();
    hasher.update(salt.as_bytes());
    hasher.update(&[0]);
    hasher.update(id);
    let digest = hasher.digest().0;
    scaled(digest[..8].iter().fold(0, |x, byte| x << 8 | u64::from(*byte)))
}

/// The bucket of call number `n`: in any stretch of calls the shares are as even as they can be.
pub(super) fn alternating(n: u64) -> u16 {
    /// 2⁶⁴ by the golden ratio (Weyl's sequence).
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    scaled(n.wrapping_mul(STEP))
}

fn scaled(x: u64) -> u16 {
    ((u128::from(x) * u128::from(SHARES)) >> 64) as u16
}
