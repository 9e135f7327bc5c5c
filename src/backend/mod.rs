//! Who can answer: opens a model file and picks the runtime for it.
//!
//! Enters: a [`Source`] and [`Options`]. Leaves: an [`Engine`]. May import:
//! engine, kernel, tensor, weights, text.

pub mod fake;
#[cfg(feature = "gguf")]
mod gguf;
mod inspect;
#[cfg(feature = "onnx")]
mod onnx;
mod options;
pub mod pack;
#[cfg_attr(
    not(all(feature = "onnx", feature = "tract")),
    allow(dead_code, reason = "telling what a packed model is takes less than running it")
)]
mod packed;
#[cfg_attr(
    not(any(feature = "onnx", feature = "tract")),
    allow(dead_code, reason = "packing needs to know less of a model than running it")
)]
mod proto;
#[cfg_attr(
    not(all(feature = "gguf", feature = "tract")),
    allow(dead_code, reason = "each backend reads another part of an opened model")
)]
mod source;
#[cfg(feature = "tokenizer")]
mod table;
#[cfg(feature = "tract")]
mod tract;

use std::sync::Arc;

pub use inspect::{Inspection, MetadataValue, TensorInfo, inspect};
pub use options::{Backend, OpenProgress, Options};

use crate::engine::Engine;
use crate::weights::{Access, Beginning, Opened as Model, Source, ValueRef};
use crate::{Code, Error, Result};

/// Opens a model.
///
/// The backend is picked by the file's content, never by its name: GGUF goes to llama.cpp, ONNX to
/// tract, and to ONNX Runtime where the build has no tract or tract says `Unsupported`. A safetensors or GGUF file
/// that holds nothing but the vectors of a vocabulary is a static-embedding model, of [`Backend::Table`]; the index of
/// several safetensors files, given by its path, stands for all of them, and the model's folder will do for a path.
/// [`Options::backend`] always wins. The choice does not depend on what is installed on the machine. The folder of a
/// [packed](pack) model opens as the model in it. A GGUF model that is split into several files opens by the path to any
/// of them, the others lying beside it; as an open file or as bytes a part is `Unsupported`.
///
/// Blocks until the model is loaded. Errors: `NotFound`, `Io`, `Corrupt` for bytes that break the
/// format, `Unsupported` for a format or model that no backend of this build takes, `OutOfMemory`
/// above [`Options::memory_limit`], `MissingRuntime` without ONNX Runtime, `Cancelled`. Weights are not looked at one by
/// one: a GGUF model with NaN or infinite ones opens, and what it then cannot answer, for want of scores or numbers that
/// are finite, is an error of the run, `Backend`.
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
    let model = model_of(source.into(), options.access())?;
    let name = model.name.clone();
    open_model(model, &options).map_err(|e| e.during(format!("opening '{name}'")))
}

/// The model's file, which for a folder is the one in it.
fn model_of(source: Source, access: Access) -> Result<Model> {
    let (source, folder) = pack::graph_in(in_folder(source));
    let mut model = Model::open(source, access)?;
    if let Some(name) = model.name.strip_suffix(".safetensors.index") {
        model.name = name.to_owned();
    }
    model.name = folder.unwrap_or(model.name);
    Ok(model)
}

/// The model in a folder that holds one as it was downloaded.
fn in_folder(source: Source) -> Source {
    match source {
        Source::Path(path) if path.is_dir() => {
            let names = ["model.safetensors", "model.safetensors.index.json"];
            let model = names.into_iter().map(|name| path.join(name)).find(|path| path.is_file());
            Source::Path(model.unwrap_or(path))
        }
        other => other,
    }
}

fn open_model(model: Model, options: &Options) -> Result<Arc<dyn Engine>> {
    let format = Format::probe(model.bytes.as_slice())?;
    match (options.backend, format) {
        (Some(Backend::Table), Format::Gguf) | (Some(Backend::Table) | None, Format::Safetensors) => {
            open_table(model, options)
        }
        (None, Format::Gguf) if is_static(&model) => open_table(model, options),
        (Some(Backend::Gguf) | None, Format::Gguf) => open_gguf(model, options),
        (Some(Backend::Onnx), Format::Onnx) => open_onnx(model, options),
        (Some(Backend::Tract), Format::Onnx) => open_tract(model, options),
        (None, Format::Onnx) if Backend::Tract.is_built() && Backend::Onnx.is_built() => {
            match open_tract(model.again()?, options) {
                Err(e) if e.code() == Code::Unsupported => {
                    tracing::info!("tract does not take '{}', trying ONNX Runtime: {e}", model.name);
                    open_onnx(model, options)
                }
                other => other,
            }
        }
        (None, Format::Onnx) if Backend::Onnx.is_built() => open_onnx(model, options),
        (None, Format::Onnx) => open_tract(model, options),
        (Some(backend), format) => {
            let (backend, format) = (backend.name(), format.name());
            Err(Error::unsupported(format!("backend {backend}: expected its own format, got {format}")))
        }
    }
}

/// A GGUF file that is a table of vectors and no model for llama.cpp. What is broken is for llama.cpp's door to tell.
#[cfg(feature = "tokenizer")]
fn is_static(model: &Model) -> bool {
    crate::weights::WeightFile::of_bytes(model.bytes.clone()).is_ok_and(|file| table::is_static(&file))
}

#[cfg(not(feature = "tokenizer"))]
fn is_static(_: &Model) -> bool {
    false
}

#[cfg(feature = "gguf")]
use gguf::open as open_gguf;
#[cfg(feature = "onnx")]
use onnx::open as open_onnx;
#[cfg(feature = "tokenizer")]
use table::open as open_table;
#[cfg(feature = "tract")]
use tract::open as open_tract;

#[cfg(not(feature = "gguf"))]
fn open_gguf(_: Model, _: &Options) -> Result<Arc<dyn Engine>> {
    Err(not_built(Backend::Gguf))
}

#[cfg(not(feature = "onnx"))]
fn open_onnx(_: Model, _: &Options) -> Result<Arc<dyn Engine>> {
    Err(not_built(Backend::Onnx))
}

#[cfg(not(feature = "tokenizer"))]
fn open_table(_: Model, _: &Options) -> Result<Arc<dyn Engine>> {
    Err(not_built(Backend::Table))
}

#[cfg(not(feature = "tract"))]
fn open_tract(_: Model, _: &Options) -> Result<Arc<dyn Engine>> {
    Err(not_built(Backend::Tract))
}

#[cfg(not(all(feature = "gguf", feature = "onnx", feature = "tract", feature = "tokenizer")))]
fn not_built(backend: Backend) -> Error {
    let (name, feature) = (backend.name(), backend.feature());
    Error::unsupported(format!("this build has no backend '{name}': enable the feature '{feature}'"))
}

/// What a file is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// GGUF, of llama.cpp and its kin.
    Gguf,
    /// ONNX.
    Onnx,
    /// safetensors, or the index of several.
    Safetensors,
}

impl Format {
    /// Its name: `GGUF`, `ONNX`, `safetensors`.
    pub const fn name(self) -> &'static str {
        match self {
            Format::Gguf => "GGUF",
            Format::Onnx => "ONNX",
            Format::Safetensors => "safetensors",
        }
    }

    fn probe(bytes: &[u8]) -> Result<Self> {
        let foreign =
            |what: &str| Err(Error::unsupported(format!("expected a GGUF, ONNX or safetensors file, got {what}")));
        match bytes {
            [b'l', b'm', b'g', b'g', ..] | [b't', b'j', b'g', b'g', ..] | [b'f', b'm', b'g', b'g', ..] => {
                foreign("a GGML file from before GGUF")
            }
            [b'P', b'K', 3, 4, ..] => foreign("a ZIP archive"),
            [_, _, _, _, b'O', b'R', b'T', b'M', ..] => foreign("an ORT FlatBuffer file"),
            [_, _, _, _, b'T', b'F', b'L', b'3', ..] => foreign("a TensorFlow Lite file"),
            _ if proto::looks_like_onnx(bytes) => Ok(Format::Onnx),
            _ => match Beginning::of(bytes) {
                Beginning::Empty => Err(Error::corrupt("expected a GGUF, ONNX or safetensors file, got an empty one")),
                Beginning::Gguf => Ok(Format::Gguf),
                Beginning::BigEndianGguf => foreign("a big-endian GGUF file"),
                Beginning::Safetensors | Beginning::Index => Ok(Format::Safetensors),
                Beginning::Other => {
                    let first = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
                    foreign(&format!("one that begins like none of them: {first}"))
                }
            },
        }
    }
}

/// For a spec's metadata: numbers and texts in full, arrays as their type and length.
fn in_words(value: ValueRef<'_>) -> String {
    match value.as_bytes() {
        Some(text) => String::from_utf8_lossy(text).into_owned(),
        None => value.to_string(),
    }
}

/// What stands between a parsed header and the runtime: the memory limit.
#[cfg(any(feature = "gguf", feature = "onnx", feature = "tract", feature = "tokenizer"))]
fn afford(estimate: crate::engine::MemoryEstimate, options: &Options) -> Result<()> {
    match options.memory_limit {
        Some(have) if estimate.total() > have => Err(Error::new(
            Code::OutOfMemory,
            format!(
                "needs about {} bytes (weights {}, context {}, scratch {}), the limit is {have}",
                estimate.total(),
                estimate.weights,
                estimate.context,
                estimate.scratch
            ),
        )),
        _ => Ok(()),
    }
}
