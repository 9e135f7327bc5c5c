//! Writes the files that the fuzz targets begin with into a folder for each.

#[path = "../../../../src/weights/tests/craft.rs"]
#[allow(dead_code)]
mod craft;

use std::path::Path;

use craft::{File, string};

fn main() {
    let folder = std::env::args().nth(1).expect("a folder");
    let write = |target: &str, name: &str, bytes: &[u8]| {
        let folder = Path::new(&folder).join(target);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), bytes).unwrap();
    };
    let all_values = File::new()
        .text("general.name", "seed")
        .key("u8", 0, vec![1])
        .key("i16", 3, vec![1, 2])
        .key("bool", 7, vec![1])
        .key("u64", 10, vec![1; 8])
        .key("f64", 12, vec![1; 8])
        .array("numbers", 5, 3, vec![7; 12])
        .array("texts", 8, 2, [string(b"a"), string(b"bc")].concat())
        .array("arrays", 9, 1, [&4u32.to_le_bytes()[..], &1u64.to_le_bytes(), &[9; 4]].concat());
    write("gguf", "values", &all_values.bytes());
    let types = [0, 1, 2, 3, 6, 7, 8, 10, 11, 12, 13, 14, 20, 23, 26, 30, 39, 99];
    let blocks = [1024, 512, 144, 160, 176, 192, 272, 84, 110, 144, 176, 210, 144, 136, 1024, 512, 136, 96];
    for (kind, bytes) in types.into_iter().zip(blocks) {
        write("gguf", &format!("type-{kind}"), &File::new().tensor("w", &[256, 1], kind, bytes).bytes());
    }
    let two = File::new().u32("general.alignment", 64).tensor("a", &[3], 24, 3).tensor("b", &[2, 2], 0, 16);
    let mut two = two;
    two.alignment = 64;
    write("gguf", "two", &two.bytes());
    write("control", "small", &File::new().bytes());
    for (name, header, data) in [
        ("one", r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}  "#, 8),
        (
            "two",
            r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"BF16","shape":[2,2],"data_offsets":[4,12]},"b":{"dtype":"I8","shape":[4],"data_offsets":[0,4]}}"#,
            12,
        ),
        ("sub-byte", r#"{"w":{"dtype":"F4","shape":[2,2],"data_offsets":[0,2]}}"#, 2),
        ("empty", "{}", 0),
    ] {
        let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![7; data]].concat();
        write("safetensors", name, &file);
    }
}
