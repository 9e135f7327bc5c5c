//! Opening of files: where bytes come from, and what is refused before they are read.

use super::craft::File;
use crate::source::{Access, Loading, Source};
use crate::weights::{FileFormat, WeightFile};
use crate::{Bytes, Code};

fn code(source: impl Into<Source>, access: impl Into<Access>) -> Code {
    WeightFile::open(source, access).unwrap_err().code()
}

#[test]
fn every_source_gives_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = File::model().bytes();
    let (path, within) = (folder.path().join("m.bin"), folder.path().join("within"));
    std::fs::write(&path, &bytes).unwrap();
    std::fs::write(&within, [&[1; 77][..], &bytes, &[2; 9]].concat()).unwrap();
    let opened = |loading| {
        let part = Source::file(std::fs::File::open(&within).unwrap(), 77..77 + bytes.len() as u64);
        let whole = Source::from(std::fs::File::open(&path).unwrap());
        [Source::from(&path), whole, part, Source::from(bytes.clone()), Bytes::copy_from(&bytes).unwrap().into()]
            .map(|source| WeightFile::open(source, loading).unwrap())
    };
    for file in [opened(Loading::Mapped), opened(Loading::Read)].iter().flatten() {
        assert_eq!(file.format(), FileFormat::Gguf);
        assert_eq!(file.metadata().number("llama.block_count").unwrap(), Some(2));
        assert_eq!(file.tensor("token_embd.weight").unwrap().bytes(), [7; 64 * 300 * 4]);
        assert_eq!(file.files()[0].as_slice(), bytes);
    }
}

#[test]
fn what_is_no_weight_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m");
    assert_eq!(code(&path, Loading::Mapped), Code::NotFound);
    assert_eq!(code(folder.path(), Loading::Mapped), Code::InvalidArgument);
    let file = || std::fs::File::open(&path).unwrap();
    std::fs::write(&path, [0; 10]).unwrap();
    assert_eq!(code(Source::file(file(), 0..11), Loading::Mapped), Code::InvalidArgument);
    #[expect(clippy::reversed_empty_ranges, reason = "that is the case")]
    let reversed = Source::file(file(), 5..4);
    assert_eq!(code(reversed, Loading::Mapped), Code::InvalidArgument);
    for (content, expected) in [
        (&b""[..], Code::Corrupt),
        (b"G", Code::Corrupt),
        (b"GGUX\x03\0\0\0\x01\0\0\0", Code::Unsupported),
        (b"FUGG\x03\0\0\x01\x01\0\0\0", Code::Unsupported),
        (b"PK\x03\x04\x14\0\x08\x08\x08\0\0\0", Code::Unsupported),
        (b"\x08\x07\x12\x07pytorch:\x05", Code::Unsupported),
    ] {
        std::fs::write(&path, content).unwrap();
        for loading in [Loading::Mapped, Loading::Read] {
            assert_eq!(code(&path, loading), expected, "{content:?}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_is_refused_without_waiting_for_its_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert_eq!(code(&path, Loading::Mapped), Code::InvalidArgument);
    assert_eq!(code(&path, Access::new().no_symlinks()), Code::InvalidArgument);
}

#[cfg(unix)]
#[test]
fn links_are_followed_unless_told() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("m"), folder.path().join("link"));
    std::fs::write(&path, File::model().bytes()).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(WeightFile::open(&link, Loading::Mapped).is_ok());
    assert_eq!(code(&link, Access::new().no_symlinks()), Code::InvalidArgument);
    assert!(WeightFile::open(&path, Access::new().no_symlinks()).is_ok());
    // The backends' way in has the same rule.
    let refused = crate::open(&link, crate::Options::new().no_symlinks()).err().unwrap();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

/// Two handles of one file share its cursor: reading by one must not move it under the other.
#[cfg(unix)]
#[test]
fn reading_leaves_the_cursor_where_it_is() {
    use std::io::{Seek, SeekFrom};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m");
    std::fs::write(&path, File::model().bytes()).unwrap();
    let mut file = std::fs::File::open(&path).unwrap();
    file.seek(SeekFrom::Start(7)).unwrap();
    for loading in [Loading::Mapped, Loading::Read] {
        WeightFile::open(file.try_clone().unwrap(), loading).unwrap();
        assert_eq!(file.stream_position().unwrap(), 7, "{loading:?}");
    }
}

/// The size is fixed at opening: a file that grows afterwards is as it was.
#[test]
fn a_file_that_grows_is_as_it_was() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m");
    std::fs::write(&path, File::model().bytes()).unwrap();
    let file = WeightFile::open(&path, Loading::Mapped).unwrap();
    let before = file.files()[0].as_slice().len();
    std::fs::File::options().append(true).open(&path).unwrap().write_all(&[0; 5000]).unwrap();
    assert_eq!(file.files()[0].as_slice().len(), before);
    assert_eq!(code(&path, Loading::Mapped), Code::Corrupt);
}

/// A mapped file shows what others write. What is read then is other numbers, and neither a panic nor bytes of elsewhere.
#[cfg(unix)]
#[test]
fn a_file_that_changes_under_its_map_is_survived() {
    use std::os::unix::fs::FileExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m");
    let bytes = File::model().bytes();
    std::fs::write(&path, &bytes).unwrap();
    let file = WeightFile::open(&path, Loading::Mapped).unwrap();
    let writer = std::fs::File::options().write(true).open(&path).unwrap();
    for fill in [0, 0xFF, 0x7F] {
        writer.write_all_at(&vec![fill; bytes.len()], 0).unwrap();
        for (_, value) in file.metadata().iter() {
            let array = value.as_array();
            let _ = array.map(|a| (a.texts().count(), a.numbers().count(), a.iter().count()));
            let _ = (value.as_str(), value.to_string());
        }
        assert_eq!(file.tensor("token_embd.weight").unwrap().bytes()[0], fill);
    }
}
