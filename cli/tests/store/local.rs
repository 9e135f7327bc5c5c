//! Without a registry: versions come, serve, give way and go.

use std::fs;
use std::process::Stdio;

use crate::made::{World, ended};

#[test]
fn a_version_comes_serves_gives_way_comes_back_and_goes() {
    let world = World::new();
    let (first, second) = (world.signed(1, 5000), world.signed(2, 6000));
    ended(&world.store(&["import", &first, "--activate"]), 0);
    ended(&world.store(&["import", &second]), 0);
    let current = |world: &World| world.versions().iter().map(|v| v["current"] == true).collect::<Vec<_>>();
    assert_eq!(current(&world), [false, true], "a version that came does not serve by itself");

    ended(&world.store(&["activate", "2"]), 0);
    assert_eq!(current(&world), [true, false]);
    let (table, _) = ended(&world.selvedge(&["list", "--store", "models"]), 0);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines.len() == 3 && lines[1].contains("* ") && lines[1].contains("the 2th"), "{table}");

    let (back, _) = ended(&world.store(&["rollback"]), 0);
    assert!(back.starts_with("rain 1 serves again: "), "{back}");
    assert_eq!(current(&world), [false, true]);
    // By its id as well.
    let id = world.versions()[0]["id"].as_str().unwrap()[..8].to_string();
    ended(&world.store(&["activate", &id]), 0);
    let (removed, _) = ended(&world.store(&["gc", "--keep", "0"]), 0);
    assert!(removed.ends_with("1 versions removed, 5.0 KiB\n"), "{removed}");
    assert_eq!(current(&world), [true]);
    let (_, err) = ended(&world.store(&["rollback"]), 2);
    assert!(err.contains("there is no version to go to"), "{err}");
}

#[test]
fn whom_nobody_trusts_is_refused_with_exit_code_1() {
    let world = World::new();
    let refused = |args: &[&str], word: &str| {
        let (out, err) = ended(&world.selvedge(&[&["import"], args, &["--store", "models"]].concat()), 1);
        assert!(out.is_empty() && err.contains(word), "{out}{err}");
    };
    let package = world.package(1, 5000);
    refused(&[&package, "--key", "public.pem"], "expected a signature");
    let package = world.signed(1, 5000);
    refused(&[&package, "--key", "another.pem"], "error: ");
    refused(&[&package], "error: ");
    fs::write(format!("{package}/rain.onnx"), b"poisoned").unwrap();
    refused(&[&package, "--key", "public.pem"], "expected sha256:");
    // For trying things out.
    ended(&world.selvedge(&["list", "--store", "models"]), 0);
    let package = world.package(3, 5000);
    ended(&world.selvedge(&["import", &package, "--accept-unsigned", "--store", "others"]), 0);
}

#[test]
fn a_tar_on_standard_input_and_a_layout_are_packages_too() {
    let (world, layout) = (World::new(), World::new());
    let package = world.signed(1, 700_000);
    let tar = std::process::Command::new("tar").args(["-C", &package, "-cf", "-", "."]).stdout(Stdio::piped()).spawn();
    let Ok(mut tar) = tar else { return eprintln!("no tar") };
    let mut command = world.command(&["import", "-", "--store", "models", "--key", "public.pem", "--json"]);
    let output = command.stdin(tar.stdout.take().unwrap()).output().unwrap();
    assert!(tar.wait().unwrap().success());
    let (out, _) = ended(&output, 0);
    world.check_whole(&package);

    let target = format!("oci:{}:1.0", layout.path("layout").display());
    let (pushed, _) = ended(&world.selvedge(&["push", &package, &target]), 0);
    assert!(pushed.contains("4 files, "), "{pushed}");
    let from = layout.path("layout");
    let import = |tag: &str| layout.store(&["import", from.to_str().unwrap(), "--tag", tag, "--json"]);
    let (_, err) = ended(&import("2.0"), 2);
    assert!(err.contains("1.0"), "{err}");
    assert_eq!(ended(&import("1.0"), 0).0, out, "the same files are the same version, however they come");
    layout.check_whole(&package);
}

#[test]
fn what_is_used_wrongly_is_said() {
    let world = World::new();
    let package = world.package(1, 10);
    fs::write(world.path("no.pem"), "no key").unwrap();
    let wrong = |args: &[&str], word: &str| {
        let (_, err) = ended(&world.selvedge(args), 2);
        assert!(err.contains(word), "{args:?}: {err}");
    };
    wrong(&["sign", &package, "--key", "no.pem"], "private key");
    wrong(&["sign", &package, "--key", "public.pem"], "PRIVATE KEY");
    wrong(&["import", "nowhere", "--store", "models", "--key", "public.pem"], "not found");
    wrong(&["import", &package, "--store", "models", "--key", "no.pem"], "no.pem");
    wrong(&["list", "--store", "nowhere"], "nowhere");
    wrong(&["activate", "7", "--store", "models", "--key", "public.pem"], "version '7'");
    wrong(&["pull", "rain:1.0", "--store", "models"], "HOST[:PORT]/NAME");
    wrong(&["push", &package, "localhost:1/Rain:1"], "small letters");
    fs::remove_file(format!("{package}/selvedge.json")).unwrap();
    wrong(&["sign", &package, "--key", "private.pem"], "selvedge.json");
}
