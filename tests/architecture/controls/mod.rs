//! Each rule is shown bad code and must see it, and code that only looks so and is not to blame.

mod between_files;
mod face;
mod inside_rooms;
mod manifests;
mod public_names;

use super::{File, Plan, Table, violations};

const MAP: &str =
    "mod error;\npub mod tensor;\nmod engine;\npub use error::{Code, Error as Failure};\npub use tensor::Tensor;";
const TABLE: Table = &[("error", &[]), ("tensor", &[]), ("engine", &["tensor"])];

/// The rooms alone.
const BARE: Plan<'_> =
    Plan { rooms: TABLE, inside: &[], only_declare: &[], may_be_unsafe: &[], borne: &[], same_names: &[] };

/// A small house without a fault, and one more file.
fn house(path: &str, text: &str) -> Vec<String> {
    let doc = |may: &str| format!("//! Job.\n//!\n//! Enters: x. Leaves: y.\n//! May import: {may}.\n");
    let mut files: Vec<File> = vec![
        File::new("src/lib.rs", MAP),
        File::new("src/error.rs", doc("nothing of the crate")),
        File::new("src/tensor/mod.rs", doc("error") + "use crate::Code;"),
        File::new("src/engine/mod.rs", doc("tensor") + "use crate::{Failure, Tensor, tensor::Shape};"),
    ];
    files.retain(|file| file.path != path);
    files.push(File::new(path, text));
    violations(&files, &Plan { may_be_unsafe: &["src/tensor/raw.rs", "tests/abi/"], ..BARE })
        .into_iter()
        // What is on the list is there in some cases only.
        .filter(|v| path == "src/tensor/raw.rs" || !v.starts_with("src/tensor/raw.rs: is listed"))
        .filter(|v| !v.starts_with("tests/abi/: is listed"))
        // A wrong arrow may close one; they have controls of their own.
        .filter(|v| !v.starts_with("circle: "))
        .collect()
}

fn only(path: &str, text: &str, violation: &str) {
    assert_eq!(house(path, text), [violation], "of {path}:\n{text}");
}

fn none(path: &str, text: &str) {
    assert_eq!(house(path, text), <[String; 0]>::default(), "of {path}:\n{text}");
}

#[test]
fn a_wrong_arrow_is_seen() {
    let wrong = "src/tensor: may not import engine";
    only("src/tensor/a.rs", "use crate::engine::Run;", wrong);
    only("src/tensor/a.rs", "use crate::{Code, engine::{Run, Step}};", wrong);
    only("src/tensor/a.rs", "fn f() -> crate::engine::Run { loop {} }", wrong);
    only("src/tensor/a.rs", "use super::super::engine;", wrong);
    only("src/tensor/a.rs", "mod b { use crate :: engine as e; }", wrong);
    only("src/tensor/a.rs", "const Q: char = '\"'; use crate::engine::Run; // \"", wrong);
    only("src/tensor/a.rs", "fn f<'a>(x: &'a str) { crate::engine::run(x) }", wrong);
    only(
        "src/error.rs",
        "//! Enters: x. Leaves: y. May import: nothing of the crate.\nuse crate::engine::Run;",
        "src/error: may not import engine",
    );
    only("src/tensor/a.rs", "use crate::Unknown;", "src/tensor/a.rs: crate::Unknown is of no room");
    assert!(house("src/tensor/a.rs", "use crate::*;").iter().any(|v| v.contains("crate::* is of no room")));
    assert!(house("src/tensor/a.rs", "use crate as k;").iter().any(|v| v.contains("is of no room")));
    only("src/attic/mod.rs", "", "src/attic: is not a room of the table");
}

#[test]
fn a_socket_is_seen() {
    only("src/tensor/a.rs", "fn f() { ureq::get(x); }", "src/tensor/a.rs: ureq: the library opens no socket");
    only("ffi/src/a.rs", "use std::net::{TcpStream};", "ffi/src/a.rs: TcpStream: the library opens no socket");
    none("cli/src/sync.rs", "use ureq::Agent;");
    none("src/tensor/a.rs", "// ureq\nconst X: &str = \"TcpStream\";");
}

#[test]
fn tests_docs_and_strings_are_no_arrows() {
    none("src/tensor/tests.rs", "use crate::engine::Run;");
    none("src/tensor/a.rs", "#[cfg(test)]\nmod tests { use crate::engine::Run; fn f() {} }\nfn g() {}");
    only("src/tensor/a.rs", "#[cfg(test)]\nmod tests;\nuse crate::engine;", "src/tensor: may not import engine");
    none("src/tensor/a.rs", "/// See [`crate::engine`].\nfn g() {} /* crate::engine /* */ crate::engine */");
    none("src/tensor/a.rs", "const S: &str = \"\\\" crate::engine\"; const R: &str = r#\"\" crate::engine\"#;");
    none("src/engine/a.rs", "use super::b; pub(crate) use crate::tensor::{self, Shape}; use crate::error;");
    none("cli/src/tool.rs", "use crate::engine::Run;");
}

#[test]
fn a_cycle_in_the_table_is_seen() {
    const RING: Table = &[("a", &[]), ("b", &["a", "d"]), ("c", &["b"]), ("d", &["c"])];
    assert_eq!(violations(&[], &Plan { rooms: RING, ..BARE }), [r#"the table has a cycle among ["b", "c", "d"]"#]);
}

#[test]
fn a_room_without_its_opening_is_seen() {
    only("src/engine/mod.rs", "//! Runs.\n", "src/engine/mod.rs: opens without 'Enters: '");
    let more = "//! Enters: x. Leaves: y. May import: tensor, store.\n";
    let wrong = r#"src/engine/mod.rs: May import: expected ["tensor"], got {"store", "tensor"}"#;
    only("src/engine/mod.rs", more, wrong);
}

#[test]
fn stray_unsafe_is_seen() {
    let announced = "#![expect(unsafe_code, reason = \"r\")]\n// SAFETY: fine.\nlet x =\n    unsafe { f() };\n";
    only("src/tensor/a.rs", announced, "src/tensor/a.rs: unsafe, and not in the list");
    none("src/tensor/a.rs", "type F = Option<unsafe extern \"C\" fn(u8)>;\ntype G = unsafe fn(u8);");
    only("src/tensor/a.rs", "unsafe extern \"C\" fn f(g: u8) {}", "src/tensor/a.rs: unsafe, and not in the list");
    none("src/tensor/a.rs", "#![deny(unsafe_code)] // unsafe { }\nconst S: &str = \"unsafe {\";");
    let raw = "src/tensor/raw.rs";
    none(raw, announced);
    only(
        raw,
        &announced.replace("expect", "allow"),
        "src/tensor/raw.rs: unsafe without expect(unsafe_code, reason = …)",
    );
    let again = "src/tensor/raw.rs:5: unsafe without a SAFETY comment";
    only(raw, &format!("{announced}unsafe {{ g() }}"), again);
    only(raw, &format!("{announced}unsafe impl Send for X {{}}"), again);
    none(raw, &format!("{announced}unsafe fn g() {{}}"));
    only(raw, "", "src/tensor/raw.rs: is listed as unsafe and is not");
    // A folder announces in its main file and tells why everywhere.
    none("tests/abi/a.rs", "// SAFETY: fine.\nlet x = unsafe { f() };");
    only("tests/abi/a.rs", "let x = unsafe { f() };", "tests/abi/a.rs:1: unsafe without a SAFETY comment");
    let silent = "tests/abi/main.rs: unsafe without expect(unsafe_code, reason = …)";
    only("tests/abi/main.rs", "// SAFETY: fine.\nlet x = unsafe { f() };", silent);
}

#[test]
fn long_files_empty_names_and_unfinished_code_are_seen() {
    none("tests/a.rs", &"\n".repeat(500));
    only("tests/a.rs", &"\n".repeat(501), "tests/a.rs: 501 lines, at most 500");
    only("src/lib.rs", &format!("{MAP}{}", "\n".repeat(116)), "src/lib.rs: 120 lines, at most 119");
    only("src/engine/types.rs", "", "src/engine/types.rs: 'types' names no job");
    only("tests/common/mod.rs", "", "tests/common/mod.rs: 'common' names no job");
    only("examples/a.rs", "fn f() { todo!() }", "examples/a.rs: todo!");
    only("examples/a.rs", "fn f() { std::dbg!(1); }", "examples/a.rs: dbg!");
    none("examples/a.rs", "fn f() { println!(\"todo!\"); my_todo!(); }");
}
