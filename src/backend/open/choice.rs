//! Choice among several runtimes of one format.

use std::sync::Arc;

use super::super::model::OnnxModel;
use super::super::options::{Backend, Options};
use super::open_with;
use crate::engine::Engine;
use crate::{Code, Error, Result};

/// Opens the model with the first of `order` that takes it. What stands against the ones before is in the choice that the spec
/// tells, behind what speaks for the runtime, which `why` says.
///
/// # Errors
///
/// Of ONNX Runtime where it was asked, which takes the most; else of the last one.
pub(super) fn first_of(
    order: &[Backend],
    model: &OnnxModel,
    options: &Options,
    why: fn(Backend) -> &'static str,
) -> Result<Arc<dyn Engine>> {
    let mut refused: Vec<(Backend, Error)> = Vec::new();
    for backend in order {
        model.choose(words(*backend, why, &refused));
        match open_with(*backend, model, options) {
            Err(e) if matches!(e.code(), Code::Unsupported | Code::MissingRuntime) => {
                tracing::info!("{} does not take '{}': {e:#}", backend.name(), model.file.name);
                refused.push((*backend, e));
            }
            other => return other,
        }
    }
    let of_ort = refused.iter().position(|(backend, _)| *backend == Backend::Ort);
    let last = refused.len().checked_sub(1).ok_or_else(|| Error::internal("no runtime to choose from"))?;
    Err(refused.swap_remove(of_ort.unwrap_or(last)).1)
}

/// Such as `tract: it is slow at products of 8-bit integers; asked before: ONNX Runtime is not there`.
fn words(backend: Backend, why: fn(Backend) -> &'static str, refused: &[(Backend, Error)]) -> String {
    let against = |(backend, e): &(Backend, Error)| match (e.code(), backend) {
        (Code::MissingRuntime, _) => "ONNX Runtime is not there".to_owned(),
        _ => e.message().to_owned(),
    };
    let against: Vec<String> = refused.iter().map(against).collect();
    match (&*against, backend) {
        ([], _) => format!("{}: {}", backend.name(), why(backend)),
        // It is last in this order: what there is to say is why the others are not it.
        (_, Backend::Ort) => format!("ort: {}", against.join("; ")),
        _ => format!("{}: {}; asked before: {}", backend.name(), why(backend), against.join("; ")),
    }
}
