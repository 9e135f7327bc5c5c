//! Names, folders and numbers that no package may have.

use std::fs;

use super::super::name::{MAX_FILES, Names, check_name};
use super::made::{entry, folder, read, refusal, tar};
use crate::Code;
use crate::store::Package;

#[test]
fn names_that_leave_the_package_or_are_no_files_somewhere_are_refused() {
    let long = "x".repeat(513);
    let deep = "a/".repeat(17) + "b";
    let bad = [
        "",
        "/",
        "/etc/passwd",
        "..",
        "../up",
        "a/../../up",
        "a/..",
        ".",
        "./a",
        "a/./b",
        "a//b",
        "a/",
        "\\\\host\\share",
        "a\\..\\b",
        "C:evil",
        "c:/evil",
        "file:stream",
        "a\0b",
        "a\nb",
        "a\x1bb",
        "what?",
        "star*",
        "a|b",
        "<a>",
        "\"a\"",
        "nul",
        "NUL.onnx",
        "con",
        "Aux.json",
        "com1",
        "lpt9.txt",
        "dir/prn",
        "dot.",
        "blank ",
        "a./b",
        "conin$",
        &long,
        &deep,
    ];
    for name in bad {
        let error = check_name(name).expect_err(name);
        assert_eq!(error.code(), Code::Corrupt, "{error}");
        assert!(!error.to_string().contains(['\0', '\n', '\x1b']), "{error:?}");
    }
    for name in
        ["a", "a.onnx", ".hidden", "a/b/c", "com", "com10", "nully", "model-00001-of-00002.safetensors", "ähre", "a b"]
    {
        check_name(name).unwrap();
    }
}

#[test]
fn names_that_some_system_takes_for_one_are_refused() {
    let clash = |names: &[&str]| {
        let mut seen = Names::default();
        names.iter().try_for_each(|name| seen.add(name))
    };
    for names in
        [&["a", "a"][..], &["Model.onnx", "model.onnx"], &["a", "a/b"], &["a/b", "a"], &["A/b", "a/c"], &["Ä", "ä"]]
    {
        assert_eq!(clash(names).expect_err(names[0]).code(), Code::Corrupt, "{names:?}");
    }
    clash(&["a/b", "a/c", "ab", "b/a"]).unwrap();
}

#[test]
fn a_package_has_files_but_not_without_end() {
    assert_eq!(Names::default().finish().unwrap_err().code(), Code::Corrupt);
    assert_eq!(refusal(Package::folder(tempfile::tempdir().unwrap().path())).code(), Code::Corrupt);
    let mut seen = Names::default();
    (0..MAX_FILES).for_each(|i| seen.add(&i.to_string()).unwrap());
    assert_eq!(seen.add("more").unwrap_err().code(), Code::Corrupt);
    let endless = (0..=4 * MAX_FILES).map(|_| entry("a/", b'5', b"")).collect::<Vec<_>>();
    assert_eq!(refusal(tar(&endless)).code(), Code::Corrupt);
}

#[cfg(unix)]
#[test]
fn links_and_pipes_in_a_folder_are_refused() {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    let link_to_file = folder();
    symlink("/etc/passwd", link_to_file.path().join("leak")).unwrap();
    let link_to_folder = folder();
    symlink("/etc", link_to_folder.path().join("text/leak")).unwrap();
    let link_to_nowhere = folder();
    symlink("nowhere", link_to_nowhere.path().join("leak")).unwrap();
    let socket = folder();
    let _listening = UnixListener::bind(socket.path().join("socket")).unwrap();
    for folder in [link_to_file, link_to_folder, link_to_nowhere, socket] {
        let error = refusal(folder.path());
        assert_eq!(error.code(), Code::Unsupported, "{error}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let folder = folder();
    fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"\xff")), b"").unwrap();
    assert_eq!(refusal(folder.path()).code(), Code::Unsupported);
}

#[test]
fn a_file_that_grows_or_shrinks_while_it_is_read_is_found_out() {
    for len in [10, 9000] {
        let folder = folder();
        let weights = folder.path().join("rain.onnx");
        let error = Package::folder(folder.path()).visit(&mut |file| {
            if file.name == "rain.onnx" {
                file.read(&mut [0; 8])?;
                fs::OpenOptions::new().write(true).open(&weights).unwrap().set_len(len).unwrap();
            }
            Ok(())
        });
        assert_eq!(error.unwrap_err().code(), Code::Corrupt, "{len}");
    }
}

#[test]
fn a_folder_without_end_of_folders_is_refused() {
    let root = folder();
    let mut path = root.path().to_owned();
    for _ in 0..18 {
        path.push("d");
        fs::create_dir(&path).unwrap();
    }
    let error = read(root.path()).unwrap_err();
    assert_eq!(error.code(), Code::Corrupt, "{error}");
}
