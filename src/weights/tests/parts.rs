//! Several files that are one.

use std::path::Path;

use super::craft::File;
use crate::source::Loading;
use crate::weights::{FileFormat, WeightFile};
use crate::{Code, Result};

/// Part `number` of `count`, with one tensor, of `total`.
fn part(number: u16, count: u16, total: i32) -> File {
    let named = if number == 0 { File::new().text("general.name", "part 0") } else { File::new() };
    named
        .key("split.no", 2, number.to_le_bytes().into())
        .key("split.count", 2, count.to_le_bytes().into())
        .key("split.tensors.count", 5, total.to_le_bytes().into())
        .tensor(&format!("t{number}"), &[8], 0, 32)
}

fn write(folder: &Path, name: &str, file: &File) {
    std::fs::write(folder.join(name), file.bytes()).unwrap();
}

fn split(folder: &Path) {
    for i in 0..3 {
        write(folder, &format!("m-{:05}-of-00003.gguf", i + 1), &part(i, 3, 3));
    }
}

#[track_caller]
fn refused(result: Result<WeightFile>, code: Code, message: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(message), "expected '{message}' in: {error}");
}

#[test]
fn a_split_model_opens_as_one_by_any_of_its_parts() {
    let folder = tempfile::tempdir().unwrap();
    split(folder.path());
    for first in 1..=3 {
        for loading in [Loading::Mapped, Loading::Read] {
            let file = WeightFile::open(folder.path().join(format!("m-{first:05}-of-00003.gguf")), loading).unwrap();
            let names: Vec<_> = file.tensors().map(|t| (t.name(), t.part(), t.bytes().len())).collect();
            assert_eq!(names, [("t0", 0, 32), ("t1", 1, 32), ("t2", 2, 32)]);
            assert_eq!(file.files().len(), 3);
            assert_eq!(file.metadata().text("general.name").unwrap(), Some("part 0"));
            assert_eq!(file.tensor("t2").unwrap().bytes(), [7; 32]);
        }
    }
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (at, second) = (folder.path(), "m-00002-of-00003.gguf");
    let open = || WeightFile::open(at.join("m-00001-of-00003.gguf"), Loading::Mapped);
    split(at);
    // Each is laid out by its own alignment.
    let mut aligned = part(1, 3, 3).u32("general.alignment", 128).tensor("t3", &[8], 0, 32);
    aligned.alignment = 128;
    write(at, second, &aligned.key("split.tensors.count", 5, 3i32.to_le_bytes().into()));
    refused(open(), Code::Corrupt, "the parts have 4");
    for (wrong, message) in [
        (part(2, 3, 3), "expected part 1 of 3"),
        (part(1, 4, 3), "expected part 1 of 3"),
        (File::new().tensor("t1", &[8], 0, 32), "expected part 1 of 3"),
        (part(1, 3, 3).no_tensors().tensor("t0", &[8], 0, 32), "'t0' is there twice"),
        (part(1, 3, 3).tensor("more", &[8], 0, 32), "split.tensors.count"),
        (part(1, 3, 3).no_tensors(), "split.tensors.count"),
        (part(1, 3, 4), "key 'split.tensors.count': expected 3 as in the first part, got 4"),
        (part(1, 3, 3).text("general.name", "another model"), "as in the first part, got 'another model'"),
        (part(1, 3, 3).u32("split.no", 1), "got 1 as u32"),
        (part(1, 3, 3).u32("split.tensors.count", 3), "expected an i32, got 3 as u32"),
    ] {
        write(at, second, &wrong);
        refused(open(), Code::Corrupt, message);
    }
    std::fs::write(at.join(second), &part(1, 3, 3).bytes()[..180]).unwrap();
    refused(open(), Code::Corrupt, second);
    std::fs::remove_file(at.join(second)).unwrap();
    refused(open(), Code::NotFound, second);
    #[cfg(unix)]
    {
        write(at, "elsewhere", &part(1, 3, 3));
        std::os::unix::fs::symlink(at.join("elsewhere"), at.join(second)).unwrap();
        assert!(open().is_ok());
        let access = crate::source::Access::new().no_symlinks();
        refused(WeightFile::open(at.join("m-00001-of-00003.gguf"), access), Code::InvalidArgument, "symbolic link");
    }
}

#[test]
fn a_part_by_itself_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = part(0, 3, 3).bytes();
    refused(WeightFile::open(bytes.clone(), Loading::Mapped), Code::Unsupported, "part 1 of 3");
    write(folder.path(), "renamed.gguf", &part(0, 3, 3));
    refused(WeightFile::open(folder.path().join("renamed.gguf"), Loading::Mapped), Code::Unsupported, "00001-of-00003");
    refused(WeightFile::open(part(3, 3, 3).bytes(), Loading::Mapped), Code::Corrupt, "split.no");
    refused(WeightFile::open(part(0, 1025, 3).bytes(), Loading::Mapped), Code::Unsupported, "at most 1024");
    let negative = part(0, 3, 3).key("split.count", 5, (-1i32).to_le_bytes().into());
    refused(WeightFile::open(negative.bytes(), Loading::Mapped), Code::Corrupt, "split.count");
    let negative = part(0, 3, 3).key("split.no", 5, (-1i32).to_le_bytes().into());
    refused(WeightFile::open(negative.bytes(), Loading::Mapped), Code::Corrupt, "split.no");
    // A split into one is whole.
    assert!(WeightFile::open(part(0, 1, 1).bytes(), Loading::Mapped).is_ok());
}

fn safetensors(header: &str, data: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![7; data]].concat()
}

#[test]
fn an_index_opens_its_files_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let tensor = |name: &str| format!(r#"{{"{name}":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}}}"#);
    std::fs::write(at.join("a.safetensors"), safetensors(&tensor("x"), 8)).unwrap();
    std::fs::write(at.join("b.safetensors"), safetensors(&tensor("y"), 8)).unwrap();
    let index = at.join("model.safetensors.index.json");
    let open = |json: &str| {
        std::fs::write(&index, json).unwrap();
        WeightFile::open(&index, Loading::Mapped)
    };
    let good = r#"{"metadata": {"total_size": 16}, "weight_map": {"y": "b.safetensors", "x": "a.safetensors"}}"#;
    let file = open(good).unwrap();
    assert_eq!((file.format(), file.files().len()), (FileFormat::Safetensors, 2));
    assert_eq!(file.tensors().map(|t| (t.name(), t.part())).collect::<Vec<_>>(), [("x", 0), ("y", 1)]);
    refused(WeightFile::open(good.as_bytes().to_vec(), Loading::Mapped), Code::Unsupported, "the path to it");
    for (json, message) in [
        (r#"{"weight_map": {}}"#, "no files"),
        (r#"{"metadata": {}}"#, "weight_map"),
        (r#"{"weight_map": {"x": "a.safetensors"}, "more": 1}"#, "more"),
        (r#"{"weight_map": {"x": "a.safetensors", "x": "b.safetensors"}}"#, "there twice"),
        (r#"{"weight_map": {"x": "a.safetensors"}, "weight_map": {}}"#, "there twice"),
        (r#"{"weight_map": {"x": 1}}"#, "string"),
        (r#"{"weight_map": {"x": "a.safetensors", "z": "a.safetensors"}}"#, "'z'"),
        (r#"{"weight_map": {"z": "a.safetensors"}}"#, "'x' is not in the index"),
        (r#"{"weight_map": {"y": "a.safetensors", "x": "b.safetensors"}}"#, "is not in the index"),
        (r#"{"weight_map": {"x": "a.safetensors"}"#, "EOF"),
        (r#"{"weight_map": {"x": "a.safetensors"}} more"#, "trailing"),
    ] {
        refused(open(json), Code::Corrupt, message);
    }
    for outside in ["../a.safetensors", "/etc/passwd", "b/a", "C:a", "a\\\\b", "", ".", "..", "a\\u0000"] {
        let json = format!(r#"{{"weight_map": {{"x": "{outside}"}}}}"#);
        refused(open(&json), Code::Corrupt, "the same folder");
    }
    refused(open(r#"{"weight_map": {"x": "c.safetensors"}}"#), Code::NotFound, "c.safetensors");
    std::fs::write(at.join("c.safetensors"), File::new().tensor("x", &[2], 0, 8).bytes()).unwrap();
    refused(open(r#"{"weight_map": {"x": "c.safetensors"}}"#), Code::Corrupt, "expected a safetensors file");
    // An index of an index would be opened without end.
    refused(open(r#"{"weight_map": {"x": "model.safetensors.index.json"}}"#), Code::Unsupported, "neither");
}
