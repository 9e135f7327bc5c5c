//! Descriptions of the crate's, and what they become.

use super::*;

#[test]
fn a_build_names_its_release_or_its_commit() {
    let of = |build: &str| runtime(&format!("ORT Build Info: {build}build type=Release"));
    assert_eq!(of("git-branch=rel-1.24.1, git-commit-id=26250ae, "), "ONNX Runtime 1.24.1");
    assert_eq!(of("git-branch=HEAD, git-commit-id=6af1a93, "), "ONNX Runtime of commit 6af1a93");
    assert_eq!(of(""), "ONNX Runtime");
}

#[test]
fn a_dimension_without_a_name_of_its_own_is_any() {
    assert_eq!(dim(3, ""), Dim::Fixed(3));
    assert_eq!(dim(-1, "batch"), Dim::Symbol("batch".into()));
    assert_eq!([dim(-1, ""), dim(-1, "unk__7")], [Dim::Any, Dim::Any]);
}
