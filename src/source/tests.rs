//! Pages of a map that are given back.

use std::fs;
use std::path::Path;

use super::resident::release_pages;
use crate::Bytes;
use crate::source::{Access, Loading, OpenedFile, Source};

const LEN: usize = 1 << 20;

/// Resident KiB of a mapped file.
fn resident(path: &Path) -> u64 {
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    let ours = maps.lines().skip_while(|line| !line.ends_with(path.to_str().unwrap()));
    let rss = ours.skip(1).find_map(|line| line.strip_prefix("Rss:")).expect("it is mapped");
    rss.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

#[test]
fn a_map_gives_its_pages_back_and_reads_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap().join("weights");
    let content: Vec<u8> = (0..LEN).map(|i| (i % 251) as u8).collect();
    fs::write(&path, &content).unwrap();
    let opened = OpenedFile::open(Source::from(&path), Access::new().loading(Loading::Mapped)).unwrap();
    assert_eq!(opened.bytes.as_slice(), content);
    assert_eq!(resident(&path), LEN as u64 / 1024);
    release_pages(&opened.bytes.clone());
    assert_eq!(resident(&path), 0);
    assert_eq!(opened.bytes.as_slice(), content);
}

#[test]
fn memory_of_our_own_keeps_what_is_in_it() {
    let content = vec![7u8; LEN];
    // An app may have decrypted its model into a map that no file stands behind.
    let mut map = memmap2::MmapMut::map_anon(LEN).unwrap();
    map.copy_from_slice(&content);
    let map = map.make_read_only().unwrap();
    for bytes in [Bytes::copy_from(&content).unwrap(), Bytes::shared(content.clone()), Bytes::shared(map)] {
        release_pages(&bytes);
        assert_eq!(bytes.as_slice(), content);
    }
}
