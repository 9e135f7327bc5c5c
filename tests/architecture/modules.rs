//! The modules of a crate, and what a path in them means.
//!
//! Not seen: a method called on a value, wherever it is defined, and what a macro defines, until a path names it.

use std::collections::{BTreeMap, BTreeSet};

use crate::File;
use crate::items::{Item, Kind, Use, Visibility, inline_modules, items, paths, uses, without_uses};
use crate::rust::{blank_tests, words};

/// The modules of one crate without its tests, by their path: `""` for the root, `backend::tract`.
pub(crate) struct Crate {
    pub(crate) modules: BTreeMap<String, Module>,
}

pub(crate) struct Module {
    pub(crate) file: String,
    pub(crate) items: Vec<Item>,
    pub(crate) uses: Vec<Use>,
    /// The code without its `use` statements and without its inline modules, which are modules of their own.
    pub(crate) rest: String,
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found {
    Module(String),
    /// An item, by the module that defines it.
    Item(String, String),
    /// Of another crate, or a word of the language.
    Outside,
}

/// File → file, and the names it imports.
pub(crate) type Arrows = BTreeMap<(String, String), BTreeSet<String>>;

/// What was looked up on the way: a name in a module, and whether it ends its path. What leads back to itself finds nothing
/// there, and each is looked up once, however many globs go in circles.
type Seen = BTreeMap<(String, String, bool), Option<Found>>;

impl Crate {
    /// The crate whose root is the file `root`, as far as its files are among `files`.
    pub(crate) fn read(files: &[File], root: &str) -> Self {
        let mut this = Self { modules: BTreeMap::new() };
        let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
        this.add_file(files, root, folder, "");
        this
    }

    fn add_file(&mut self, files: &[File], file: &str, folder: &str, path: &str) {
        if let Some(of) = files.iter().find(|of| of.path == file) {
            self.add(files, file, folder, path, &blank_tests(&of.code));
        }
    }

    fn add(&mut self, files: &[File], file: &str, folder: &str, path: &str, code: &str) {
        let (code, inline) = inline_modules(code);
        let items = items(&code);
        let children: Vec<String> =
            items.iter().filter(|item| item.kind == Kind::Module).map(|item| item.name.clone()).collect();
        let module = Module { file: file.into(), items, uses: uses(&code), rest: without_uses(&code) };
        self.modules.insert(path.into(), module);
        for child in children {
            let (below, folder) = (joined(path, &child), format!("{folder}/{child}"));
            match inline.iter().find(|(name, _)| *name == child) {
                Some((_, body)) => self.add(files, file, &folder, &below, body),
                None => {
                    for file in [format!("{folder}.rs"), format!("{folder}/mod.rs")] {
                        self.add_file(files, &file, &folder, &below);
                    }
                }
            }
        }
    }

    /// What `path`, written in the module `from`, leads to.
    pub(crate) fn resolve(&self, from: &str, path: &str) -> Found {
        self.follow(from, path, &mut Seen::new()).unwrap_or(Found::Outside)
    }

    fn follow(&self, from: &str, path: &str, seen: &mut Seen) -> Option<Found> {
        let mut at = from.to_string();
        let mut parts = path.split("::").peekable();
        let mut is_first = true;
        while let Some(part) = parts.next() {
            match part {
                "crate" => at = String::new(),
                "self" => {}
                "super" => at = parent(&at).to_string(),
                name => match self.look_up(&at, name, parts.peek().is_none(), seen) {
                    Some(Found::Module(module)) => at = module,
                    Some(found) => return Some(found),
                    None if is_first => return None,
                    // Made by a macro, most likely.
                    None => return Some(Found::Item(at, name.into())),
                },
            }
            is_first = false;
        }
        Some(Found::Module(at))
    }

    /// A name in a module.
    fn look_up(&self, module: &str, name: &str, is_last: bool, seen: &mut Seen) -> Option<Found> {
        let asked = (module.to_string(), name.to_string(), is_last);
        if let Some(known) = seen.get(&asked) {
            return known.clone();
        }
        seen.insert(asked.clone(), None);
        let found = self.search(module, name, is_last, seen);
        seen.insert(asked, found.clone());
        found
    }

    /// A function may share its name with a module, which then is meant only by longer paths.
    fn search(&self, module: &str, name: &str, is_last: bool, seen: &mut Seen) -> Option<Found> {
        let here = self.modules.get(module)?;
        let child = joined(module, name);
        let child = self.modules.contains_key(&child).then_some(Found::Module(child));
        if child.is_some() && !is_last {
            return child;
        }
        let mut brought = here.uses.iter().filter(|u| u.leaf.name == name);
        let of_crate = |found: &Found| *found != Found::Outside;
        if let Some(found) = brought.find_map(|u| self.follow(module, &u.leaf.path, seen).filter(of_crate)) {
            return Some(found);
        }
        if here.items.iter().any(|item| item.name == name && item.kind != Kind::Module) {
            return Some(Found::Item(module.into(), name.into()));
        }
        child.or_else(|| {
            let mut globs = here.uses.iter().filter_map(|u| u.leaf.path.strip_suffix("::*"));
            globs.find_map(|path| match self.follow(module, path, seen)? {
                Found::Module(other) if other != module => self.look_up(&other, name, is_last, seen),
                _ => None,
            })
        })
    }

    /// Who imports what from whom, by the files that define it.
    ///
    /// `mod x;` and a `pub use` alone import nothing; a `pub use` whose name the file also says itself does. The `use`
    /// of a module imports nothing either: what is then named in it does.
    pub(crate) fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for (path, module) in &self.modules {
            let mut add = |found: Found| {
                if let Found::Item(of, name) = found {
                    let file = &self.modules[&of].file;
                    if *file != module.file {
                        arrows.entry((module.file.clone(), file.clone())).or_default().insert(name);
                    }
                }
            };
            for one in &module.uses {
                if let Some(glob) = one.leaf.path.strip_suffix("::*") {
                    if let Found::Module(of) = self.resolve(path, glob) {
                        self.all_of(&of).into_iter().for_each(&mut add);
                    }
                } else if one.visibility == Visibility::Private || words(&module.rest, &one.leaf.name).next().is_some()
                {
                    add(self.resolve(path, &one.leaf.path));
                }
            }
            for named in paths(&module.rest) {
                add(self.resolve(path, &named));
            }
        }
        arrows
    }

    /// What a glob brings: what the module defines and what it re-exports.
    fn all_of(&self, module: &str) -> Vec<Found> {
        let Some(here) = self.modules.get(module) else { return vec![] };
        let defined = here.items.iter().filter(|item| item.kind != Kind::Module);
        let mut all: Vec<Found> = defined.map(|item| Found::Item(module.into(), item.name.clone())).collect();
        let shown = here.uses.iter().filter(|u| u.visibility != Visibility::Private);
        all.extend(shown.map(|u| self.resolve(module, &u.leaf.path)));
        all
    }
}

pub(crate) fn joined(module: &str, name: &str) -> String {
    if module.is_empty() { name.into() } else { format!("{module}::{name}") }
}

fn parent(module: &str) -> &str {
    module.rsplit_once("::").map_or("", |(parent, _)| parent)
}
