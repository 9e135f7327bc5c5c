//! Random blocks, ordinary and adversarial.

use crate::kernel::{BlockFormat, block};

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub(super) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }

    /// Between -1 and 1.
    pub(super) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// Where the binary16 scales of a block are.
pub(super) fn scales(format: BlockFormat) -> &'static [usize] {
    match format {
        BlockFormat::F32 | BlockFormat::F16 | BlockFormat::Bf16 | BlockFormat::Mxfp4 => &[],
        BlockFormat::Q4_0 | BlockFormat::Q5_0 | BlockFormat::Q8_0 | BlockFormat::Iq4Nl | BlockFormat::Iq4Xs => &[0],
        BlockFormat::Q4_1 | BlockFormat::Q5_1 | BlockFormat::Q4K | BlockFormat::Q5K => &[0, 2],
        BlockFormat::Q2K => &[block::q2_k::D, block::q2_k::DMIN],
        BlockFormat::Q3K => &[block::q3_k::D],
        BlockFormat::Q6K => &[block::q6_k::D],
    }
}

/// Zeros, subnormals, the ends of the normal range, infinities, quiet and signalling NaNs.
const EXTREME: [u16; 18] = [
    0x0000, 0x8000, 0x0001, 0x8001, 0x0200, 0x03ff, 0x83ff, 0x0400, 0x3c00, 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7c01,
    0xfd55, 0x7e00, 0xfe01, 0xffff,
];

/// So many blocks, one half with ordinary scales and one with extreme ones.
pub(super) fn random(format: BlockFormat, blocks: usize, random: &mut Random) -> Vec<u8> {
    let mut bytes = vec![0; blocks * format.block_bytes()];
    random.fill(&mut bytes);
    for block in bytes.chunks_exact_mut(format.block_bytes()) {
        let extreme = random.below(2) == 0;
        for at in scales(format) {
            let scale = if extreme { EXTREME[random.below(EXTREME.len())] } else { ordinary(random) };
            block[*at..at + 2].copy_from_slice(&scale.to_le_bytes());
        }
    }
    bytes
}

/// A normal number of any sign.
fn ordinary(random: &mut Random) -> u16 {
    let bits = random.next() as u16;
    bits & 0x83ff | (1 + (bits >> 10 & 31) % 30) << 10
}
