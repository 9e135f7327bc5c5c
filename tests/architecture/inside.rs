//! The inside of rooms: who of a parent's children may import whom.

use std::collections::{BTreeMap, BTreeSet};

use crate::Table;
use crate::items::Kind;
use crate::modules::Crate;

/// Every arrow between children that their table doesn't allow, and every child that no table knows. An import counts as
/// one of the file that defines the name, whatever re-exports it passes.
pub(crate) fn violations(library: &Crate, inside: &[(&str, Table)]) -> Vec<String> {
    let mut found = Vec::new();
    let arrows = library.arrows();
    for (parent, table) in inside {
        let folder = format!("src/{}", parent.replace("::", "/"));
        let entry = |child: &str| table.iter().find(|(name, _)| *name == child);
        let children: BTreeSet<&str> =
            library.modules.values().filter_map(|module| child_of(&folder, &module.file)).collect();
        let strangers = children.iter().filter(|child| **child != "mod" && entry(child).is_none());
        found.extend(strangers.map(|child| format!("{folder}: '{child}' is not in the table of its inside")));

        let mut wrong = BTreeMap::<(&str, &str), Vec<String>>::new();
        for ((from, to), names) in &arrows {
            let Some((child, other)) = child_of(&folder, from).zip(child_of(&folder, to)) else { continue };
            let Some((_, may)) = entry(child) else { continue };
            let allowed = child == other || may.contains(&other) || other != "mod" && may.contains(&"*");
            if !allowed {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                wrong.entry((child, other)).or_default().push(format!("{} in {from}", names.join(", ")));
            }
        }
        let say = |((child, other), where_): (_, Vec<String>)| {
            format!("{folder}: {child} may not import {other} ({})", where_.join("; "))
        };
        found.extend(wrong.into_iter().map(say));
    }
    found
}

/// The child of the folder that a file belongs to: `mod` for the folder's own `mod.rs`.
fn child_of<'a>(folder: &str, file: &'a str) -> Option<&'a str> {
    let below = file.strip_prefix(folder)?.strip_prefix('/')?;
    Some(below.split('/').next()?.trim_end_matches(".rs"))
}

/// What is defined in files that only declare modules and re-export names.
pub(crate) fn definitions(library: &Crate, only_declare: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for module in library.modules.values().filter(|module| only_declare.contains(&&*module.file)) {
        let items = module.items.iter().filter(|item| item.kind != Kind::Module);
        let names: BTreeSet<&str> = items.map(|item| &*item.name).collect();
        if !names.is_empty() {
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            found.push(format!("{}: defines {names}; it only declares and re-exports", module.file));
        }
    }
    found
}
