//! Choices that look random and are the same every time.

#[path = "../../../tests/support/random.rs"]
mod random;

pub(in crate::text) struct Chance(pub(in crate::text) u64);

impl Chance {
    pub(in crate::text) fn below(&mut self, n: usize) -> usize {
        (random::splitmix64(&mut self.0) % n as u64) as usize
    }
}
