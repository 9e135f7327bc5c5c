//! Who can answer: opens a model file and picks the runtime for it.
//!
//! Enters: a [`Source`] and [`Options`]. Leaves: an [`Engine`]. May import:
//! engine, tensor, weights, text.

pub mod fake;
#[cfg(feature = "gguf")]
mod gguf;
#[cfg(feature = "onnx")]
mod onnx;
mod options;
#[cfg(any(feature = "onnx", feature = "tract"))]
mod proto;
#[cfg_attr(
    not(all(feature = "gguf", feature = "tract")),
    allow(dead_code, reason = "each backend reads another part of an opened model")
)]
mod source;
#[cfg(feature = "tract")]
mod tract;

use std::sync::Arc;

pub use options::{Backend, OpenProgress, Options};

use crate::engine::Engine;
use crate::weights::{Access, Opened as Model, Source};
use crate::{Code, Error, Result};

/// Opens a model.
///
/// The backend is picked by the file's content, never by its name: GGUF goes to llama.cpp, ONNX to
/// tract, and to ONNX Runtime where the build has no tract or tract says `Unsupported`.
/// [`Options::backend`] always wins. The choice does not depend on what is installed on the machine.
///
/// Blocks until the model is loaded. Errors: `NotFound`, `Io`, `Corrupt` for bytes that break the
/// format, `Unsupported` for a format or model that no backend of this build takes, `OutOfMemory`
/// above [`Options::memory_limit`], `MissingRuntime` without ONNX Runtime, `Cancelled`.
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
    let access = Access { map: options.map, no_symlinks: options.no_symlinks };
    let model = Model::open(source.into(), access)?;
    let name = model.name.clone();
    open_model(model, &options).map_err(|e| e.during(format!("opening '{name}'")))
}

fn open_model(model: Model, options: &Options) -> Result<Arc<dyn Engine>> {
    let format = Format::probe(model.bytes.as_slice())?;
    match (options.backend, format) {
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
            Err(Error::unsupported(format!("backend {}: expected its own format, got {format:?}", backend.name())))
        }
    }
}

#[cfg(feature = "gguf")]
use gguf::open as open_gguf;
#[cfg(feature = "onnx")]
use onnx::open as open_onnx;
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

#[cfg(not(feature = "tract"))]
fn open_tract(_: Model, _: &Options) -> Result<Arc<dyn Engine>> {
    Err(not_built(Backend::Tract))
}

#[cfg(not(all(feature = "gguf", feature = "onnx", feature = "tract")))]
fn not_built(backend: Backend) -> Error {
    Error::unsupported(format!("this build has no backend '{0}': enable the feature '{0}'", backend.name()))
}

/// What a file is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Gguf,
    Onnx,
}

impl Format {
    fn probe(bytes: &[u8]) -> Result<Self> {
        let foreign = |what: &str| Err(Error::unsupported(format!("expected a GGUF or ONNX file, got {what}")));
        match bytes {
            [] => Err(Error::corrupt("expected a GGUF or ONNX file, got an empty one")),
            [b'G', b'G', b'U', b'F', ..] => Ok(Format::Gguf),
            [b'F', b'U', b'G', b'G', ..] => foreign("a big-endian GGUF file"),
            [b'l', b'm', b'g', b'g', ..] | [b't', b'j', b'g', b'g', ..] | [b'f', b'm', b'g', b'g', ..] => {
                foreign("a GGML file from before GGUF")
            }
            [b'P', b'K', 3, 4, ..] => foreign("a ZIP archive"),
            [_, _, _, _, b'O', b'R', b'T', b'M', ..] => foreign("an ORT FlatBuffer file"),
            [_, _, _, _, b'T', b'F', b'L', b'3', ..] => foreign("a TensorFlow Lite file"),
            [_, _, _, _, _, _, _, 0, b'{', ..] => foreign("a safetensors file"),
            // ONNX has no magic: a message of protocol buffers begins with ir_version, a varint field 1,
            // or another low field number. The parser decides.
            _ => Ok(Format::Onnx),
        }
    }
}

/// What stands between a parsed header and the runtime: the memory limit.
#[cfg(any(feature = "gguf", feature = "onnx", feature = "tract"))]
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
