//! A package in a folder: the regular files in it and below it.

use std::fs;
use std::path::{Path, PathBuf};

use super::SIGNATURE;
use super::checked::PackageFile;
use super::name::{MAX_FILES, Names, check_name};
use crate::disk::{Access, open};
use crate::{Error, Result};

/// A file that was found: its name in the package, its size, and where it lies.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) path: PathBuf,
}

pub(super) fn visit(folder: &Path, see: &mut dyn FnMut(&mut PackageFile<'_>) -> Result<()>) -> Result<()> {
    for Found { name, path, .. } in list(folder)? {
        let io = |e| Error::io(path.display(), e);
        let mut file = open(&path, Access::Read).map_err(io)?;
        // The size at the opening counts: a file that is changed meanwhile is found out.
        let size = file.metadata().map_err(io)?.len();
        let mut file = PackageFile::whole(&name, size, None, &mut file);
        see(&mut file)?;
        file.finish()?;
    }
    Ok(())
}

/// The files of a folder: the signature, then from the smallest to the largest.
pub(super) fn list(folder: &Path) -> Result<Vec<Found>> {
    let (mut found, mut names) = (Vec::new(), Names::default());
    let mut folders = vec![(folder.to_owned(), String::new())];
    let mut seen = 0usize;
    while let Some((path, prefix)) = folders.pop() {
        let io = |e| Error::io(path.display(), e);
        for entry in fs::read_dir(&path).map_err(io)? {
            let entry = entry.map_err(io)?;
            seen += 1;
            // Of folders, too: they need not hold files.
            if seen > 2 * MAX_FILES {
                return Err(Error::corrupt(format!(
                    "{}: expected at most {MAX_FILES} files, got more",
                    folder.display()
                )));
            }
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                let message = format!("{}: expected a name in UTF-8, got {:?}", path.display(), name);
                return Err(Error::unsupported(message));
            };
            let name = format!("{prefix}{name}");
            let meta = entry.path().symlink_metadata().map_err(|e| Error::io(entry.path().display(), e))?;
            if meta.is_dir() {
                check_name(&name)?;
                folders.push((entry.path(), format!("{name}/")));
            } else if meta.is_file() {
                names.add(&name)?;
                found.push(Found { name, size: meta.len(), path: entry.path() });
            } else {
                let got = if meta.is_symlink() { "a link" } else { "a pipe, a socket or a device" };
                let message = format!("package: file {name:?}: expected a regular file or a folder, got {got}");
                return Err(Error::unsupported(message));
            }
        }
    }
    names.finish()?;
    found.sort_by(|a, b| order(&a.name, a.size).cmp(&order(&b.name, b.size)));
    Ok(found)
}

/// The signature is read before gigabytes are, and small files before large ones.
pub(super) fn order(name: &str, size: u64) -> (bool, u64, &str) {
    (name != SIGNATURE, size, name)
}
