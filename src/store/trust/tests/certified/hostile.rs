//! Bytes changed at random: refused, or of the same meaning. Never a panic.

use super::super::super::certified::read;
use super::super::mutations::{Random, meaning};
use super::super::{bytes, verify};
use super::{decoded, json, of_authority, of_vector};
use crate::store::Trust;

#[test]
fn a_certificate_changed_at_random_never_panics() {
    let leaf = json("oms/valid/sigstore.bundle.json");
    let leaf = decoded(&leaf["verificationMaterial"]["certificate"]["rawBytes"]);
    let chain = json("made/certified/good.sig");
    let chain = &chain["verificationMaterial"]["x509CertificateChain"]["certificates"];
    let (mut random, mut taken) = (Random(7), 0);
    for good in [leaf, decoded(&chain[0]["rawBytes"]), decoded(&chain[1]["rawBytes"])] {
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << random.below(8);
            taken += usize::from(read(&bad).is_ok());
        }
        for _ in 0..2_000 {
            taken += usize::from(read(&random.mutate(&good)).is_ok());
        }
        assert!(read(&good).is_ok());
    }
    assert!(taken > 100, "{taken} were read to their end");
}

#[test]
fn a_bundle_with_certificates_changed_at_random_is_refused_or_means_the_same() {
    let cases: [(&str, Trust); 2] =
        [("made/certified/good.sig", of_authority()), ("oms/valid/sigstore.bundle.json", of_vector())];
    for (file, trust) in cases {
        let good = bytes(file);
        let expected = meaning(verify(&trust, &good).unwrap());
        let (mut random, mut taken) = (Random(8), 0);
        for _ in 0..1_500 {
            let mut bad = good.clone();
            let at = random.below(bad.len());
            bad[at] ^= 1 << random.below(8);
            if let Ok(signed) = verify(&trust, &bad) {
                assert_eq!(meaning(signed), expected, "{file}: byte {at}");
                taken += 1;
            }
        }
        // White space, and what is not read, such as a timestamp that another authority signed.
        assert!(taken < 600, "{file}: {taken} of 1500 were taken");
        for _ in 0..1_000 {
            if let Ok(signed) = verify(&trust, &random.mutate(&good)) {
                assert_eq!(meaning(signed), expected, "{file}");
            }
        }
    }
}

#[test]
fn a_trusted_root_changed_at_random_never_panics() {
    let good = bytes("sigstore/trusted_root.json");
    let mut random = Random(9);
    for _ in 0..1_000 {
        // What a trusted root says is the app's to know: one that can be read is taken.
        let _ = Trust::new().sigstore(&random.mutate(&good));
    }
    assert!(Trust::new().sigstore(&good).is_ok());
}
