//! Malformed safetensors files.

use selvedge::Code::{self, Corrupt, Unsupported};

use super::verdict::{Case, judge_all};

fn with_length(len: u64, header: &[u8], data: usize) -> Vec<u8> {
    [&len.to_le_bytes()[..], header, &vec![7; data]].concat()
}

fn file(header: &str, data: usize) -> Vec<u8> {
    with_length(header.len() as u64, header.as_bytes(), data)
}

fn tensor(dtype: &str, shape: &str, offsets: &str) -> String {
    format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}"#)
}

/// A file with a header of some length: 40 tensors and metadata.
pub(crate) fn good() -> Vec<u8> {
    let mut header = String::from(r#"{"__metadata__":{"format":"pt","source":"made by a test"}"#);
    for i in 0..40 {
        let offsets = format!("[{},{}]", i * 48, i * 48 + 48);
        header.push_str(&format!(r#","model.layers.{i}.weight":{}"#, tensor("F32", "[3,4]", &offsets)));
    }
    header.push('}');
    file(&header, 40 * 48)
}

#[test]
fn malformed_files_are_typed_errors() {
    let mut cases = Vec::new();
    let mut add = |name: &str, bytes: Vec<u8>, expected: Code| {
        cases.push(Case { name: name.into(), bytes, expected: Some(expected) });
    };
    let w = tensor("F32", "[2]", "[0,8]");
    let one =
        |dtype: &str, shape: &str, offsets: &str| file(&format!(r#"{{"w":{}}}"#, tensor(dtype, shape, offsets)), 8);
    let two = |a: &str, b: &str, data| {
        file(&format!(r#"{{"a":{},"b":{}}}"#, tensor("U8", "[4]", a), tensor("U8", "[4]", b)), data)
    };
    let header = format!(r#"{{"w":{w}}}"#);
    // The length.
    add("n=0", with_length(0, header.as_bytes(), 8), Corrupt);
    add("7 bytes", vec![2, 0, 0, 0, 0, 0, 0], Corrupt);
    add("n=2^64-1", with_length(u64::MAX, header.as_bytes(), 8), Corrupt);
    add("n=2^63", with_length(1 << 63, header.as_bytes(), 8), Corrupt);
    add("n=100,000,001", with_length(100_000_001, header.as_bytes(), 8), Corrupt);
    add("n=file-7", with_length(header.len() as u64 + 9, header.as_bytes(), 8), Corrupt);
    let blanks = [header.as_bytes(), &vec![b' '; 17 << 20]].concat();
    add("17 MiB of header", with_length(blanks.len() as u64, &blanks, 8), Unsupported);
    // What is no header.
    for text in ["[]", "null", "{", "}", "\"\"", "\u{feff}{}", " {}", "\t{}", "{}\n", "{}x", "{}{}", "{,}"] {
        add(text, file(text, 0), Corrupt);
    }
    add("not UTF-8", with_length(8, b"{\"\xFF\":1}", 0), Corrupt);
    add("depth 200", file(&format!(r#"{{"w":{}{}}}"#, "[".repeat(200), "]".repeat(200)), 0), Corrupt);
    add("depth 100,000", file(&format!(r#"{{"w":{}}}"#, r#"{"a":"#.repeat(100_000)), 0), Corrupt);
    add("metadata of depth 100,000", file(&format!(r#"{{"__metadata__":{}}}"#, "[".repeat(100_000)), 0), Corrupt);
    // What is there twice, or does not belong.
    let twice = format!(r#"{{"w":{},"w":{}}}"#, tensor("U8", "[4]", "[0,4]"), tensor("F32", "[1]", "[4,8]"));
    add("a name twice, two dtypes", file(&twice, 8), Corrupt);
    let escaped = format!(r#"{{"w":{},"\u0077":{}}}"#, tensor("U8", "[4]", "[0,4]"), tensor("U8", "[4]", "[4,8]"));
    add("a name twice, once escaped", file(&escaped, 8), Corrupt);
    add("metadata twice", file(&format!(r#"{{"__metadata__":{{}},"__metadata__":{{}},"w":{w}}}"#), 8), Corrupt);
    add("a key of metadata twice", file(&format!(r#"{{"__metadata__":{{"a":"","a":""}},"w":{w}}}"#), 8), Corrupt);
    for value in ["1", "null", "[]", "{}", "true"] {
        let header = format!(r#"{{"__metadata__":{{"a":{value}}},"w":{w}}}"#);
        add(&format!("metadata that is {value}"), file(&header, 8), Corrupt);
    }
    add("an unknown field", file(&format!(r#"{{"w":{},"x":1}}}}"#, w.trim_end_matches('}')), 8), Corrupt);
    let field = r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"dtype":"U8"}}"#;
    add("a field twice", file(field, 8), Corrupt);
    add("fields in an array", file(r#"{"w":["F32",[2],[0,8]]}"#, 8), Corrupt);
    add("a field missing", file(r#"{"w":{"dtype":"F32","shape":[2]}}"#, 8), Corrupt);
    // Types and shapes.
    add("dtype F128", one("F128", "[2]", "[0,8]"), Unsupported);
    add("dtype of a megabyte", one(&"F".repeat(1 << 20), "[2]", "[0,8]"), Unsupported);
    add("F4 in half a byte", one("F4", "[15]", "[0,8]"), Corrupt);
    add("F6 in half a byte", one("F6_E2M3", "[11]", "[0,8]"), Corrupt);
    add("shape -4", one("U8", "[-4]", "[0,8]"), Corrupt);
    add("shape 1e3", one("U8", "[1e3]", "[0,8]"), Corrupt);
    add("shape 8.0", one("U8", "[8.0]", "[0,8]"), Corrupt);
    add("shape of text", one("U8", "[\"8\"]", "[0,8]"), Corrupt);
    add("rank 9", one("U8", "[1,1,1,1,1,1,1,1,8]", "[0,8]"), Unsupported);
    add("rank 5,001", one("U8", &format!("[8{}]", ",1".repeat(5000)), "[0,8]"), Unsupported);
    add("rank 4,000,000", one("U8", &format!("[8{}]", ",1".repeat(4_000_000)), "[0,8]"), Unsupported);
    add("an overflow", one("F32", "[4194305,4194305,211106198978564]", "[0,8]"), Corrupt);
    add("dims of 2^64", one("U8", "[18446744073709551616]", "[0,8]"), Corrupt);
    add("2^62 of 8 bytes", one("F64", "[4611686018427387904]", "[0,8]"), Corrupt);
    add("a dimension of 0, and bytes for it", one("F32", "[0]", "[0,8]"), Corrupt);
    add("a dimension of 0, and bytes of nobody", one("F32", "[0]", "[0,0]"), Corrupt);
    add("a dimension of 0 among large ones", one("F32", "[4294967296,0,4294967296]", "[0,0]"), Unsupported);
    // Offsets.
    add("reversed", one("F32", "[2]", "[8,0]"), Corrupt);
    add("a gap", two("[0,4]", "[5,9]", 9), Corrupt);
    add("a gap at the beginning", two("[1,5]", "[5,9]", 9), Corrupt);
    add("an overlap", two("[0,4]", "[3,7]", 7), Corrupt);
    add("the same bytes", two("[0,4]", "[0,4]", 4), Corrupt);
    let within = format!(r#"{{"a":{},"b":{}}}"#, tensor("U8", "[4]", "[0,4]"), tensor("U8", "[0]", "[2,2]"));
    add("no bytes within another", file(&within, 4), Corrupt);
    add("past the end", one("F32", "[2]", "[8,16]"), Corrupt);
    add("at 2^64-8", one("F32", "[2]", "[18446744073709551608,18446744073709551615]"), Corrupt);
    add("three offsets", one("F32", "[2]", "[0,4,8]"), Corrupt);
    add("one offset", one("F32", "[2]", "[8]"), Corrupt);
    add("an offset of -1", one("F32", "[2]", "[-1,8]"), Corrupt);
    add("bytes after it", file(&header, 9), Corrupt);
    add("a ZIP after it", [file(&header, 8), b"PK\x05\x06".to_vec()].concat(), Corrupt);
    add("bytes missing", file(&header, 7), Corrupt);
    add("data without tensors", file("{}", 8), Corrupt);
    // Texts of which a message would be many times as long: this one is shown in six bytes for each.
    let long = "\u{7f}".repeat((16 << 20) - 100);
    add("a shape that is a text of 16 MiB", one("F32", &format!("\"{long}\""), "[0,8]"), Unsupported);
    add("a field of 16 MiB", file(&format!(r#"{{"w":{{"{long}":1}}}}"#), 8), Unsupported);
    add("a dtype of 16 MiB", one(&long, "[2]", "[0,8]"), Unsupported);
    let escapes = [r"\u0080", &"n".repeat(1 << 20)].concat().repeat(15);
    add("a name of 15 MiB with escapes", file(&format!(r#"{{"{escapes}":{w}}}"#), 8), Unsupported);
    add("a field of 15 MiB with escapes", file(&format!(r#"{{"w":{{"{escapes}":1}}}}"#), 8), Unsupported);
    let long = "\u{7f}".repeat(2 << 20);
    add("a shape that is a text of 2 MiB", one("F32", &format!("\"{long}\""), "[0,8]"), Corrupt);
    add("a dtype of 2 MiB", one(&long, "[2]", "[0,8]"), Unsupported);
    // Names: the format takes any text, so that what is not taken here is no damage.
    for name in [r"../x\u0000", "..", "a/../b", "", " ", r"a\n", r"a\u202eb", r"a\\b", &"n".repeat(257)] {
        add(&format!("name {name}"), file(&format!(r#"{{"{name}":{w}}}"#), 8), Unsupported);
    }
    add("a name that is no text", file(&format!(r#"{{"\ud800":{w}}}"#), 8), Corrupt);
    let many: Vec<String> =
        (0..100_000).map(|i| format!(r#""{i}":{}"#, tensor("U8", "[1]", &format!("[{i},{}]", i + 1)))).collect();
    add("100,000 tensors", file(&format!("{{{}}}", many.join(",")), 100_000), Unsupported);
    let many: Vec<String> = (0..70_000).map(|i| format!(r#""{i}":"""#)).collect();
    let metadata = format!(r#"{{"__metadata__":{{{}}},"w":{w}}}"#, many.join(","));
    add("70,000 keys", file(&metadata, 8), Unsupported);
    judge_all(cases);
}

#[test]
fn odd_files_that_keep_the_rules_open() {
    let good = |name: &str, bytes: Vec<u8>| Case { name: name.into(), bytes, expected: None };
    let w = tensor("F32", "[2]", "[0,8]");
    judge_all(vec![
        good("40 tensors", self::good()),
        good("nothing", file("{}", 0)),
        good("padded", file(&format!(r#"{{"w":{w}}}       "#), 8)),
        good("blanks within", file(&format!("{{ \n\"w\" :\t{w} }}"), 8)),
        good("a scalar", file(&format!(r#"{{"w":{}}}"#, tensor("F64", "[]", "[0,8]")), 8)),
        good("a name with a blank", file(&format!(r#"{{"a b":{w}}}"#), 8)),
        good("a name in another script", file(&format!("{{\"\u{5c42}.\u{fc}\":{w}}}"), 8)),
        good(
            "nothing but a tensor without elements",
            file(&format!(r#"{{"w":{}}}"#, tensor("F32", "[0,4]", "[0,0]")), 0),
        ),
        good("one beside others", {
            let [none, after] = [tensor("F32", "[4,0]", "[8,8]"), tensor("U8", "[0]", "[8,8]")];
            file(&format!(r#"{{"none":{none},"w":{w},"after":{after}}}"#), 8)
        }),
    ]);
}
