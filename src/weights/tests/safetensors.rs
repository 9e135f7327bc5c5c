//! Files that break the rules of safetensors.

use super::{read, refused};
use crate::Code::{Corrupt, Unsupported};
use crate::weights::{FileFormat, TensorType};

pub(super) fn file(header: &str, data: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![7; data]].concat()
}

pub(super) fn tensor(dtype: &str, shape: &str, from: u64, to: u64) -> String {
    format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{from},{to}]}}"#)
}

/// One tensor, in eight bytes.
fn one(dtype: &str, shape: &str) -> Vec<u8> {
    file(&format!(r#"{{"w":{}}}"#, tensor(dtype, shape, 0, 8)), 8)
}

#[test]
fn a_good_file_is_read() {
    let header = format!(
        r#"{{"__metadata__":{{"format":"pt","Ä":"\u00e9"}},"b":{},"a":{},"s":{}}}   "#,
        tensor("F16", "[2,3]", 12, 24),
        tensor("I32", "[3]", 0, 12),
        tensor("BF16", "[]", 24, 26),
    );
    let file = read(&file(&header, 26)).unwrap();
    assert_eq!(
        (file.format(), file.alignment(), file.data_start()),
        (FileFormat::Safetensors, 1, 8 + header.len() as u64)
    );
    let tensors: Vec<_> = file.tensors().map(|t| (t.name(), t.tensor_type(), t.shape().to_vec())).collect();
    let (f16, i32, bf16) = (TensorType::F16, TensorType::I32, TensorType::Bf16);
    assert_eq!(tensors, [("b", f16, vec![2, 3]), ("a", i32, vec![3]), ("s", bf16, vec![])]);
    assert_eq!(file.metadata().text("format").unwrap(), Some("pt"));
    assert_eq!(file.metadata().text("Ä").unwrap(), Some("é"));
    assert_eq!(file.tensor("s").unwrap().row_len(), 1);
    let mut scalar = [0.0];
    file.tensor("s").unwrap().dequantize_into(&mut scalar).unwrap();
    assert_eq!(scalar[0].to_bits(), 0x0707_0000);
    assert!(read(&super::safetensors::file("{}", 0)).is_ok());
}

#[test]
fn every_dtype_has_its_size() {
    // Elements in eight bytes.
    for (dtype, elements) in [
        ("BOOL", 8),
        ("F4", 16),
        ("U8", 8),
        ("I8", 8),
        ("F8_E5M2", 8),
        ("F8_E4M3", 8),
        ("F8_E8M0", 8),
        ("F8_E4M3FNUZ", 8),
        ("F8_E5M2FNUZ", 8),
        ("I16", 4),
        ("U16", 4),
        ("F16", 4),
        ("BF16", 4),
        ("I32", 2),
        ("U32", 2),
        ("F32", 2),
        ("C64", 1),
        ("F64", 1),
        ("I64", 1),
        ("U64", 1),
    ] {
        assert!(read(&one(dtype, &format!("[{elements}]"))).is_ok(), "{dtype}");
        refused(&one(dtype, &format!("[{elements},2]")), Corrupt, "expected 16 bytes");
    }
    for six in ["F6_E2M3", "F6_E3M2"] {
        assert!(read(&file(&format!(r#"{{"w":{}}}"#, tensor(six, "[2,2]", 0, 3)), 3)).is_ok());
        refused(&one(six, "[3]"), Corrupt, "whole bytes");
    }
    refused(&one("F4", "[15]"), Corrupt, "whole bytes");
    for unknown in ["F128", "f32", "Q4_0", "", "F32\\u0000"] {
        refused(&one(unknown, "[2]"), Unsupported, "is not known");
    }
}

#[test]
fn header_lengths() {
    let good = one("F32", "[2]");
    let with = |len: u64| [&len.to_le_bytes()[..], &good[8..]].concat();
    for (bytes, message) in [
        (vec![], "empty"),
        (good[..7].to_vec(), "8 bytes"),
        (with(0), "'{'"),
        (with(1), "'}'"),
        (with(u64::MAX), "it claims"),
        (with(100_000_001), "it claims"),
        (with(good.len() as u64 - 7), "it claims"),
    ] {
        refused(&bytes, Corrupt, message);
    }
    let mut long = with((16 << 20) + 1);
    long.resize(32 << 20, b' ');
    refused(&long, Unsupported, "at most 16777216 bytes");
}

#[test]
fn headers_that_are_none() {
    let w = tensor("F32", "[2]", 0, 8);
    for (header, message) in [
        ("[]", "'{'"),
        ("null", "'{'"),
        ("{", "'}'"),
        ("\u{feff}{}", "'{'"),
        (" {}", "'{'"),
        ("{}\n", "'}'"),
        ("{}\0", "'}'"),
        ("{} {}", "trailing"),
        (r#"{"w":}"#, "expected value"),
        (r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1}}"#, "more"),
        (r#"{"w":{"dtype":"F32","dtype":"U8","shape":[2],"data_offsets":[0,8]}}"#, "there twice"),
        (r#"{"w":{"dtype":"F32","shape":[2]}}"#, "data_offsets"),
        (r#"{"w":["F32",[2],[0,8]]}"#, "an object"),
        (r#"{"w":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, "-2"),
        (r#"{"w":{"dtype":"F32","shape":[2e0],"data_offsets":[0,8]}}"#, "floating"),
        (r#"{"w":{"dtype":"F32","shape":2,"data_offsets":[0,8]}}"#, "dimensions"),
        (r#"{"w":{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,8]}}"#, "invalid type"),
        (r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}}"#, "trailing"),
        (r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0]}}"#, "length 1"),
        (r#"{"__metadata__":{"a":1}}"#, "string"),
        (r#"{"__metadata__":{"a":"1","a":"2"}}"#, "there twice"),
        (r#"{"__metadata__":{},"__metadata__":{}}"#, "duplicate"),
    ] {
        refused(&file(header, 8), Corrupt, message);
    }
    refused(&file(&format!(r#"{{"w":{w},"w":{w}}}"#), 8), Corrupt, "");
    let twice = format!(r#"{{"w":{},"w":{}}}"#, tensor("U8", "[4]", 0, 4), tensor("F32", "[1]", 4, 8));
    refused(&file(&twice, 8), Corrupt, "'w' is there twice");
    let mut bytes = one("F32", "[2]");
    bytes[10] = 0xFF;
    refused(&bytes, Corrupt, "header");
    let deep = format!(r#"{{"w":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    refused(&file(&deep, 8), Corrupt, "header");
    let deep = format!(r#"{{"w":{{"dtype":{}"F32"{}}}}}"#, "[".repeat(20_000), "]".repeat(20_000));
    refused(&file(&deep, 8), Corrupt, "header");
}

#[test]
fn shapes_and_names() {
    assert!(read(&one("F32", "[1,1,1,1,1,1,1,2]")).is_ok());
    refused(&one("F32", "[1,1,1,1,1,1,1,1,2]"), Unsupported, "at most 8 dimensions, got 9");
    refused(&one("F32", &format!("[2{}]", ",1".repeat(5000))), Unsupported, "got 5001");
    refused(&one("F32", "[4194305,4194305,211106198978564]"), Corrupt, "counted");
    refused(&one("U8", "[18446744073709551615,2]"), Corrupt, "counted");
    refused(&one("F64", "[2305843009213693953]"), Corrupt, "expected 18446744073709551624 bytes");
    refused(&one("F32", "[0]"), Corrupt, "expected 0 bytes");
    let named = |name: &str| file(&format!(r#"{{"{name}":{}}}"#, tensor("F32", "[2]", 0, 8)), 8);
    let long = "\u{96e8}".repeat(256);
    let scripts =
        ["gewicht.\u{fc}", "\\u00e9", "\u{43a}\u{43e}\u{434}", "\u{5c42}.0", "\u{1f600}", "\u{646}\u{200c}\u{647}"];
    for good in
        ["a", "model.layers.0.mlp/kernel:0", "a b", &"n".repeat(256), "\\u0061", &long].into_iter().chain(scripts)
    {
        let file = read(&named(good)).unwrap_or_else(|e| panic!("{good}: {e}"));
        let name = file.tensors().next().unwrap().name();
        assert!(file.get(name).is_some() && (good.starts_with('\\') || name == good), "{name}");
    }
    let beyond = ["n".repeat(257), "\u{96e8}".repeat(257)];
    let bad = [
        "",
        " ",
        " a",
        "../x\\u0000",
        "a..b",
        "a\\\\b",
        "a\\u0000",
        "a\\n",
        "a\u{202e}b",
        "a\u{200b}",
        "\u{feff}a",
        "a\u{85}",
    ];
    for bad in bad.into_iter().chain(beyond.iter().map(String::as_str)) {
        refused(&named(bad), Unsupported, "expected a name");
    }
}

#[test]
fn offsets_fill_the_data() {
    let two = |a: (u64, u64), b: (u64, u64), data| {
        let shape = |(from, to): (u64, u64)| format!("[{}]", to.saturating_sub(from));
        let header =
            format!(r#"{{"a":{},"b":{}}}"#, tensor("U8", &shape(a), a.0, a.1), tensor("U8", &shape(b), b.0, b.1));
        file(&header, data)
    };
    assert!(read(&two((0, 4), (4, 8), 8)).is_ok());
    assert!(read(&two((4, 8), (0, 4), 8)).is_ok());
    refused(&two((0, 4), (5, 8), 8), Corrupt, "expected offset 4, got 5");
    refused(&two((1, 4), (4, 8), 8), Corrupt, "expected offset 0, got 1");
    refused(&two((0, 5), (4, 8), 8), Corrupt, "expected offset 5, got 4");
    refused(&two((0, 8), (0, 8), 8), Corrupt, "expected offset 8, got 0");
    refused(&two((0, 4), (4, 7), 8), Corrupt, "expected 7 bytes");
    refused(&two((0, 4), (4, 9), 8), Corrupt, "within the 8");
    refused(&two((0, 4), (4, u64::MAX), 8), Corrupt, "within the 8");
    // No bytes, at the beginning of another, at its end, within it and behind all.
    assert!(read(&two((0, 8), (0, 0), 8)).is_ok());
    assert!(read(&two((0, 8), (8, 8), 8)).is_ok());
    refused(&two((0, 8), (4, 4), 8), Corrupt, "expected offset 8, got 4");
    refused(&two((0, 8), (9, 9), 8), Corrupt, "within the 8");
    refused(&file(&format!(r#"{{"a":{}}}"#, tensor("U8", "[4]", 4, 0)), 4), Corrupt, "got 4..0");
    refused(&file("{}", 1), Corrupt, "expected 0 bytes");
}

#[test]
fn more_tensors_than_the_limit() {
    let mut header = String::from("{");
    for i in 0..100_000u64 {
        let comma = if i == 0 { "" } else { "," };
        header.push_str(&format!(r#"{comma}"{i}":{}"#, tensor("U8", "[1]", i, i + 1)));
    }
    header.push('}');
    refused(&file(&header, 100_000), Unsupported, "at most 65536 tensors, got 100000");
}

#[test]
fn tensors_without_elements_are_listed_and_read() {
    for dtype in ["F32", "F16", "BF16", "F64", "I64", "BOOL", "U8", "F4", "F6_E2M3", "F8_E4M3", "C64"] {
        for shape in ["[0]", "[0,4]", "[4,0]", "[0,0]", "[2,0,3]", "[1,1,1,1,1,1,1,0]"] {
            let none = tensor(dtype, shape, 4, 4);
            let header =
                format!(r#"{{"b":{},"none":{none},"a":{}}}"#, tensor("F32", "[1]", 4, 8), tensor("U8", "[4]", 0, 4));
            let file = read(&file(&header, 8)).unwrap_or_else(|e| panic!("{dtype} {shape}: {e}"));
            let entry = file.tensor("none").unwrap();
            assert_eq!((entry.shape().elements(), entry.bytes(), file.tensor_bytes()), (0, &[][..], 8));
            assert_eq!(entry.share().as_slice(), [0u8; 0]);
            if entry.dtype().is_some() {
                let view = entry.view().unwrap();
                assert_eq!((view.shape(), view.to_tensor().unwrap().bytes().unwrap()), (entry.shape(), &[][..]));
            }
            let rows = entry.row_count();
            // Rows of half a byte are none, however few.
            let is_whole = (entry.row_len() as u64).is_multiple_of(entry.tensor_type().block_elements().unwrap());
            assert_eq!(entry.rows(0..rows).ok(), is_whole.then_some(&[][..]), "{dtype} {shape}");
            assert!(entry.rows(0..rows + 1).is_err());
            if entry.format().is_some() {
                entry.dequantize_into(&mut []).unwrap();
                entry.dequantize_rows_into(0..rows, &mut []).unwrap();
                assert!(entry.tiles(&mut [0.0; 32]).unwrap().next().is_none());
                assert_eq!(entry.dequantize_into(&mut [0.0]).unwrap_err().code(), crate::Code::InvalidArgument);
            }
            // There is no row of numbers to search.
            assert!(crate::weights::Table::new(&entry).is_err());
        }
    }
    // Nothing but such tensors; and one whose other dimensions are too many to be looked at.
    assert!(read(&file(&format!(r#"{{"w":{}}}"#, tensor("F32", "[0,4]", 0, 0)), 0)).is_ok());
    for shape in ["[4294967296,0,4294967296]", "[0,18446744073709551615]", "[9223372036854775808,0]"] {
        let bytes = file(&format!(r#"{{"w":{}}}"#, tensor("F32", shape, 0, 0)), 0);
        refused(&bytes, Unsupported, "more elements than can be addressed");
    }
}
