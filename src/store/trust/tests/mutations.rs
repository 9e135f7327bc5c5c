//! Bytes changed at random: refused, or of the same meaning. Never a panic.

use super::super::bundle::Bundle;
use super::super::json::Json;
use super::super::{Ratchet, Release, RepositoryFiles, Signed, Trust, statement};
use super::{NOW, bytes, moment, oms, trust, verify};

/// SplitMix64 (Steele, Lea and Flood 2014).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    /// One to three changes of the kinds that break parsers.
    pub(super) fn mutate(&mut self, original: &[u8]) -> Vec<u8> {
        const WORDS: [&str; 12] =
            ["\"", "{", "}", "[", "]", ",", "null", "1e9", "-1", "18446744073709551616", "\\u0000", "../"];
        let mut bytes = original.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
            match self.below(6) {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                1 if !bytes.is_empty() => bytes[at] = self.below(256) as u8,
                2 => bytes.truncate(at),
                3 => {
                    let word = WORDS[self.below(WORDS.len())];
                    bytes.splice(at..at, word.bytes());
                }
                4 => {
                    let end = (at + self.below(40)).min(bytes.len());
                    bytes.drain(at..end);
                }
                _ => {
                    let end = (at + self.below(200)).min(bytes.len());
                    let part = bytes[at..end].to_vec();
                    let to = self.below(bytes.len() + 1);
                    bytes.splice(to..to, part);
                }
            }
        }
        bytes
    }
}

pub(super) fn meaning(signed: Signed) -> Signed {
    Signed { bundle: None, ..signed }
}

#[test]
fn a_bundle_with_any_byte_flipped_is_refused_or_means_the_same() {
    let good = bytes("made/p256.sig");
    let expected = meaning(verify(&trust(), &good).unwrap());
    let mut taken = 0;
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        if let Ok(signed) = verify(&trust(), &bad) {
            assert_eq!(meaning(signed), expected, "byte {at}");
            taken += 1;
        }
    }
    // White space, names of members that say nothing, and what is not signed.
    assert!(taken < good.len() / 20, "{taken} of {} flips were taken", good.len());
}

#[test]
fn a_bundle_changed_at_random_is_refused_or_means_the_same() {
    let good = bytes("made/p256.sig");
    let expected = meaning(verify(&trust(), &good).unwrap());
    let parts = |bundle: &[u8]| Bundle::parse(bundle).map(|bundle| format!("{bundle:?}"));
    let known = parts(&good).unwrap();
    let (mut random, mut same, mut checked) = (Random(1), 0, 0);
    for _ in 0..40_000 {
        let bad = random.mutate(&good);
        match parts(&bad) {
            Err(_) => {}
            // The same payload, signature and key: what is slow about it is known.
            Ok(read) if read == known => same += 1,
            Ok(_) if checked < 2_000 => {
                checked += 1;
                if let Ok(signed) = verify(&trust(), &bad) {
                    assert_eq!(meaning(signed), expected);
                }
            }
            Ok(_) => {}
        }
    }
    assert!(same > 0 && checked > 100, "{same} had no effect, {checked} were held against the key");
}

#[test]
fn a_statement_changed_at_random_never_panics() {
    let good = oms::payload(&bytes("made/p256.sig"));
    let mut random = Random(2);
    for _ in 0..30_000 {
        let bad = random.mutate(&good);
        // The digest over all files follows from the files: what is taken is consistent in itself.
        if let Ok(read) = statement::parse(&bad) {
            assert_eq!(statement::root(&read.files), read.root);
            let is_sound = |name: &str| name.split('/').all(|part| !["", ".", ".."].contains(&part));
            assert!(read.files.iter().all(|(name, _)| is_sound(name)));
        }
    }
}

#[test]
fn a_release_changed_at_random_never_panics_and_is_written_as_it_was_read() {
    let good = Release::new("rain", 14, "rain.onnx").with_profile("rain.profile").to_json();
    let mut random = Random(3);
    for _ in 0..15_000 {
        if let Ok(read) = Release::parse(&random.mutate(&good)) {
            assert_eq!(Release::parse(&read.to_json()).unwrap(), read);
        }
    }
}

#[test]
fn metadata_changed_at_random_are_refused_or_mean_the_same() {
    let own = bytes("made/tuf/1.root.json");
    let trust = Trust::new().root(&own).unwrap();
    let good = moment("second");
    let expected = trust.refresh(&Ratchet::default(), &good, NOW).unwrap();
    let (mut random, mut checked) = (Random(4), 0);
    for i in 0..15_000 {
        let mut bad = good.clone();
        let file = [&mut bad.timestamp, &mut bad.snapshot, &mut bad.targets][i % 3] as &mut Vec<u8>;
        *file = random.mutate(file);
        let readable = Json::parse("file", file, 1 << 20).is_ok();
        checked += usize::from(readable);
        // What is no JSON is refused before anything is slow.
        if (!readable || checked < 1_000)
            && let Ok(state) = trust.refresh(&Ratchet::default(), &bad, NOW)
        {
            assert_eq!(state, expected);
        }
    }
    assert!(checked > 100, "{checked} were JSON");
    let mut random = Random(5);
    for _ in 0..1_000 {
        let bad = random.mutate(&bytes("made/tuf/2.root.json"));
        let files = RepositoryFiles::clone(&good).root(bad);
        if let Ok(state) = trust.refresh(&Ratchet::default(), &files, NOW) {
            let root = state.state.repository.unwrap().root;
            let signed = |bytes: &[u8]| {
                Json::parse("root", bytes, 1 << 20).unwrap().members("root").unwrap().get("signed").unwrap().clone()
            };
            assert!(root == own || signed(&root) == signed(&bytes("made/tuf/2.root.json")));
        }
    }
}

#[test]
fn a_ratchet_changed_at_random_never_panics() {
    let trust = Trust::new().root(&bytes("made/tuf/1.root.json")).unwrap();
    let good = trust.refresh(&Ratchet::default(), &moment("second"), NOW).unwrap().to_bytes();
    let mut random = Random(6);
    for _ in 0..10_000 {
        let mut bad = random.mutate(&good);
        // With a checksum that fits, as one who can write the file would make it.
        if let Some((head, message)) = bad.split_first_chunk_mut::<16>() {
            head[8..12].copy_from_slice(&crc32c::crc32c(message).to_le_bytes());
            head[12..16].copy_from_slice(&(message.len() as u32).to_le_bytes());
        }
        if let Ok(ratchet) = Ratchet::parse(&bad) {
            assert_eq!(Ratchet::parse(&ratchet.to_bytes()).unwrap(), ratchet);
            ratchet.listings();
        }
    }
}
