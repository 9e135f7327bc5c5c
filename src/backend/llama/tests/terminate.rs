//! The end of the process by a C++ exception that nobody caught.

#![expect(unsafe_code, reason = "ends a process as the C++ runtime does")]

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use super::super::native::model;

const CHILD: &str = "SELVEDGE_TEST_TERMINATE";
const VARIABLE: &str = "GGML_NO_BACKTRACE";

unsafe extern "C" {
    /// `std::terminate`.
    #[link_name = "_ZSt9terminatev"]
    fn terminate() -> !;
}

#[test]
fn no_debugger_is_started_and_the_environment_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let called = folder.path().join("called");
    for debugger in ["gdb", "lldb"] {
        let script = folder.path().join(debugger);
        std::fs::write(&script, format!("#!/bin/sh\n: >'{}'\n", called.display())).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["backend::llama::tests::terminate::a_child_ends", "--exact", "--nocapture"])
        .env(CHILD, "1")
        .env("PATH", folder.path())
        .env_remove(VARIABLE)
        .output()
        .unwrap();
    let (said, words) = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(said.contains("@@ unchanged"), "{said}{words}");
    assert!(!called.exists(), "a debugger was started");
    assert!(!words.to_lowercase().contains("backtrace"), "{words}");
    // What the handlers before ggml's do, they still do.
    assert!(words.contains("terminate called") || words.contains("terminating"), "{words}");
    assert_eq!(child.status.signal(), Some(6), "{:?}", child.status);
}

/// The child's side.
#[test]
fn a_child_ends() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    model::init();
    if std::env::var_os(VARIABLE).is_none() {
        println!("\n@@ unchanged");
    }
    // SAFETY: ends the process.
    unsafe { terminate() }
}
