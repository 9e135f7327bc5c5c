//! Containment needs panics that unwind, and a build without them must not come to be.

use std::path::Path;
use std::process::Command;

#[test]
fn a_library_that_could_not_contain_panics_does_not_compile() {
    // What else the compiler says is of the crates that it is not given here.
    let folder = tempfile::tempdir().unwrap();
    let said = |strategy: &str| {
        let compiler = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
        let output = Command::new(compiler)
            .args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "-C", strategy, "--out-dir"])
            .arg(folder.path())
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs"))
            .output()
            .expect("the Rust compiler");
        String::from_utf8(output.stderr).unwrap()
    };
    let words = "selvedge-ffi contains panics by unwinding";
    assert!(said("panic=abort").contains(words));
    assert!(!said("panic=unwind").contains(words));
}
