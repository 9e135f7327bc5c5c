//! Models packed by the library and opened again, through the public API, on every backend of the build.

#![cfg(any(feature = "ort", feature = "tract"))]

#[path = "../support/corpus.rs"]
mod corpus;
mod craft;
mod models;
mod real;
mod refused;
mod report;
mod runtimes;
mod values;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtimes::{backends, options};
use selvedge::pack::{PackReport, Packing, Scheme, pack};
use selvedge::{Answer, Ask, Backend, Engine, Tensor, Tensors};

const SCHEMES: [Scheme; 3] = [Scheme::Int4, Scheme::Int8, Scheme::F16];

/// A packed model in a folder of its own.
struct Packed {
    _folder: tempfile::TempDir,
    path: PathBuf,
    report: PackReport,
}

fn packed(model: impl Into<selvedge::Source>, packing: &Packing) -> Packed {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("packed");
    let report = pack(model, &path, packing, |_| {}).expect("packs");
    Packed { _folder: folder, path, report }
}

fn open(path: &Path, backend: Backend) -> Arc<dyn Engine> {
    selvedge::open(path, options(backend)).unwrap_or_else(|e| panic!("{}: {e}", backend.name()))
}

fn ask(engine: &dyn Engine, inputs: &[(&str, Tensor)]) -> Answer {
    engine.run(Tensors::new(inputs.iter().cloned())).unwrap_or_else(|e| panic!("{e}"))
}

fn f32s<'a>(answer: &'a Answer, output: &str) -> &'a [f32] {
    answer.output(output).and_then(|t| t.as_slice()).unwrap_or_else(|e| panic!("{e}"))
}
