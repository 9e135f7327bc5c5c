//! Models packed by the library and opened again, through the public API, on every backend of the build.

#![cfg(any(feature = "ort", feature = "rten", feature = "tract"))]

#[path = "../support/corpus.rs"]
mod corpus;
mod craft;
mod halves;
mod models;
mod real;
mod recurrent;
mod refused;
mod report;
mod runtimes;
mod sizes;
mod values;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtimes::{backends, options};
use selvedge::pack::{PackReport, Packing, Scheme, pack};
use selvedge::weights::WeightFile;
use selvedge::{Answer, Ask, Backend, Engine, Loading, Tensor, Tensors};

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

/// ‖a − b‖ ÷ ‖a‖.
fn apart(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>();
    let pairs = a.iter().zip(b).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    (square(&mut pairs.clone().map(|(a, b)| a - b)) / square(&mut pairs.map(|(a, _)| a))).sqrt()
}

/// Rows of a stored tensor, without padding, as the report says that they are multiplied.
fn stored(packed: &Packed, name: &str, columns: usize) -> Vec<Vec<f32>> {
    let tensor = packed.report.packed.iter().find(|t| t.name == name).expect("it was packed");
    let file = WeightFile::open(packed.path.join("weights.gguf"), Loading::Mapped).unwrap();
    let blocks = file.tensor(&tensor.stored).unwrap();
    let mut values = vec![0.0; blocks.shape().elements()];
    blocks.dequantize_into(&mut values).unwrap();
    values.iter_mut().for_each(|w| *w *= tensor.scale);
    values.chunks(blocks.row_len()).map(|row| row[..columns].to_vec()).collect()
}

fn f32s<'a>(answer: &'a Answer, output: &str) -> &'a [f32] {
    answer.output(output).and_then(|t| t.as_slice()).unwrap_or_else(|e| panic!("{e}"))
}
