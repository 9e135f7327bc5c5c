//! Saved prefixes that were not saved so: damaged, and forged with every digest right.

use std::path::Path;

use selvedge::{Ask, Generate, Options, Prompt, open};
use sha2::{Digest as _, Sha256};

use crate::tiny::tokens;

const HEADER: usize = 184;
const TOKENS: usize = 64;
/// Of one adapter in a prefix.
const ADAPTER: usize = 36;

/// Each with its name; of the model that is in the folder.
pub(super) fn all(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let good = saved(folder);
    let mut all = damaged(&good);
    all.extend(forged_headers(&good));
    all.extend(forged_bodies(&good));
    all
}

fn saved(folder: &Path) -> Vec<u8> {
    let (model, path) = (folder.join("model.gguf"), folder.join("good.prefixes"));
    let engine = open(model, Options::new().context_tokens(512).threads(1)).unwrap();
    engine.run(Generate::new(Prompt::Tokens(tokens(TOKENS, 1))).max_tokens(1)).unwrap();
    engine.prefix_cache().unwrap().save(&path).unwrap();
    let good = std::fs::read(path).unwrap();
    assert_eq!(sealed(good.clone()), good, "the drawing of the file is the one that is used here");
    good
}

/// With the lengths and digests that a writer would give it.
fn sealed(mut file: Vec<u8>) -> Vec<u8> {
    let body = (file.len() - HEADER) as u64;
    file[16..24].copy_from_slice(&body.to_le_bytes());
    let digest = Sha256::digest(&file[HEADER..]);
    file[120..152].copy_from_slice(&digest);
    sealed_header(file)
}

fn sealed_header(mut file: Vec<u8>) -> Vec<u8> {
    let digest = Sha256::digest(&file[..152]);
    file[152..HEADER].copy_from_slice(&digest);
    file
}

fn with(good: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = good.to_vec();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

fn damaged(good: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut all = vec![
        ("nothing".to_owned(), Vec::new()),
        ("zeros".into(), vec![0; 1 << 20]),
        ("another kind of file".into(), b"GGUF".repeat(100)),
        ("a byte too many".into(), [good, &[0]].concat()),
    ];
    let fields =
        [("magic", 0), ("version", 8), ("count", 12), ("length", 16), ("model", 24), ("build", 56), ("context", 88)];
    for (name, at) in fields.into_iter().chain([("digest of the body", 120), ("own digest", 152), ("body", HEADER + 5)])
    {
        all.push((format!("another {name}"), with(good, at, &[good[at] ^ 0x10])));
    }
    for len in [1, 8, HEADER - 1, HEADER, HEADER + 23, good.len() / 2, good.len() - 1] {
        all.push((format!("its first {len} bytes"), good[..len].to_vec()));
    }
    all
}

fn forged_headers(good: &[u8]) -> Vec<(String, Vec<u8>)> {
    let number = |at: usize, n: u32| sealed(with(good, at, &n.to_le_bytes()));
    let length = |n: u64| sealed_header(with(good, 16, &n.to_le_bytes()));
    vec![
        ("version 0".into(), number(8, 0)),
        ("version 2".into(), number(8, 2)),
        ("a version of all ones".into(), number(8, u32::MAX)),
        ("of another model".into(), sealed(with(good, 24, &[7; 32]))),
        ("of another build".into(), sealed(with(good, 56, &[7; 32]))),
        ("of another context".into(), sealed(with(good, 88, &[7; 32]))),
        ("no prefix and a body".into(), number(12, 0)),
        ("two prefixes in the place of one".into(), number(12, 2)),
        ("33 prefixes".into(), number(12, 33)),
        ("prefixes of all ones".into(), number(12, u32::MAX)),
        ("a length of zero".into(), length(0)),
        ("a length beyond memory".into(), length(1 << 50)),
        ("a length of all ones".into(), length(u64::MAX)),
    ]
}

/// The first prefix begins the body: tokens, exact ones, flags, adapters, bytes.
fn forged_bodies(good: &[u8]) -> Vec<(String, Vec<u8>)> {
    let number = |at: usize, n: u32| sealed(with(good, HEADER + at, &n.to_le_bytes()));
    let rows = |n: u64| sealed(with(good, HEADER + 16, &n.to_le_bytes()));
    let count = TOKENS as u32;
    let mut all: Vec<(String, Vec<u8>)> = vec![
        ("no tokens".into(), number(0, 0)),
        ("a token less".into(), number(0, count - 1)),
        ("a token more".into(), number(0, count + 1)),
        ("tokens of all ones".into(), number(0, u32::MAX)),
        ("more exact tokens than tokens".into(), number(4, count + 1)),
        ("exact tokens of all ones".into(), number(4, u32::MAX)),
        ("a flag that is none".into(), number(8, 2)),
        ("all flags".into(), number(8, u32::MAX)),
        ("an adapter that does not follow".into(), number(12, 1)),
        ("257 adapters".into(), number(12, 257)),
        ("adapters of all ones".into(), number(12, u32::MAX)),
        ("no keys and values".into(), rows(0)),
        ("keys and values beyond memory".into(), rows(1 << 50)),
        ("keys and values of all ones".into(), rows(u64::MAX)),
        ("a token beyond the vocabulary".into(), number(24, 300)),
        ("a token of all ones".into(), number(24 + 4 * 7, u32::MAX)),
        ("a body of nothing".into(), sealed(good[..HEADER].to_vec())),
        ("half a prefix".into(), sealed(good[..HEADER + 23].to_vec())),
        ("keys and values cut".into(), sealed(good[..good.len() - 2].to_vec())),
        ("something after it".into(), sealed([good, &[0; 8]].concat())),
    ];
    for (name, scale) in [("NaN", f32::NAN), ("infinity", f32::INFINITY), ("zero", 0.0)] {
        all.push((format!("an adapter of {name}"), with_adapters(good, &[([9; 32], scale)])));
    }
    all.push(("adapters out of order".into(), with_adapters(good, &[([9; 32], 1.0), ([8; 32], 1.0)])));
    all
}

fn with_adapters(good: &[u8], adapters: &[([u8; 32], f32)]) -> Vec<u8> {
    let mut file = with(good, HEADER + 12, &(adapters.len() as u32).to_le_bytes());
    let of_each = adapters.iter().flat_map(|(digest, scale)| [&digest[..], &scale.to_le_bytes()].concat());
    file.splice(HEADER + 24..HEADER + 24, of_each.collect::<Vec<u8>>());
    assert_eq!(file.len(), good.len() + adapters.len() * ADAPTER);
    sealed(file)
}
