//! Tar streams that are wrong, and what they are refused with.

use std::io::Cursor;

use super::made::{entry, entry_of, read, record, refusal, sum, tar, tar_bytes};
use crate::Code::{Corrupt, Unsupported};
use crate::store::Package;

/// One stream a case: its name, its bytes, the code of its refusal, a word of the message.
fn cases() -> Vec<(&'static str, Vec<u8>, crate::Code, &'static str)> {
    let whole = |entries: &[Vec<u8>]| tar_bytes(entries);
    let good = || entry("a", b'0', b"1");
    let raw = |bytes: &[u8]| [bytes, &[0; 600]].concat();
    let field = |range: std::ops::Range<usize>, bytes: &[u8]| {
        let mut entry = good();
        entry[range].copy_from_slice(bytes);
        sum(&mut entry);
        tar_bytes(&[entry])
    };
    vec![
        ("nothing", vec![], Corrupt, "fewer bytes than a block"),
        ("half a block", vec![0; 100], Corrupt, "fewer bytes than a block"),
        ("an end mark alone", vec![0; 1024], Corrupt, "expected files"),
        ("no end mark", good(), Corrupt, "end mark"),
        ("half an end mark", [good(), vec![0; 512]].concat(), Corrupt, "end mark"),
        ("a broken end mark", [good(), vec![0; 512], good()].concat(), Corrupt, "end mark"),
        ("a cut file", good()[..512].to_vec(), Corrupt, "expected 1 bytes, got 0"),
        ("a cut padding", good()[..600].to_vec(), Corrupt, "end mark"),
        (
            "a wrong sum",
            {
                let mut e = good();
                e[0] = b'b';
                whole(&[e])
            },
            Corrupt,
            "sum",
        ),
        ("no tar", raw(&[b'x'; 1000]), Corrupt, "sum"),
        ("gzip", raw(&[0x1f, 0x8b, 8]), Unsupported, "gzip"),
        ("zstd", raw(&[0x28, 0xb5, 0x2f, 0xfd]), Unsupported, "zstd"),
        ("bzip2", raw(b"BZh9"), Unsupported, "bzip2"),
        ("xz", raw(&[0xfd, b'7', b'z', b'X', b'Z', 0]), Unsupported, "xz"),
        ("zip", raw(b"PK\x03\x04"), Unsupported, "zip"),
        ("a hard link", whole(&[entry("a", b'1', b"")]), Unsupported, "a link"),
        ("a symbolic link", whole(&[entry("a", b'2', b"")]), Unsupported, "a link"),
        ("a long link", whole(&[entry("a", b'K', b"to")]), Unsupported, "a link"),
        ("a character device", whole(&[entry("a", b'3', b"")]), Unsupported, "a device"),
        ("a block device", whole(&[entry("a", b'4', b"")]), Unsupported, "a device"),
        ("a pipe", whole(&[entry("a", b'6', b"")]), Unsupported, "a pipe"),
        ("a sparse file", whole(&[entry("a", b'S', b"")]), Unsupported, "sparse"),
        ("a contiguous file", whole(&[entry("a", b'7', b"")]), Unsupported, "0x37"),
        ("a kind of nobody", whole(&[entry("a", 0xff, b"")]), Unsupported, "0xff"),
        ("an absolute path", whole(&[entry("/etc/passwd", b'0', b"")]), Corrupt, "inside of the package"),
        ("a path outside", whole(&[entry("../../up", b'0', b"")]), Corrupt, "inside of the package"),
        ("a path outside by ./", whole(&[entry("./../up", b'0', b"")]), Corrupt, "inside of the package"),
        ("a folder outside", whole(&[entry("../up/", b'5', b"")]), Corrupt, "inside of the package"),
        ("a folder with bytes", whole(&[entry("a/", b'5', b"bytes")]), Corrupt, "no bytes"),
        ("a path outside by a folder before the name", field(345..348, b"../"), Corrupt, "inside of the package"),
        ("no name", whole(&[entry("", b'0', b"")]), Corrupt, "inside of the package"),
        ("a name that is no text", whole(&[entry_of(b"\xff", b'0', 0, b"")]), Corrupt, "UTF-8"),
        ("one name twice", whole(&[good(), good()]), Corrupt, "got also"),
        ("one name in another case", whole(&[good(), entry("A", b'0', b"")]), Corrupt, "got also"),
        ("a file as a folder", whole(&[good(), entry("a/b", b'0', b"")]), Corrupt, "got also"),
        ("no size", field(124..136, b"           \0"), Corrupt, "a number"),
        ("a size of letters", field(124..136, b"0000000000z\0"), Corrupt, "a number"),
        ("a size of nines", field(124..136, b"00000000009\0"), Corrupt, "a number"),
        ("a negative size", field(124..136, &[0xff; 12]), Corrupt, "negative"),
        ("a size beyond 64 bits", field(124..136, &[0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Corrupt, "64 bits"),
        (
            "a size beyond the stream",
            field(124..136, &[0x80, 0, 0, 0, 0xff, 255, 255, 255, 255, 255, 255, 255]),
            Corrupt,
            "bytes, got",
        ),
        ("a long name that is too long", whole(&[entry("L", b'L', &[b'x'; 600]), good()]), Corrupt, "512"),
        ("a long name without end", entry_of(b"L", b'L', 1 << 32, b""), Corrupt, "512"),
        ("a long name outside", whole(&[entry("L", b'L', b"../up\0"), good()]), Corrupt, "inside of the package"),
        ("two long names", whole(&[entry("L", b'L', b"b\0"), entry("L", b'L', b"c\0"), good()]), Corrupt, "one name"),
        ("a long name of nothing", whole(&[good(), entry("L", b'L', b"b\0")]), Corrupt, "end mark"),
        ("records without end", entry_of(b"x", b'x', 1 << 32, b""), Corrupt, "65536"),
        ("records that are none", whole(&[entry("x", b'x', b"hello"), good()]), Corrupt, "LENGTH KEY=VALUE"),
        (
            "a record longer than its bytes",
            whole(&[entry("x", b'x', b"99 path=b\n"), good()]),
            Corrupt,
            "LENGTH KEY=VALUE",
        ),
        ("a record of no length", whole(&[entry("x", b'x', b"0 path=b\n"), good()]), Corrupt, "LENGTH KEY=VALUE"),
        (
            "a record shorter than its length",
            whole(&[entry("x", b'x', b"2 path=b\n"), good()]),
            Corrupt,
            "LENGTH KEY=VALUE",
        ),
        (
            "a path outside in a record",
            whole(&[entry("x", b'x', &record("path", "/up")), good()]),
            Corrupt,
            "inside of the package",
        ),
        ("two sizes", whole(&[entry("x", b'x', &record("size", "1").repeat(2)), good()]), Corrupt, "one pax size"),
        ("a size that is none", whole(&[entry("x", b'x', &record("size", "-1")), good()]), Corrupt, "a number"),
        (
            "a link in a record",
            whole(&[entry("x", b'x', &record("linkpath", "/etc")), good()]),
            Unsupported,
            "linkpath",
        ),
        (
            "a sparse map in a record",
            whole(&[entry("x", b'x', &record("GNU.sparse.map", "0,1")), good()]),
            Unsupported,
            "GNU.sparse",
        ),
        (
            "another size in a record",
            whole(&[entry("x", b'x', &record("SCHILY.realsize", "9")), good()]),
            Unsupported,
            "realsize",
        ),
        ("a name for all files", whole(&[entry("g", b'g', &record("path", "b")), good()]), Unsupported, "path"),
        ("a size for all files", whole(&[entry("g", b'g', &record("size", "9")), good()]), Unsupported, "size"),
    ]
}

#[test]
fn each_hostile_stream_is_refused_with_its_reason() {
    let cases = cases();
    assert!(cases.len() >= 40, "{}", cases.len());
    for (name, bytes, code, word) in cases {
        let error = refusal(Package::tar(Cursor::new(bytes)));
        assert_eq!(error.code(), code, "{name}: {error}");
        assert!(error.to_string().contains(word), "{name}: expected '{word}', got '{error}'");
    }
    // The control: what the cases are made of is taken.
    read(tar(&[entry("a", b'0', b"1")])).unwrap();
}

#[test]
fn no_prefix_of_a_stream_is_taken_for_it() {
    let said = [record("path", "name"), record("mtime", "1")].concat();
    let bytes = tar_bytes(&[
        entry("L", b'L', b"long\0"),
        entry("a", b'0', &[1; 700]),
        entry("x", b'x', &said),
        entry("b", b'0', b"2"),
    ]);
    for end in 0..bytes.len() {
        let error = refusal(Package::tar(Cursor::new(bytes[..end].to_vec())));
        assert_eq!(error.code(), Corrupt, "{end}: {error}");
    }
    assert_eq!(read(Package::tar(Cursor::new(bytes))).unwrap().len(), 2);
}

/// A changed header is refused or, in fields that say nothing of the files, passed over. It never ends the process.
#[test]
fn a_changed_bit_never_changes_a_name_or_a_size_unseen() {
    let bytes = tar_bytes(&[entry("L", b'L', b"long\0"), entry("a", b'0', &[1; 700]), entry("b/c", b'0', b"2")]);
    let names = |bytes: Vec<u8>| read(Package::tar(Cursor::new(bytes))).map(|files| files.len());
    // The headers of the three; contents have no sum in a tar.
    for header in [0, 1024, 1024 + 512 + 1024] {
        for bit in 0..512 * 8 {
            let mut changed = bytes.clone();
            changed[header + bit / 8] ^= 1 << (bit % 8);
            // The sum finds every single bit but some of its own: a blank for its first zero, and what stands behind it.
            let is_of_the_sum = (148..156).contains(&(bit / 8));
            assert!(names(changed).is_err_and(|e| e.code() == Corrupt) || is_of_the_sum, "{header} {bit}");
        }
    }
}
