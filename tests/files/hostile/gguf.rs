//! Malformed GGUF files.

use selvedge::Code::{self, Corrupt, Unsupported};

use super::craft::{File, Tensor, string};
use super::verdict::{Case, judge_all};

fn refused(name: &str, bytes: Vec<u8>, expected: Code) -> Case {
    Case { name: name.into(), bytes, expected: Some(expected) }
}

/// A header and what follows it, as it comes.
fn raw(version: u32, tensors: u64, keys: u64, rest: &[u8]) -> Vec<u8> {
    let counts = [tensors.to_le_bytes(), keys.to_le_bytes()].concat();
    [&b"GGUF"[..], &version.to_le_bytes(), &counts, rest].concat()
}

#[test]
fn headers() {
    let model = File::model().bytes();
    let with = |at: usize, bytes: &[u8]| [&model[..at], bytes, &model[at + bytes.len()..]].concat();
    let version = |version: u32| with(4, &version.to_le_bytes());
    let (tensors, keys) = (|n: u64| with(8, &n.to_le_bytes()), |n: u64| with(16, &n.to_le_bytes()));
    judge_all(vec![
        refused("0 bytes", vec![], Corrupt),
        refused("GGU", b"GGU".to_vec(), Corrupt),
        refused("the magic only", b"GGUF".to_vec(), Corrupt),
        refused("magic FUGG", with(0, b"FUGG"), Unsupported),
        refused("magic lmgg", with(0, b"lmgg"), Unsupported),
        refused("version 0", version(0), Corrupt),
        refused("version 1", version(1), Unsupported),
        refused("version 4", version(4), Unsupported),
        refused("version 3, big-endian", version(0x0300_0000), Unsupported),
        refused("2^64-1 tensors", tensors(u64::MAX), Corrupt),
        refused("2^63-1 tensors", tensors(i64::MAX as u64), Corrupt),
        refused("2^40 tensors", tensors(1 << 40), Corrupt),
        refused("2^64-1 keys", keys(u64::MAX), Corrupt),
        refused("2^40 keys", keys(1 << 40), Corrupt),
        refused("an empty one with bytes after it", raw(3, 0, 0, &[0; 4096]), Corrupt),
        refused("70,000 keys", raw(3, 0, 70_000, &vec![0; 2 << 20]), Unsupported),
        refused("70,000 tensors", raw(3, 70_000, 0, &vec![0; 4 << 20]), Unsupported),
    ]);
}

#[test]
fn keys() {
    let key = |len: u64, rest: &[u8]| raw(3, 0, 1, &[&len.to_le_bytes(), rest].concat());
    let named = |name: &[u8]| raw(3, 0, 1, &[&string(name)[..], &[0, 0, 0, 0, 1]].concat());
    let typed = |kind: u32, value: &[u8]| File::new().key("k", kind, value.to_vec()).bytes();
    let array = |kind: u32, len: u64, elements: &[u8]| File::new().array("k", kind, len, elements.to_vec()).bytes();
    let nested = |depth: usize| {
        let inner = [&9u32.to_le_bytes()[..], &1u64.to_le_bytes()].concat().repeat(depth - 1);
        [&inner[..], &0u32.to_le_bytes(), &1u64.to_le_bytes(), &[7]].concat()
    };
    let mut cases = vec![
        refused("a key of 2^64-1 bytes", key(u64::MAX, b"k\0\0\0\0\x01"), Corrupt),
        refused("a key of 2^30 bytes with one there", key(1 << 30, &[b'k'; 8]), Corrupt),
        refused("a key of one byte more than there is", key(9, &[b'k'; 8]), Corrupt),
        refused("an empty key", named(b""), Corrupt),
        refused("a key twice", File::new().u32("k", 1).twice("k").bytes(), Corrupt),
        refused("a key with NUL", named(b"a\0b"), Corrupt),
        refused("a key that is not UTF-8", named(b"a\xFF"), Corrupt),
        refused("a key of 65,536 bytes", named(&[b'k'; 65_536]), Corrupt),
        refused("value type 13", typed(13, &[0; 8]), Corrupt),
        refused("value type -1", typed(u32::MAX, &[0; 8]), Corrupt),
        refused("array type 99", array(99, 1, &[0; 8]), Corrupt),
        refused("arrays 1,000 deep", typed(9, &nested(1000)), Corrupt),
        refused("arrays 100,000 deep", typed(9, &nested(100_000)), Corrupt),
        refused("arrays 5 deep", typed(9, &nested(5)), Corrupt),
        refused("2^62 bytes", array(0, 1 << 62, &[0; 8]), Corrupt),
        refused("2^61 texts", array(8, 1 << 61, &[0; 8]), Corrupt),
        refused("2^64-1 arrays", array(9, u64::MAX, &[0; 12]), Corrupt),
        refused("2^61+1 numbers of 8 bytes", array(10, (1 << 61) + 1, &[0; 8]), Corrupt),
        refused("one element more than fits", array(4, 3, &[0; 8]), Corrupt),
        refused("a text longer than the file", typed(8, &(1u64 << 40).to_le_bytes()), Corrupt),
        refused("a text of 2^64-1 bytes", typed(8, &u64::MAX.to_le_bytes()), Corrupt),
        refused("a boolean of 7", typed(7, &[7]), Corrupt),
        refused("booleans of 7", array(7, 2, &[1, 7]), Corrupt),
        refused("alignment of type i32", File::new().key("general.alignment", 5, vec![32, 0, 0, 0]).bytes(), Corrupt),
        refused("alignment of type u64", File::new().key("general.alignment", 10, vec![32; 8]).bytes(), Corrupt),
        refused("alignment as text", File::new().text("general.alignment", "32").bytes(), Corrupt),
        refused(
            "alignment twice",
            {
                let file = File::new().u32("general.alignment", 32).twice("general.alignment");
                file.u32("general.alignment", 64).bytes()
            },
            Corrupt,
        ),
        refused("split.count=2", File::model().u32("split.count", 2).bytes(), Unsupported),
        refused("split.count=2^32-1", File::model().u32("split.count", u32::MAX).bytes(), Unsupported),
        refused("split.no=-1", File::model().u32("split.count", 2).key("split.no", 5, vec![0xFF; 4]).bytes(), Corrupt),
        refused("split.count as text", File::model().text("split.count", "2").bytes(), Corrupt),
    ];
    for alignment in [0, 3, 13, 8192, 1 << 31] {
        let bytes = File::new().u32("general.alignment", alignment).bytes();
        cases.push(refused(&format!("alignment {alignment}"), bytes, Corrupt));
    }
    judge_all(cases);
}

#[test]
fn tensors() {
    let one = |dims: &[u64], kind: u32, bytes: usize| File::new().tensor("t", dims, kind, bytes).bytes();
    let named = |name: &[u8]| {
        let tensor = Tensor { name: name.into(), dims: vec![4], kind: 0, offset: None, fill: vec![7], bytes: 16 };
        File::new().any_tensor(tensor).bytes()
    };
    let second_at = |offset: u64| {
        let tensor =
            Tensor { name: b"b".into(), dims: vec![8], kind: 0, offset: Some(offset), fill: vec![7], bytes: 32 };
        File::new().tensor("a", &[8], 0, 32).any_tensor(tensor).bytes()
    };
    let rank = |rank: u32| {
        raw(3, 1, 0, &[&string(b"t")[..], &rank.to_le_bytes(), &1u64.to_le_bytes().repeat(8), &[0; 64]].concat())
    };
    let good = one(&[32, 4], 2, 72);
    let cut = |bytes: usize| good[..good.len() - bytes].to_vec();
    let tailed = |tail: &[u8]| [&good, tail].concat();
    let headed = |head: &[u8]| [head, &good].concat();
    let long_name = raw(3, 1, 0, &[&(1u64 << 32).to_le_bytes()[..], &[b'n'; 64]].concat());
    judge_all(vec![
        refused("a name of 64 bytes", named(&[b'n'; 64]), Corrupt),
        refused("an empty name", named(b""), Corrupt),
        refused("a name of 2^32 bytes", long_name, Corrupt),
        refused("a name with NUL", named(b"a\0b"), Corrupt),
        refused("a name that is not UTF-8", named(b"\xC0\x80"), Corrupt),
        refused("a name twice", File::new().tensor("t", &[8], 0, 32).tensor("t", &[8], 0, 32).bytes(), Corrupt),
        refused("rank 0, and bytes of another", rank(0), Corrupt),
        refused("a block without dimensions", one(&[], 8, 34), Corrupt),
        refused("rank 5", rank(5), Corrupt),
        refused("rank 2^32-1", rank(u32::MAX), Corrupt),
        refused("a dimension of -1", one(&[u64::MAX], 0, 32), Corrupt),
        refused("a dimension of 0", one(&[0], 0, 32), Corrupt),
        refused("dimensions 8, 0", one(&[8, 0], 0, 32), Corrupt),
        refused("a dimension of 2^63-1", one(&[i64::MAX as u64], 24, 32), Corrupt),
        refused("a dimension of 2^63", one(&[1 << 63], 24, 32), Corrupt),
        refused("a product of 2^64", one(&[1 << 32, 1 << 32], 24, 32), Corrupt),
        // The three that end the process in llama.cpp.
        refused("dimensions 2^31, 2^32-1", one(&[1 << 31, (1 << 32) - 1], 24, 32), Corrupt),
        refused("dimensions 1, 2^63-1", one(&[1, i64::MAX as u64], 24, 32), Corrupt),
        refused("dimensions 2^32, 0, 2^32", one(&[1 << 32, 0, 1 << 32], 0, 32), Corrupt),
        refused(
            "two that wrap together",
            {
                let huge = 0x7FFF_FFFF_FFFF_FFC0;
                File::new().tensor("a", &[huge], 24, 32).tensor("b", &[huge], 24, 32).bytes()
            },
            Corrupt,
        ),
        refused("a quarter of 2^64 of f32", one(&[u64::MAX / 4], 0, 32), Corrupt),
        refused("exabytes of Q4_0 that wrap to megabytes", one(&[32, 1 << 58], 2, 64), Corrupt),
        refused("rows of Q4_0 that are no blocks", one(&[33], 2, 36), Corrupt),
        refused("rows of IQ2_XXS that are no blocks", one(&[128], 16, 66), Corrupt),
        refused("a type of -1", one(&[8], u32::MAX, 32), Corrupt),
        refused("an offset of 7", second_at(7), Corrupt),
        refused("an offset after a gap", second_at(64), Corrupt),
        refused("an offset within the first", second_at(0), Corrupt),
        refused("an offset of 2^63", second_at(1 << 63), Corrupt),
        refused("an offset that wraps", second_at(u64::MAX - 31), Corrupt),
        refused(
            "an order reversed",
            {
                let at = |name: &[u8], offset| {
                    let (name, fill) = (name.to_vec(), vec![7]);
                    Tensor { name, dims: vec![8], kind: 0, offset: Some(offset), fill, bytes: 32 }
                };
                File::new().any_tensor(at(b"a", 32)).any_tensor(at(b"b", 0)).bytes()
            },
            Corrupt,
        ),
        refused("a byte missing", cut(1), Corrupt),
        refused("a block missing", cut(18), Corrupt),
        refused("all data missing", cut(72), Corrupt),
        refused(
            "data that begins at the end",
            raw(3, 1, 0, &{ [&string(b"t")[..], &1u32.to_le_bytes(), &8u64.to_le_bytes(), &[0; 12]].concat() }),
            Corrupt,
        ),
        refused("junk after it", tailed(&[0xAB; 100]), Corrupt),
        refused("a ZIP after it", tailed(&[&b"PK\x03\x04"[..], &[0; 60]].concat()), Corrupt),
        refused("HTML after it", tailed(b"<html><script>alert(1)</script></html>"), Corrupt),
        refused("a program after it", tailed(&[&b"\x7FELF"[..], &[0; 60]].concat()), Corrupt),
        refused(
            "a program in the padding before its tensors",
            padded_with(&[&b"\x7FELF"[..], &[1; 3000]].concat(), 200),
            Corrupt,
        ),
        refused("HTML in the padding between its tensors", padded_with(b"<html>", 5000), Corrupt),
        refused(
            "a ZIP in the padding after its tensors",
            padded_with(&[&b"PK\x03\x04"[..], &[1; 3000]].concat(), 8224),
            Corrupt,
        ),
        refused("a bit in the last byte", padded_with(&[1], 3 * 4096 - 1), Corrupt),
        refused("a bit in the padding of nothing", raw(3, 0, 0, &[0, 0, 0, 0, 1, 0, 0, 0]), Corrupt),
        refused("a script before it", headed(b"#!/bin/sh\n"), Unsupported),
        refused("a ZIP before it", headed(b"PK\x03\x04\x14\0\x08\x08\x08\0"), Unsupported),
    ]);
}

/// Two small tensors with a page each, and bytes where there is padding: from 200, 4128 and 8224 on, to the next page.
fn padded_with(hidden: &[u8], at: usize) -> Vec<u8> {
    let mut file = File::new().u32("general.alignment", 4096).tensor("a", &[8], 0, 32).tensor("b", &[8], 0, 32);
    file.alignment = 4096;
    let mut bytes = file.bytes();
    bytes.resize(3 * 4096, 0);
    bytes[at..at + hidden.len()].copy_from_slice(hidden);
    bytes
}

#[test]
fn odd_files_that_keep_the_rules_open() {
    let good = |name: &str, bytes: Vec<u8>| Case { name: name.into(), bytes, expected: None };
    let unknown = |kind| File::new().tensor("t", &[256], kind, 96).bytes();
    let mut aligned_to_1 = File::new().u32("general.alignment", 1).tensor("a", &[3], 24, 3).tensor("b", &[5], 24, 5);
    aligned_to_1.alignment = 1;
    let inner = [&4u32.to_le_bytes()[..], &1u64.to_le_bytes(), &[9; 4]].concat();
    let most = File::new().tensor("t", &[32; 4], 0, 32 << 17);
    judge_all(vec![
        good("a model", File::model().bytes()),
        good("nothing", raw(3, 0, 0, &[])),
        good("version 2", raw(2, 0, 0, &[])),
        good("arrays in an array", File::new().array("k", 9, 2, inner.repeat(2)).bytes()),
        good("alignment 1", aligned_to_1.bytes()),
        good("rank 4", most.bytes()),
        good("rank 0", File::new().tensor("s", &[], 0, 4).tensor("t", &[8], 0, 32).bytes()),
        good("a name in another script", File::new().tensor("\u{5c42}.\u{fc}", &[8], 0, 32).bytes()),
        good("padding to pages", padded_with(&[0], 200)),
        good("padding of nothing", raw(3, 0, 0, &[0; 8])),
        // What these mean is for a reader of models to say.
        good("an unknown architecture", File::new().text("general.architecture", "frobnicator").bytes()),
        good("an architecture with NUL", File::new().text("general.architecture", "llama\0x").bytes()),
        good("an architecture that is a number", File::new().u32("general.architecture", 1).bytes()),
        good("a text that is not UTF-8", File::new().key("k", 8, string(b"\xFF")).bytes()),
        // Listed, not read.
        good("type 4, which is no more", unknown(4)),
        good("type 31, which is no more", unknown(31)),
        good("type 200, of the future", unknown(200)),
    ]);
}
