//! The adapters of an engine: opened and checked with the model, loaded into it, and chosen by requests.

use super::Llama;
use super::check::read_adapter;
use super::native::file::Stream;
use super::native::model::Model;
use super::serve::prefix::AdapterSet;
use crate::backend::options::Options;
use crate::engine::{Adapter, AppliedAdapter};
use crate::source::{OpenedFile, Source};
use crate::weights::WeightFile;
use crate::{Digest, Error, Result};

/// As many as anybody has use for.
pub(super) const MAX_ADAPTERS: usize = 256;

/// An adapter that was checked, and its file.
pub(super) struct OpenedAdapter {
    adapter: Adapter,
    file: OpenedFile,
}

/// Opens the adapters of the options and checks them against the model.
pub(super) fn open(base: &WeightFile, options: &Options) -> Result<Vec<OpenedAdapter>> {
    if options.adapters.len() > MAX_ADAPTERS {
        return Err(Error::invalid(format!(
            "adapters: expected at most {MAX_ADAPTERS}, got {}",
            options.adapters.len()
        )));
    }
    let mut all = Vec::<OpenedAdapter>::new();
    for (name, path) in &options.adapters {
        if all.iter().any(|other| other.adapter.name == *name) {
            return Err(Error::invalid(format!("adapter '{name}' is given twice")));
        }
        let opened = open_one(name, path.as_path().into(), base, options);
        all.push(opened.map_err(|e| e.during(format!("opening the adapter '{name}'")))?);
    }
    Ok(all)
}

fn open_one(name: &str, source: Source, base: &WeightFile, options: &Options) -> Result<OpenedAdapter> {
    let (opened, mut files) = (OpenedFile::open(source, options.access())?, Vec::new());
    let file = WeightFile::of_opened(opened, options.access(), &mut |file| files.push(file))?;
    let (applied, total) = read_adapter(&file, base)?;
    drop(file);
    let (Some(file), true) = (files.pop(), files.is_empty()) else {
        return Err(Error::unsupported("expected an adapter in one file, got a split one"));
    };
    let call = options.call();
    let digest = Digest::of_parts([file.bytes.as_slice()], || call.check(), |_, _| {})?;
    Ok(OpenedAdapter { adapter: Adapter::new(name, digest, applied, total), file })
}

/// Bytes that they take.
pub(super) fn bytes(adapters: &[OpenedAdapter]) -> u64 {
    adapters.iter().map(|one| one.file.bytes.as_slice().len() as u64).sum()
}

/// Loads them into the model, from the descriptors that were validated; their numbers are their places.
pub(super) fn load(model: &mut Model, adapters: Vec<OpenedAdapter>) -> Result<Vec<Adapter>> {
    let mut loaded = Vec::with_capacity(adapters.len());
    for OpenedAdapter { adapter, file } in adapters {
        let stream = match &file.file {
            Some((file, start)) => Stream::of_file(file, *start)?,
            None => Stream::of_bytes(file.bytes.as_slice())?,
        };
        model.load_adapter(&stream).map_err(|e| e.during(format!("loading the adapter '{}'", adapter.name)))?;
        loaded.push(adapter);
    }
    Ok(loaded)
}

impl Llama {
    /// The adapters that a request asks for.
    pub(super) fn adapters(&self, asked: &[(String, f32)]) -> Result<(AdapterSet, Vec<AppliedAdapter>)> {
        let all = &self.spec.adapters;
        let mut set = Vec::with_capacity(asked.len());
        for (name, scale) in asked {
            let number = all.iter().position(|adapter| adapter.name == *name).ok_or_else(|| {
                let names: Vec<&str> = all.iter().map(|adapter| &*adapter.name).collect();
                Error::invalid(format!("adapter '{name}' is unknown: expected one of {names:?}"))
            })?;
            set.push((number as u32, *scale));
        }
        let applied = set.iter().map(|(number, scale)| AppliedAdapter::new(&all[*number as usize], *scale)).collect();
        Ok((AdapterSet::new(set), applied))
    }
}
