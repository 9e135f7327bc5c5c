//! Tests of the deployment's parts, and of the whole over engines that compute next to nothing.

mod cases;
mod judging;
mod rollouts;
mod stored;
mod swaps;
mod told;
mod walks;
mod world;

/// Numbers that look random and are the same each time (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Whether what happens once in `n` times does.
    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
