//! Dependencies of the library.

use crate::manifest::violations;

fn only(text: &str, name: &str) {
    assert_eq!(
        violations("Cargo.toml", text),
        [format!("Cargo.toml: {name}: not a dependency of the library")],
        "{text}"
    );
}

#[test]
fn a_dependency_of_the_command_is_seen() {
    only("[dependencies]\nhalf = \"2\"\nureq = { version = \"3\", optional = true }", "ureq");
    only("[ dependencies ]\n\"clap\" = \"4\"", "clap");
    only("[dependencies]\nclap.version = \"4\"", "clap");
    only("[dependencies.rusqlite]\nversion = \"0.37\"", "rusqlite");
    only("[target.'cfg(unix)'.dependencies]\nhyper = \"1\"", "hyper");
    only("[target.'cfg(unix)'.dependencies.hyper]\nversion = \"1\"", "hyper");
    only("[dependencies]\nweb = { package = \"reqwest\", version = \"1\" }", "reqwest");
    only("[dependencies.web]\npackage = \"reqwest\"", "reqwest");
    only("[workspace.dependencies]\nindicatif = \"1\"", "indicatif");
}

#[test]
fn what_is_included_lies_where_it_is_said() {
    let text = "[package]\ninclude = [\"/src\", \"README.md\"]\n[dependencies]\ninclude = \"1\"";
    let expected = "Cargo.toml: include: 'README.md' is a name in any folder, '/README.md' one in this";
    assert_eq!(violations("Cargo.toml", text), [expected]);
}

#[test]
fn what_only_looks_like_one_passes() {
    let none = |text: &str| assert!(violations("Cargo.toml", text).is_empty(), "{text}");
    none(
        "[dependencies]\n# ureq = \"3\"\nort = { version = \"2\", optional = true }\nllama-cpp-sys-2 = \"0.1\" # not clap",
    );
    none("[dev-dependencies]\nureq = \"3\"\n[features]\nclap = [\"dep:half\"]");
    none("[dependencies]\nhalf = \"2\"\n[[bench]]\nname = \"rusqlite\"\nhyper = \"1\"");
}
