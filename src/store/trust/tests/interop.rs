//! Both ways with `model-signing` and `tuf` themselves, by `tests/interop/trust/run`.

use std::path::{Path, PathBuf};
use std::{env, fs};

use super::super::key::digest;
use super::super::{Ratchet, Step};
use super::super::{Release, RepositoryFiles, Trust, sign};
use super::{NOW, refuses};
use crate::error::Code;

/// The folder that `make.py` wrote just now; none in a plain run, where what it wrote once is read by the other tests.
fn folder() -> Option<PathBuf> {
    let folder = env::var_os("SELVEDGE_TRUST_INTEROP");
    if folder.is_none() {
        eprintln!("SELVEDGE_TRUST_INTEROP is not set: nothing was made anew");
    }
    folder.map(PathBuf::from)
}

#[test]
fn what_the_others_make_is_verified_and_what_is_made_for_them_is_left() {
    let Some(folder) = folder() else { return };
    let read = |file: &str| fs::read(folder.join(file)).unwrap();
    let pem = |file: &str| String::from_utf8(read(&format!("keys/{file}.pem"))).unwrap();

    let keys = Trust::new().key(&pem("p256.pub")).unwrap().key(&pem("p384.pub")).unwrap();
    for key in ["p256", "p384"] {
        let signed = keys.verify(&Ratchet::default(), &read(&format!("{key}.sig")), NOW).unwrap();
        assert_eq!(signed.files.len(), 7);
        for (name, expected) in &signed.files {
            assert_eq!(digest(&read(&format!("package/{name}"))), *expected, "{name}");
        }
        let ours = sign("package", &signed.files, &pem(key)).unwrap();
        fs::write(folder.join(format!("ours.{key}.sig")), ours).unwrap();
    }
    #[cfg(feature = "keyless")]
    certificates(&read, &pem);
    repository(&folder, &read);
}

/// What `certify.py` made: each is taken or refused by its name.
#[cfg(feature = "keyless")]
fn certificates(read: &dyn Fn(&str) -> Vec<u8>, pem: &dyn Fn(&str) -> String) {
    let trust = Trust::new().authority(&pem("../certificates/root")).unwrap();
    let verify = |name: &str| trust.verify(&Ratchet::default(), &read(&format!("certified/{name}.sig")), NOW);
    for name in ["good", "direct", "whole"] {
        let signed = verify(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        for (name, expected) in &signed.files {
            assert_eq!(digest(&read(&format!("package/{name}"))), *expected, "{name}");
        }
    }
    for name in ["expired", "server", "agreement", "silent", "missing", "no_authority", "too_long", "old_authority"] {
        assert_eq!(verify(name).unwrap_err().code(), Code::Untrusted, "{name}");
    }
}

fn repository(folder: &Path, read: &dyn Fn(&str) -> Vec<u8>) {
    eprintln!("{}", folder.display());
    let moment = |name: &str| {
        let file = |role: &str| read(&format!("tuf/{name}.{role}.json"));
        RepositoryFiles::new(file("timestamp"), file("snapshot"), file("targets"))
    };
    let trust = Trust::new().root(&read("tuf/1.root.json")).unwrap();
    let mut state = trust.refresh(&Ratchet::default(), &moment("first"), NOW).unwrap();
    let signed = trust.verify(&state, &read("p256.sig"), NOW).unwrap();
    let release = Release::parse(&read("package/selvedge.json")).unwrap();
    assert_eq!(state.admit(&trust, &release, &signed, NOW).unwrap().step, Step::Forward);
    state = trust.refresh(&state, &moment("second"), NOW).unwrap();
    refuses(trust.refresh(&state, &moment("first"), NOW), Code::Untrusted, "timestamp: expected version 2 or later");
    refuses(trust.refresh(&state, &moment("expired"), NOW), Code::Untrusted, "timestamp: expired");
    refuses(trust.refresh(&state, &moment("rotated"), NOW), Code::Untrusted, "by keys of root 1, got 0");
    let unsigned = moment("rotated").root(read("tuf/2.root.json")).root(read("tuf/3.root.json"));
    refuses(trust.refresh(&state, &unsigned, NOW), Code::Untrusted, "by keys of root 2, got 1");
    state = trust.refresh(&state, &moment("rotated").root(read("tuf/2.root.json")), NOW).unwrap();
    assert!(
        trust.verify(&state, &read("p384.sig"), NOW).is_ok() && trust.verify(&state, &read("p256.sig"), NOW).is_err()
    );
}
