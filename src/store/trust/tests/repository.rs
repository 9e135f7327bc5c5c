//! A TUF repository that signs whatever it is told to.

use ed25519_dalek::Signer;
use serde_json::{Value, json};

use super::super::json::Json;
use super::super::key::{SigningKey, digest};
use super::{RepositoryFiles, text};

pub(super) const FAR: &str = "2126-01-01T00:00:00Z";

/// Signers by role. Each is the seed of an Ed25519 key; the targets are signed by the P-256 key of `made`, or a seed.
#[derive(Clone)]
pub(super) struct Repository {
    pub(super) root: Vec<u8>,
    pub(super) threshold: u64,
    pub(super) timestamp: u8,
    pub(super) snapshot: u8,
    pub(super) expires: &'static str,
}

/// What a moment says.
#[derive(Clone)]
pub(super) struct Moment {
    pub(super) timestamp: u64,
    pub(super) snapshot: u64,
    pub(super) targets: u64,
    pub(super) expires: [&'static str; 3],
    pub(super) listed: Value,
    /// Other files that the snapshot names.
    pub(super) others: Value,
}

impl Default for Repository {
    fn default() -> Self {
        Self { root: vec![1, 2], threshold: 2, timestamp: 3, snapshot: 4, expires: FAR }
    }
}

impl Moment {
    pub(super) fn new(version: u64) -> Self {
        let (timestamp, snapshot, targets) = (version, version, version);
        Self { timestamp, snapshot, targets, expires: [FAR; 3], listed: json!({}), others: json!({}) }
    }

    /// With the package of this `model.sig` among the targets.
    pub(super) fn listing(mut self, version: u64, model_sig: &[u8], more: Value) -> Self {
        let mut custom = json!({ "name": "rain", "version": version, "channel": "stable" });
        custom.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.listed[format!("rain/{version}/model.sig")] = json!({
            "length": model_sig.len(), "hashes": { "sha256": digest(model_sig).to_string() }, "custom": { "selvedge": custom },
        });
        self
    }
}

impl Repository {
    /// A root of this version, signed by these seeds.
    pub(super) fn root(&self, version: u64, signers: &[u8]) -> Vec<u8> {
        let seeds = self.root.iter().chain([&self.timestamp, &self.snapshot]);
        let mut keys: serde_json::Map<String, Value> = seeds.map(|seed| (id(*seed), public(*seed))).collect();
        let pem = text("made/keys/p256.pub.pem");
        keys.insert(
            "targets".into(),
            json!({ "keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": { "public": pem } }),
        );
        let role = |seeds: &[u8], threshold| json!({ "keyids": seeds.iter().map(|s| id(*s)).collect::<Vec<_>>(), "threshold": threshold });
        let signed = json!({
            "_type": "root", "spec_version": "1.0.31", "version": version, "expires": self.expires, "consistent_snapshot": true,
            "keys": keys, "roles": {
                "root": role(&self.root, self.threshold), "timestamp": role(&[self.timestamp], 1),
                "snapshot": role(&[self.snapshot], 1), "targets": { "keyids": ["targets"], "threshold": 1 },
            },
        });
        envelope(&signed, signers)
    }

    pub(super) fn own_root(&self) -> Vec<u8> {
        self.root(1, &self.root)
    }

    pub(super) fn moment(&self, m: &Moment) -> RepositoryFiles {
        let head = |role: &str, version: u64, expires: &str| json!({ "_type": role, "spec_version": "1.0.31", "version": version, "expires": expires });
        let named = |version: u64, bytes: &[u8]| json!({ "version": version, "length": bytes.len(), "hashes": { "sha256": digest(bytes).to_string() } });
        let mut signed = head("targets", m.targets, m.expires[2]);
        signed["targets"] = m.listed.clone();
        let targets = envelope_by_targets(&signed);
        let mut signed = head("snapshot", m.snapshot, m.expires[1]);
        signed["meta"] = m.others.clone();
        signed["meta"]["targets.json"] = named(m.targets, &targets);
        let snapshot = envelope(&signed, &[self.snapshot]);
        let mut signed = head("timestamp", m.timestamp, m.expires[0]);
        signed["meta"] = json!({ "snapshot.json": named(m.snapshot, &snapshot) });
        RepositoryFiles::new(envelope(&signed, &[self.timestamp]), snapshot, targets)
    }
}

/// Signed by these seeds.
pub(super) fn envelope(signed: &Value, signers: &[u8]) -> Vec<u8> {
    let signature = |seed: &u8| {
        let signature = key(*seed).sign(&canonical(signed)).to_bytes();
        json!({ "keyid": id(*seed), "sig": hex(&signature) })
    };
    let signatures: Vec<Value> = signers.iter().map(signature).collect();
    json!({ "signatures": signatures, "signed": signed }).to_string().into_bytes()
}

fn envelope_by_targets(signed: &Value) -> Vec<u8> {
    let key = SigningKey::from_pem(&text("made/keys/p256.pem")).unwrap();
    let signature = json!({ "keyid": "targets", "sig": hex(&key.sign(&canonical(signed))) });
    json!({ "signatures": [signature], "signed": signed }).to_string().into_bytes()
}

fn canonical(signed: &Value) -> Vec<u8> {
    Json::parse("signed", signed.to_string().as_bytes(), 10 << 20).unwrap().canonical()
}

fn key(seed: u8) -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[seed; 32])
}

pub(super) fn id(seed: u8) -> String {
    digest(&[seed]).to_string()
}

pub(super) fn public(seed: u8) -> Value {
    let public = hex(key(seed).verifying_key().as_bytes());
    json!({ "keytype": "ed25519", "scheme": "ed25519", "keyval": { "public": public } })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
