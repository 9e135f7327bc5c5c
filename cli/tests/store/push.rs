//! What is sent arrives whole, and not twice.

use sha2::{Digest as _, Sha256};

use crate::made::{World, ended};
use crate::server::{Faults, Server};

/// Blobs whose bytes are not those of their name.
fn wrong(server: &Server) -> usize {
    let stored = server.stored();
    let is_wrong = |(name, bytes): &(&String, &Vec<u8>)| {
        let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        **name != format!("sha256:{digest}")
    };
    stored.blobs.iter().filter(is_wrong).count()
}

#[test]
fn what_the_registry_has_is_not_sent_again() {
    let (world, server) = (World::new(), Server::start(Faults::default()));
    let package = world.signed(1, 300_000);
    let (out, _) = ended(&world.selvedge(&["push", &package, &server.reference("1.0")]), 0);
    assert!(out.contains("/models/rain@sha256:") && out.contains("4 files"), "{out}");
    assert_eq!((server.asked("POST"), wrong(&server)), (5, 0));
    server.stored().log.clear();
    assert_eq!(ended(&world.selvedge(&["push", &package, &server.reference("2.0")]), 0).0, out);
    assert_eq!((server.asked("POST"), server.asked("PUT")), (0, 1), "only the manifest");
    let stored = server.stored();
    assert_eq!(stored.manifests["1.0"], stored.manifests["2.0"]);
}

#[test]
fn a_large_file_arrives_whole_over_connections_that_break() {
    let (world, server) = (World::new(), Server::start(Faults::default()));
    let package = world.signed(1, 40 << 20);
    server.stored().faults =
        Faults { cut: Some(20 << 20), cuts: Some(12), demand: Some("Bearer"), ..Faults::default() };
    std::fs::write(world.path("right"), "me:secret").unwrap();
    let push = ["push", &package, &server.reference("1.0"), "--credentials", "right", "--attempts", "20"];
    let (_, err) = ended(&world.selvedge(&push), 0);
    assert!(err.contains("note: "), "{err}");
    assert!(server.asked("PATCH") >= 2, "{:?}", server.stored().log);
    assert_eq!(wrong(&server), 0);
    assert_eq!(server.stored().blobs.len(), 5);
}

#[test]
fn an_unsigned_folder_is_pushed_with_a_warning_and_a_digest_is_no_target() {
    let (world, server) = (World::new(), Server::start(Faults::default()));
    let package = world.package(1, 100);
    let (_, err) = ended(&world.selvedge(&["push", &package, &server.reference("1.0")]), 0);
    assert!(err.contains("it has no model.sig"), "{err}");
    let by_digest = format!("127.0.0.1:{}/a@sha256:{}", server.port, "0".repeat(64));
    let (_, err) = ended(&world.selvedge(&["push", &package, &by_digest]), 2);
    assert!(err.contains("expected a tag"), "{err}");
}
