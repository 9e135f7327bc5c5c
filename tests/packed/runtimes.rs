//! The runtimes that can be tested with on this machine: by these tests, and by those of the command.

use std::path::{Path, PathBuf};

use selvedge::{Backend, Options};

/// The backends that can run here; one that lacks its library is skipped, aloud.
pub(crate) fn backends() -> Vec<Backend> {
    let usable = |backend: &Backend| match *backend {
        Backend::Ort => library().is_some(),
        _ => true,
    };
    [Backend::Tract, Backend::Rten, Backend::Ort].into_iter().filter(|b| b.is_built()).filter(usable).collect()
}

/// ONNX Runtime, where the tests find it.
pub(crate) fn library() -> Option<PathBuf> {
    if let Some(library) = std::env::var_os("SELVEDGE_ONNXRUNTIME") {
        return Some(library.into());
    }
    // The package that runs this may lie in a folder of the repository.
    let libs = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("target/venv/lib"));
    let pythons = libs.flat_map(std::fs::read_dir).flatten().flatten().map(|e| e.path());
    let found = pythons.map(|p| p.join("site-packages/onnxruntime/capi")).find(|p| p.is_dir());
    if found.is_none() {
        println!("skipped: no ONNX Runtime to test with, run tests/run");
    }
    found
}

pub(crate) fn options(backend: Backend) -> Options {
    let options = Options::new().backend(backend);
    match library().filter(|_| backend == Backend::Ort) {
        Some(library) => options.onnxruntime(library),
        None => options,
    }
}
