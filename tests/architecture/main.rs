//! The plan of the house, enforced: who may import whom, where `unsafe` may stand, how long a file may be.
//!
//! `violations` is a function of paths and texts, so that each rule is shown bad code too and must see it.

mod controls;
mod rust;

use std::collections::BTreeSet;
use std::path::Path;

use rust::{Leaf, blank_strings_and_comments, blank_tests, leaves, words};

/// Room, and the rooms it may import. All may import `error`; `error` imports nothing of the crate.
const ROOMS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("tensor", &[]),
    ("engine", &["tensor"]),
    ("kernel", &[]),
    ("weights", &["kernel", "tensor"]),
    ("text", &["engine"]),
    ("backend", &["engine", "kernel", "tensor", "weights", "text"]),
    ("telemetry", &[]),
    ("drift", &[]),
    ("store", &[]),
    ("layer", &["engine", "tensor", "telemetry", "drift", "store"]),
    ("sync", &["telemetry", "drift"]),
    ("report", &["telemetry", "drift"]),
];

/// The files that may hold `unsafe`. Each announces it with `expect(unsafe_code, …)`; a folder, with a slash at its
/// end, does so in its `main.rs`.
const UNSAFE: &[&str] = &[
    "benches/kernels/clock.rs",
    "benches/kernels/limits.rs",
    "benches/kernels/peers.rs",
    "ffi/src/answer.rs",
    "ffi/src/cancel.rs",
    "ffi/src/engine.rs",
    "ffi/src/error.rs",
    "ffi/src/guard.rs",
    "ffi/src/lend.rs",
    "ffi/src/memory.rs",
    "ffi/src/request.rs",
    "ffi/src/run.rs",
    "ffi/tests/abi/",
    "src/backend/gguf/context.rs",
    "src/backend/gguf/native.rs",
    "src/backend/gguf/stream.rs",
    "src/backend/gguf/tests/native.rs",
    "src/backend/onnx/runtime.rs",
    "src/backend/onnx/session.rs",
    "src/backend/onnx/value.rs",
    "src/kernel/avx2.rs",
    "src/kernel/avx512.rs",
    "src/kernel/decode.rs",
    "src/kernel/generic.rs",
    "src/kernel/lanes.rs",
    "src/kernel/neon.rs",
    "src/kernel/prefetch.rs",
    "src/kernel/resident.rs",
    "src/kernel/tests/ggml.rs",
    "src/telemetry/map.rs",
    "src/tensor/bytes.rs",
    "src/tensor/tests.rs",
    "src/weights/opened.rs",
    "src/weights/resident.rs",
    "tests/monitor/allocating.rs",
    "tests/telemetry_alloc/counting.rs",
    "tests/weights_hostile/counting.rs",
];

const SEARCHED: &[&str] = &["src", "ffi/src", "ffi/tests", "tests", "examples", "benches"];
const MAX_LINES: usize = 500;
const MAX_MAP_LINES: usize = 119;
const NAMES_WITHOUT_A_JOB: &[&str] = &["util", "utils", "common", "helper", "helpers", "type", "types"];
/// The library opens no socket; the command may.
const SOCKETS: &[&str] = &["ureq", "TcpStream", "TcpListener", "UdpSocket", "UnixStream"];
const UNFINISHED: &[&str] = &["todo!", "unimplemented!", "dbg!"];

#[test]
fn the_house_is_as_planned() {
    let files = files();
    let arrows = arrows(&files, &mut Vec::new());
    for known in [("backend", "engine"), ("engine", "tensor"), ("tensor", "error")] {
        assert!(arrows.contains(&(known.0.into(), known.1.into())), "the checker is blind: no {known:?} in {arrows:?}");
    }
    let found = violations(&files, ROOMS, UNSAFE);
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

type File = (String, String);

fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    let mut folders: Vec<_> = SEARCHED.iter().map(|f| root.join(f)).filter(|f| f.is_dir()).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                files.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// Every break of a rule, as `path: what is wrong`.
fn violations(files: &[File], rooms: &[(&str, &[&str])], may_be_unsafe: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let allowed = |from: &str, to: &str| {
        from == to || from != "error" && to == "error" || rooms.iter().any(|(r, may)| *r == from && may.contains(&to))
    };
    for (from, to) in arrows(files, &mut found) {
        if !rooms.iter().any(|(room, _)| *room == from) {
            found.push(format!("src/{from}: is not a room of the table"));
        } else if !allowed(&from, &to) {
            found.push(format!("src/{from}: may not import {to}"));
        }
    }
    found.extend(cycle(rooms));
    for (path, text) in files {
        let code = blank_strings_and_comments(text);
        found.extend(room_doc(path, text, rooms));
        found.extend(unsafe_rules(path, text, &code, may_be_unsafe));
        let (lines, most) = (text.lines().count(), if path == "src/lib.rs" { MAX_MAP_LINES } else { MAX_LINES });
        if lines > most {
            found.push(format!("{path}: {lines} lines, at most {most}"));
        }
        for name in path.trim_end_matches(".rs").split('/').filter(|n| NAMES_WITHOUT_A_JOB.contains(n)) {
            found.push(format!("{path}: '{name}' names no job"));
        }
        let may_open = !path.starts_with("src/") && !path.starts_with("ffi/src/") || path.starts_with("src/bin/");
        for socket in SOCKETS.iter().filter(|name| !may_open && words(&code, name).next().is_some()) {
            found.push(format!("{path}: {socket}: only src/bin may open a socket"));
        }
        for unfinished in
            UNFINISHED.iter().filter(|u| words(&code, u.trim_end_matches('!')).any(|i| code[i..].starts_with(**u)))
        {
            found.push(format!("{path}: {unfinished}"));
        }
    }
    for listed in may_be_unsafe {
        let is_unsafe = |text: &str| words(&blank_strings_and_comments(text), "unsafe").next().is_some();
        let has_it = |(path, text): &File| covers(listed, path) && is_unsafe(text);
        if !files.iter().any(has_it) {
            found.push(format!("{listed}: is listed as unsafe and is not"));
        }
    }
    found
}

// --- Arrows between rooms ---------------------------------------------------------------------------------------------

/// Room → room, from the paths in the library's code: not from tests, `src/bin` or the map `lib.rs`.
fn arrows(files: &[File], found: &mut Vec<String>) -> BTreeSet<(String, String)> {
    let map = files.iter().find(|(path, _)| path == "src/lib.rs").map_or("", |(_, text)| text);
    let map = blank_strings_and_comments(map);
    let reexports: Vec<Leaf> = words(&map, "use").flat_map(|i| leaves(&map[i + 3..])).collect();
    let mut arrows = BTreeSet::new();
    for (path, text) in files {
        let Some(module) = path.strip_prefix("src/").and_then(|p| p.strip_suffix(".rs")) else { continue };
        let module: Vec<&str> = module.split('/').filter(|part| *part != "mod").collect();
        if module == ["lib"] || module[0] == "bin" || module.contains(&"tests") {
            continue;
        }
        let code = blank_tests(&blank_strings_and_comments(text));
        for name in names_under_root(&code, module.len()) {
            // A name of the crate root is of the room that `lib.rs` takes it from.
            let room = reexports.iter().find(|leaf| leaf.name == name).map_or(&*name, Leaf::first);
            let is_module =
                words(&map, "mod").any(|i| map[i + 3..].trim_start().split([';', ' ']).next() == Some(room));
            if is_module {
                arrows.insert((module[0].to_string(), room.to_string()));
            } else {
                found.push(format!("{path}: crate::{name} is of no room"));
            }
        }
        arrows.insert((module[0].to_string(), module[0].to_string()));
    }
    arrows
}

/// The first name of every path that begins at the crate's root, by `crate` or by as many `super` as the file is deep.
fn names_under_root(code: &str, depth: usize) -> Vec<String> {
    let mut names = Vec::new();
    for i in words(code, "crate") {
        match code[i + 5..].trim_start().strip_prefix("::") {
            Some(rest) => names.extend(leaves(rest).iter().map(|leaf| leaf.first().to_string())),
            // `crate as x` hides a path; `pub(crate)` is none.
            None if code[i + 5..].trim_start().starts_with("as ") => names.push("crate".into()),
            None => {}
        }
    }
    for i in words(code, "super") {
        let (mut rest, mut up) = (&code[i..], 0);
        while let Some(next) = rest.strip_prefix("super::") {
            (rest, up) = (next, up + 1);
        }
        // The later ones of a chain count fewer steps and stay below.
        if up >= depth {
            names.extend(leaves(rest).iter().map(|leaf| leaf.first().to_string()));
        }
    }
    names
}

fn cycle(rooms: &[(&str, &[&str])]) -> Vec<String> {
    let mut left: Vec<&str> = rooms.iter().map(|(room, _)| *room).collect();
    // A room goes once all it imports are gone; what cannot go stands on a cycle, or above one.
    while let Some(i) =
        left.iter().position(|r| rooms.iter().any(|(room, may)| room == r && !may.iter().any(|m| left.contains(m))))
    {
        left.remove(i);
    }
    if left.is_empty() { vec![] } else { vec![format!("the table has a cycle among {left:?}")] }
}

/// A room opens with what enters, what leaves and what it may import, as in the table.
fn room_doc(path: &str, text: &str, rooms: &[(&str, &[&str])]) -> Option<String> {
    let room = path.strip_prefix("src/")?.strip_suffix("/mod.rs").or(path.strip_prefix("src/")?.strip_suffix(".rs"))?;
    let (_, may) = rooms.iter().find(|(r, _)| *r == room)?;
    let doc: String = text.lines().map_while(|line| line.strip_prefix("//!")).collect();
    for part in ["Enters: ", "Leaves: ", "May import: "] {
        if !doc.contains(part) {
            return Some(format!("{path}: opens without '{part}'"));
        }
    }
    let told = doc.split("May import: ").nth(1)?.split('.').next()?;
    let told: BTreeSet<&str> =
        told.split(',').map(str::trim).filter(|t| !["error", "nothing of the crate"].contains(t)).collect();
    (told != may.iter().copied().collect()).then(|| format!("{path}: May import: expected {may:?}, got {told:?}"))
}

// --- Unsafe -----------------------------------------------------------------------------------------------------------

fn covers(listed: &str, path: &str) -> bool {
    path == listed || listed.ends_with('/') && path.starts_with(listed)
}

fn unsafe_rules(path: &str, text: &str, code: &str, allowed: &[&str]) -> Vec<String> {
    let places: Vec<usize> = words(code, "unsafe").collect();
    if places.is_empty() {
        return vec![];
    }
    let Some(listed) = allowed.iter().find(|listed| covers(listed, path)) else {
        return vec![format!("{path}: unsafe, and not in the list")];
    };
    let mut found = Vec::new();
    let announces = !listed.ends_with('/') || path == format!("{listed}main.rs");
    if announces && words(code, "expect").all(|i| !code[i..].starts_with("expect(unsafe_code, reason =")) {
        found.push(format!("{path}: unsafe without expect(unsafe_code, reason = …)"));
    }
    let (code_lines, lines): (Vec<&str>, Vec<&str>) = (code.lines().collect(), text.lines().collect());
    for i in places {
        let rest = code[i + 6..].trim_start();
        let at = code[..i].matches('\n').count();
        let ends = |n: usize| code_lines[n].trim_end().ends_with([';', '{', '}']);
        // Up to the end of the statement before.
        let begin = (0..at).rev().find(|n| ends(*n)).map_or(0, |n| n + 1);
        let told = lines[begin..=at].iter().any(|line| line.contains("// SAFETY: "));
        if (rest.starts_with('{') || words(rest, "impl").next() == Some(0)) && !told {
            found.push(format!("{path}:{}: unsafe without a SAFETY comment", at + 1));
        }
    }
    found
}
