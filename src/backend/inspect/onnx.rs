//! ONNX files.

use std::collections::BTreeSet;

use super::{Inspection, TensorInfo};
use crate::Result;
use crate::backend::proto::{self, Declared, External};
use crate::backend::{Backend, Format, Model, Options};
use crate::engine::MemoryEstimate;

/// The domains whose operators runtimes know without help.
const KNOWN_DOMAINS: &[&str] = &["", "ai.onnx.ml", "com.microsoft"];

pub(super) fn inspect(model: &Model, options: &Options) -> Result<Inspection> {
    let file = model.bytes.as_slice().len() as u64;
    let mut declared = proto::list(model.bytes.as_slice())?;
    let mut told = Inspection::new(&model.name, Format::Onnx, file);
    told.backends = backends(&declared, file);
    told.tensors = std::mem::take(&mut declared.initializers)
        .into_iter()
        .map(|weight| TensorInfo {
            name: weight.name,
            element: weight.element,
            shape: weight.dims,
            bytes: weight.bytes,
            location: weight.location,
        })
        .collect();
    told.metadata.push(("ir_version".into(), declared.ir_version.to_string()));
    told.metadata.extend(declared.version.take().map(|version| ("model_version".into(), version)));
    told.metadata.extend(std::mem::take(&mut declared.metadata));
    external(&declared, model, options, &mut told);
    let used: BTreeSet<&str> = declared.operators.iter().filter_map(|op| op.rsplit_once(':')).map(|(d, _)| d).collect();
    for domain in declared.opsets.keys().filter(|d| !KNOWN_DOMAINS.contains(&&***d)) {
        if used.contains(&**domain) {
            told.warn(format!("it uses operators of the domain '{domain}', which a runtime may not have"));
        }
    }
    if declared.half {
        told.warn("it holds 16-bit floats, which runtimes without 16-bit arithmetic widen when they load it");
    }
    let name = |domain: String| if domain.is_empty() { "ai.onnx".into() } else { domain };
    told.opsets = declared.opsets.into_iter().map(|(domain, version)| (name(domain), version)).collect();
    told.operators = declared.operators.into_iter().collect();
    (told.inputs, told.outputs) = (declared.inputs, declared.outputs);
    Ok(told)
}

/// Looks for the files that the model needs beside it.
fn external(declared: &Declared, model: &Model, options: &Options, told: &mut Inspection) {
    if declared.external.is_empty() {
        return;
    }
    if model.folder.is_none() {
        told.warn("it has tensors in other files, which are found only if it is opened by its path");
        return;
    }
    match External::open_all(&declared.external, model, options.map) {
        Ok(files) => {
            told.bytes += files.values().map(|bytes| bytes.as_slice().len() as u64).sum::<u64>();
            let names: Vec<&str> = files.keys().map(|name| &**name).collect();
            told.warn(format!("it needs, beside it: {}", names.join(", ")));
        }
        // Whoever has the file has not all of the model.
        Err(e) => told.flaw = Some(e),
    }
}

/// Tract first, as `open` goes about it.
fn backends(declared: &Declared, file: u64) -> Vec<(Backend, Result<MemoryEstimate>)> {
    [tract(declared), onnx(declared, file)].into_iter().flatten().collect()
}

#[cfg(feature = "tract")]
fn tract(declared: &Declared) -> Option<(Backend, Result<MemoryEstimate>)> {
    Some((Backend::Tract, crate::backend::tract::foresee(declared)))
}

#[cfg(feature = "onnx")]
fn onnx(declared: &Declared, file: u64) -> Option<(Backend, Result<MemoryEstimate>)> {
    Some((Backend::Onnx, Ok(crate::backend::onnx::estimate(declared, file))))
}

#[cfg(not(feature = "tract"))]
fn tract(_: &Declared) -> Option<(Backend, Result<MemoryEstimate>)> {
    None
}

#[cfg(not(feature = "onnx"))]
fn onnx(_: &Declared, _: u64) -> Option<(Backend, Result<MemoryEstimate>)> {
    None
}
