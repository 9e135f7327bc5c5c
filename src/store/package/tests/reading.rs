//! Packages as their makers have them.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::made::{entry, entry_of, files, folder, layout, read, record, sum, tar, tar_bytes};
use crate::Code;
use crate::store::Package;
use crate::store::package::PackageFile;

#[test]
fn a_folder_comes_with_its_signature_first_and_the_smallest_file_next() {
    assert_eq!(read(Package::folder(folder().path())).unwrap(), files());
}

#[test]
fn a_layout_comes_in_the_order_of_its_folder() {
    assert_eq!(read(Package::layout(layout().path())).unwrap(), files());
}

#[test]
fn a_path_stands_for_whatever_is_there() {
    let (plain, image) = (folder(), layout());
    assert_eq!(read(plain.path()).unwrap(), files());
    assert_eq!(read(image.path()).unwrap(), files());
    let path = plain.path().join("package.tar");
    fs::write(&path, tar_bytes(&[entry("a", b'0', b"1")])).unwrap();
    assert_eq!(read(path).unwrap(), [("a".to_string(), b"1".to_vec())]);
    let nothing = read(plain.path().join("nothing").as_path()).unwrap_err();
    assert_eq!(nothing.code(), Code::NotFound, "{nothing}");
}

#[test]
fn a_tag_chooses_one_of_several_manifests_and_other_forms_have_none() {
    let image = layout();
    assert_eq!(read(Package::layout(image.path()).tag("1.0")).unwrap(), files());
    let error = read(Package::folder(folder().path()).tag("1.0")).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
}

/// The three forms that are common, as the system's own tar writes them.
#[test]
fn what_the_systems_tar_writes_is_read() {
    let long = format!("{}/{}.onnx", "f".repeat(120), "n".repeat(120));
    let from = folder();
    fs::create_dir(from.path().join("f".repeat(120))).unwrap();
    fs::write(from.path().join(&long), b"long").unwrap();
    for (format, entries) in [("gnu", "."), ("pax", "."), ("ustar", "rain.onnx"), ("v7", "model.sig"), ("gnu", "text")]
    {
        let path = from.path().parent().unwrap().join(format!("selvedge-{}-{format}.tar", std::process::id()));
        let Some(done) = pack(format, from.path(), &path, entries) else { return };
        assert!(done, "tar --format={format}");
        let mut got = read(&*path).unwrap();
        fs::remove_file(&path).unwrap();
        let mut all = files();
        all.push((long.clone(), b"long".to_vec()));
        all.retain(|(name, _)| entries == "." || name.starts_with(entries));
        got.sort();
        all.sort();
        assert!(got == all, "{format}: {:?}", got.iter().map(|(name, _)| name).collect::<Vec<_>>());
    }
}

/// Whether tar did it; `None` where there is none.
fn pack(format: &str, from: &Path, to: &Path, entries: &str) -> Option<bool> {
    let mut tar = Command::new("tar");
    tar.arg(format!("--format={format}")).arg("-C").arg(from).arg("-cf").arg(to).arg(entries);
    match tar.output() {
        Ok(done) => Some(done.status.success()),
        Err(e) => {
            eprintln!("no tar: {e}");
            None
        }
    }
}

#[test]
fn a_tar_comes_in_its_writers_order_with_folders_and_empty_files() {
    let package = tar(&[
        entry("./", b'5', b""),
        entry("./b/", b'5', b""),
        entry("./b/late", b'0', b"1"),
        entry("early", 0, &[9; 512]),
        entry("empty", b'0', b""),
    ]);
    let named = |name: &str, bytes: &[u8]| (name.to_string(), bytes.to_vec());
    assert_eq!(read(package).unwrap(), [named("b/late", b"1"), named("early", &[9; 512]), named("empty", b"")]);
}

#[test]
fn sizes_in_base_256_and_records_of_name_and_size_count() {
    let mut large = entry("large", b'0', &[5; 600]);
    large[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 88]);
    sum(&mut large);
    let said = [record("path", "ähre/name"), record("size", "3"), record("mtime", "1.5")].concat();
    let global = record("comment", "of no effect");
    let package =
        tar(&[entry("g", b'g', &global), large, entry("x", b'x', &said), entry_of(b"short", b'0', 0, b"abc")]);
    let got = read(package).unwrap();
    assert_eq!(got, [("large".to_string(), vec![5; 600]), ("ähre/name".to_string(), b"abc".to_vec())]);
}

#[test]
fn a_file_that_nobody_reads_is_passed_over_and_one_that_was_begun_is_checked() {
    let mut names = Vec::new();
    let plain = folder();
    for package in [Package::folder(plain.path()), tar(&[entry("a", b'0', &[1; 3000]), entry("b", b'0', b"")])] {
        let mut see = |file: &mut PackageFile<'_>| {
            names.push(file.name.to_string());
            Ok(())
        };
        package.visit(&mut see).unwrap();
    }
    assert_eq!(names.len(), 5);

    let image = layout();
    let blobs = fs::read_dir(image.path().join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().path());
    let weights = blobs.into_iter().find(|path| fs::read(path).unwrap() == [7; 5000]).unwrap();
    let mut bytes = fs::read(&weights).unwrap();
    bytes[4999] ^= 1;
    fs::write(&weights, bytes).unwrap();
    Package::layout(image.path()).visit(&mut |_| Ok(())).unwrap();
    let begun = Package::layout(image.path()).visit(&mut |file| file.read(&mut [0; 8]).map(|_| ()));
    assert_eq!(begun.unwrap_err().code(), Code::Corrupt);
}

#[test]
fn the_visitors_error_ends_the_work() {
    let mut seen = 0;
    let error = Package::folder(folder().path()).visit(&mut |_| {
        seen += 1;
        Err(crate::Error::new(Code::Cancelled, "enough"))
    });
    assert_eq!((error.unwrap_err().code(), seen), (Code::Cancelled, 1));
}

#[test]
fn a_small_file_is_read_whole_and_a_large_one_is_refused() {
    let mut got = Vec::new();
    let mut see = |file: &mut PackageFile<'_>| {
        got.push((file.read_all(700)?, file.digest().is_some()));
        Ok(())
    };
    tar(&[entry("a", b'0', &[3; 700]), entry("none", b'0', b"")]).visit(&mut see).unwrap();
    assert_eq!(got, [(vec![3; 700], true), (vec![], true)]);
    let error = tar(&[entry("a", b'0', &[3; 701])]).visit(&mut |file| file.read_all(700).map(|_| ()));
    assert_eq!(error.unwrap_err().code(), Code::Corrupt);
}
