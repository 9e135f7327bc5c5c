//! Models packed by the library and opened again, through the public API, on every backend of the build.

#![cfg(any(feature = "ort", feature = "tract"))]

#[cfg(feature = "cli")]
mod command;
#[path = "../corpus/mod.rs"]
mod corpus;
mod craft;
#[cfg(all(feature = "cli", target_os = "linux", target_env = "gnu"))]
mod faults;
mod models;
mod real;
mod refused;
mod told;
mod values;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use selvedge::backend::pack::{Packing, Report, Scheme, pack};
use selvedge::{Answer, Ask, Backend, Engine, Options, Tensor, Tensors};

const SCHEMES: [Scheme; 3] = [Scheme::Int4, Scheme::Int8, Scheme::F16];

/// A packed model in a folder of its own.
struct Packed {
    _folder: tempfile::TempDir,
    path: PathBuf,
    report: Report,
}

fn packed(model: impl Into<selvedge::Source>, packing: &Packing) -> Packed {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("packed");
    let report = pack(model, &path, packing, |_| {}).expect("packs");
    Packed { _folder: folder, path, report }
}

/// The backends that can run here; one that lacks its library is skipped, aloud.
fn backends() -> Vec<Backend> {
    let usable = |backend: &Backend| match *backend {
        Backend::Onnx => library().is_some(),
        _ => true,
    };
    [Backend::Tract, Backend::Onnx].into_iter().filter(|b| b.is_built()).filter(usable).collect()
}

/// ONNX Runtime, where the tests find it.
fn library() -> Option<PathBuf> {
    if let Some(library) = std::env::var_os("SELVEDGE_ONNXRUNTIME") {
        return Some(library.into());
    }
    let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/lib");
    let pythons = std::fs::read_dir(lib).into_iter().flatten().flatten().map(|e| e.path());
    let found = pythons.map(|p| p.join("site-packages/onnxruntime/capi")).find(|p| p.is_dir());
    if found.is_none() {
        println!("skipped: no ONNX Runtime to test with, run tests/run");
    }
    found
}

fn options(backend: Backend) -> Options {
    let options = Options::new().backend(backend);
    match library().filter(|_| backend == Backend::Onnx) {
        Some(library) => options.onnxruntime(library),
        None => options,
    }
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
