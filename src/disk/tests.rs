//! Replacing a file: by a simulated loss of power at every call, and in a folder of the file system.

use std::fs;
use std::io::Write;

use super::sim::{Image, SimDisk};
#[cfg(unix)]
use super::{Access, lock, open, read};
use super::{Disk, Entry, Folder, NewFile, replace};

const NAME: &str = "state";
const PART: &str = "state.part";

fn content(of: u8) -> Vec<u8> {
    (0..9000u32).map(|i| (i % 251) as u8 ^ of).collect()
}

/// What crashes leave of a file that was replaced, that is none of `allowed`.
fn broken(files: Image, ignores_sync: bool, allowed: &[Option<Vec<u8>>]) -> usize {
    let disk = SimDisk::holding(files);
    disk.sim().ignores_sync = ignores_sync;
    replace(&mut disk.clone(), NAME, PART, &content(2)).unwrap();
    let moments = std::mem::take(&mut disk.sim().moments);
    let images = moments.iter().flat_map(|moment| moment.crashes());
    images.filter(|image| !allowed.contains(&image.get(NAME).cloned())).count()
}

#[test]
fn a_crash_leaves_the_old_file_or_the_new_one() {
    let (old, new) = (Some(content(1)), Some(content(2)));
    let held = Image::from([(NAME.into(), content(1))]);
    assert_eq!(broken(held.clone(), false, &[old.clone(), new.clone()]), 0);
    assert_eq!(broken(Image::new(), false, &[None, new.clone()]), 0);
    // What an earlier crash left does not become the file.
    let mut left = held.clone();
    left.insert(PART.into(), content(3));
    assert_eq!(broken(left, false, &[old.clone(), new.clone()]), 0);
    assert!(broken(held, true, &[old, new]) > 0, "syncs that do nothing are not noticed");
}

#[test]
fn what_was_replaced_is_durable() {
    let disk = SimDisk::default();
    replace(&mut disk.clone(), NAME, PART, &content(2)).unwrap();
    disk.sim().keep_moment();
    let last = disk.sim().moments.pop().unwrap();
    assert!(last.pending.is_empty() && last.crashes() == [Image::from([(NAME.into(), content(2))])]);
}

#[test]
fn a_new_file_that_is_not_published_is_removed() {
    let root = tempfile::tempdir().unwrap();
    let (folder, name) = Folder::around(&root.path().join("new")).unwrap();
    let mut file = NewFile::create(folder, &name, ".new.part").unwrap();
    file.write_all(&content(1)).unwrap();
    assert!(root.path().join(".new.part").exists());
    drop(file);
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_is_made_moved_and_removed_with_its_files() {
    let root = tempfile::tempdir().unwrap();
    let disks: [&mut dyn Disk; 2] = [&mut Folder::new(root.path().into()), &mut SimDisk::default()];
    for disk in disks {
        disk.create_folder("a").unwrap();
        assert_eq!(disk.create_folder("a").unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
        disk.append("a/one", b"1", true).unwrap();
        disk.append("a/two", b"2", true).unwrap();
        disk.append("a/one", b"1", false).unwrap();
        disk.sync("a/one").unwrap();
        disk.sync_names("a").unwrap();
        assert_eq!(disk.find("a").unwrap(), Some(Entry::Folder));
        disk.rename("a", "b").unwrap();
        disk.sync_names("").unwrap();
        assert_eq!((disk.find("a").unwrap(), disk.find("b/one").unwrap()), (None, Some(Entry::File)));
        let mut names = disk.list("b").unwrap();
        names.sort_unstable();
        assert_eq!(names, ["one", "two"]);
        assert_eq!(disk.read("b/one", 10).unwrap(), b"11");
        disk.remove("b").unwrap();
        assert_eq!(disk.list("").unwrap(), [""; 0]);
    }
}

/// A name that is no text is one all the same.
#[cfg(target_os = "linux")]
#[test]
fn a_file_may_have_a_name_of_any_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join(std::ffi::OsStr::from_bytes(b"n\xff"));
    let (mut folder, name) = Folder::around(&path).unwrap();
    replace(&mut folder, &name, "part", b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
}

/// A link gives way itself, whatever it leads to; what no file can take the place of is left alone.
#[cfg(unix)]
#[test]
fn nothing_is_written_through_a_link() {
    use std::os::unix::fs::{MetadataExt, symlink};
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::write(at("theirs"), "theirs").unwrap();
    for name in [NAME, PART] {
        symlink(at("theirs"), at(name)).unwrap();
        replace(&mut Folder::new(root.path().into()), NAME, PART, b"new").unwrap();
        assert_eq!((fs::read(at(NAME)).unwrap(), fs::read(at("theirs")).unwrap()), (b"new".into(), b"theirs".into()));
        let meta = at(NAME).symlink_metadata().unwrap();
        assert_eq!((meta.is_file(), meta.mode() & 0o777), (true, 0o600));
        assert!(at(PART).symlink_metadata().is_err());
    }
    // One that somebody else may have put there is not taken.
    symlink(at("nowhere"), at(PART)).unwrap();
    let file = NewFile::create(Folder::new(root.path().into()), NAME, PART);
    assert_eq!(file.unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    assert!(!at("nowhere").exists());
    fs::create_dir(at("folder")).unwrap();
    let file = NewFile::create(Folder::new(root.path().into()), "folder", ".folder.part");
    assert_eq!(file.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    assert!(at(".folder.part").symlink_metadata().is_err());
}

/// Another handle of the same open file is what a child has that was forked meanwhile.
#[test]
fn a_lock_ends_when_it_is_let_go_whoever_has_the_file_open() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("lock");
    let again = || lock(&path, || "somebody has it".into());
    let held = again().unwrap();
    let child = held.file.try_clone().unwrap();
    assert_eq!(again().unwrap_err().code(), crate::Code::Busy);
    drop(held);
    drop(again().unwrap());
    drop(child);
}

#[cfg(unix)]
#[test]
fn only_a_regular_file_is_opened() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::write(at("file"), "mine").unwrap();
    symlink(at("file"), at("link")).unwrap();
    fs::create_dir(at("folder")).unwrap();
    fs::hard_link(at("file"), at("second")).unwrap();
    let mut others = vec![("link", "a link"), ("folder", "a folder")];
    let made = std::process::Command::new("mkfifo").arg(at("pipe")).status();
    if made.is_ok_and(|made| made.success()) {
        assert!(at("pipe").symlink_metadata().unwrap().file_type().is_fifo());
        others.push(("pipe", "a pipe"));
        assert_eq!(Folder::new(root.path().into()).find("pipe").unwrap(), Some(Entry::Other));
    }
    for (name, got) in others {
        for access in [Access::Read, Access::Append, Access::Change, Access::Lock] {
            let error = open(&at(name), access).unwrap_err();
            let kind =
                if name == "folder" { std::io::ErrorKind::IsADirectory } else { std::io::ErrorKind::InvalidData };
            assert_eq!(error.kind(), kind, "{name}: {access:?}");
            assert!(error.to_string().contains(got), "{error}");
        }
        assert_eq!(open(&at(name), Access::New).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists, "{name}");
    }
    for (access, opens) in
        [(Access::Read, true), (Access::Append, false), (Access::Change, false), (Access::Lock, true)]
    {
        assert_eq!(open(&at("file"), access).is_ok(), opens, "{access:?}");
    }
    assert_eq!(read(&at("file"), 4).unwrap(), b"mine");
    assert_eq!(read(&at("file"), 3).unwrap_err().kind(), std::io::ErrorKind::InvalidData);
}

#[cfg(unix)]
#[test]
fn a_file_ends_for_a_reader_at_its_first_hole() {
    use std::os::unix::fs::FileExt;
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    let file = fs::File::create(&path).unwrap();
    file.write_all_at(&content(1), 0).unwrap();
    file.set_len(1 << 20).unwrap();
    file.write_all_at(b"beyond", 1 << 20).unwrap();
    let bytes = read(&path, 2 << 20).unwrap();
    assert!(bytes.starts_with(&content(1)) && bytes.len() < 32 << 10, "{} bytes", bytes.len());
    super::fill_holes(&fs::File::options().read(true).write(true).open(&path).unwrap()).unwrap();
    let bytes = read(&path, 2 << 20).unwrap();
    assert!(bytes.starts_with(&content(1)) && bytes.ends_with(b"beyond") && bytes.len() == (1 << 20) + 6);
}
