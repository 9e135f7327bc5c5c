//! Files that break the rules of GGUF, and what is said of it. Every prefix and every flipped bit: tests/files/hostile.

use super::craft::{File, Tensor, string};
use super::*;
use crate::weights::{TensorType, ValueRef, ValueType};

fn tensor(dims: &[u64], kind: u32) -> File {
    File::model().no_tensors().tensor("t", dims, kind, 64)
}

/// One tensor of 256 elements of this type, in so many bytes.
fn tensor_of(kind: u32, bytes: usize) -> Vec<u8> {
    File::model().no_tensors().tensor("t", &[256], kind, bytes).bytes()
}

/// A file with this instead of the number of tensors and of keys.
fn counts(tensors: u64, keys: u64) -> Vec<u8> {
    let mut bytes = File::model().bytes();
    bytes[8..16].copy_from_slice(&tensors.to_le_bytes());
    bytes[16..24].copy_from_slice(&keys.to_le_bytes());
    bytes
}

#[test]
fn a_good_file_is_read() {
    let file = File::model()
        .text("general.name", "tiny")
        .key("k.u8", 0, vec![1])
        .key("k.i8", 1, vec![0xFF])
        .key("k.u16", 2, vec![1, 2])
        .key("k.i16", 3, vec![0xFE, 0xFF])
        .key("k.i32", 5, (-3i32).to_le_bytes().into())
        .key("k.bool", 7, vec![1])
        .key("k.u64", 10, u64::MAX.to_le_bytes().into())
        .key("k.i64", 11, i64::MIN.to_le_bytes().into())
        .key("k.f64", 12, 0.5f64.to_le_bytes().into())
        .array(
            "k.nested",
            9,
            2,
            [
                [4u32.to_le_bytes(), 1u32.to_le_bytes(), [0; 4], 9u32.to_le_bytes()].concat(),
                [8u32.to_le_bytes(), [0; 4], [0; 4]].concat(),
            ]
            .concat(),
        )
        .tensor("q", &[32, 3], 2, 54)
        .bytes();
    let read = read(&file).unwrap();
    assert_eq!((read.alignment(), read.tensors().len()), (32, 2));
    let words = |key: &str| read.metadata().get(key).map(|value| value.to_string());
    assert_eq!(words("general.name").as_deref(), Some("'tiny'"));
    let numbers = [("u8", "1"), ("i8", "-1"), ("u16", "513"), ("i16", "-2"), ("i32", "-3"), ("bool", "true")];
    for (key, expected) in numbers {
        assert_eq!(words(&format!("k.{key}")).as_deref(), Some(expected));
    }
    assert_eq!(words("k.u64").as_deref(), Some("18446744073709551615"));
    assert_eq!(words("k.i64").as_deref(), Some("-9223372036854775808"));
    assert_eq!(words("k.f64").as_deref(), Some("0.5"));
    assert_eq!(words("k.nested").as_deref(), Some("array[2]"));
    assert_eq!(words("tokenizer.ggml.tokens").as_deref(), Some("string[300]"));
    let nested = read.metadata().array("k.nested").unwrap().unwrap();
    assert_eq!(nested.element_type(), ValueType::Array);
    let inner: Vec<_> = nested.iter().map(|value| value.as_array().unwrap()).collect();
    assert_eq!(inner[0].iter().collect::<Vec<_>>(), [ValueRef::U32(9)]);
    assert!(inner.len() == 2 && inner[1].is_empty() && inner[1].element_type() == ValueType::Text);
    let tensor = read.tensor("q").unwrap();
    assert_eq!((tensor.tensor_type(), &**tensor.shape(), tensor.bytes().len()), (TensorType::Q4_0, &[3, 32][..], 54));
    assert_eq!(tensor.place().start, read.data_start() + 64 * 300 * 4);
    assert_eq!(read.data_start() % 32, 0);
    // Version 2 has the same layout; the last tensor may be padded.
    let mut file = File::model().tensor("q", &[32, 3], 2, 54);
    file.version = 2;
    let mut bytes = file.bytes();
    assert!(super::read(&bytes).is_ok());
    bytes.resize(bytes.len() + 10, 0);
    assert!(super::read(&bytes).is_ok());
}

/// Three files of about 100 bytes that abort llama.cpp: the first sizes that it counts in two different ways.
#[test]
fn sizes_that_abort_llama_are_refused() {
    for (dims, kind) in [(&[1 << 31, (1 << 32) - 1][..], 24), (&[1, (1 << 63) - 1], 24), (&[1 << 32, 0, 1 << 32], 0)] {
        let file = File::new().tensor("t", dims, kind, 32);
        assert!(file.bytes().len() < 150);
        corrupt(&file, "tensor 't'");
    }
}

#[test]
fn magic_and_version() {
    refused(b"", Code::Corrupt, "empty");
    refused(b"GGU", Code::Corrupt, "magic");
    refused(b"GGUF", Code::Corrupt, "version");
    refused(b"FUGG\0\0\0\x03", Code::Unsupported, "big-endian");
    for (version, code) in
        [(0, Code::Corrupt), (1, Code::Unsupported), (4, Code::Unsupported), (3 << 24, Code::Unsupported)]
    {
        let mut file = File::model();
        file.version = version;
        refused(&file.bytes(), code, if version == 3 << 24 { "big-endian" } else { "version" });
    }
}

#[test]
fn claimed_counts_are_bounded() {
    for claim in [u64::MAX, i64::MAX as u64, 1 << 40, 1 << 20] {
        refused(&counts(claim, 14), Code::Corrupt, "tensors");
        refused(&counts(1, claim), Code::Corrupt, "keys");
    }
    refused(&counts(1, 13), Code::Corrupt, "");
    refused(&counts(1, 15), Code::Corrupt, "");
}

#[test]
fn keys() {
    let raw = |key: &[u8]| {
        let mut bytes = File::new().bytes();
        bytes[16] = 1;
        bytes.extend(string(key));
        bytes.extend([0, 0, 0, 0, 1]);
        bytes.extend([0; 16]);
        bytes
    };
    refused(&raw(b""), Code::Corrupt, "1 to 65535 bytes");
    refused(&raw(&[b'k'; 65_536]), Code::Corrupt, "1 to 65535 bytes");
    refused(&raw(b"a\0b"), Code::Corrupt, "without NUL");
    refused(&raw(b"a\xFF"), Code::Corrupt, "UTF-8");
    corrupt(&File::model().twice("llama.block_count"), "'llama.block_count' is there twice");
    let mut bytes = raw(b"key");
    for len in [u64::MAX, 1 << 30, 100] {
        bytes[24..32].copy_from_slice(&len.to_le_bytes());
        refused(&bytes, Code::Corrupt, "truncated");
    }
}

#[test]
fn values() {
    corrupt(&File::model().key("k", 13, vec![0; 8]), "type 13");
    corrupt(&File::model().key("k", u32::MAX, vec![0; 8]), "type 4294967295");
    corrupt(&File::model().key("k", 7, vec![7]), "0 or 1");
    corrupt(&File::model().array("k", 7, 2, vec![1, 2]), "0 or 1");
    corrupt(&File::model().array("k", 99, 1, vec![0; 8]), "type 99");
    for (kind, len) in [(0, 1 << 62), (8, 1 << 61), (10, u64::MAX), (4, u64::MAX / 4 + 2), (9, 1 << 60)] {
        corrupt(&File::model().array("k", kind, len, vec![0; 8]), "truncated");
    }
    corrupt(&File::model().key("k", 8, (1u64 << 40).to_le_bytes().into()), "truncated");
    let mut nested = vec![0; 4];
    for _ in 0..1000 {
        nested = [&9u32.to_le_bytes()[..], &1u64.to_le_bytes(), &nested].concat();
    }
    corrupt(&File::model().key("k", 9, nested), "nested");
}

#[test]
fn alignments() {
    for alignment in [1, 8, 64, 4096] {
        let mut file = File::model().u32("general.alignment", alignment);
        file.alignment = alignment.into();
        assert!(read(&file.bytes()).is_ok(), "{alignment}");
    }
    for alignment in [0, 3, 13, 8192, 1 << 31] {
        corrupt(&File::model().u32("general.alignment", alignment), "power of two");
    }
    corrupt(&File::model().key("general.alignment", 5, 32i32.to_le_bytes().into()), "power of two");
    corrupt(&File::model().text("general.alignment", "32"), "power of two");
}

#[test]
fn tensor_names() {
    let named = |name: &[u8]| {
        let tensor = Tensor { name: name.into(), dims: vec![4], kind: 0, offset: None, fill: vec![7], bytes: 16 };
        File::model().no_tensors().any_tensor(tensor)
    };
    assert!(read(&named(&[b'n'; 63]).bytes()).is_ok());
    corrupt(&named(&[b'n'; 64]), "1 to 63 bytes");
    corrupt(&named(b""), "1 to 63 bytes");
    corrupt(&named(b"n\0"), "without NUL");
    corrupt(&named(b"\xC0\x80"), "UTF-8");
    corrupt(&File::model().tensor("token_embd.weight", &[4], 0, 16), "is there twice");
}

#[test]
fn tensor_shapes() {
    corrupt(&tensor(&[1; 5], 0), "at most 4 dimensions");
    for dims in [&[0][..], &[8, 0], &[u64::MAX], &[1 << 63], &[8, 0, 8]] {
        corrupt(&tensor(dims, 0), "dimensions from 1");
    }
    for dims in
        [&[1 << 32, 1 << 32][..], &[(1 << 63) - 1], &[1 << 40, 1 << 20, 1 << 3], &[1 << 62, 1 << 62, 1 << 62, 1 << 62]]
    {
        corrupt(&tensor(dims, 24), "more elements");
    }
    // One element fewer can be counted, but is not in the file.
    corrupt(&tensor(&[i64::MAX as u64 - 1], 24), "more than the file");
    corrupt(&tensor(&[0x7FFF_FFFF_FFFF_FFC0], 24), "more than the file");
    corrupt(&tensor(&[u64::MAX / 4], 0), "more than the file");
    corrupt(&tensor(&[32, 1 << 57], 2), "more than the file");
    corrupt(&tensor(&[33], 2), "multiple of 32");
    corrupt(&tensor(&[255], 12), "multiple of 256");
}

/// ggml takes dimensions that are not there for 1.
#[test]
fn a_tensor_without_dimensions_is_a_scalar() {
    let scalar = |kind, bytes| File::model().tensor("s", &[], kind, bytes).tensor("after", &[8], 0, 32).bytes();
    for (kind, bytes) in [(0, 4), (1, 2), (30, 2), (24, 1), (27, 8), (28, 8)] {
        let file = read(&scalar(kind, bytes)).unwrap_or_else(|e| panic!("type {kind}: {e}"));
        let tensor = file.tensor("s").unwrap();
        assert_eq!((tensor.shape().rank(), tensor.shape().elements(), tensor.bytes().len()), (0, 1, bytes));
        assert_eq!((tensor.row_len(), tensor.row_count(), tensor.rows(0..1).unwrap().len()), (1, 1, bytes));
        assert_eq!(tensor.view().unwrap().bytes(), vec![7; bytes]);
        assert_eq!(file.tensor("after").unwrap().bytes(), [7; 32]);
    }
    let (file, mut out) = (read(&scalar(0, 4)).unwrap(), [0.0]);
    file.tensor("s").unwrap().dequantize_into(&mut out).unwrap();
    assert_eq!(out[0].to_bits(), 0x0707_0707);
    assert!(crate::weights::Table::new(&file.tensor("s").unwrap()).is_err());
    // A block is more than one element; the file has to have the bytes; and nothing says how long an unknown one is.
    for kind in [2, 8, 12] {
        refused(&scalar(kind, 32), Code::Corrupt, "rows of a multiple of");
    }
    corrupt(&File::model().tensor("s", &[], 0, 3), "truncated");
    assert!(read(&scalar(200, 32)).is_ok());
}

#[test]
fn tensor_types() {
    // What is not known is listed, and copied, and not read.
    for kind in [4, 5, 31, 33, 36, 38, 43, 200] {
        let bytes = File::model().tensor("t", &[256], kind, 96).tensor("u", &[8], 0, 32).bytes();
        let file = read(&bytes).unwrap();
        let tensor = file.tensor("t").unwrap();
        assert_eq!((tensor.tensor_type(), tensor.bytes().len()), (TensorType::Unknown(kind), 96));
        assert_eq!(tensor.dequantize_into(&mut [0.0; 256]).unwrap_err().code(), Code::Unsupported);
        assert_eq!(tensor.rows(0..1).unwrap_err().code(), Code::Unsupported);
        assert_eq!(file.tensor("u").unwrap().bytes(), [7; 32]);
        // It ends with the file, and does not end before it begins.
        assert_eq!(read(&tensor_of(kind, 33)).unwrap().tensor("t").unwrap().bytes().len(), 33);
        refused(&tensor_of(kind, 0), Code::Corrupt, "expected bytes");
    }
    corrupt(&tensor(&[256], u32::MAX), "a type from 0");
    // Bytes of 256 elements of every type that has blocks, from ggml's static assertions.
    let sizes = [
        (0, 1024),
        (1, 512),
        (2, 144),
        (3, 160),
        (6, 176),
        (7, 192),
        (8, 272),
        (9, 288),
        (10, 84),
        (11, 110),
        (12, 144),
        (13, 176),
        (14, 210),
        (15, 292),
        (16, 66),
        (17, 74),
        (18, 98),
        (19, 50),
        (20, 144),
        (21, 110),
        (22, 82),
        (23, 136),
        (24, 256),
        (25, 512),
        (26, 1024),
        (27, 2048),
        (28, 2048),
        (29, 56),
        (30, 512),
        (34, 54),
        (35, 66),
        (39, 136),
        (40, 144),
        (41, 36),
        (42, 72),
    ];
    for (kind, bytes) in sizes {
        let file = File::model().no_tensors().tensor("t", &[256], kind, bytes);
        assert!(read(&file.bytes()).is_ok(), "type {kind}");
        let short = File::model().no_tensors().tensor("t", &[256], kind, bytes - 1);
        corrupt(&short, "truncated");
    }
}

#[test]
fn tensor_offsets() {
    let at = |offset| {
        let second =
            Tensor { name: b"b".into(), dims: vec![8], kind: 0, offset: Some(offset), fill: vec![7], bytes: 32 };
        File::model().no_tensors().tensor("a", &[8], 0, 32).any_tensor(second)
    };
    assert!(read(&at(32).bytes()).is_ok());
    for offset in [0, 7, 16, 64, 1 << 63, u64::MAX] {
        corrupt(&at(offset), "expected offset 32");
    }
}

#[test]
fn the_data_is_all_there_and_nothing_else_is() {
    let file = File::model().bytes();
    refused(&file[..file.len() - 1], Code::Corrupt, "truncated");
    for tail in [&[0; 1][..], b"PK\x05\x06", &[0; 4096]] {
        refused(&[&file, tail].concat(), Code::Corrupt, "too many");
    }
    refused(&[b"#!", &file[..]].concat(), Code::Unsupported, "neither");
}
