//! The ratchet without a repository: packages that follow each other.

use super::super::{Content, Release, Signed, Trust};
use super::super::{Ratchet, Step};
use super::{LATER, NOW, package, refuses, text, trust};
use crate::Digest;
use crate::error::Code;

fn release(version: u64) -> Release {
    Release::new("rain", version, "rain.onnx")
}

fn signed(key: &str, release: &Release) -> Signed {
    package(key, release, &[("rain.onnx", &release.version.to_string())]).1
}

/// Admits a version, signed by a key.
fn admit(ratchet: &mut Ratchet, key: &str, release: &Release) -> crate::Result<Step> {
    ratchet.admit(&trust(), release, &signed(key, release), NOW).map(|admission| admission.step)
}

#[test]
fn versions_go_forward_and_the_standing_one_is_taken_again() {
    let mut ratchet = Ratchet::default();
    assert_eq!(admit(&mut ratchet, "p256", &release(3)).unwrap(), Step::Forward);
    assert_eq!(admit(&mut ratchet, "p256", &release(7)).unwrap(), Step::Forward);
    assert_eq!(admit(&mut ratchet, "p256", &release(7)).unwrap(), Step::Same);
    refuses(admit(&mut ratchet, "p256", &release(3)), Code::Untrusted, "'rain' 3: expected a number above 7");
    let mut other = release(7);
    other.label = Some("changed".into());
    refuses(admit(&mut ratchet, "p256", &other), Code::Untrusted, "another package with the number 7");
    // Another model and another channel have rows of their own.
    let mut beta = release(3);
    beta.channel = "beta".into();
    assert_eq!(admit(&mut ratchet, "p256", &beta).unwrap(), Step::Forward);
    assert_eq!(admit(&mut ratchet, "p256", &Release::new("snow", 1, "rain.onnx")).unwrap(), Step::Forward);
}

#[test]
fn an_admission_tells_the_terms_and_a_refusal_changes_nothing() {
    let mut ratchet = Ratchet::default();
    let mut first = release(3);
    (first.share, first.channel) = (2500, "beta".into());
    let admission = ratchet.admit(&trust(), &first, &signed("p256", &first), NOW).unwrap();
    assert_eq!((admission.share, &*admission.channel), (2500, "beta"));
    let before = ratchet.clone();
    first.version = 2;
    assert!(ratchet.admit(&trust(), &first, &signed("p256", &first), NOW).is_err());
    assert_eq!(ratchet, before);
}

#[test]
fn the_highest_number_is_of_all_trusted_keys_together() {
    let mut ratchet = Ratchet::default();
    admit(&mut ratchet, "p256", &release(9)).unwrap();
    refuses(admit(&mut ratchet, "p384", &release(8)), Code::Untrusted, "expected a number above 9");
    assert_eq!(admit(&mut ratchet, "p384", &release(10)).unwrap(), Step::Forward);
    refuses(admit(&mut ratchet, "p256", &release(9)), Code::Untrusted, "expected a number above 10");
}

#[test]
fn what_a_key_admitted_binds_nobody_once_it_is_trusted_no_more() {
    let mut ratchet = Ratchet::default();
    admit(&mut ratchet, "p256", &release((1 << 53) - 1)).unwrap();
    refuses(admit(&mut ratchet, "p384", &release(10)), Code::Untrusted, "expected a number above 9007199254740991");
    let without = Trust::new().key(&text("made/keys/p384.pub.pem")).unwrap();
    let release = release(10);
    let admission = ratchet.admit(&without, &release, &signed("p384", &release), NOW).unwrap();
    assert_eq!(admission.step, Step::Forward);
    let by_old = super::package("p256", &release, &[]).1;
    refuses(ratchet.admit(&without, &release, &by_old, NOW), Code::Untrusted, "signed by nobody who is trusted");
}

#[test]
fn a_signed_statement_takes_a_version_back_and_it_stays_back() {
    let mut ratchet = Ratchet::default();
    admit(&mut ratchet, "p256", &release(6)).unwrap();
    admit(&mut ratchet, "p256", &release(7)).unwrap();
    refuses(admit(&mut ratchet, "p256", &release(6)), Code::Untrusted, "expected a number above 7");
    let digest = signed("p256", &release(6)).root;
    let back = Release::rollback("rain", 8, 6, digest);
    assert_eq!(admit(&mut ratchet, "p256", &back).unwrap(), Step::Back { version: 6, digest });
    assert_eq!(admit(&mut ratchet, "p256", &back).unwrap(), Step::Same, "said again");
    assert_eq!(admit(&mut ratchet, "p256", &release(6)).unwrap(), Step::Same, "what it went back to");
    refuses(admit(&mut ratchet, "p256", &release(7)), Code::Untrusted, "expected a number above 8");
    refuses(admit(&mut ratchet, "p256", &release(5)), Code::Untrusted, "expected a number above 8");
    let mut like_six = release(6);
    like_six.label = Some("not what was gone back to".into());
    refuses(admit(&mut ratchet, "p256", &like_six), Code::Untrusted, "expected a number above 8");
    refuses(admit(&mut ratchet, "p256", &release(8)), Code::Untrusted, "another package with the number 8");
    assert_eq!(admit(&mut ratchet, "p256", &release(9)).unwrap(), Step::Forward);
    refuses(admit(&mut ratchet, "p256", &back), Code::Untrusted, "expected a number above 9");
}

#[test]
fn nothing_goes_below_the_minimum() {
    let mut ratchet = Ratchet::default();
    let mut seven = release(7);
    seven.minimum = 6;
    admit(&mut ratchet, "p256", &seven).unwrap();
    let below = Release::rollback("rain", 8, 5, Digest([5; 32]));
    refuses(
        admit(&mut ratchet, "p256", &below),
        Code::Untrusted,
        "expected at least version 6, the minimum of channel 'stable'",
    );
    ratchet.may_return(&trust(), "rain", "stable", 6).unwrap();
    refuses(ratchet.may_return(&trust(), "rain", "stable", 5), Code::Untrusted, "expected at least version 6");
    // The minimum stays when a later version does not repeat it.
    admit(&mut ratchet, "p256", &release(9)).unwrap();
    refuses(ratchet.may_return(&trust(), "rain", "stable", 5), Code::Untrusted, "expected at least version 6");
    let mut contradicts = Release::rollback("rain", 10, 7, Digest([5; 32]));
    contradicts.minimum = 8;
    refuses(admit(&mut ratchet, "p256", &contradicts), Code::Corrupt, "below its own minimum 8");
}

#[test]
fn what_expired_is_not_taken_in_and_what_stands_stays() {
    let mut ratchet = Ratchet::default();
    let mut first = release(1);
    first.expires = Some(LATER);
    let package = signed("p256", &first);
    refuses(
        ratchet.admit(&trust(), &first, &package, LATER),
        Code::Untrusted,
        "expired at 2027-02-01T00:00:00Z, and it is 2027-02-01T00:00:00Z",
    );
    assert_eq!(ratchet, Ratchet::default());
    assert_eq!(ratchet.admit(&trust(), &first, &package, LATER - 1).unwrap().step, Step::Forward);
    assert_eq!(ratchet.admit(&trust(), &first, &package, LATER + 1).unwrap().step, Step::Same);
}

#[test]
fn unsigned_packages_are_taken_where_that_was_said_and_nowhere_else() {
    let files = || vec![("rain.onnx".to_string(), Digest([2; 32])), ("a".to_string(), Digest([1; 32]))];
    refuses(trust().unsigned(files()), Code::Untrusted, "expected a signature in 'model.sig', got none");
    let open = trust().accept_unsigned_packages();
    let package = open.unsigned(files()).unwrap();
    assert_eq!((package.key, &*package.files[0].0), (None, "a"));
    assert!(!package.ignores(".git"), "what nobody signed leaves nothing out");
    refuses(open.unsigned(vec![("../a".into(), Digest([1; 32]))]), Code::Corrupt, "'../a': not the name");
    let mut ratchet = Ratchet::default();
    assert_eq!(ratchet.admit(&open, &release(5), &package, NOW).unwrap().step, Step::Forward);
    refuses(ratchet.admit(&open, &release(4), &package, NOW), Code::Untrusted, "expected a number above 5");
    // Where they are not accepted any more, what they said binds nobody.
    refuses(ratchet.admit(&trust(), &release(6), &package, NOW), Code::Untrusted, "signed by nobody");
    assert_eq!(admit(&mut ratchet, "p256", &release(1)).unwrap(), Step::Forward);
}

#[test]
fn the_state_survives_as_bytes_and_damage_is_seen() {
    let mut ratchet = Ratchet::default();
    admit(&mut ratchet, "p256", &release(6)).unwrap();
    admit(&mut ratchet, "p384", &release(7)).unwrap();
    let bytes = ratchet.to_bytes();
    assert_eq!((&bytes[..8], bytes.len()), (&b"SLVTRST1"[..], 16 + 2 * (2 + 6 + 8 + 34 + 2 + 34 + 2 + 34)));
    assert_eq!(Ratchet::parse(&bytes).unwrap(), ratchet);
    for i in 0..bytes.len() {
        let mut broken = bytes.clone();
        broken[i] ^= 1;
        assert!(Ratchet::parse(&broken).is_err(), "byte {i}");
        assert!(Ratchet::parse(&bytes[..i]).is_err(), "{i} bytes");
    }
    refuses(Ratchet::parse(b"SLVTRST2________"), Code::Unsupported, "expected version 1, got 2");
}

#[test]
fn content_says_what_is_opened() {
    let Content::Model { model, profile, golden } = release(1).with_profile("p").content else { panic!() };
    assert_eq!((&*model, profile.as_deref(), golden), ("rain.onnx", Some("p"), None));
}
