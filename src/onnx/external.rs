//! Tensor data in files beside the model.
//!
//! Only regular files in the model's folder, or below it, are read: no absolute path, no `..`, no
//! symbolic link on the way, no name that means something else to a runtime. What was checked is
//! what is mapped: the runtime gets bytes, never a path.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Component, Path, PathBuf};

use crate::source::{Loading, OpenedFile, bytes_of, is_same};
use crate::tensor::Bytes;
use crate::{Error, Result};

/// The entry of `external_data` that names a tensor of blocks: such data has another length than the dimensions call for.
pub(crate) const BLOCKS_ENTRY: &str = "gguf.tensor";

/// A tensor whose data lies in another file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct External {
    /// The tensor's name.
    pub tensor: String,
    /// The file, relative to the model's folder, as the model spells it.
    pub location: String,
    /// Where in the file the data begins.
    pub offset: u64,
    /// Bytes of data.
    pub length: u64,
}

impl External {
    /// From the entries of `external_data`; `expected` is what the dimensions call for, unless the data is blocks.
    pub(super) fn new(tensor: &str, entries: &[(&str, &str)], expected: u64) -> Result<Self> {
        let (mut location, mut offset, mut length) = (None, 0, expected);
        let number = |key: &str, value: &str| {
            value.parse::<u64>().map_err(|_| {
                Error::corrupt(format!("external data of '{tensor}': {key}: expected a number of bytes, got '{value}'"))
            })
        };
        for &(key, value) in entries {
            match key {
                "location" => location = Some(value),
                "offset" => offset = number(key, value)?,
                "length" => length = number(key, value)?,
                _ => {}
            }
        }
        let location =
            location.ok_or_else(|| Error::corrupt(format!("external data of '{tensor}' has no location")))?;
        let blocks = entries.iter().any(|(key, _)| *key == BLOCKS_ENTRY);
        if length != expected && !blocks {
            return Err(Error::corrupt(format!(
                "external data of '{tensor}': expected {expected} bytes, got {length}"
            )));
        }
        relative(location).map_err(|e| e.during(format!("reading the external data of '{tensor}'")))?;
        Ok(Self { tensor: tensor.into(), location: location.into(), offset, length })
    }

    /// Opens every file that `tensors` name, once each, and checks that their data lies within.
    pub(crate) fn open_all(
        tensors: &[External],
        model: &OpenedFile,
        loading: Loading,
    ) -> Result<BTreeMap<String, Bytes>> {
        Self::open_others(tensors, model, loading, BTreeMap::new())
    }

    /// As [`External::open_all`], with some of the `files` in memory already.
    pub(crate) fn open_others(
        tensors: &[External],
        model: &OpenedFile,
        loading: Loading,
        mut files: BTreeMap<String, Bytes>,
    ) -> Result<BTreeMap<String, Bytes>> {
        for External { tensor, location, offset, length } in tensors {
            if !files.contains_key(location) {
                let folder = model.folder.as_deref().ok_or_else(|| {
                    Error::unsupported(format!("tensor '{tensor}' lies in '{location}', but the model has no folder"))
                })?;
                files.insert(location.clone(), Self::open(folder, location, loading)?);
            }
            let have = files[location].as_slice().len() as u64;
            if offset.checked_add(*length).is_none_or(|end| end > have) {
                return Err(Error::corrupt(format!(
                    "external data of '{tensor}': expected {length} bytes at {offset} of '{location}', which has {have}"
                )));
            }
        }
        Ok(files)
    }

    /// Opens one file of the model's folder.
    pub(crate) fn open(folder: &Path, location: &str, loading: Loading) -> Result<Bytes> {
        open(folder, location, loading)
    }
}

fn open(folder: &Path, location: &str, loading: Loading) -> Result<Bytes> {
    let (mut path, relative) = (folder.to_path_buf(), relative(location)?);
    let mut checked = None;
    for part in relative.components() {
        path.push(part);
        let meta = path.symlink_metadata().map_err(|e| Error::io(format!("external data '{location}'"), e))?;
        if meta.is_symlink() {
            return Err(Error::corrupt(format!("external data '{location}': expected no symbolic link")));
        }
        checked = Some(meta);
    }
    if checked.as_ref().is_none_or(|m| !m.is_file()) {
        return Err(Error::corrupt(format!("external data '{location}': expected a regular file")));
    }
    let file = File::open(&path).map_err(|e| Error::io(format!("external data '{location}'"), e))?;
    let opened = file.metadata().map_err(|e| Error::io(format!("external data '{location}'"), e))?;
    if checked.is_none_or(|c| !is_same(&c, &opened)) {
        return Err(Error::new(
            crate::Code::Busy,
            format!("external data '{location}' was replaced while it was opened"),
        ));
    }
    bytes_of(&file, 0, opened.len(), loading)
}

/// The location as a path of plain names.
fn relative(location: &str) -> Result<PathBuf> {
    // `*` begins ONNX Runtime's marker for addresses in memory; `:` and `\` mean drives, streams
    // and separators on Windows.
    let odd = location.is_empty() || location.contains(['\0', '\\', ':', '*']);
    let path = PathBuf::from(location);
    // `components` drops a leading or inner `.`, so what is left must be plain names.
    let plain = path.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    if odd || !plain {
        return Err(Error::corrupt(format!(
            "location '{}': expected a path below the model's folder",
            location.escape_debug()
        )));
    }
    Ok(path.components().filter(|c| matches!(c, Component::Normal(_))).collect())
}
