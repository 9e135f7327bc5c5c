//! Contents of a model file, without loading a runtime.

mod gguf;
mod metadata;
mod onnx;
mod safetensors;

pub use metadata::MetadataValue;

use super::format::Format;
use super::options::{Backend, Options};
use crate::engine::{MemoryEstimate, Port};
use crate::source::{OpenedFile, Source, model_of};
use crate::weights::WeightFile;
use crate::{Code, Error, Result};

/// Contents of a model file, and the reasons against opening it.
///
/// No native code runs, and of most files the header alone is read. Of a static-embedding model the tokenizer is read,
/// too, and the numbers beside its table; of a [packed](crate::pack) model the weights, once, for their digest. What is a
/// list here stands in the file's order.
#[derive(Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// The file's name without its ending.
    pub name: String,
    /// The format of the file, by its content.
    pub format: Format,
    /// Bytes of the file; of all its parts, if it has further ones.
    pub bytes: u64,
    /// Keys and values.
    pub metadata: Vec<(String, MetadataValue)>,
    /// The weights.
    pub tensors: Vec<TensorInfo>,
    /// The inputs of an ONNX graph.
    pub inputs: Vec<Port>,
    /// The outputs of an ONNX graph.
    pub outputs: Vec<Port>,
    /// Operators of an ONNX graph, those of other domains than ONNX's own as `domain:name`; sorted.
    pub operators: Vec<String>,
    /// The operator sets that an ONNX graph imports, by domain; ONNX's own is `ai.onnx`.
    pub opsets: Vec<(String, i64)>,
    /// The backends of this build that take such a file, the one that [`open`](crate::open) tries first being first,
    /// and what each would need with the options given; or why it would refuse the file.
    pub backends: Vec<(Backend, Result<MemoryEstimate>)>,
    /// Warnings for people: nothing here stands against opening the file.
    pub warnings: Vec<String>,
    /// The rule that the file breaks. It can be listed all the same.
    pub flaw: Option<Error>,
}

/// A weight of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// The type of its elements. As their formats spell it, `Q4_K` and `F16` of GGUF, `BF16` and `F8_E4M3` of
    /// safetensors; of ONNX as [`DType`](crate::DType) spells it, `f16`, or `float8` for what it has not. A tensor of a
    /// packed model that is blocks has the type that it has in the weight file: `Q4_0`.
    pub element: String,
    /// Its dimensions, the slowest first, as a framework prints them; GGUF files hold them the other way around.
    pub shape: Vec<u64>,
    /// Bytes that it takes in the file that it is in.
    pub bytes: u64,
    /// The file beside the model that holds it, if it is not in the file itself.
    pub location: Option<String>,
}

impl Inspection {
    /// Elements of all tensors.
    pub fn parameters(&self) -> u64 {
        let elements = |t: &TensorInfo| t.shape.iter().fold(1u64, |n, d| n.saturating_mul(*d));
        self.tensors.iter().map(elements).fold(0, u64::saturating_add)
    }

    fn new(name: &str, format: Format, bytes: u64) -> Self {
        Self {
            name: name.into(),
            format,
            bytes,
            metadata: Vec::new(),
            tensors: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            operators: Vec::new(),
            opsets: Vec::new(),
            backends: Vec::new(),
            warnings: Vec::new(),
            flaw: None,
        }
    }

    /// What GGUF and safetensors have in common.
    fn of_weights(model: &OpenedFile, format: Format, file: &WeightFile) -> Self {
        let bytes = file.files().iter().map(|bytes| bytes.as_slice().len() as u64).sum();
        let mut inspection = Self::new(&model.name, format, bytes);
        inspection.metadata =
            file.metadata().iter().map(|(key, value)| (key.to_owned(), MetadataValue::of(value))).collect();
        for tensor in file.tensors() {
            inspection.tensors.push(TensorInfo {
                name: tensor.name().to_owned(),
                element: tensor.tensor_type().to_string(),
                shape: tensor.shape().iter().map(|d| *d as u64).collect(),
                bytes: tensor.bytes().len() as u64,
                location: None,
            });
        }
        let unread = |t: &crate::weights::TensorEntry<'_>| t.format().is_none() && t.dtype().is_none();
        let mut types: Vec<String> = file.tensors().filter(unread).map(|t| t.tensor_type().to_string()).collect();
        types.sort_unstable();
        types.dedup();
        if !types.is_empty() {
            inspection
                .warn(format!("it has tensors of types that can be listed and not read here: {}", types.join(", ")));
        }
        inspection
    }

    fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }
}

/// Contents of a GGUF, ONNX or safetensors file, read without loading a runtime; a folder is inspected as
/// [`open`](crate::open) opens it. Of `options`, how the file comes into memory counts, what the memory estimate depends
/// on, and, while weights are digested, cancel and progress.
///
/// # Errors
///
/// As [`open`](crate::open) for a file that is not there or cannot be read; `Corrupt` for one that breaks its
/// format's rules so that it cannot even be listed; `Unsupported` for another format; `Cancelled`. A file that can be
/// listed and still breaks a rule has an [`Inspection::flaw`].
///
/// # Examples
///
/// ```no_run
/// use selvedge::{Options, backend::inspect};
/// let inspection = inspect("model.onnx", &Options::new())?;
/// for tensor in &inspection.tensors {
///     println!("{} {:?} {}", tensor.name, tensor.shape, tensor.element);
/// }
/// # Ok::<(), selvedge::Error>(())
/// ```
pub fn inspect(source: impl Into<Source>, options: &Options) -> Result<Inspection> {
    let model = model_of(source.into(), options.access())?;
    let inspection = look(&model, options).map_err(|e| e.during(format!("inspecting '{}'", model.name)))?;
    Ok(judged(inspection))
}

fn look(model: &OpenedFile, options: &Options) -> Result<Inspection> {
    let format = Format::probe(model.bytes.as_slice())?;
    if format == Format::Onnx {
        return onnx::inspect(model, options)
            .map_err(|e| e.during("reading it as ONNX, having no sign of another format"));
    }
    let (file, flaw) = match WeightFile::of_opened(model.again()?, options.access(), &mut drop) {
        Ok(file) => (file, None),
        // A part of a split file is worth a look, too; an index alone lists nothing.
        Err(e) if e.code() == Code::NotFound => match WeightFile::of_bytes(model.bytes.clone()) {
            Ok(file) => (file, Some(e)),
            Err(_) => return Err(e.with_code(Code::Corrupt)),
        },
        // Without a path nobody can look for the rest.
        Err(e) if e.code() == Code::Unsupported && model.folder.is_none() => {
            (WeightFile::of_bytes(model.bytes.clone()).map_err(|_| e)?, None)
        }
        Err(e) => return Err(e),
    };
    let mut inspection = match format {
        Format::Gguf => gguf::inspect(model, &file, options),
        _ => safetensors::inspect(model, &file, options),
    };
    inspection.flaw = flaw.or(inspection.flaw);
    Ok(inspection)
}

/// What the backends say becomes the verdict on the file: what one finds to be broken is broken for all.
fn judged(mut inspection: Inspection) -> Inspection {
    if inspection.backends.is_empty() && inspection.flaw.is_none() {
        inspection.warn(match inspection.format {
            Format::Gguf => {
                "this build lacks the feature 'llama': it cannot open the file, and has not checked whether its \
                 metadata makes sense to llama.cpp"
            }
            Format::Onnx => "this build lacks the features 'tract', 'rten' and 'ort': it cannot open the file",
            Format::Safetensors if !Backend::Table.is_built() => {
                "this build lacks the feature 'table': it cannot open the file"
            }
            Format::Safetensors => "no backend opens it: it is not a static-embedding model",
        });
    }
    for (backend, estimate) in &inspection.backends {
        match estimate {
            Err(e) if e.code() == Code::Corrupt => {
                inspection.flaw.get_or_insert_with(|| e.clone());
            }
            Err(e) => inspection.warnings.push(format!("{} would not open it: {e:#}", backend.name())),
            Ok(_) => {}
        }
    }
    inspection
}

#[cfg(feature = "table")]
fn static_embedding(
    model: &OpenedFile,
    file: &WeightFile,
    options: &Options,
) -> Option<(Backend, Result<MemoryEstimate>)> {
    super::table::is_static(file).then(|| (Backend::Table, super::table::estimate_of(model, file, options)))
}

#[cfg(not(feature = "table"))]
fn static_embedding(_: &OpenedFile, _: &WeightFile, _: &Options) -> Option<(Backend, Result<MemoryEstimate>)> {
    None
}
