//! The test vectors of the specification, and what `model-signing` made.

use std::fs;

use super::super::bundle::{self, Bundle};
use super::super::key::{SigningKey, digest};
use super::super::statement;
use super::{bytes, data, refuses, text, trust, verify};
use crate::error::Code;
use crate::store::Trust;

fn of_specification() -> Trust {
    Trust::new().key(&text("oms/signing-key-pub.pem")).unwrap()
}

#[test]
fn the_valid_vector_of_a_key_is_verified() {
    let signed = verify(&of_specification(), &bytes("oms/valid/key.bundle.json")).unwrap();
    assert_eq!(signed.root.to_string(), "92745110b1ab4368471cbe31664e10174e954b113a3df333db860317b2c6dec4");
    let files: Vec<_> = signed.files.iter().map(|(name, digest)| (&**name, digest.to_string())).collect();
    let expected = [
        ("signme-1", "bc9a717db6064a32cbe9eae6fc40651dd6d36ef1757183f590eff2b1765d7ebc".to_string()),
        ("signme-2", "32dcb1f8e1ae52d5963e56a6ba06ab58b424c15ed2a6b70d2feca1d089370028".to_string()),
    ];
    assert_eq!(files, expected);
    let ignored = [".git/config", "ignore-me", "ignore-me/too", "ignore-me-not", "a/.git", "signme-3"];
    assert_eq!(ignored.map(|name| signed.ignores(name)), [true, true, true, false, false, false]);
}

#[test]
fn every_other_vector_is_refused_for_its_own_reason() {
    for (file, code, why) in [
        ("valid/certificate", Code::Unsupported, "a chain of certificates"),
        ("valid/sigstore", Code::Unsupported, "a short-lived certificate (keyless)"),
        ("invalid/empty", Code::Corrupt, "EOF while parsing"),
        ("invalid/missing-envelope", Code::Corrupt, "expected 'dsseEnvelope', got none"),
        ("invalid/missing-tlog-entries", Code::Corrupt, "'tlogEntries': expected at least 1"),
        ("invalid/missing-verification-material", Code::Corrupt, "expected 'verificationMaterial', got none"),
        ("invalid-payload/wrong-predicate", Code::Untrusted, "not of the trusted key, over these bytes"),
    ] {
        refuses(verify(&of_specification(), &bytes(&format!("oms/{file}.bundle.json"))), code, why);
    }
    refuses(
        verify(&trust(), &bytes("oms/valid/key.bundle.json")),
        Code::Untrusted,
        "expected one of 2 trusted keys, got key 'e8450dec",
    );
    refuses(verify(&Trust::new(), &bytes("oms/valid/key.bundle.json")), Code::Untrusted, "one of 0 trusted keys");
    // The payload of another predicate, had it been signed.
    let payload = String::from_utf8(payload(&bytes("oms/valid/key.bundle.json"))).unwrap();
    let other = payload.replace("https://model_signing/signature/v1.0", "https://example.com/wrong-predicate/v1.0");
    refuses(statement::parse(other.as_bytes()), Code::Corrupt, "'predicateType': expected");
}

#[test]
fn what_model_signing_signed_is_verified_and_is_what_lies_there() {
    let of_p256 = verify(&trust(), &bytes("made/p256.sig")).unwrap();
    let of_p384 = verify(&trust(), &bytes("made/p384.sig")).unwrap();
    assert_eq!((&of_p256.files, of_p256.root), (&of_p384.files, of_p384.root));
    assert_ne!(of_p256.key, of_p384.key);
    // The order of its files is by the parts of paths, and not by code points.
    let names: Vec<&str> = of_p256.files.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["a/b.txt", "a-b/c.txt", "a.txt", "empty", "rain.onnx", "selvedge.json", "ünicode/ß.txt"]);
    for (name, signed) in &of_p256.files {
        let path = data().join("made/package").join(name);
        assert_eq!(digest(&fs::read(&path).unwrap()), *signed, "{name}");
    }
    assert_eq!(of_p256.find("a.txt"), Some(of_p256.files[2].1));
    assert_eq!(of_p256.find("b.txt"), None);
}

#[test]
fn files_that_model_signing_left_out_may_lie_there_unsigned() {
    let signed = verify(&trust(), &bytes("made/ignored.sig")).unwrap();
    assert_eq!(signed.files.len(), 5);
    assert!(["a.txt", "a", "a/b.txt"].iter().all(|name| signed.ignores(name)) && !signed.ignores("a-b/c.txt"));
}

#[test]
fn what_of_model_signing_is_not_taken_is_named() {
    for (file, why) in [
        ("shards", "'method': expected 'files', got 'shards'"),
        ("blake3", "'hash_type': expected 'sha256', got 'blake3'"),
    ] {
        refuses(verify(&trust(), &bytes(&format!("made/{file}.sig"))), Code::Unsupported, why);
    }
    refuses(verify(&trust(), &bytes("made/p521.sig")), Code::Untrusted, "expected one of 2 trusted keys");
}

#[test]
fn a_bundle_that_is_not_one_is_refused_for_its_own_reason() {
    let good = text("made/p256.sig");
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1).into_bytes()
    };
    for (bundle, code, why) in [
        (with("v0.3+json", "v0.2+json"), Code::Unsupported, "'mediaType': expected"),
        (with("application/vnd.dev", "application/vnd"), Code::Corrupt, "'mediaType': expected"),
        (with("application/vnd.in-toto+json", "application/json"), Code::Corrupt, "'payloadType': expected"),
        (with("\"payload\":", "\"payload\":\"\",\"payload\":"), Code::Corrupt, "'payload' comes twice"),
        (with("\"payload\":\"", "\"payload\":\" "), Code::Corrupt, "'payload': not base64"),
        (with("\"signatures\":[", "\"signatures\":[{\"sig\":\"\"},"), Code::Corrupt, "'signatures': expected 1, got 2"),
        (with("\"publicKey\"", "\"publicKeys\""), Code::Corrupt, "expected one of"),
        (with("\"publicKey\"", "\"certificate\":{},\"publicKey\""), Code::Corrupt, "expected one of"),
        (with("{", "{\"messageSignature\":{},"), Code::Corrupt, "'messageSignature': not a key of this format"),
        (with("\"keyid\":\"\"", "\"keyid\":7"), Code::Corrupt, "'keyid': expected a text, got an integer"),
        (vec![b' '; (16 << 20) + 1], Code::Corrupt, "expected at most 16777216 bytes"),
        (vec![b'['; 100 << 20], Code::Corrupt, "expected at most 16777216 bytes"),
        (vec![b'['; 10_000], Code::Corrupt, "recursion limit"),
    ] {
        refuses(verify(&trust(), &bundle), code, why);
    }
    // The reader of these changes nothing: an identifier beside the signature says nothing, and may be none.
    for same in [
        with("\"keyid\":\"\"", "\"keyid\":null"),
        with("\"keyid\":\"\"", "\"keyid\":\"x\""),
        with(",\"tlogEntries\":[]", ""),
    ] {
        assert!(verify(&trust(), &same).is_ok(), "{}", String::from_utf8_lossy(&same));
    }
}

#[test]
fn a_bundle_without_a_hint_is_tried_with_every_key() {
    let bundle: serde_json::Value = serde_json::from_slice(&bytes("made/p384.sig")).unwrap();
    let mut old = bundle.clone();
    old["verificationMaterial"]["publicKey"] = serde_json::json!({ "rawBytes": "AA==" });
    assert_eq!(verify(&trust(), old.to_string().as_bytes()).unwrap().files.len(), 7);
    let mut by_der = bundle;
    by_der["verificationMaterial"]["publicKey"]["hint"] =
        verify(&trust(), &bytes("made/p384.sig")).unwrap().key.unwrap().to_string().into();
    assert!(verify(&trust(), by_der.to_string().as_bytes()).is_ok());
}

#[test]
fn a_statement_that_breaks_the_specification_is_refused_though_it_is_signed() {
    let good = String::from_utf8(payload(&bytes("made/p256.sig"))).unwrap();
    let first = "\"a/b.txt\"";
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1)
    };
    for (statement, code, why) in [
        (with("in-toto.io/Statement/v1", "in-toto.io/Statement/v0.1"), Code::Corrupt, "'_type': expected"),
        (
            with("model_signing/signature/v1.0", "model_signing/Digests/v0.1"),
            Code::Corrupt,
            "'predicateType': expected",
        ),
        (with("\"package\"", "\"\""), Code::Corrupt, "'name': expected a text, got an empty one"),
        (with("\"subject\": [", "\"subject\": [{},"), Code::Corrupt, "'subject': expected 1, got 2"),
        (with("\"subject\": [", "\"predicate\": {}, \"subject\": ["), Code::Corrupt, "'predicate' comes twice"),
        (with("\"method\": \"files\"", "\"method\": \"all\""), Code::Corrupt, "'method': 'all' is none"),
        (
            with("\"method\": \"files\"", "\"method\": \"files\", \"shard_size\": 4"),
            Code::Corrupt,
            "'shard_size': not of files",
        ),
        (
            with("\"algorithm\": \"sha256\"", "\"algorithm\": \"blake2b\""),
            Code::Unsupported,
            "expected 'sha256', got 'blake2b'",
        ),
        (
            with("\"allow_symlinks\": false", "\"allow_symlinks\": true"),
            Code::Unsupported,
            "'allow_symlinks': expected false, got true",
        ),
        (with("\".git\"", "\"../x\""), Code::Corrupt, "'../x': not the name of a file"),
        (with(first, "\"/etc/passwd\""), Code::Corrupt, "'/etc/passwd': not the name"),
        (with(first, "\"a/../b\""), Code::Corrupt, "'a/../b': not the name"),
        (with(first, "\"./b\""), Code::Corrupt, "'./b': not the name"),
        (with(first, "\"a//b\""), Code::Corrupt, "'a//b': not the name"),
        (with(first, "\"a/\""), Code::Corrupt, "'a/': not the name"),
        (with(first, "\"\""), Code::Corrupt, "'': not the name"),
        (with(first, "\"a\\\\b\""), Code::Corrupt, "not the name"),
        (with(first, "\"a\\u0000b\""), Code::Corrupt, "not the name"),
        (with(first, "\"C:b\""), Code::Corrupt, "not the name"),
        (with(first, &format!("\"{}\"", "x".repeat(256))), Code::Corrupt, "not the name"),
        (with(first, "\"A.TXT\""), Code::Corrupt, "'a.txt': comes twice"),
        (with(first, "\"a.txt/b\""), Code::Corrupt, "'a.txt': a file, and a folder of others"),
        (with(first, "\"z\""), Code::Corrupt, "expected them sorted by name"),
        (
            with("\"digest\": \"480c", "\"digest\": \"480C"),
            Code::Corrupt,
            "expected 64 hexadecimal digits in lower case",
        ),
        (with("\"digest\": \"480c", "\"digest\": \"490c"), Code::Corrupt, "digest of all files: expected"),
    ] {
        refuses(verify(&trust(), &resigned(statement.as_bytes())), code, why);
    }
    let none = serde_json::json!({
        "_type": "https://in-toto.io/Statement/v1", "subject": [{ "name": "m", "digest": { "sha256": digest(b"").to_string() } }],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": { "resources": [], "serialization": { "method": "files", "hash_type": "sha256", "allow_symlinks": false } },
    });
    refuses(
        verify(&trust(), &resigned(none.to_string().as_bytes())),
        Code::Corrupt,
        "expected at least 1 file, got none",
    );
    assert!(verify(&trust(), &resigned(good.as_bytes())).is_ok());
}

/// The statement in a bundle.
pub(super) fn payload(bytes: &[u8]) -> Vec<u8> {
    let bundle: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    let text = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
    <base64ct::Base64 as base64ct::Encoding>::decode_vec(text).unwrap()
}

/// A statement, signed by the key of `made` as it is.
pub(super) fn resigned(statement: &[u8]) -> Vec<u8> {
    let key = SigningKey::from_pem(&text("made/keys/p256.pem")).unwrap();
    let bundle = bundle::write(statement, &key.sign(&bundle::encode(statement)), &key.public_key().unwrap());
    assert!(Bundle::parse(&bundle).is_ok());
    bundle
}
