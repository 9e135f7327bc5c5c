//! Names of files in a package: relative, one spelling each, and the same file on every system.

use std::collections::BTreeSet;

use super::json::shown;
use crate::error::{Error, Result};

/// Of a whole name, and of each of its parts, in bytes: what every file system takes.
const MAX_NAME: usize = 1024;
const MAX_PART: usize = 255;

/// # Errors
///
/// `Corrupt` for a name that is absolute, climbs (`..`), has another spelling (`./a`, `a//b`, `a/`), or holds a backslash, a colon
/// or a control character, which some systems read as something else.
pub(super) fn check(what: &str, name: &str) -> Result<()> {
    let is_part = |part: &str| !matches!(part, "" | "." | "..") && part.len() <= MAX_PART;
    let is_plain = !name.contains(['\\', ':']) && !name.contains(char::is_control);
    if is_plain && name.len() <= MAX_NAME && name.split('/').all(is_part) {
        return Ok(());
    }
    Err(Error::corrupt(format!("{what}: '{}': not the name of a file in a package", shown(name))))
}

/// # Errors
///
/// `Corrupt` for a name that comes twice (also when only the case of its letters differs: some systems would take them for one
/// file), and for one that is a file and the folder of another.
pub(super) fn check_all<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<()> {
    let (mut files, mut folders) = (BTreeSet::new(), BTreeSet::new());
    for name in names {
        check(what, name)?;
        let lower = name.to_lowercase();
        folders.extend(lower.match_indices('/').map(|(end, _)| lower[..end].to_string()));
        if !files.insert(lower) {
            return Err(Error::corrupt(format!("{what}: '{}': comes twice", shown(name))));
        }
    }
    match files.intersection(&folders).next() {
        None => Ok(()),
        Some(name) => Err(Error::corrupt(format!("{what}: '{}': a file, and a folder of others", shown(name)))),
    }
}

/// Whether a name is a path, or lies below it.
pub(super) fn lies_in(name: &str, path: &str) -> bool {
    name.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
