//! The vector of the specification that was signed without a lasting key, and what Sigstore publishes to verify it.

use serde_json::{Value, json};

use super::super::super::Ratchet;
use super::super::super::key::digest;
use super::super::{NOW, bytes, refuses, trust, verify};
use super::{Change, ISSUER, NAME, encoded, json, of, of_vector, turned, vector};
use crate::error::Code;
use crate::store::Trust;

#[test]
fn the_vector_of_a_short_lived_certificate_is_verified() {
    let signed = verify(&of_vector(), &bytes("oms/valid/sigstore.bundle.json")).unwrap();
    assert_eq!(signed.root.to_string(), "61d4849d9d90076d6215f4d525f13d6574af8e3f67aef3e6f36fc40a14fdd226");
    let files: Vec<&str> = signed.files.iter().map(|(name, _)| &**name).collect();
    assert_eq!(files, ["signme-1", "signme-2"]);
    // Who signed is known by name, not by the key, which is another one each time.
    let id = digest(format!("keyless\n{ISSUER}\n{NAME}").as_bytes());
    assert_eq!(signed.key, Some(id));
    // The certificate lived for ten minutes in October 2025. The clock says nothing about that.
    assert!(of_vector().verify(&Ratchet::default(), &bytes("oms/valid/sigstore.bundle.json"), NOW * 2).is_ok());
}

#[test]
fn another_name_or_another_issuer_is_refused() {
    let got = "got one for 'stefanb@us.ibm.com' by 'https://sigstore.verify.ibm.com/oauth2'";
    for (name, issuer) in [
        ("somebody@us.ibm.com", ISSUER),
        (NAME, "https://accounts.example.com"),
        ("Stefanb@us.ibm.com", ISSUER),
        ("stefanb@us.ibm.co", ISSUER),
        (NAME, "https://sigstore.verify.ibm.com/oauth2/"),
        (ISSUER, NAME),
    ] {
        let trust = of(name, issuer, &bytes("sigstore/trusted_root.json"));
        let why = format!("expected one for '{name}' by '{issuer}', {got}");
        refuses(verify(&trust, &bytes("oms/valid/sigstore.bundle.json")), Code::Untrusted, &why);
        // Who is trusted may be one of several; a name and an issuer belong together.
        let trust = trust.identity("else@example.com", ISSUER).unwrap();
        refuses(verify(&trust, &bytes("oms/valid/sigstore.bundle.json")), Code::Untrusted, got);
        assert!(verify(&trust.identity(NAME, ISSUER).unwrap(), &bytes("oms/valid/sigstore.bundle.json")).is_ok());
    }
    for (name, issuer) in [("", ISSUER), (NAME, ""), ("a\nb", ISSUER), (NAME, "a\nb")] {
        refuses(Trust::new().identity(name, issuer), Code::InvalidArgument, "expected a text of one line");
    }
}

#[test]
fn half_a_trust_takes_nothing() {
    let sig = bytes("oms/valid/sigstore.bundle.json");
    let only_names = Trust::new().identity(NAME, ISSUER).unwrap();
    refuses(verify(&only_names, &sig), Code::Untrusted, "expected a trusted root of Sigstore");
    let only_root = Trust::new().sigstore(&bytes("sigstore/trusted_root.json")).unwrap();
    refuses(verify(&only_root, &sig), Code::Untrusted, "expected one for '', got one for 'stefanb");
    refuses(verify(&trust(), &sig), Code::Unsupported, "expected one made with a key, got one made with a short-lived");
}

#[test]
fn an_entry_that_was_changed_is_refused() {
    let entry = "/verificationMaterial/tlogEntries/0";
    let proof = |change: fn(&mut Value)| move |entry: &mut Value| change(&mut entry["inclusionProof"]);
    let way = "proof of inclusion: the way from the entry does not lead to the hash over the log";
    let promise = "the signed timestamp of its entry is not of the log 'https://rekor.sigstore.dev'";
    let cases: [(Change<'_>, Code, &str); 21] = [
        (
            &|e| e["inclusionPromise"]["signedEntryTimestamp"] = turned(&e["inclusionPromise"]["signedEntryTimestamp"]),
            Code::Untrusted,
            promise,
        ),
        (&|e| e["integratedTime"] = "1760062341".into(), Code::Untrusted, promise),
        (&|e| e["logIndex"] = "598151087".into(), Code::Untrusted, promise),
        (&|e| e["canonicalizedBody"] = encoded(b"{}"), Code::Untrusted, promise),
        (
            &|e| e["logId"]["keyId"] = turned(&e["logId"]["keyId"]),
            Code::Untrusted,
            "an entry of one of 1 known logs, got log 'c0d23d6ad406973f",
        ),
        (
            &|e| drop(e.as_object_mut().unwrap().remove("inclusionPromise")),
            Code::Untrusted,
            "expected the signed timestamp of the log",
        ),
        (&|e| e["inclusionProof"] = Value::Null, Code::Untrusted, "expected the proof of inclusion of the log"),
        (&proof(|p| p["hashes"][3] = turned(&p["hashes"][3])), Code::Untrusted, way),
        (&proof(|p| drop(p["hashes"].as_array_mut().unwrap().pop())), Code::Untrusted, way),
        (
            &proof(|p| {
                let more = p["hashes"][0].clone();
                p["hashes"].as_array_mut().unwrap().push(more)
            }),
            Code::Untrusted,
            way,
        ),
        (
            &proof(|p| p["hashes"] = vec![p["hashes"][0].clone(); 65].into()),
            Code::Corrupt,
            "expected at most 64, got 65",
        ),
        (&proof(|p| p["logIndex"] = "476246823".into()), Code::Untrusted, way),
        (&proof(|p| p["logIndex"] = "476246825".into()), Code::Untrusted, way),
        (&proof(|p| p["treeSize"] = "476246826".into()), Code::Untrusted, way),
        (&proof(|p| p["treeSize"] = "-1".into()), Code::Corrupt, "expected a number, got '-1'"),
        (&proof(|p| p["rootHash"] = turned(&p["rootHash"])), Code::Untrusted, way),
        (
            &proof(|p| with_text(p, "\n476246825\n", "\n476246826\n")),
            Code::Untrusted,
            "the checkpoint is not signed by the log",
        ),
        (&proof(|p| with_text(p, "wNI9aj", "wNI9ak")), Code::Untrusted, "the checkpoint is not signed by the log"),
        (&proof(|p| with_text(p, "\n\n", "\n")), Code::Untrusted, "not the form of a log's checkpoint"),
        (
            &|e| e["kindVersion"]["version"] = "0.0.2".into(),
            Code::Unsupported,
            "expected the kind 'dsse' 0.0.1, got 'dsse' 0.0.2",
        ),
        (&|e| e["kindVersion"]["kind"] = "hashedrekord".into(), Code::Unsupported, "got 'hashedrekord' 0.0.1"),
    ];
    for (change, code, why) in cases {
        let mut bad = vector();
        change(bad.pointer_mut(entry).unwrap());
        refuses(verify(&of_vector(), bad.to_string().as_bytes()), code, why);
    }
    let mut none = vector();
    none["verificationMaterial"]["tlogEntries"] = json!([]);
    refuses(verify(&of_vector(), none.to_string().as_bytes()), Code::Corrupt, "'tlogEntries': expected at least 1");
    let mut two = vector();
    let one = two.pointer(entry).unwrap().clone();
    two["verificationMaterial"]["tlogEntries"] = json!([one, one]);
    refuses(verify(&of_vector(), two.to_string().as_bytes()), Code::Unsupported, "'tlogEntries': expected 1, got 2");
    assert!(verify(&of_vector(), vector().to_string().as_bytes()).is_ok());
}

/// The checkpoint with another text in it.
fn with_text(proof: &mut Value, from: &str, to: &str) {
    let text = proof["checkpoint"]["envelope"].as_str().unwrap();
    assert!(text.contains(from));
    proof["checkpoint"]["envelope"] = text.replacen(from, to, 1).into();
}

#[test]
fn an_entry_about_something_else_is_refused() {
    let certificate = json("made/certified/good.sig");
    let certificate = &certificate["verificationMaterial"]["x509CertificateChain"]["certificates"][0];
    let cases: [(Change<'_>, &str); 3] = [
        (&|b| b["dsseEnvelope"]["payload"] = encoded(b"{}"), "expected it to be about this payload, got another"),
        (
            &|b| {
                let s = &mut b["dsseEnvelope"]["signatures"][0]["sig"];
                *s = turned(s)
            },
            "expected it to be about this signature",
        ),
        (
            &|b| b["verificationMaterial"]["certificate"] = certificate.clone(),
            "expected it to be about this certificate",
        ),
    ];
    for (change, why) in cases {
        let mut bad = vector();
        change(&mut bad);
        refuses(verify(&of_vector(), bad.to_string().as_bytes()), Code::Untrusted, why);
    }
}

#[test]
fn a_trusted_root_with_other_authorities_and_logs_refuses_it() {
    let cases: [(Change<'_>, &str); 9] = [
        (&|r| r["tlogs"] = json!([]), "expected an entry of one of 0 known logs"),
        (
            &|r| r["tlogs"][0]["publicKey"]["rawBytes"] = r["ctlogs"][1]["publicKey"]["rawBytes"].clone(),
            "its entry is not of the log",
        ),
        (
            &|r| r["tlogs"][0]["publicKey"]["validFor"]["end"] = "2025-10-09T00:00:00.999Z".into(),
            "log 'https://rekor.sigstore.dev': expected a time from 2021-01-12T11:53:27Z to 2025-10-09T00:00:00Z",
        ),
        (&|r| r["ctlogs"] = json!([]), "expected the timestamp of a known log of certificates, got 'dd3d306ac6c71132"),
        (
            &|r| r["ctlogs"][1]["publicKey"]["rawBytes"] = r["ctlogs"][0]["publicKey"]["rawBytes"].clone(),
            "did not sign that it has it",
        ),
        (
            &|r| r["ctlogs"][1]["publicKey"]["validFor"]["end"] = "2025-10-09T00:00:00Z".into(),
            "log of certificates 'https://ctfe.sigstore.dev/2022': expected a time",
        ),
        (
            &|r| r["certificateAuthorities"] = json!([]),
            "expected an authority that was in office at 2025-10-10T02:12:20Z, got none",
        ),
        (
            &|r| r["certificateAuthorities"][1]["validFor"]["end"] = "2025-10-09T00:00:00Z".into(),
            "in office at 2025-10-10T02:12:20Z, got none",
        ),
        (
            &|r| drop(r["certificateAuthorities"][1]["certChain"]["certificates"].as_array_mut().unwrap().remove(0)),
            "expected it to lead to one of 1 trusted authorities, got one by 'CN=sigstore-intermediate,O=sigstore.dev'",
        ),
    ];
    for (change, why) in cases {
        let mut root = json("sigstore/trusted_root.json");
        change(&mut root);
        let trust = of(NAME, ISSUER, root.to_string().as_bytes());
        refuses(verify(&trust, &bytes("oms/valid/sigstore.bundle.json")), Code::Untrusted, why);
    }
}

#[test]
fn what_is_no_trusted_root_is_refused() {
    let cases: [(Change<'_>, Code, &str); 7] = [
        (&|r| r["mediaType"] = "application/json".into(), Code::Unsupported, "'mediaType': expected"),
        (&|r| drop(r.as_object_mut().unwrap().remove("tlogs")), Code::Corrupt, "expected 'tlogs', got none"),
        (
            &|r| r["certificateAuthorities"][0]["certChain"]["certificates"] = json!([]),
            Code::Corrupt,
            "expected at least 1 certificate",
        ),
        (
            &|r| r["certificateAuthorities"][0]["certChain"]["certificates"][0]["rawBytes"] = encoded(b"1"),
            Code::Corrupt,
            "not a certificate",
        ),
        (
            &|r| r["tlogs"][0]["publicKey"]["validFor"]["start"] = "yesterday".into(),
            Code::Corrupt,
            "expected a time as",
        ),
        (
            &|r| r["tlogs"][0]["publicKey"]["validFor"]["start"] = "2021-01-12T11:53:27.x9Z".into(),
            Code::Corrupt,
            "expected a time as",
        ),
        (&|r| r["tlogs"][0]["logId"]["keyId"] = "?".into(), Code::Corrupt, "not base64"),
    ];
    for (change, code, why) in cases {
        let mut root = json("sigstore/trusted_root.json");
        change(&mut root);
        refuses(Trust::new().sigstore(root.to_string().as_bytes()), code, why);
    }
    refuses(Trust::new().sigstore(&vec![b' '; (1 << 20) + 1]), Code::Corrupt, "expected at most 1048576 bytes");
}
