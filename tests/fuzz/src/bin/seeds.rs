//! Writes the files that the fuzz targets begin with into a folder for each.

#[path = "../../../../src/weights/tests/craft.rs"]
#[allow(dead_code)]
mod craft;

#[path = "../../../support/segments.rs"]
mod segments;

use std::path::Path;

use craft::{File, string};
use segments::Window;

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
    for (name, folder) in folders() {
        write("telemetry_folder", name, &folder);
    }
}

/// Folders as `folder::make` reads them.
fn folders() -> Vec<(&'static str, Vec<u8>)> {
    let counted = |bytes: &[u8]| [&(bytes.len() as u16).to_le_bytes()[..], bytes].concat();
    // A payload without its number, which the reader puts in; so often as a power of two says.
    let many = |power: u8, payload: Vec<u8>| {
        let mut rest = payload.clone();
        rest.remove(1);
        [vec![power << 1], counted(&rest)].concat()
    };
    let segment = |payloads: &[Vec<u8>]| {
        // Number of the file's epoch and its own, the header's numbers, the first number, how many payloads.
        [vec![0, 1, 0, 1, 0, 0, 0, 0, payloads.len() as u8], payloads.concat()].concat()
    };
    let profile = segments::profile(1, 1000);
    let feature = segments::numbers(&[4, 5, 5, 0, 0, 0]);
    let window = Window { features: vec![feature], rows: 10, outcomes: vec![(0, 10)], ..Window::new(1) }.payload();
    let bomb = Window { features: vec![segments::zeros(1 << 18)], ..Window::new(1) }.payload();
    let real = [
        many(0, segments::boot(1)),
        many(0, segments::anchor(1)),
        many(0, segments::model(1, 7, [0x11; 32], &profile)),
        many(4, window.clone()),
        many(2, segments::feedback(1)),
        many(1, segments::alert(1, "f", true)),
        many(0, segments::drops(1, &[(0, 3)])),
        many(0, segments::floor(1, 3)),
    ];
    let broken = [many(3, window), vec![1, 100, 0]];
    let state = [&[4][..], &counted(&[0x0a, 1, 7, 0x12, 0, 0x1a, 4, 0x08, 1, 0x52, 0, 0x32, 0])].concat();
    let slot = [vec![3, 1, 130, 0, 1], counted(&[[0, 0x40, 0, 0], [0; 4], [0xff; 4], [0xff; 4]].concat())].concat();
    vec![
        ("used", vec![1]),
        ("real", [vec![0], segment(&real)].concat()),
        ("bomb", [vec![0], segment(&[many(11, bomb)])].concat()),
        ("broken", [vec![1], segment(&broken)].concat()),
        ("state", [vec![1], segment(&real), state].concat()),
        ("lanes", [vec![1], slot].concat()),
        ("links", vec![1, 6, 1, 0, 3, 6, 9, 1, 6, 13, 2]),
        ("holes", vec![1, 7, 1, 0xf0, 7, 0, 1, 0, 0xf0]),
    ]
}
