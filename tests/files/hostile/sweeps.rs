//! Every beginning of a good file, and every bit of its header the other way round: of files made for it, and of real
//! models.

use std::ops::Range;
use std::sync::Arc;

use selvedge::{Bytes, Code, Loading, weights::WeightFile};

use super::craft::File;
use super::safetensors;
use super::verdict::{open_and_use, survive};
use crate::corpus;

const MINILM: &str = "minilm/model.safetensors";
const MINILM_GGUF: &str = "minilm-gguf/all-MiniLM-L6-v2-f16.gguf";
const SMOLLM: &str = "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";

fn files() -> [(&'static str, Vec<u8>); 2] {
    [("gguf", File::model().tensor("q", &[32, 3], 2, 54).bytes()), ("safetensors", safetensors::good())]
}

/// The beginning of a file.
struct Prefix(Arc<Vec<u8>>, usize);

impl AsRef<[u8]> for Prefix {
    fn as_ref(&self) -> &[u8] {
        &self.0[..self.1]
    }
}

#[track_caller]
fn prefixes_are_corrupt(name: &str, file: &Arc<Vec<u8>>, ends: impl Iterator<Item = usize>) {
    let mut wrong = Vec::new();
    for end in ends {
        match survive(Bytes::shared(Prefix(file.clone(), end)), open_and_use) {
            Ok(Some(Code::Corrupt)) => {}
            other => wrong.push(format!("{name}, {end} bytes: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_prefix_is_corrupt() {
    for (name, file) in files() {
        let file = Arc::new(file);
        prefixes_are_corrupt(name, &file, 0..file.len());
        assert_eq!(survive(Bytes::shared(Prefix(file.clone(), file.len())), open_and_use), Ok(None), "{name}");
    }
}

/// A real model's header, where its tensors are listed, and how long its file is.
struct Real {
    header: Arc<Vec<u8>>,
    tensors: Range<usize>,
    len: usize,
}

impl Real {
    fn read(rel: &str) -> Option<Self> {
        let file = WeightFile::open(&corpus::path(rel)?, Loading::Mapped).unwrap();
        let bytes = file.files()[0].as_slice();
        let header = bytes[..file.data_start() as usize].to_vec();
        let first = file.tensors().next().unwrap().name();
        let listed = [&(first.len() as u64).to_le_bytes()[..], first.as_bytes()].concat();
        let tensors = header.windows(listed.len()).position(|w| w == listed).unwrap_or(0)..header.len();
        Some(Self { header: Arc::new(header), tensors, len: bytes.len() })
    }
}

#[test]
fn every_prefix_of_a_real_safetensors_header_is_corrupt() {
    let Some(real) = Real::read(MINILM) else { return };
    prefixes_are_corrupt(MINILM, &real.header, 0..=real.header.len());
}

/// Of a vocabulary in the middle, one beginning is as good as another.
#[test]
fn prefixes_of_real_gguf_headers_are_corrupt() {
    for (rel, stride) in [(MINILM_GGUF, 5), (SMOLLM, 29)] {
        let Some(Real { header, tensors, .. }) = Real::read(rel) else { return };
        assert!(tensors.start > 100_000 && tensors.len() > 5_000, "{tensors:?}");
        let among = (8192..tensors.start).step_by(tensors.start / 100);
        prefixes_are_corrupt(rel, &header, (0..8192).chain(among).chain(tensors.step_by(stride)));
    }
}

#[test]
fn every_flipped_bit_of_a_header_is_survived() {
    let (mut flips, mut refused) = (0, 0);
    for (name, file) in files() {
        let header = WeightFile::open(file.clone(), Loading::Mapped).unwrap().data_start() as usize;
        let mut file = Bytes::copy_from(&file).unwrap();
        refused += flips_are_survived(name, &mut file, 0..header * 8);
        flips += header * 8;
    }
    assert!(flips >= 50_000 && refused > 5_000 && refused < flips, "{refused} of {flips} are refused");
}

/// Flips each of these bits by itself; returns how many of the files were refused.
#[track_caller]
fn flips_are_survived(name: &str, file: &mut Bytes, bits: impl Iterator<Item = usize>) -> usize {
    let mut refused = 0;
    for bit in bits {
        let flip = |file: &mut Bytes| file.get_mut().unwrap()[bit / 8] ^= 1 << (bit % 8);
        flip(file);
        match survive(file.clone(), open_and_use) {
            Ok(None) => {}
            Ok(Some(Code::Corrupt | Code::Unsupported)) => refused += 1,
            other => panic!("{name}, bit {bit}: {other:?}"),
        }
        flip(file);
    }
    refused
}

/// The header by itself decides what opening says: the data behind it is zeros.
#[test]
fn flipped_bits_of_real_headers_are_survived() {
    const FLIPS: usize = 50_000;
    for rel in [MINILM, MINILM_GGUF] {
        let Some(Real { header, tensors, len }) = Real::read(rel) else { return };
        let mut file = Bytes::zeroed(len).unwrap();
        file.get_mut().unwrap()[..header.len()].copy_from_slice(&header);
        assert_eq!(survive(file.clone(), open_and_use), Ok(None), "{rel}");
        // A quarter among the first keys, a quarter anywhere, half where the tensors are listed.
        let bits = Bits(5).zip(0..FLIPS).map(|(random, i)| match i % 4 {
            0 => random % (8 * 8192.min(header.len())),
            1 => random % (8 * header.len()),
            _ => tensors.start * 8 + random % (8 * tensors.len()),
        });
        let begun = std::time::Instant::now();
        let refused = flips_are_survived(rel, &mut file, bits);
        println!("{rel}: {refused} of {FLIPS} refused in {:?}", begun.elapsed());
        assert!(refused > FLIPS / 10 && refused < FLIPS, "{rel}: {refused} of {FLIPS} are refused");
    }
}

/// A linear congruential generator: the same on every machine.
struct Bits(u64);

impl Iterator for Bits {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some((self.0 >> 33) as usize)
    }
}
