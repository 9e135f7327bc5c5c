//! ONNX files.

use std::collections::BTreeSet;

use super::{Inspection, MetadataValue, TensorInfo};
use crate::backend::format::Format;
use crate::backend::options::{Backend, OpenProgress, Options};
use crate::engine::MemoryEstimate;
use crate::onnx::{self, Declared, External};
use crate::pack::{Packed, Runtime, WEIGHTS, Weights};
use crate::source::OpenedFile;
use crate::{Code, Error, Result};

/// The domains whose operators runtimes know without help.
const KNOWN_DOMAINS: &[&str] = &["", "ai.onnx.ml", "com.microsoft"];

pub(super) fn inspect(model: &OpenedFile, options: &Options) -> Result<Inspection> {
    let file = model.bytes.as_slice().len() as u64;
    let mut declared = onnx::list(model.bytes.as_slice())?;
    let mut inspection = Inspection::new(&model.name, Format::Onnx, file);
    let weights = match open_weights(model, options) {
        Ok(Some(weights)) => Some(weights),
        Ok(None) => {
            inspection.flaw = declared.refuse_blocks().err();
            None
        }
        Err(e) if e.code() == Code::Cancelled => return Err(e),
        Err(e) => refused(e, &mut inspection),
    };
    if inspection.backends.is_empty() && inspection.flaw.is_none() {
        inspection.backends = backends(&declared, model, weights.as_ref());
    }
    inspection.tensors = std::mem::take(&mut declared.initializers)
        .into_iter()
        .map(|weight| TensorInfo {
            name: weight.name,
            element: weight.element,
            shape: weight.dims,
            bytes: weight.bytes,
            location: weight.location,
        })
        .collect();
    if let Some(weights) = &weights {
        as_blocks(&mut inspection, weights, model);
    }
    inspection.metadata.push(("ir_version".into(), MetadataValue::Integer(declared.ir_version.into())));
    let version = declared.version.take().map(|v| v.parse().map_or(MetadataValue::Text(v), MetadataValue::Integer));
    inspection.metadata.extend(version.map(|version| ("model_version".into(), version)));
    let texts = std::mem::take(&mut declared.metadata).into_iter();
    inspection.metadata.extend(texts.map(|(key, text)| (key, MetadataValue::Text(text))));
    external(&declared, model, weights.as_ref(), options, &mut inspection);
    let used: BTreeSet<&str> = declared.operators.iter().filter_map(|op| op.rsplit_once(':')).map(|(d, _)| d).collect();
    for domain in declared.opsets.keys().filter(|d| !KNOWN_DOMAINS.contains(&&***d)) {
        if used.contains(&**domain) {
            inspection.warn(format!("it uses operators of the domain '{domain}', which a runtime may not have"));
        }
    }
    if declared.half {
        inspection.warn("it holds 16-bit floats, which runtimes without 16-bit arithmetic widen when they load it");
    }
    let name = |domain: String| if domain.is_empty() { "ai.onnx".into() } else { domain };
    inspection.opsets = declared.opsets.into_iter().map(|(domain, version)| (name(domain), version)).collect();
    inspection.operators = declared.operators.into_iter().collect();
    (inspection.inputs, inspection.outputs) = (declared.inputs, declared.outputs);
    Ok(inspection)
}

fn open_weights(model: &OpenedFile, options: &Options) -> Result<Option<Weights>> {
    let call = options.call();
    let progress = |done, total| options.report(OpenProgress::Digest(done, total));
    Weights::open(model, options.loading, || call.check(), progress)
}

/// What stands against a packed model: for one of a form that is not known, or that lies in no folder, what every
/// backend says.
fn refused(e: Error, inspection: &mut Inspection) -> Option<Weights> {
    if e.code() == Code::Unsupported {
        let built = [Backend::Tract, Backend::Rten, Backend::Ort].into_iter().filter(|backend| backend.is_built());
        inspection.backends = built.map(|backend| (backend, Err(Error::unsupported(e.message().to_owned())))).collect();
    } else {
        inspection.flaw = Some(e);
    }
    None
}

/// Gives tensors that are blocks the type and the bytes that they have in the weight file.
fn as_blocks(inspection: &mut Inspection, weights: &Weights, model: &OpenedFile) {
    match weights.listed(model) {
        Ok(blocks) => {
            let beside = |tensor: &&mut TensorInfo| tensor.location.as_deref() == Some(WEIGHTS);
            for tensor in inspection.tensors.iter_mut().filter(beside) {
                if let Some((tensor_type, bytes)) = blocks.get(&*tensor.name) {
                    (tensor.element, tensor.bytes) = (tensor_type.to_string(), *bytes);
                }
            }
        }
        Err(e) => inspection.flaw = Some(e),
    }
}

/// Looks for the files that the model needs beside it.
fn external(
    declared: &Declared,
    model: &OpenedFile,
    weights: Option<&Weights>,
    options: &Options,
    inspection: &mut Inspection,
) {
    if declared.external.is_empty() {
        return;
    }
    if model.folder.is_none() {
        inspection.warn("it has tensors in other files, which are found only if it is opened by its path");
        return;
    }
    let open = weights.map(Weights::files).unwrap_or_default();
    match External::open_others(&declared.external, model, options.loading, open) {
        Ok(files) => {
            inspection.bytes += files.values().map(|bytes| bytes.as_slice().len() as u64).sum::<u64>();
            let names: Vec<&str> = files.keys().map(|name| &**name).collect();
            inspection.warn(format!("it needs, beside it: {}", names.join(", ")));
        }
        // Whoever has the file has not all of the model.
        Err(e) => drop(inspection.flaw.get_or_insert(e)),
    }
}

/// Tract first, as `open` goes about it. What they are given of a packed model is a graph for each.
fn backends(
    declared: &Declared,
    model: &OpenedFile,
    weights: Option<&Weights>,
) -> Vec<(Backend, Result<MemoryEstimate>)> {
    let estimate_of = |runtime: Runtime, estimate: Estimate| match weights {
        None => estimate(declared, model.bytes.as_slice()),
        Some(weights) => {
            let packed = Packed::with(weights, model, runtime)?;
            let graph = packed.graph.as_slice();
            estimate(&onnx::read(graph)?, graph)
        }
    };
    let runtimes = [
        (Backend::Tract, Runtime::Tract, tract as Estimate),
        (Backend::Rten, Runtime::Rten, rten),
        (Backend::Ort, Runtime::Ort, ort),
    ];
    runtimes
        .into_iter()
        .filter(|(backend, ..)| backend.is_built())
        .map(|(backend, runtime, estimate)| (backend, estimate_of(runtime, estimate)))
        .collect()
}

/// Of what a graph declares, and its bytes.
type Estimate = fn(&Declared, &[u8]) -> Result<MemoryEstimate>;

#[cfg(feature = "tract")]
fn tract(declared: &Declared, graph: &[u8]) -> Result<MemoryEstimate> {
    crate::backend::tract::estimate_of(declared, graph)
}

#[cfg(feature = "ort")]
use crate::backend::ort::estimate_of as ort;
#[cfg(feature = "rten")]
use crate::backend::rten::estimate_of as rten;

#[cfg(not(feature = "tract"))]
fn tract(_: &Declared, _: &[u8]) -> Result<MemoryEstimate> {
    Err(crate::backend::open::not_built(Backend::Tract))
}

#[cfg(not(feature = "rten"))]
fn rten(_: &Declared, _: &[u8]) -> Result<MemoryEstimate> {
    Err(crate::backend::open::not_built(Backend::Rten))
}

#[cfg(not(feature = "ort"))]
fn ort(_: &Declared, _: &[u8]) -> Result<MemoryEstimate> {
    Err(crate::backend::open::not_built(Backend::Ort))
}
