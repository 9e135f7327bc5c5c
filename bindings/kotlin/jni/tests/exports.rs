//! What the library shows to the loader. That cargo builds it for this test is how `bindings/kotlin/test` gets it with the
//! features of all other tests.

use std::path::PathBuf;
use std::process::Command;

/// Beside this test's program.
fn library() -> PathBuf {
    let program = std::env::current_exe().expect("the path of this program");
    let name = format!("{}selvedge_jni{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    program.with_file_name(name)
}

#[test]
fn nothing_is_shown_but_what_the_virtual_machine_calls() {
    let Ok(output) = Command::new("nm").args(["-D", "--defined-only", "--format=posix"]).arg(library()).output() else {
        println!("note: nm is not here; the names were not compared");
        return;
    };
    assert!(output.status.success(), "nm {}: {}", library().display(), String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let names: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["JNI_OnLoad"]);
}
