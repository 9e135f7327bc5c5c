//! The public face of the library: by which paths a name is reached from `lib.rs`.

use std::collections::{BTreeMap, BTreeSet};

use crate::items::{Kind, Visibility};
use crate::modules::{Crate, Found, joined};

const LIBRARY: &str = "selvedge";

/// What is public, as the module that defines it and the name it has there, and its public paths.
pub(crate) type Names = BTreeMap<(String, String), BTreeSet<String>>;

pub(crate) fn several_paths(library: &Crate) -> Vec<String> {
    let several = names(library).into_values().filter(|paths| paths.len() > 1);
    several.map(|paths| format!("several public paths to one name: {}", list(&paths))).collect()
}

/// Public types that share a name which is not listed, and listed names that are not shared.
pub(crate) fn several_types(library: &Crate, listed: &[(&str, &str)]) -> Vec<String> {
    let mut found = Vec::new();
    let mut shared = types(library);
    shared.retain(|_, paths| paths.len() > 1);
    for (name, paths) in shared.iter().filter(|(name, _)| listed.iter().all(|(l, _)| l != name)) {
        found.push(format!("several public types named {name}: {}", list(paths)));
    }
    for (name, _) in listed.iter().filter(|(name, _)| !shared.contains_key(*name)) {
        found.push(format!("{name}: listed as the name of several public types and is not"));
    }
    found
}

/// The public types by name: of each that has it the first of its paths.
pub(crate) fn types(library: &Crate) -> BTreeMap<String, BTreeSet<String>> {
    let mut types = BTreeMap::<String, BTreeSet<String>>::new();
    for ((module, name), paths) in names(library) {
        let mut known = library.modules[&module].items.iter().filter(|item| item.name == name).peekable();
        // What a macro defines is known by its spelling.
        let is_spelled_so = name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase);
        let is_type = if known.peek().is_some() { known.any(|item| item.kind == Kind::Type) } else { is_spelled_so };
        for path in paths.into_iter().take(usize::from(is_type)) {
            let name = path.rsplit("::").next().unwrap_or(&path).to_string();
            types.entry(name).or_default().insert(path);
        }
    }
    types
}

fn list(paths: &BTreeSet<String>) -> String {
    paths.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

pub(crate) fn names(library: &Crate) -> Names {
    let mut names = Names::new();
    walk(library, "", LIBRARY, &mut BTreeSet::new(), &mut names);
    names
}

/// What is public in `module`, which itself is public as `path`.
fn walk(library: &Crate, module: &str, path: &str, seen: &mut BTreeSet<(String, String)>, names: &mut Names) {
    let Some(here) = library.modules.get(module) else { return };
    // A module that re-exports one above it has no end of paths: eight names are a long one.
    if !seen.insert((module.into(), path.into())) || path.split("::").count() > 8 {
        return;
    }
    for item in here.items.iter().filter(|item| item.visibility == Visibility::Public) {
        let below = joined(path, &item.name);
        if item.kind == Kind::Module {
            walk(library, &joined(module, &item.name), &below, seen, names);
        } else {
            names.entry((module.into(), item.name.clone())).or_default().insert(below);
        }
    }
    for shown in here.uses.iter().filter(|shown| shown.visibility == Visibility::Public) {
        let (name, glob) = (&shown.leaf.name, shown.leaf.path.strip_suffix("::*"));
        match library.resolve(module, glob.unwrap_or(&shown.leaf.path)) {
            Found::Module(of) if glob.is_some() => walk(library, &of, path, seen, names),
            Found::Module(of) => walk(library, &of, &joined(path, name), seen, names),
            Found::Item(of, defined) => {
                names.entry((of, defined)).or_default().insert(joined(path, name));
            }
            Found::Outside => {}
        }
    }
}
