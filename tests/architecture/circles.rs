//! Circles between files: files that import each other, straight or by way of others.
//!
//! A circle is a largest set of files each of which reaches each other. What counts as an import says
//! [`Crate::arrows`]. One arrow doesn't count: that from a file to the module it is declared in, its folder's `mod.rs`
//! as a rule, where nothing is declared below the file. Such a folder is one noun in several files, a trait in `mod.rs`
//! and its kinds beside it, and goes apart only as a whole. A folder below is a noun of its own: what its files import
//! from a `mod.rs` above their own does count, and so does its `mod.rs` importing the one above.

use std::collections::{BTreeMap, BTreeSet};

use crate::File;
use crate::modules::{Arrows, Crate};

const MAX_BORNE: usize = 3;

/// The circles that are not borne, and the borne that are no circles.
pub(crate) fn violations(files: &[File], folders: &[&str], borne: &[(&[&str], &str)]) -> Vec<String> {
    let mut found = Vec::new();
    if borne.len() > MAX_BORNE {
        found.push(format!("{} circles are borne, at most {MAX_BORNE}", borne.len()));
    }
    let is_root = |path: &str| path.ends_with("/lib.rs") || path.ends_with("/main.rs");
    let roots = files.iter().map(|file| &file.path).filter(|path| is_root(path));
    let mut all = Vec::new();
    for root in roots.filter(|root| folders.iter().any(|folder| root.starts_with(folder))) {
        let arrows = counted(&Crate::read(files, root));
        for circle in circles(&arrows) {
            if !borne.iter().any(|(files, _)| is_same(files, &circle)) {
                found.push(format!("circle: {}{}", words_of(&circle), within(&arrows, &circle)));
            }
            all.push(circle);
        }
    }
    for (files, _) in borne.iter().filter(|(files, _)| !all.iter().any(|circle| is_same(files, circle))) {
        found.push(format!("{}: listed as a circle and is none", files.join(", ")));
    }
    found
}

fn is_same(files: &[&str], circle: &BTreeSet<String>) -> bool {
    files.len() == circle.len() && files.iter().all(|file| circle.contains(*file))
}

fn words_of(circle: &BTreeSet<String>) -> String {
    circle.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The arrows of the circle, a line each.
fn within(arrows: &Arrows, circle: &BTreeSet<String>) -> String {
    let mut lines = String::new();
    for ((from, to), names) in arrows.iter().filter(|((from, to), _)| circle.contains(from) && circle.contains(to)) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        lines += &format!("\n    {from} → {to}: {}", names.join(", "));
    }
    lines
}

/// The arrows that count: not those of a file with nothing below it to the module it is declared in.
fn counted(tree: &Crate) -> Arrows {
    let file_of = |module: &str| tree.modules.get(module).map(|m| m.file.clone());
    let mut parents = BTreeMap::new();
    let mut has_children = BTreeSet::new();
    for (path, module) in tree.modules.iter().filter(|(path, _)| !path.is_empty()) {
        let parent = file_of(path.rsplit_once("::").map_or("", |(parent, _)| parent));
        if let Some(parent) = parent.filter(|parent| *parent != module.file) {
            has_children.insert(parent.clone());
            parents.insert(module.file.clone(), parent);
        }
    }
    let mut arrows = tree.arrows();
    arrows.retain(|(from, to), _| has_children.contains(from) || parents.get(from) != Some(to));
    arrows
}

fn circles(arrows: &Arrows) -> Vec<BTreeSet<String>> {
    let mut below = BTreeMap::<&str, Vec<&str>>::new();
    for (from, to) in arrows.keys() {
        below.entry(from).or_default().push(to);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> = below.keys().map(|file| (*file, reach(&below, file))).collect();
    let reaches = |from: &str, to: &str| reached.get(from).is_some_and(|all| all.contains(to));
    let mut circles = Vec::<BTreeSet<String>>::new();
    for file in reached.keys().filter(|file| reaches(file, file)) {
        if circles.iter().all(|circle| !circle.contains(*file)) {
            let others = reached.keys().filter(|other| reaches(file, other) && reaches(other, file));
            circles.push(others.map(|other| other.to_string()).collect());
        }
    }
    circles
}

fn reach<'a>(below: &BTreeMap<&'a str, Vec<&'a str>>, file: &'a str) -> BTreeSet<&'a str> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![file]);
    while let Some(file) = open.pop() {
        open.extend(below.get(file).into_iter().flatten().filter(|next| seen.insert(**next)));
    }
    seen
}
