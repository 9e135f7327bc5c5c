//! A log of one's own, to ask what a log that signs anything could not make of a package.

use base64ct::{Base64, Encoding};
use p256::pkcs8::EncodePublicKey;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::super::bundle::encode;
use super::super::super::key::SigningKey;
use super::super::{refuses, text, verify};
use super::{Change, ISSUER, NAME, encoded, json, of, vector};
use crate::error::Code;

/// When the vector was signed, and when its certificate begins and ends.
const SIGNED: u64 = 1_760_062_340;
const BEGIN: u64 = 1_760_062_339;
const END: u64 = BEGIN + 600;

/// Makes entries, and signs whatever it is told.
struct Log(SigningKey);

impl Log {
    fn new() -> Self {
        Self(SigningKey::from_pem(&text("made/keys/p256.pem")).unwrap())
    }

    fn key(&self) -> Vec<u8> {
        let SigningKey::P256(key) = &self.0 else { panic!("not on P-256") };
        key.verifying_key().to_public_key_der().unwrap().as_bytes().to_vec()
    }

    fn id(&self) -> Vec<u8> {
        Sha256::digest(self.key()).to_vec()
    }

    /// What Sigstore publishes, with this log in place of its own.
    fn trusted_root(&self) -> Value {
        let mut root = json("sigstore/trusted_root.json");
        root["tlogs"][0]["publicKey"]["rawBytes"] = encoded(&self.key());
        root["tlogs"][0]["logId"]["keyId"] = encoded(&self.id());
        root
    }

    /// An entry with this body, taken at a time, in a tree of which it is one.
    fn entry(&self, body: &[u8], time: u64, others: &[&[u8]], index: usize) -> Value {
        let mut leaves: Vec<&[u8]> = others.to_vec();
        leaves.insert(index, body);
        let (root, way) = (root(&leaves), way(&leaves, index));
        let id: String = self.id().iter().map(|byte| format!("{byte:02x}")).collect();
        let body = Base64::encode_string(body);
        let promised = format!(r#"{{"body":"{body}","integratedTime":{time},"logID":"{id}","logIndex":7}}"#);
        let (size, hash) = (leaves.len(), Base64::encode_string(&root));
        let note = format!("log.example.com - 1\n{size}\n{hash}\n");
        let signature = Base64::encode_string(&[&self.id()[..4], &self.0.sign(note.as_bytes())].concat());
        json!({
            "logIndex": "7", "logId": { "keyId": encoded(&self.id()) }, "kindVersion": { "kind": "dsse", "version": "0.0.1" },
            "integratedTime": time.to_string(), "canonicalizedBody": body,
            "inclusionPromise": { "signedEntryTimestamp": encoded(&self.0.sign(promised.as_bytes())) },
            "inclusionProof": {
                "logIndex": index.to_string(), "treeSize": size.to_string(), "rootHash": hash,
                "hashes": way.iter().map(|hash| encoded(hash)).collect::<Vec<_>>(),
                "checkpoint": { "envelope": format!("{note}\n— witness.example.com AAAAAAAAAA==\n— log.example.com {signature}\n") },
            },
        })
    }
}

/// The hash over a tree and the way to it, as RFC 6962 defines them: by halves, down from the top.
fn root(leaves: &[&[u8]]) -> [u8; 32] {
    match leaves {
        [leaf] => Sha256::digest([&[0], *leaf].concat()).into(),
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            Sha256::digest([&[1][..], &root(left), &root(right)].concat()).into()
        }
    }
}

fn way(leaves: &[&[u8]], index: usize) -> Vec<[u8; 32]> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let half = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(half);
    let (mut way, last) =
        if index < half { (way(left, index), root(right)) } else { (way(right, index - half), root(left)) };
    way.push(last);
    way
}

fn with_entry(mut bundle: Value, entry: Value) -> Vec<u8> {
    bundle["verificationMaterial"]["tlogEntries"] = json!([entry]);
    bundle.to_string().into_bytes()
}

/// The body of an entry about a bundle that has one certificate.
fn body_of(bundle: &Value) -> Value {
    let envelope = &bundle["dsseEnvelope"];
    let payload: String =
        Sha256::digest(super::decoded(&envelope["payload"])).iter().map(|byte| format!("{byte:02x}")).collect();
    let der = bundle["verificationMaterial"]["certificate"]["rawBytes"].as_str().unwrap();
    let lines: Vec<&str> = der.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
    json!({ "apiVersion": "0.0.1", "kind": "dsse", "spec": {
        "payloadHash": { "algorithm": "sha256", "value": payload },
        "signatures": [{ "signature": envelope["signatures"][0]["sig"], "verifier": encoded(pem.as_bytes()) }],
    } })
}

#[test]
fn a_certificate_is_held_against_the_time_at_which_the_log_took_the_entry() {
    let log = Log::new();
    let body = body_of(&vector()).to_string();
    let at = |time| {
        let trust = of(NAME, ISSUER, log.trusted_root().to_string().as_bytes());
        verify(&trust, &with_entry(vector(), log.entry(body.as_bytes(), time, &[], 0)))
    };
    for time in [SIGNED, BEGIN, END] {
        at(time).unwrap();
    }
    let why = "expected a time from 2025-10-10T02:12:19Z to 2025-10-10T02:22:19Z, for which it is valid, got";
    refuses(at(BEGIN - 1), Code::Untrusted, &format!("{why} 2025-10-10T02:12:18Z"));
    refuses(at(END + 1), Code::Untrusted, &format!("{why} 2025-10-10T02:22:20Z"));
}

#[test]
fn the_way_from_each_entry_of_each_tree_is_followed() {
    let (log, body) = (Log::new(), body_of(&vector()).to_string());
    let trust = of(NAME, ISSUER, log.trusted_root().to_string().as_bytes());
    let others: Vec<Vec<u8>> = (0..7_u8).map(|i| vec![i]).collect();
    for count in 0..others.len() {
        let others: Vec<&[u8]> = others[..count].iter().map(Vec::as_slice).collect();
        for index in 0..=count {
            let entry = log.entry(body.as_bytes(), SIGNED, &others, index);
            verify(&trust, &with_entry(vector(), entry.clone())).unwrap_or_else(|e| panic!("{index} of {count}: {e}"));
            let mut wrong = entry;
            wrong["inclusionProof"]["logIndex"] = ((index + 1) % (count + 1)).to_string().into();
            assert!(count == 0 || verify(&trust, &with_entry(vector(), wrong)).is_err(), "{index} of {count}");
        }
    }
    // The head of another tree, signed by the log.
    let mut mixed = log.entry(body.as_bytes(), SIGNED, &[], 0);
    mixed["inclusionProof"]["checkpoint"] = log.entry(b"other", SIGNED, &[], 0)["inclusionProof"]["checkpoint"].clone();
    refuses(verify(&trust, &with_entry(vector(), mixed)), Code::Untrusted, "the checkpoint is of another tree");
}

#[test]
fn a_signature_of_another_key_is_refused_though_the_log_has_it() {
    let log = Log::new();
    let trust = of(NAME, ISSUER, log.trusted_root().to_string().as_bytes());
    let mut bundle = vector();
    bundle["dsseEnvelope"]["signatures"][0]["sig"] =
        encoded(&log.0.sign(&encode(&super::decoded(&bundle["dsseEnvelope"]["payload"]))));
    let entry = log.entry(body_of(&bundle).to_string().as_bytes(), SIGNED, &[], 0);
    refuses(verify(&trust, &with_entry(bundle, entry)), Code::Untrusted, "its key did not sign these bytes");
}

#[test]
fn a_body_of_another_form_is_refused() {
    let log = Log::new();
    let trust = of(NAME, ISSUER, log.trusted_root().to_string().as_bytes());
    let cases: [(Change<'_>, &str); 6] = [
        (&|b| b["kind"] = "intoto".into(), "'kind': expected 'dsse', got 'intoto'"),
        (&|b| b["apiVersion"] = "0.0.2".into(), "'apiVersion': expected '0.0.1'"),
        (&|b| b["spec"]["payloadHash"]["algorithm"] = "md5".into(), "'algorithm': expected 'sha256'"),
        (&|b| b["spec"]["signatures"] = json!([]), "'signatures': expected 1, got 0"),
        (&|b| b["spec"]["signatures"][0]["verifier"] = encoded(b"none"), "expected PEM"),
        (&|b| *b = json!(3), "expected an object"),
    ];
    for (change, why) in cases {
        let mut body = body_of(&vector());
        change(&mut body);
        let entry = log.entry(body.to_string().as_bytes(), SIGNED, &[], 0);
        refuses(verify(&trust, &with_entry(vector(), entry)), Code::Corrupt, why);
    }
}

#[test]
fn a_certificate_that_no_log_has_is_refused_and_so_is_one_for_something_else() {
    let log = Log::new();
    // The authority of `made` in place of Sigstore's.
    let mut root = log.trusted_root();
    let chain = json("made/certified/whole.sig");
    let chain = chain["verificationMaterial"]["x509CertificateChain"]["certificates"].as_array().unwrap();
    root["certificateAuthorities"] = json!([{ "certChain": { "certificates": [chain[1], chain[2]] } }]);
    let trust = of(NAME, ISSUER, root.to_string().as_bytes());
    let refused = |name: &str, at: usize, why: &str| {
        let mut bundle = json(&format!("made/certified/{name}.sig"));
        let own = bundle["verificationMaterial"]["x509CertificateChain"]["certificates"][at].clone();
        bundle["verificationMaterial"] = json!({ "certificate": own });
        let entry = log.entry(body_of(&bundle).to_string().as_bytes(), 1_793_491_200, &[], 0);
        refuses(verify(&trust, &with_entry(bundle, entry)), Code::Untrusted, why);
    };
    refused("good", 0, "'CN=good': expected the timestamp of a log of certificates, got none");
    refused("server", 0, "expected one for signing code");
    refused("direct", 0, "expected its key to be for signing code, got no word of it");
    refused("whole", 0, "expected its key to be for signatures, got no word of it");
    refused("good", 1, "'CN=between': expected one of a signer, got one of an authority");
}
