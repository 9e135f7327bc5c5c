//! `selvedge run`, `bench` and `chat` with real models, as a user runs them.

#![cfg(any(feature = "llama", feature = "ort", feature = "rten", feature = "tract", feature = "table"))]

#[cfg(any(feature = "ort", feature = "rten", feature = "tract"))]
mod bench;
#[cfg(feature = "llama")]
mod chat;
#[path = "../../../tests/support/corpus.rs"]
mod corpus;
#[path = "../../../tests/packed/craft.rs"]
#[allow(dead_code, reason = "the library's tests craft more")]
mod craft;
#[cfg(any(feature = "ort", feature = "rten", feature = "tract"))]
mod run;
#[path = "../../../tests/packed/runtimes.rs"]
#[allow(dead_code, reason = "the library's tests need the rest of it")]
mod runtimes;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The command, in a folder, with the runtimes of the tests.
fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_selvedge"));
    if let Some(library) = runtimes::library() {
        command.env("SELVEDGE_ONNXRUNTIME", library);
    }
    command.args(args).current_dir(folder).stdin(Stdio::null());
    command
}

/// Standard output and error of a command that has ended so.
#[track_caller]
fn ended(output: &Output, code: i32) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    assert!(!out.contains('\x1b') && !err.contains('\x1b'), "{out}{err}");
    (out, err)
}

#[track_caller]
fn json(folder: &Path, args: &[&str]) -> Value {
    let (out, _) = ended(&command(folder, &[args, &["--json"]].concat()).output().unwrap(), 0);
    assert_eq!(out.lines().count(), 1, "{out}");
    serde_json::from_str(&out).unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
