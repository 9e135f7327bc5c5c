//! The attacks that TUF names, one after the other; each with a control that is taken.

use serde_json::json;

use super::super::{Ratchet, Step};
use super::super::{Release, RepositoryFiles, Trust};
use super::repository::{FAR, Moment, Repository, envelope, id, public};
use super::{LATER, NOW, package, refuses};
use crate::error::{Code, Result};

const SOON: &str = "2027-02-01T00:00:00Z";
const HIGHEST: u64 = (1 << 53) - 1;

fn trust(repository: &Repository) -> Trust {
    Trust::new().root(&repository.own_root()).unwrap()
}

/// After a moment of version 5.
fn seen(repository: &Repository) -> Ratchet {
    let first = Moment { others: json!({ "more.json": { "version": 5 } }), ..Moment::new(5) };
    trust(repository).refresh(&Ratchet::default(), &repository.moment(&first), NOW).unwrap()
}

#[test]
fn metadata_of_an_attack_are_refused() {
    let repository = Repository::default();
    let (old, more) = (seen(&repository), json!({ "more.json": { "version": 5 } }));
    let next = || Moment { others: more.clone(), ..Moment::new(6) };
    let moment = |m: Moment| repository.moment(&m);
    let stranger = Repository { timestamp: 9, ..repository.clone() };
    let (a, b) = (moment(next()), moment(Moment { expires: [FAR, FAR, SOON], ..next() }));
    let large = json!({ "x": "y".repeat(5_000_000) });
    let expired = |role: usize| {
        let mut expires = [FAR; 3];
        expires[role] = "2026-11-28T23:59:59Z";
        moment(Moment { expires, ..next() })
    };
    let cases: Vec<(&str, RepositoryFiles, Code, &str)> = vec![
        (
            "rollback of timestamp",
            moment(Moment { timestamp: 4, ..next() }),
            Code::Untrusted,
            "timestamp: expected version 5 or later",
        ),
        (
            "another timestamp of one number",
            moment(Moment { timestamp: 5, ..next() }),
            Code::Untrusted,
            "another one with the number 5",
        ),
        (
            "rollback of snapshot",
            moment(Moment { snapshot: 4, ..next() }),
            Code::Untrusted,
            "snapshot, as the timestamp has it: expected version 5",
        ),
        (
            "rollback of targets",
            moment(Moment { targets: 4, ..next() }),
            Code::Untrusted,
            "'targets.json', as the snapshot has it: expected version 5",
        ),
        (
            "rollback of another file",
            moment(Moment { others: json!({ "more.json": { "version": 4 } }), ..next() }),
            Code::Untrusted,
            "'more.json'",
        ),
        (
            "another file left out",
            moment(Moment { others: json!({}), ..next() }),
            Code::Untrusted,
            "'more.json', as the snapshot has it: expected version 5 or later, which was seen before, got 0",
        ),
        ("freeze by an expired timestamp", expired(0), Code::Untrusted, "timestamp: expired at 2026-11-28T23:59:59Z"),
        ("freeze by an expired snapshot", expired(1), Code::Untrusted, "snapshot: expired"),
        ("freeze by expired targets", expired(2), Code::Untrusted, "targets: expired"),
        (
            "mix of targets",
            RepositoryFiles { targets: b.targets.clone(), ..a.clone() },
            Code::Untrusted,
            "targets: not of one set",
        ),
        (
            "mix of snapshot",
            RepositoryFiles { snapshot: b.snapshot.clone(), ..a.clone() },
            Code::Untrusted,
            "snapshot: not of one set",
        ),
        (
            "mix of versions",
            RepositoryFiles { targets: moment(Moment { targets: 7, ..next() }).targets, ..a.clone() },
            Code::Untrusted,
            "expected version 6, got version 7",
        ),
        (
            "fast-forward",
            moment(Moment { timestamp: HIGHEST + 1, ..next() }),
            Code::Corrupt,
            "'version': expected 1 to 9007199254740991",
        ),
        (
            "fast-forward to the end",
            edited(&a, "\"version\":6", "\"version\":18446744073709551615"),
            Code::Corrupt,
            "is more than",
        ),
        (
            "endless timestamp",
            RepositoryFiles { timestamp: vec![b' '; 16_385], ..a.clone() },
            Code::Corrupt,
            "timestamp: expected at most 16384 bytes",
        ),
        (
            "endless snapshot",
            RepositoryFiles { snapshot: vec![b' '; 100 << 20], ..a.clone() },
            Code::Corrupt,
            "snapshot: expected at most 2000000",
        ),
        (
            "endless targets",
            moment(Moment { listed: large, ..next() }),
            Code::Corrupt,
            "targets: expected at most 5000000",
        ),
        ("endless root", a.clone().root(vec![b' '; 512_001]), Code::Corrupt, "root: expected at most 512000"),
        (
            "endless roots",
            (0..257).fold(a.clone(), |files, _| files.root(repository.own_root())),
            Code::Corrupt,
            "root: expected at most 256",
        ),
        ("depth", RepositoryFiles { targets: vec![b'['; 10_000], ..a.clone() }, Code::Corrupt, "recursion limit"),
        (
            "stranger",
            stranger.moment(&next()),
            Code::Untrusted,
            "timestamp: expected 1 signatures by keys of root 1, got 0",
        ),
        (
            "one role for another",
            RepositoryFiles { timestamp: a.snapshot.clone(), ..a.clone() },
            Code::Corrupt,
            "'_type': expected 'timestamp'",
        ),
        (
            "other canonical bytes",
            edited(&a, "\"_type\":\"timestamp\"", "\"_type\":\"timestamp\",\"x\":1"),
            Code::Untrusted,
            "got 0",
        ),
    ];
    for (attack, files, code, why) in cases {
        eprintln!("{attack}");
        refuses(trust(&repository).refresh(&old, &files, NOW), code, why);
    }
    assert!(trust(&repository).refresh(&old, &a, NOW).is_ok(), "what is in order is taken");
    // The same bytes again are no attack.
    let again = trust(&repository).refresh(&old, &a, NOW).unwrap();
    assert_eq!(trust(&repository).refresh(&again, &a, NOW).unwrap(), again);
}

fn edited(files: &RepositoryFiles, from: &str, to: &str) -> RepositoryFiles {
    let text = String::from_utf8(files.timestamp.clone()).unwrap();
    assert!(text.contains(from), "{text}");
    RepositoryFiles { timestamp: text.replacen(from, to, 1).into_bytes(), ..files.clone() }
}

#[test]
fn a_repository_that_went_to_the_highest_number_is_healed_by_new_keys() {
    let repository = Repository::default();
    let trust = trust(&repository);
    let end = Moment { timestamp: HIGHEST, snapshot: HIGHEST, targets: HIGHEST, ..Moment::new(1) };
    let stuck = trust.refresh(&Ratchet::default(), &repository.moment(&end), NOW).unwrap();
    let healed = Repository { timestamp: 13, snapshot: 14, ..repository.clone() };
    let files = healed.moment(&Moment::new(1)).root(healed.root(2, &[1, 2]));
    assert!(trust.refresh(&stuck, &files, NOW).is_ok());
    // Without new keys, the numbers bind.
    let same_keys = repository.moment(&Moment::new(1)).root(repository.root(2, &[1, 2]));
    refuses(
        trust.refresh(&stuck, &same_keys, NOW),
        Code::Untrusted,
        "timestamp: expected version 9007199254740991 or later",
    );
}

#[test]
fn roots_of_an_attack_are_refused() {
    let repository = Repository::default();
    let (trust, old) = (trust(&repository), seen(&repository));
    let next = Repository { root: vec![5, 6], ..repository.clone() };
    let try_root = |root: Vec<u8>| {
        trust.refresh(
            &old,
            &repository
                .moment(&Moment { others: json!({ "more.json": { "version": 5 } }), ..Moment::new(6) })
                .root(root),
            NOW,
        )
    };
    refuses(try_root(next.root(2, &[5, 6])), Code::Untrusted, "root: expected 2 signatures by keys of root 1, got 0");
    refuses(try_root(next.root(2, &[1, 2])), Code::Untrusted, "root: expected 2 signatures by keys of root 2, got 0");
    refuses(try_root(next.root(2, &[1, 5, 6])), Code::Untrusted, "by keys of root 1, got 1");
    refuses(try_root(next.root(3, &[1, 2, 5, 6])), Code::Untrusted, "root: expected version 2 after 1, got 3");
    refuses(try_root(next.root(2, &[1, 2, 2, 5, 6])), Code::Corrupt, "comes twice");
    let expired = Repository { expires: "2026-11-28T00:00:00Z", ..next.clone() };
    refuses(try_root(expired.root(2, &[1, 2, 5, 6])), Code::Untrusted, "root: expired at 2026-11-28");
    assert!(try_root(next.root(2, &[1, 2, 5, 6])).is_ok());
}

#[test]
fn one_key_under_two_names_is_one_signer() {
    let role = |ids: &[&str], threshold: u64| json!({ "keyids": ids, "threshold": threshold });
    let signed = |threshold| {
        json!({
            "_type": "root", "spec_version": "1.0.31", "version": 1, "expires": FAR,
            "keys": { id(1): public(1), "same": public(1) },
            "roles": { "root": role(&[&id(1), "same"], threshold), "timestamp": role(&["same"], 1), "snapshot": role(&["same"], 1), "targets": role(&["same"], 1) },
        })
    };
    let doubled = |threshold| {
        let mut root: serde_json::Value = serde_json::from_slice(&envelope(&signed(threshold), &[1])).unwrap();
        let mut second = root["signatures"][0].clone();
        second["keyid"] = "same".into();
        root["signatures"].as_array_mut().unwrap().push(second);
        root.to_string().into_bytes()
    };
    refuses(Trust::new().root(&doubled(2)), Code::Untrusted, "expected 2 signatures by keys of root 1, got 1");
    assert!(Trust::new().root(&doubled(1)).is_ok());
}

#[test]
fn a_root_with_a_threshold_of_none_is_none() {
    let none = Repository { threshold: 0, ..Repository::default() };
    refuses(Trust::new().root(&none.root(1, &[])), Code::Corrupt, "'threshold': expected 1 to");
}

/// A device with a package of the repository, and a clock.
struct Device {
    trust: Trust,
    repository: Repository,
    ratchet: Ratchet,
}

impl Device {
    fn new() -> Self {
        let repository = Repository::default();
        Self { trust: trust(&repository), repository, ratchet: Ratchet::default() }
    }

    /// Fetches metadata that list this version until an hour, and the package.
    fn update(&mut self, version: u64, expires: &'static str, clock: u64) -> Result<Step> {
        let release = Release::new("rain", version, "rain.onnx");
        let (bundle, signed) = package("p256", &release, &[("rain.onnx", &version.to_string())]);
        let moment =
            Moment { expires: [expires, FAR, FAR], ..Moment::new(version) }.listing(version, &bundle, json!({}));
        self.ratchet = self.trust.refresh(&self.ratchet, &self.repository.moment(&moment), clock)?;
        self.ratchet.admit(&self.trust, &release, &signed, clock).map(|admission| admission.step)
    }
}

#[test]
fn a_clock_that_was_set_back_is_not_believed() {
    let mut device = Device::new();
    // Before this version was made, by a clock that lost its battery: the time at which it was made counts.
    assert_eq!(device.update(1, SOON, 0).unwrap(), Step::Forward);
    assert_eq!(device.update(2, SOON, NOW).unwrap(), Step::Forward);
    refuses(
        device.update(3, "2026-11-28T00:00:00Z", 0),
        Code::Untrusted,
        "expired at 2026-11-28T00:00:00Z, and it is 2026-11-29T00:00:00Z",
    );
    assert_eq!(device.update(3, SOON, 0).unwrap(), Step::Forward);
    refuses(Device::new().update(1, "2026-10-31T00:00:00Z", 0), Code::Untrusted, "and it is 2026-11-01T00:00:00Z");
}

#[test]
fn a_clock_that_ran_ahead_takes_nothing_and_leaves_no_trace() {
    let mut device = Device::new();
    device.update(1, SOON, NOW).unwrap();
    let before = device.ratchet.clone();
    for clock in [LATER, LATER + 300 * 365 * 86_400, u64::MAX] {
        refuses(device.update(2, SOON, clock), Code::Untrusted, "expired at 2027-02-01T00:00:00Z");
        assert_eq!(device.ratchet, before);
    }
    assert_eq!(device.update(2, SOON, NOW + 60).unwrap(), Step::Forward);
}

#[test]
fn metadata_that_expire_take_in_nothing_new_and_stop_nothing() {
    let mut device = Device::new();
    let release = |version: u64| Release::new("rain", version, "rain.onnx");
    let packages = [1, 2].map(|version| package("p256", &release(version), &[("rain.onnx", &version.to_string())]));
    let mut moment = Moment { expires: [SOON, FAR, FAR], ..Moment::new(1) };
    for (version, (bundle, _)) in (1..).zip(&packages) {
        moment = moment.listing(version, bundle, json!({ "share": 100 }));
    }
    device.ratchet = device.trust.refresh(&device.ratchet, &device.repository.moment(&moment), NOW).unwrap();
    let mut admit = |version: u64, clock| {
        device.ratchet.admit(&device.trust, &release(version), &packages[version as usize - 1].1, clock)
    };
    assert_eq!(admit(1, NOW).unwrap().step, Step::Forward);
    refuses(admit(2, LATER), Code::Untrusted, "'rain' 2: expired at 2027-02-01T00:00:00Z");
    assert_eq!(admit(1, LATER).unwrap().step, Step::Same);
    assert_eq!(admit(2, LATER - 1).unwrap().step, Step::Forward);
}

#[test]
fn an_unsigned_package_is_not_let_in_beside_a_repository() {
    let mut device = Device::new();
    device.update(1, SOON, NOW).unwrap();
    let trust = device.trust.clone().accept_unsigned_packages();
    let unsigned = trust.unsigned(vec![("rain.onnx".into(), crate::Digest([1; 32]))]).unwrap();
    let refused = device.ratchet.admit(&trust, &Release::new("rain", 2, "rain.onnx"), &unsigned, NOW);
    refuses(refused, Code::Untrusted, "expected to find it listed");
}

#[test]
fn a_listing_that_breaks_its_format_is_refused() {
    let repository = Repository::default();
    for (more, why) in [
        (json!({ "share": 10_001 }), "'share': expected 0 to 10000"),
        (json!({ "minimum": 2 }), "'minimum': expected 0 to 1"),
        (json!({ "rollback": 1 }), "'rollback': expected a truth value"),
        (json!({ "name": "../rain" }), "'name': expected 1 to 64"),
        (json!({ "version": 0 }), "'version': expected 1 to"),
        (json!({ "shard": 1 }), "'shard': not a key of this format"),
    ] {
        let files = repository.moment(&Moment::new(1).listing(1, b"sig", more));
        refuses(trust(&repository).refresh(&Ratchet::default(), &files, NOW), Code::Corrupt, why);
    }
    let mut others = Moment::new(1);
    others.listed =
        json!({ "a": { "length": 1, "hashes": {} }, "b": { "custom": { "of": "others" } }, "c": { "custom": null } });
    let state = trust(&repository).refresh(&Ratchet::default(), &repository.moment(&others), NOW).unwrap();
    assert!(state.listings().is_empty(), "targets of others are left to them");
}

#[test]
fn without_a_root_there_is_nothing_to_refresh() {
    let files = Repository::default().moment(&Moment::new(1));
    refuses(
        Trust::new().refresh(&Ratchet::default(), &files, NOW),
        Code::InvalidArgument,
        "expected a root that is trusted",
    );
}
