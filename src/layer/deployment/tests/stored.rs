//! A deployment over the versions of a real store, in a folder of the file system.

use std::path::Path;
use std::sync::Arc;

use crate::digest::Hasher;
use crate::engine::{Ask, Engine, Tensors};
use crate::fake::Fake;
use crate::layer::deployment::{Arm, Deployment, RolloutPhase, RolloutPlan, StoreVersions};
use crate::store::{Release, Store, Trust, Version, sign};
use crate::{Code, DType, Digest, Result, Tensor};

/// `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`, for the tests alone.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2
OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r
1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G
-----END PRIVATE KEY-----
";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9
q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==
-----END PUBLIC KEY-----
";

fn digest(bytes: &[u8]) -> Digest {
    let mut hash = Hasher::default();
    hash.update(bytes);
    hash.digest()
}

/// A signed package: its model adds `offset`, and its golden case expects `golden` to be added.
fn package(folder: &Path, number: u64, offset: f64, golden: f64) {
    std::fs::create_dir_all(folder).unwrap();
    let cases = format!(
        r#"{{"golden": 1, "cases": [{{"name": "one",
            "request": {{"tensors": [{{"name": "x", "dtype": "f32", "shape": [1], "values": [1]}}]}},
            "expect": {{"outputs": [{{"name": "y", "dtype": "f32", "shape": [1], "values": [{}]}}]}},
            "compare": "exact"}}]}}"#,
        1.0 + golden
    );
    let release = Release::new("adder", number, "offset.txt").with_golden("golden.json").to_json();
    let files = [
        ("golden.json", cases.into_bytes()),
        ("offset.txt", offset.to_string().into_bytes()),
        ("selvedge.json", release),
    ];
    for (name, bytes) in &files {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    let listed: Vec<(String, Digest)> = files.iter().map(|(name, bytes)| (name.to_string(), digest(bytes))).collect();
    std::fs::write(folder.join("model.sig"), sign("adder", &listed, PRIVATE).unwrap()).unwrap();
}

fn open(version: &Version) -> Result<Arc<dyn Engine>> {
    let offset = String::from_utf8(version.contents("offset.txt")?).unwrap().parse().unwrap();
    Ok(Fake::echo(DType::F32).drift(0, offset).build())
}

fn deployment(store: &Arc<Store>) -> Deployment {
    Deployment::builder(StoreVersions::new(store.clone(), "adder", open)).install_id("device").build("v1").unwrap()
}

fn asked(deployment: &Deployment) -> (f32, String) {
    let x = Tensors::from([("x", Tensor::new(&[1], vec![1.0f32]).unwrap())]);
    let answer = deployment.run(x).unwrap();
    let (version, _) = Arm::of(&answer.provenance).unwrap();
    (answer.output("y").unwrap().as_slice::<f32>().unwrap()[0], version.to_string())
}

#[test]
fn the_current_version_of_the_store_is_that_of_the_deployment() {
    let folder = tempfile::tempdir().unwrap();
    let trust = || Trust::new().key(PUBLIC).unwrap();
    let store = Arc::new(Store::open(folder.path().join("store"), trust()).unwrap());
    let versions: Vec<Version> = [(1, 0.0, 0.0), (2, 10.0, 10.0), (3, 20.0, 5.0)]
        .map(|(number, offset, golden)| {
            let package_folder = folder.path().join(number.to_string());
            package(&package_folder, number, offset, golden);
            store.import(&package_folder, |_| Ok(())).unwrap()
        })
        .into();
    let current = |store: &Store| store.current().unwrap().map(|version| version.number());

    let first = deployment(&store);
    assert_eq!((asked(&first), current(&store)), ((1.0, "v1".into()), Some(1)));
    assert_eq!(first.offer("v2", RolloutPlan::blue_green()).unwrap(), RolloutPhase::Promoted);
    assert!(first.settle(std::time::Duration::from_secs(60)));
    assert_eq!((asked(&first), current(&store)), ((11.0, "v2".into()), Some(2)));

    // It does not what its golden case says: twice is enough.
    assert_eq!(first.offer("v3", RolloutPlan::blue_green()).unwrap(), RolloutPhase::Missed);
    assert_eq!(first.offer("v3", RolloutPlan::blue_green()).unwrap(), RolloutPhase::Quarantined);
    assert!(first.settle(std::time::Duration::from_secs(60)));
    assert_eq!(first.offer("v3", RolloutPlan::blue_green()).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(store.activate(versions[2].id()).unwrap_err().code(), Code::Quarantined);
    assert_eq!((asked(&first), current(&store)), ((11.0, "v2".into()), Some(2)));
    assert_eq!(first.offer("v4", RolloutPlan::blue_green()).unwrap(), RolloutPhase::Missed, "the store has none");

    // The next process goes on where this one was, and back where it came from.
    drop(first);
    drop(store);
    let store = Arc::new(Store::open(folder.path().join("store"), trust()).unwrap());
    let next = deployment(&store);
    assert_eq!(asked(&next), (11.0, "v2".into()));
    assert_eq!(next.roll_back().unwrap(), "v1");
    assert!(next.settle(std::time::Duration::from_secs(60)));
    assert_eq!((asked(&next), current(&store)), ((1.0, "v1".into()), Some(1)));
}

#[test]
fn a_damaged_state_of_a_rollout_is_read_from_its_copy() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Trust::new()).unwrap();
    assert_eq!(store.rollout().unwrap(), None);
    store.keep_rollout(b"half way").unwrap();
    std::fs::write(folder.path().join("rollout"), b"half").unwrap();
    assert_eq!(store.rollout().unwrap().as_deref(), Some(&b"half way"[..]));
    std::fs::write(folder.path().join("rollout.copy"), [7; 40]).unwrap();
    assert_eq!(store.rollout().unwrap_err().code(), Code::Corrupt);
    assert_eq!(store.keep_rollout(&vec![0; (1 << 20) + 1]).unwrap_err().code(), Code::InvalidArgument);
    let reader = Store::open_read_only(folder.path()).unwrap();
    assert_eq!(reader.keep_rollout(b"x").unwrap_err().code(), Code::Unsupported);
}
