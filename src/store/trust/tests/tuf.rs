//! A repository that `tuf` published, and the packages that it lists.

use super::super::{Ratchet, Step};
use super::super::{Release, Trust};
use super::{NOW, bytes, moment, refuses, text, trust, verify};
use crate::error::Code;

fn of_repository() -> Trust {
    Trust::new().root(&bytes("made/tuf/1.root.json")).unwrap()
}

/// The package that a key of `made` signed, as version 14 or 15 of its repository.
fn admit(ratchet: &mut Ratchet, key: &str, version: u64) -> crate::Result<(Step, u16)> {
    let signed = verify(&trust(), &bytes(&format!("made/{key}.sig")))?;
    let release = Release::new("rain", version, "rain.onnx");
    ratchet.admit(&of_repository(), &release, &signed, NOW).map(|admission| (admission.step, admission.share))
}

#[test]
fn what_tuf_published_is_verified_and_lists_the_package() {
    let trust = of_repository();
    let mut ratchet = Ratchet::default();
    let sig = bytes("made/p256.sig");
    let signed = trust.verify(&ratchet, &sig, NOW).unwrap();
    refuses(
        admit(&mut ratchet, "p256", 14),
        Code::Untrusted,
        "expected to find it listed in metadata of the repository, got none",
    );
    ratchet = trust.refresh(&ratchet, &moment("first"), NOW).unwrap();
    let listings = ratchet.listings();
    let [listed] = &listings[..] else { panic!("{listings:?}") };
    assert_eq!((&*listed.path, &*listed.name, listed.version), ("rain/14/model.sig", "rain", 14));
    assert_eq!((&*listed.channel, listed.share, listed.length), ("stable", 2500, sig.len() as u64));
    assert_eq!(Some(listed.digest), signed.bundle);
    ratchet = Ratchet::parse(&ratchet.to_bytes()).unwrap();
    // The share is that of the metadata.
    assert_eq!(admit(&mut ratchet, "p256", 14).unwrap(), (Step::Forward, 2500));
    refuses(admit(&mut ratchet, "p256", 15), Code::Untrusted, "listed as 'rain' 14");
    refuses(admit(&mut ratchet, "ignored", 14), Code::Untrusted, "not listed in the metadata");
    assert_eq!(ratchet.state.channels[0].minimum, 9);
}

#[test]
fn only_a_key_of_the_targets_may_sign_a_package() {
    let refused = of_repository().verify(&Ratchet::default(), &bytes("made/p384.sig"), NOW);
    refuses(refused, Code::Untrusted, "expected one of 1 trusted keys");
}

#[test]
fn the_way_back_is_open_where_the_metadata_permit_it() {
    let trust = of_repository().key(&text("made/keys/p384.pub.pem")).unwrap();
    let mut ratchet = of_repository().refresh(&Ratchet::default(), &moment("second"), NOW).unwrap();
    let [older, newer] =
        ["p256", "p384"].map(|key| trust.verify(&ratchet, &bytes(&format!("made/{key}.sig")), NOW).unwrap());
    let mut admit = |version, signed| {
        ratchet.admit(&trust, &Release::new("rain", version, "rain.onnx"), signed, NOW).map(|admission| admission.step)
    };
    assert_eq!(admit(15, &newer).unwrap(), Step::Forward);
    assert_eq!(admit(14, &older).unwrap(), Step::Back { version: 14, digest: older.root });
    assert_eq!(admit(14, &older).unwrap(), Step::Same);
    assert_eq!(admit(15, &newer).unwrap(), Step::Forward, "it is listed still");
}

#[test]
fn a_root_replaces_the_keys_of_packages() {
    let trust = of_repository();
    let first = trust.refresh(&Ratchet::default(), &moment("second"), NOW).unwrap();
    refuses(
        trust.refresh(&first, &moment("rotated"), NOW),
        Code::Untrusted,
        "timestamp: expected 1 signatures by keys of root 1, got 0",
    );
    let files = moment("rotated").root(bytes("made/tuf/1.root.json")).root(bytes("made/tuf/2.root.json"));
    // Version 1 after 2: the key of timestamps is another one, and what the old one signed is forgotten.
    let mut rotated = trust.refresh(&first, &files, NOW).unwrap();
    assert!(trust.verify(&rotated, &bytes("made/p256.sig"), NOW).is_err());
    let signed = trust.verify(&rotated, &bytes("made/p384.sig"), NOW).unwrap();
    let release = Release::new("rain", 15, "rain.onnx");
    assert_eq!(rotated.admit(&trust, &release, &signed, NOW).unwrap().step, Step::Forward);
    // The next time, the root is known.
    let again = trust.refresh(&Ratchet::parse(&rotated.to_bytes()).unwrap(), &moment("rotated"), NOW).unwrap();
    assert_eq!(again.state.repository, rotated.state.repository);
    // An app that is shipped with the later root needs no chain.
    let later = Trust::new().root(&bytes("made/tuf/2.root.json")).unwrap();
    later.refresh(&rotated, &moment("rotated"), NOW).unwrap();
    // What was verified from another root is nothing to it.
    refuses(rotated.admit(&later, &Release::new("rain", 16, "m"), &signed, NOW), Code::Untrusted, "got none");
}

#[test]
fn a_root_that_the_one_before_did_not_sign_is_refused() {
    let trust = of_repository();
    let files = moment("rotated").root(bytes("made/tuf/2.root.json")).root(bytes("made/tuf/3.root.json"));
    refuses(
        trust.refresh(&Ratchet::default(), &files, NOW),
        Code::Untrusted,
        "root: expected 2 signatures by keys of root 2, got 1",
    );
    let files = moment("rotated").root(bytes("made/tuf/3.root.json"));
    refuses(
        trust.refresh(&Ratchet::default(), &files, NOW),
        Code::Untrusted,
        "root: expected version 2 after 1, got 3",
    );
    refuses(
        Trust::new().root(&bytes("made/tuf/3.root.json")),
        Code::Untrusted,
        "root: expected 2 signatures by keys of root 3, got 1",
    );
}

#[test]
fn an_expired_timestamp_of_tuf_is_refused() {
    let refused = of_repository().refresh(&Ratchet::default(), &moment("expired"), NOW);
    refuses(refused, Code::Untrusted, "timestamp: expired at 2026-11-15T12:00:00Z, and it is 2026-11-29T00:00:00Z");
    let before = 1_794_000_000;
    assert!(of_repository().refresh(&Ratchet::default(), &moment("expired"), before).is_ok());
}
