//! Opening: the door to all runtimes, which picks one by the file's content.

mod choice;
mod gentle;
mod marked;
mod measured;
#[cfg(all(test, feature = "ort", any(feature = "rten", feature = "tract")))]
mod tests;

use std::sync::Arc;

use super::format::Format;
use super::model::OnnxModel;
use super::options::{Backend, Options};
use crate::engine::Engine;
use crate::source::{OpenedFile, Source, model_of, trim_heap};
use crate::{Error, Result};

/// Opens a model.
///
/// The backend is picked by the file's content, never by its name: GGUF goes to llama.cpp; ONNX to the first of tract, rten and
/// ONNX Runtime that the build has and that does not say `Unsupported`, and where the model multiplies 8-bit integers, which
/// tract is slow at, to the first of ONNX Runtime, rten and tract; with [`Options::measure`], to the one that is fastest at it
/// on this machine. [`Spec::choice`](crate::Spec::choice) says why. A safetensors or GGUF file
/// that holds nothing but the vectors of a vocabulary is a static-embedding model, of [`Backend::Table`]; the index of
/// several safetensors files, given by its path, stands for all of them, and the model's folder will do for a path.
/// [`Options::backend`] always wins. What is installed on the machine decides in one case only: a model of 8-bit integers goes to
/// rten or tract where there is no ONNX Runtime. The folder of a
/// [packed](crate::pack) model opens as the model in it. A GGUF model that is split into several files opens by the path to any
/// of them, the others lying beside it; as an open file or as bytes a part is `Unsupported`.
///
/// Blocks until the model is loaded. Weights are not looked at one by one: a GGUF model with NaN or infinite ones opens,
/// and what it then cannot answer, for want of scores or numbers that are finite, is an error of the run, `Backend`.
///
/// # Errors
///
/// `NotFound`, `Io`, `Corrupt` for bytes that break the format, `Unsupported` for a format or model that no backend of this
/// build takes, `OutOfMemory` above [`Options::memory_limit`], `MissingRuntime` without ONNX Runtime, `Cancelled`;
/// `Quarantined` where [`Options::crash_record`] says that the model ended the process before.
///
/// # Examples
///
/// ```no_run
/// use selvedge::{Ask, Options, Tensor, Tensors, open};
/// let engine = open("rain.onnx", Options::new())?;
/// let weather = Tensor::new(&[1, 4], vec![0.0f32, 12.8, 5.0, 4.7])?;
/// let answer = engine.run(Tensors::from([("weather", weather)]))?;
/// println!("{:?}", answer.output("rain_tomorrow")?.as_slice::<f32>()?);
/// # Ok::<(), selvedge::Error>(())
/// ```
pub fn open(source: impl Into<Source>, options: Options) -> Result<Arc<dyn Engine>> {
    let source = source.into();
    match &options.crash_record {
        Some(record) => gentle::open(&source, &options, record),
        None => open_once(source, &options),
    }
}

fn open_once(source: Source, options: &Options) -> Result<Arc<dyn Engine>> {
    let model = model_of(source, options.access())?;
    let name = model.name.clone();
    open_model(model, options).map_err(|e| e.during(format!("opening '{name}'")))
}

fn open_model(model: OpenedFile, options: &Options) -> Result<Arc<dyn Engine>> {
    let format = Format::probe(model.bytes.as_slice())?;
    let takes_entries = matches!((options.backend, format), (Some(Backend::Ort) | None, Format::Onnx));
    if let Some((key, _)) = options.session_entries.first().filter(|_| !takes_entries) {
        return Err(Error::unsupported(format!("session entry '{key}': only the backend ort takes any")));
    }
    let is_of_llama =
        || matches!((options.backend, format), (Some(Backend::Llama) | None, Format::Gguf)) && !is_static(&model);
    if let Some((name, _)) = options.adapters.first().filter(|_| !is_of_llama()) {
        return Err(Error::unsupported(format!(
            "adapter '{name}': only a language model of the backend llama takes any"
        )));
    }
    if options.accelerator.is_some() && !is_of_llama() {
        return Err(Error::unsupported("accelerator: only a language model of the backend llama takes one"));
    }
    match (options.backend, format) {
        (Some(Backend::Table), Format::Gguf) | (Some(Backend::Table) | None, Format::Safetensors) => {
            open_table(model, options)
        }
        (None, Format::Gguf) if is_static(&model) => open_table(model, options),
        (Some(Backend::Llama) | None, Format::Gguf) => open_gguf(model, options),
        (Some(Backend::Ort), Format::Onnx) => open_and_let_go(model, options, open_ort),
        (Some(Backend::Rten), Format::Onnx) => open_and_let_go(model, options, open_rten),
        (Some(Backend::Tract), Format::Onnx) => open_and_let_go(model, options, open_tract),
        (None, Format::Onnx) => open_and_let_go(model, options, open_onnx),
        (Some(backend), format) => {
            let (backend, format) = (backend.name(), format.name());
            Err(Error::unsupported(format!("backend {backend}: expected its own format, got {format}")))
        }
    }
}

/// Opens an ONNX model, then lets the file's bytes go: the heap keeps what a load took and no run needs.
fn open_and_let_go(
    file: OpenedFile,
    options: &Options,
    open: fn(&OnnxModel, &Options) -> Result<Arc<dyn Engine>>,
) -> Result<Arc<dyn Engine>> {
    let model = OnnxModel::open(file, options)?;
    let opened = open(&model, options);
    drop(model);
    if opened.as_ref().is_ok_and(|engine| engine.spec().memory.total() > MIN_TRIMMED) {
        trim_heap();
    }
    opened
}

/// Below this a load leaves too little to look for it.
const MIN_TRIMMED: u64 = 1 << 20;

/// The runtimes of this build, the one that serves the model best first; each that cannot gives way to the next.
fn open_onnx(model: &OnnxModel, options: &Options) -> Result<Arc<dyn Engine>> {
    if !options.session_entries.is_empty() {
        model.choose("ort: the options have session entries");
        return open_ort(model, options);
    }
    let built = |order: [Backend; 3]| order.into_iter().filter(|backend| backend.is_built()).collect::<Vec<_>>();
    match *built(GENERAL) {
        [] => return open_tract(model, options),
        [only] => return open_with(only, model, options),
        _ => {}
    }
    if let Some(folder) = &options.measurements
        && let Some(engine) = measured::fastest(&built(GENERAL), model, options, folder)?
    {
        return Ok(engine);
    }
    if model.uses_any(PRODUCTS_OF_BYTES)? {
        choice::first_of(&built(OF_BYTES), model, options, |backend| match backend {
            Backend::Ort => "it multiplies 8-bit integers tens of times as fast as tract",
            Backend::Rten => "it multiplies 8-bit integers some times as fast as tract",
            _ => "it is slow at products of 8-bit integers",
        })
    } else {
        choice::first_of(&built(GENERAL), model, options, |_| "it needs no library of the machine")
    }
}

/// tract first, which was here first and bounds what a model may do; then who needs no library of the machine.
const GENERAL: [Backend; 3] = [Backend::Tract, Backend::Rten, Backend::Ort];
/// The fastest first.
const OF_BYTES: [Backend; 3] = [Backend::Ort, Backend::Rten, Backend::Tract];

/// Products of 8-bit integers: tract computes them element by element, ONNX Runtime on one thread was measured 23 to 90 times as
/// fast.
const PRODUCTS_OF_BYTES: &[&str] = &["ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul"];

fn open_with(backend: Backend, model: &OnnxModel, options: &Options) -> Result<Arc<dyn Engine>> {
    match backend {
        Backend::Ort => open_ort(model, options),
        Backend::Rten => open_rten(model, options),
        _ => open_tract(model, options),
    }
}

/// A GGUF file that is a table of vectors and no model for llama.cpp. What is broken is for llama.cpp's door to tell.
#[cfg(feature = "table")]
fn is_static(model: &OpenedFile) -> bool {
    crate::weights::WeightFile::of_bytes(model.bytes.clone()).is_ok_and(|file| super::table::is_static(&file))
}

#[cfg(not(feature = "table"))]
fn is_static(_: &OpenedFile) -> bool {
    false
}

#[cfg(feature = "llama")]
use super::llama::open as open_gguf;
#[cfg(feature = "ort")]
use super::ort::open as open_ort;
#[cfg(feature = "rten")]
use super::rten::open as open_rten;
#[cfg(feature = "table")]
use super::table::open as open_table;
#[cfg(feature = "tract")]
use super::tract::open as open_tract;

#[cfg(not(feature = "llama"))]
fn open_gguf(_: OpenedFile, _: &Options) -> Result<Arc<dyn Engine>> {
    Err(not_built(Backend::Llama))
}

#[cfg(not(feature = "ort"))]
fn open_ort(_: &OnnxModel, _: &Options) -> Result<Arc<dyn Engine>> {
    Err(not_built(Backend::Ort))
}

#[cfg(not(feature = "rten"))]
fn open_rten(_: &OnnxModel, _: &Options) -> Result<Arc<dyn Engine>> {
    Err(not_built(Backend::Rten))
}

#[cfg(not(feature = "table"))]
fn open_table(_: OpenedFile, _: &Options) -> Result<Arc<dyn Engine>> {
    Err(not_built(Backend::Table))
}

#[cfg(not(feature = "tract"))]
fn open_tract(_: &OnnxModel, _: &Options) -> Result<Arc<dyn Engine>> {
    Err(not_built(Backend::Tract))
}

#[cfg(not(all(feature = "llama", feature = "ort", feature = "rten", feature = "table", feature = "tract")))]
pub(super) fn not_built(backend: Backend) -> Error {
    let (name, feature) = (backend.name(), backend.feature());
    Error::unsupported(format!("this build has no backend '{name}': enable the feature '{feature}'"))
}
