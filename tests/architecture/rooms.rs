//! Rooms, the folders of `src/`: who may import whom, how a room opens, how large it may be.

use std::collections::{BTreeMap, BTreeSet};

use crate::rust::{Leaf, blank_tests, leaves, words};
use crate::{File, Table};

/// Every arrow that the table doesn't allow.
pub(crate) fn violations(files: &[File], rooms: Table) -> Vec<String> {
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
    found.extend(files.iter().filter_map(|file| room_doc(&file.path, &file.text, rooms)));
    found
}

/// The rooms with their lines and their share in percent, the largest first: of files that are no tests, comments and
/// all, without the items that exist in tests only.
pub(crate) fn sizes(files: &[File]) -> Vec<(String, usize, usize)> {
    let mut lines = BTreeMap::<String, usize>::new();
    for File { path, text, code } in files {
        let Some(module) = library_module(path) else { continue };
        let kept = blank_tests(code);
        let is_test = |(before, after): &(&str, &str)| !before.trim().is_empty() && after.trim().is_empty();
        let tests = code.lines().zip(kept.lines()).filter(is_test).count();
        *lines.entry(module[0].into()).or_default() += text.lines().count() - tests;
    }
    let all: usize = lines.values().sum();
    let mut sizes: Vec<_> = lines.into_iter().map(|(room, n)| (room, n, (n * 100).div_ceil(all.max(1)))).collect();
    sizes.sort_by_key(|(_, lines, _)| std::cmp::Reverse(*lines));
    sizes
}

/// The rooms above the share that they may have, and the exceptions that are none.
pub(crate) fn too_large(sizes: &[(String, usize, usize)], most: usize, larger: &[(&str, usize, &str)]) -> Vec<String> {
    let mut found = Vec::new();
    for (room, lines, share) in sizes {
        let most = larger.iter().find(|(name, _, _)| name == room).map_or(most, |(_, most, _)| *most);
        if *share > most {
            found.push(format!("src/{room}: {lines} lines, {share} % of the library, at most {most} %"));
        }
    }
    for (name, _, _) in larger.iter().filter(|(name, _, _)| !sizes.iter().any(|(r, _, s)| r == name && *s > most)) {
        found.push(format!("src/{name}: is listed as larger than {most} % and is not"));
    }
    found
}

/// The parts of a module's path; none for tests, the map `lib.rs`, and files that are not of the library.
fn library_module(path: &str) -> Option<Vec<&str>> {
    let module = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let module: Vec<&str> = module.split('/').filter(|part| *part != "mod").collect();
    (module != ["lib"] && !module.contains(&"tests")).then_some(module)
}

/// Room → room, from the paths in the library's code: not from tests or the map `lib.rs`.
pub(crate) fn arrows(files: &[File], found: &mut Vec<String>) -> BTreeSet<(String, String)> {
    let map = files.iter().find(|file| file.path == "src/lib.rs").map_or("", |file| &file.code);
    let reexports: Vec<Leaf> = words(map, "use").flat_map(|i| leaves(&map[i + 3..])).collect();
    let is_module =
        |name: &str| words(map, "mod").any(|i| map[i + 3..].trim_start().split([';', ' ']).next() == Some(name));
    let mut arrows = BTreeSet::new();
    for File { path, code, .. } in files {
        let Some(module) = library_module(path) else { continue };
        arrows.insert((module[0].to_string(), module[0].to_string()));
        if !is_module(module[0]) {
            continue;
        }
        for name in names_under_root(&blank_tests(code), module.len()) {
            // A name of the crate root is of the room that `lib.rs` takes it from.
            let room = reexports.iter().find(|leaf| leaf.name == name).map_or(&*name, Leaf::first);
            if is_module(room) {
                arrows.insert((module[0].to_string(), room.to_string()));
            } else {
                found.push(format!("{path}: crate::{name} is of no room"));
            }
        }
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

fn cycle(rooms: Table) -> Vec<String> {
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
fn room_doc(path: &str, text: &str, rooms: Table) -> Option<String> {
    let room = path.strip_prefix("src/")?.strip_suffix("/mod.rs").or(path.strip_prefix("src/")?.strip_suffix(".rs"))?;
    let (_, may) = rooms.iter().find(|(r, _)| *r == room)?;
    let doc: String = text.lines().map_while(|line| line.strip_prefix("//!")).collect();
    for part in ["Enters: ", "Leaves: ", "May import: "] {
        if !doc.contains(part) {
            return Some(format!("{path}: opens without '{part}'"));
        }
    }
    let listed = doc.split("May import: ").nth(1)?.split('.').next()?;
    let listed: BTreeSet<&str> =
        listed.split(',').map(str::trim).filter(|t| !["error", "nothing of the crate"].contains(t)).collect();
    (listed != may.iter().copied().collect()).then(|| format!("{path}: May import: expected {may:?}, got {listed:?}"))
}
