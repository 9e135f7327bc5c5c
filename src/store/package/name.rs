//! Names of a package's files: inside of it, the same file on every system, and none twice.

use std::collections::HashMap;

use crate::{Error, Result};

/// The most files of a package.
pub(crate) const MAX_FILES: usize = 10_000;
/// The most bytes of a name.
pub(crate) const MAX_NAME: usize = 512;
/// The most folders in which a file may lie.
const MAX_DEPTH: usize = 16;

/// Names that Windows takes for devices, whatever follows a dot.
const DEVICES: &[&str] = &["con", "prn", "aux", "nul", "conin$", "conout$"];

/// A name is relative, its parts are apart by `/`, and each could be a file's name on any system.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let bad = |expected: &str| {
        let shown: String = name.chars().take(80).collect();
        Err(Error::corrupt(format!("package: file name {shown:?}: expected {expected}")))
    };
    if name.len() > MAX_NAME {
        return bad(&format!("at most {MAX_NAME} bytes, got {}", name.len()));
    }
    if name.is_empty() || name.starts_with('/') {
        return bad("a path inside of the package, got none or an absolute one");
    }
    if name.split('/').count() > MAX_DEPTH + 1 {
        return bad(&format!("at most {MAX_DEPTH} folders"));
    }
    for part in name.split('/') {
        if matches!(part, "" | "." | "..") {
            return bad("a path inside of the package, got an empty part, '.' or '..'");
        }
        if part.contains(|c: char| c.is_control() || "\\:*?\"<>|".contains(c)) {
            return bad(r#"no control character and none of \ : * ? " < > |"#);
        }
        if part.ends_with(['.', ' ']) || is_device(part) {
            return bad("a name that every system has, got a device or a dot or blank at the end");
        }
    }
    Ok(())
}

fn is_device(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or(part).trim_end().to_lowercase();
    let is_port = |prefix| {
        stem.strip_prefix(prefix).is_some_and(|n| matches!(n, "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9"))
    };
    DEVICES.contains(&&*stem) || is_port("com") || is_port("lpt")
}

/// The names of a package so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By how a file system that knows no case has them: the name, and whether it is a file's.
    seen: HashMap<String, (String, bool)>,
    files: usize,
}

impl Names {
    /// Takes the name of a file: a fit one, which is neither a file's nor a folder's yet.
    pub(super) fn add(&mut self, name: &str) -> Result<()> {
        check_name(name)?;
        self.files += 1;
        if self.files > MAX_FILES {
            return Err(Error::corrupt(format!("package: expected at most {MAX_FILES} files, got more")));
        }
        for (end, _) in name.match_indices('/') {
            self.put(&name[..end], false)?;
        }
        self.put(name, true)
    }

    fn put(&mut self, name: &str, is_file: bool) -> Result<()> {
        match self.seen.insert(name.to_lowercase(), (name.into(), is_file)) {
            None => Ok(()),
            // One folder holds several files.
            Some((before, false)) if !is_file && before == name => Ok(()),
            Some((before, _)) => {
                let message =
                    format!("package: file name {name:?}: expected one thing of this name, got also {before:?}");
                Err(Error::corrupt(message))
            }
        }
    }

    /// Ends the list, which may not be empty.
    pub(super) fn finish(self) -> Result<()> {
        if self.files == 0 { Err(Error::corrupt("package: expected files, got none")) } else { Ok(()) }
    }
}
