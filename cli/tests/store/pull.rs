//! What is fetched is whole or refused, whatever happens on the way.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::made::{World, ended, weights};
use crate::server::{Faults, Server};

/// A registry that has a signed package.
fn published(world: &World, size: usize) -> (Server, String) {
    let package = world.signed(1, size);
    let server = Server::start(Faults::default());
    ended(&world.selvedge(&["push", &package, &server.reference("1.0")]), 0);
    server.stored().log.clear();
    (server, package)
}

fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    format!("sha256:{}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

#[test]
fn a_package_is_pulled_as_it_was_pushed_and_not_twice() {
    let world = World::new();
    let (server, package) = published(&world, 300_000);
    let (out, _) = ended(&world.store(&["pull", &server.reference("1.0"), "--activate"]), 0);
    assert!(out.starts_with("rain 1 serves: "), "{out}");
    world.check_whole(&package);
    assert_eq!(world.versions()[0]["current"], true);
    assert_eq!(server.asked("GET /v2/models/rain/blobs/"), 4);
    // By digest, too.
    let manifest = digest(&server.stored().manifests["1.0"]);
    let bytes = server.stored().manifests["1.0"].clone();
    server.stored().manifests.insert(manifest.clone(), bytes);
    let by_digest = format!("127.0.0.1:{}/models/rain@{manifest}", server.port);
    ended(&world.store(&["pull", &by_digest]), 0);
    world.check_whole(&package);
}

#[test]
fn connections_that_break_at_random_bring_whole_files() {
    for (no_ranges, cuts) in [(false, None), (true, Some(8))] {
        let world = World::new();
        let (server, package) = published(&world, 3_000_000);
        server.stored().faults = Faults { cut: Some(400_000), cuts, no_ranges, ..Faults::default() };
        let (_, err) = ended(&world.store(&["pull", &server.reference("1.0"), "--attempts", "20"]), 0);
        assert!(err.contains("note: "), "{err}");
        world.check_whole(&package);
        assert!(server.asked("bytes=") > 0, "nothing was gone on with");
        assert!(no_ranges || server.asked("GET") > 8, "nothing was cut");
    }
}

#[cfg(unix)]
#[test]
fn what_one_try_fetched_the_next_one_does_not() {
    let world = World::new();
    let (server, package) = published(&world, 2_000_000);
    server.stored().faults = Faults { stall: Some(1_500_000), ..Faults::default() };
    let mut command = world.command(&["pull", &server.reference("1.0"), "--store", "models", "--key", "public.pem"]);
    let mut child = command.spawn().unwrap();
    let weights = digest(&weights(1, 2_000_000));
    let part = world.path("models/staging").join(format!("{}.part", weights.trim_start_matches("sha256:")));
    for _ in 0..600 {
        let begun = fs::read(&part).is_ok_and(|bytes| bytes.len() >= 1_400_000);
        if begun {
            break;
        }
        sleep(Duration::from_millis(100));
    }
    interrupt(&child);
    // One who waits for bytes may need a second one.
    sleep(Duration::from_millis(300));
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));

    server.stored().faults = Faults::default();
    server.stored().log.clear();
    ended(&world.store(&["pull", &server.reference("1.0")]), 0);
    world.check_whole(&package);
    let log = server.stored().log.clone();
    let gone_on = log.iter().find_map(|line| line.split_once("bytes=")?.1.strip_suffix('-')?.parse::<u64>().ok());
    assert!(gone_on.is_some_and(|from| from > 1_000_000), "{log:?}");
}

#[cfg(unix)]
fn interrupt(child: &std::process::Child) {
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
}

#[test]
fn a_part_that_was_damaged_meanwhile_is_fetched_again() {
    let world = World::new();
    let (server, package) = published(&world, 2_000_000);
    server.stored().faults = Faults { cut: Some(900_000), cuts: Some(100), ..Faults::default() };
    let reference = server.reference("1.0");
    let failed = world.store(&["pull", &reference, "--attempts", "1"]);
    ended(&failed, 2);
    let staging = world.path("models/staging");
    for entry in fs::read_dir(&staging).unwrap().map(Result::unwrap) {
        let mut bytes = fs::read(entry.path()).unwrap();
        if let Some(first) = bytes.first_mut() {
            *first ^= 1;
            fs::write(entry.path(), bytes).unwrap();
        }
    }
    server.stored().faults = Faults::default();
    ended(&world.store(&["pull", &reference]), 0);
    world.check_whole(&package);
}

#[test]
fn other_content_than_the_manifest_says_is_refused() {
    let name = digest(&weights(1, 300_000));
    let changes: [fn(&mut Vec<u8>); 3] =
        [|bytes| bytes[150_000] ^= 1, |bytes| bytes.push(0), |bytes| bytes.truncate(299_999)];
    for change in changes {
        let world = World::new();
        let (server, _) = published(&world, 300_000);
        change(server.stored().blobs.get_mut(&name).unwrap());
        let (out, err) = ended(&world.store(&["pull", &server.reference("1.0")]), 1);
        assert!(out.is_empty() && err.contains("expected"), "{err}");
        assert!(world.versions().is_empty());
    }
}

#[test]
fn a_signature_that_is_no_good_is_found_before_the_weights_are_fetched() {
    let world = World::new();
    let (server, _) = published(&world, 300_000);
    let weights = digest(&weights(1, 300_000));
    let another = ["pull", &server.reference("1.0"), "--store", "models", "--key", "another.pem"];
    ended(&world.selvedge(&another), 1);
    assert_eq!(server.asked("GET"), 2, "{:?}", server.stored().log);
    ended(&world.selvedge(&["push", &world.package(2, 100), &server.reference("none")]), 0);
    let package = world.package(3, 100);
    ended(&world.selvedge(&["push", &package, &server.reference("unsigned")]), 0);
    server.stored().log.clear();
    let (_, err) = ended(&world.store(&["pull", &server.reference("unsigned")]), 1);
    assert!(err.contains("expected a signature"), "{err}");
    assert_eq!((server.asked("blobs"), server.asked(&weights)), (0, 0));
}

#[test]
fn a_registry_that_asks_who_it_is_gets_an_answer_and_nobody_else_does() {
    for demand in ["Basic", "Bearer"] {
        let world = World::new();
        let (server, package) = published(&world, 300_000);
        server.stored().faults = Faults { demand: Some(demand), redirect: true, ..Faults::default() };
        let (_, err) = ended(&world.store(&["pull", &server.reference("1.0")]), 2);
        assert!(err.contains("authentication"), "{err}");
        fs::write(world.path("wrong"), "me:wrong\n").unwrap();
        let (_, err) = ended(&world.store(&["pull", &server.reference("1.0"), "--credentials", "wrong"]), 2);
        assert!(!err.contains("wrong"), "{err}");
        fs::write(world.path("right"), "me:secret\n").unwrap();
        let mut args = vec!["pull", "--store", "models", "--key", "public.pem"];
        let reference = server.reference("1.0");
        args.push(&reference);
        let output = if demand == "Basic" {
            world.selvedge(&[&args[..], &["--credentials", "right"]].concat())
        } else {
            let mut command = world.command(&[&args[..], &["--credentials-env", "WHO"]].concat());
            command.env("WHO", "me:secret").output().unwrap()
        };
        ended(&output, 0);
        world.check_whole(&package);
        assert!(server.asked("/elsewhere/") >= 4);
    }
}

#[test]
fn a_busy_registry_is_asked_again_and_one_that_has_nothing_is_not() {
    let world = World::new();
    let (server, package) = published(&world, 1000);
    server.stored().faults = Faults { busy: 3, ..Faults::default() };
    let (_, err) = ended(&world.store(&["pull", &server.reference("1.0")]), 0);
    assert!(err.contains("status 503"), "{err}");
    world.check_whole(&package);
    server.stored().log.clear();
    let (_, err) = ended(&world.store(&["pull", &server.reference("2.0")]), 2);
    assert!(err.contains("manifests/2.0"), "{err}");
    assert_eq!(server.asked("GET"), 1);
    server.stored().manifests.insert("bad".into(), b"[".repeat(100_000));
    ended(&world.store(&["pull", &server.reference("bad")]), 1);
    // Nobody listens there.
    let (_, err) = ended(&world.store(&["pull", "127.0.0.1:9/rain:1", "--attempts", "2"]), 2);
    assert!(err.contains("given up after 2 attempts"), "{err}");
}
