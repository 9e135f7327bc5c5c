//! Packed ONNX: the large weights of a model as blocks in a weight file that is mapped, beside a slim graph.
//!
//! [`pack`] makes a folder of two files:
//!
//! ```text
//! packed/
//!   model.onnx    the graph, with every field that packing has no business with kept as it was
//!   weights.gguf  the blocks: Q4_0, Q8_0 or F16, aligned to 64 bytes
//! ```
//!
//! [`open`](crate::open) takes the folder, or its `model.onnx`. The SHA-256 of `weights.gguf` stands in the metadata of
//! `model.onnx` and is checked at opening, so the digest of the graph stands for both.
//!
//! | scheme | bytes per weight | under ONNX Runtime | under tract |
//! |---|---|---|---|
//! | [`Int4`](Scheme::Int4) | 0.56 to 0.78 | `MatMulNBits`, `GatherBlockQuantized` | its own Q4_0 blocks; f32 for 8 bits |
//! | [`Int8`](Scheme::Int8) | 1.06 | the same, with 8 bits; f32 for Conv | f32 |
//! | [`F16`](Scheme::F16) | 2 | f32; tables of Gather stay f16 in the map | f32 |
//!
//! Quants go to the runtime as they are, so no f32 copy is made of them on the way; what the table calls f32 is
//! dequantized at opening. Under ONNX Runtime `MatMulNBits` also quantizes the activations, to 8 bits per block of 32,
//! because only then it is fast: an answer differs from the exact product by some 0.5 % of its largest value.
//!
//! Int4 is a mixture: 4 bits throughout lose too much for a small model. Tables of Gather and the first matrices take 4
//! bits, the last matrices 8, up to [`Packing::mean_bits`] for a weight. Of all-MiniLM-L6-v2 under ONNX Runtime, over the
//! 250 sentences of everyday speech, prose and manuals in `tests/packed/sentences.tsv`, on which nothing was chosen, cosine
//! of the sentence embeddings with those of the f32 model (`tests/packed/real.rs` measures it, and under tract, too):
//!
//! | packing | of the bytes | mean | least |
//! |---|---|---|---|
//! | int4 | 19.6 % | 0.9975 | 0.9945 |
//! | int4, `mean_bits` 6 | 18.9 % | 0.996 | 0.991 |
//! | int4, `mean_bits` 4.5 | 14.2 % | 0.971 | 0.898 |
//! | int8 | 26.7 % | 0.9996 | 0.998 |
//! | f16 | 50.1 % | 1.0000 | 1.0000 |
//!
//! Of MobileNetV2 int8 leaves 29.8 % of the bytes. The cosine of its scores is 0.9992 over three views each of two photos
//! of what it has classes for, 0.9985 at least, and 0.998 at least for scans of text, which are nothing like it; the
//! best class stays the same for all of them.
//!
//! MiB of memory once the model has answered, its files' pages included (`benches/packed/memory.rs`). What the first table
//! calls f32 is in memory as f32: the file is smaller, the model is not.
//!
//! | | f32 | int4 | int8 | f16 |
//! |---|---|---|---|---|
//! | MiniLM, ONNX Runtime | 80 to 88 | 23 | 29 | 48 |
//! | MiniLM, tract | 89 | 47 | 89 | 89 |
//! | MobileNetV2, ONNX Runtime | 28 | – | 28 | 28 |
//! | MobileNetV2, tract | 38 to 50 | – | 40 to 42 | 36 to 49 |
//!
//! How a tensor of blocks is written in the graph: an initializer of its f32 shape whose external data lies at
//! `location` `weights.gguf`, `offset` and `length`, with two entries more, `gguf.tensor` (its name there) and
//! `gguf.layout` (`rows`, or `columns` if it is stored transposed, since blocks run along the dimension that a product
//! sums over). Readers that know nothing of it refuse the length. An F16 tensor is plain ONNX external data followed by a
//! `Cast`; any ONNX reader runs such a model.

mod encode;
mod mix;
mod output;
mod pattern;
mod slim;
mod survey;
#[cfg(test)]
mod tests;

use std::path::Path;

pub(super) use survey::Layout;

use super::proto::{self, External, Graph};
use crate::Result;
use crate::engine::Cancel;
use crate::weights::{Access, Opened, Source};

/// The two files of a packed model.
pub(super) const GRAPH: &str = "model.onnx";
pub(super) const WEIGHTS: &str = "weights.gguf";
/// Keys of the graph's metadata: the version of this form, the weight file's SHA-256, and the scheme.
pub(super) const VERSION: &str = "selvedge.packed";
pub(super) const SHA256: &str = "selvedge.packed.sha256";
pub(super) const SCHEME: &str = "selvedge.packed.scheme";

/// The entries of `external_data` that name a tensor of the weight file and how it lies there.
pub(super) const TENSOR: &str = "gguf.tensor";
pub(super) const LAYOUT: &str = "gguf.layout";

/// The graph in the folder of a packed model, and the folder's name; anything else as it is.
pub(super) fn graph_in(source: Source) -> (Source, Option<String>) {
    match source {
        Source::Path(path) if path.join(GRAPH).is_file() => {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            (Source::Path(path.join(GRAPH)), name)
        }
        other => (other, None),
    }
}

/// What weights become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// Q4_0: 4 bits, and an f16 scale per 32 weights; Q8_0 for the last matrices, as far as [`Packing::mean_bits`] goes.
    /// For MatMul, Gemm and Gather.
    Int4,
    /// Q8_0: 8 bits, and an f16 scale per 32 weights. For MatMul, Gemm, Gather and Conv.
    Int8,
    /// Half precision. For MatMul, Gemm, Gather and Conv.
    F16,
}

impl Scheme {
    fn finer(self) -> Self {
        match self {
            Scheme::Int4 => Scheme::Int8,
            Scheme::Int8 | Scheme::F16 => Scheme::F16,
        }
    }

    /// Its name: `int4`, `int8` or `f16`.
    pub const fn name(self) -> &'static str {
        match self {
            Scheme::Int4 => "int4",
            Scheme::Int8 => "int8",
            Scheme::F16 => "f16",
        }
    }
}

/// How to pack a model.
///
/// ```
/// use selvedge::backend::pack::{Packing, Scheme};
/// let packing = Packing::new(Scheme::Int4).keep("*/lm_head/*").keep("Gather");
/// assert_eq!(packing.keep.len(), 2);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Packing {
    /// What weights become.
    pub scheme: Scheme,
    /// If not empty, only tensors that a pattern matches are packed: by their own name, or by the name or operator
    /// of a node that reads them. In a pattern `*` is any text and `?` any one character.
    pub only: Vec<String>,
    /// Tensors that a pattern matches stay as they are.
    pub keep: Vec<String>,
    /// Tensors that a pattern matches take the next finer scheme: int8 for int4, f16 for int8. Some weights matter more
    /// than others; of a transformer, those of the feed-forward layers and of the values.
    pub finer: Vec<String>,
    /// For [`Scheme::Int4`] only: the bits that a weight may take on average, scales and padding included. Within it, what
    /// [`Packing::finer`] leaves goes to 8 bits for matrices of MatMul and Gemm, the one that is read last first. 4.5
    /// leaves all others at 4 bits, and 8.5 leaves none of the matrices there.
    pub mean_bits: f64,
    /// Tensors of fewer elements stay as they are.
    pub min_elements: u64,
    /// Whether a folder of that name that holds a packed model is replaced.
    pub overwrite: bool,
    /// Ends the packing with `Cancelled`.
    pub cancel: Option<Cancel>,
}

impl Packing {
    /// The [`Packing::min_elements`] of a new packing.
    pub const DEFAULT_MIN_ELEMENTS: u64 = 1024;

    /// The least [`Packing::mean_bits`]: all in 4 bits, with their scales.
    pub const LEAST_MEAN_BITS: f64 = 4.5;

    /// The [`Packing::mean_bits`] of a new packing.
    pub const DEFAULT_MEAN_BITS: f64 = 6.25;

    /// Everything of 1024 elements and more, into a folder that does not exist.
    pub fn new(scheme: Scheme) -> Self {
        Self {
            scheme,
            only: Vec::new(),
            keep: Vec::new(),
            finer: Vec::new(),
            mean_bits: Self::DEFAULT_MEAN_BITS,
            min_elements: Self::DEFAULT_MIN_ELEMENTS,
            overwrite: false,
            cancel: None,
        }
    }

    /// Adds a pattern to [`Packing::only`].
    #[must_use]
    pub fn only(mut self, pattern: impl Into<String>) -> Self {
        self.only.push(pattern.into());
        self
    }

    /// Adds a pattern to [`Packing::keep`].
    #[must_use]
    pub fn keep(mut self, pattern: impl Into<String>) -> Self {
        self.keep.push(pattern.into());
        self
    }

    /// Adds a pattern to [`Packing::finer`].
    #[must_use]
    pub fn finer(mut self, pattern: impl Into<String>) -> Self {
        self.finer.push(pattern.into());
        self
    }

    /// Sets [`Packing::mean_bits`].
    #[must_use]
    pub fn mean_bits(mut self, bits: f64) -> Self {
        self.mean_bits = bits;
        self
    }

    /// Sets how many elements a tensor must have.
    #[must_use]
    pub fn min_elements(mut self, elements: u64) -> Self {
        self.min_elements = elements;
        self
    }

    /// Allows a packed model to be replaced.
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Lets `cancel` end the packing.
    #[must_use]
    pub fn cancel(mut self, cancel: &Cancel) -> Self {
        self.cancel = Some(cancel.clone());
        self
    }
}

/// How far a packing is: told before each tensor, and at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackProgress<'a> {
    /// The tensor that is worked on; `None` at the end.
    pub tensor: Option<&'a str>,
    /// Bytes of weights that are done.
    pub done: u64,
    /// Bytes of weights that there are to pack.
    pub total: u64,
}

/// What was packed, and what was not.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// What weights became.
    pub scheme: Scheme,
    /// Bytes of the model and its external data before.
    pub before: u64,
    /// Bytes of graph and weight file.
    pub after: u64,
    /// The tensors that became blocks, in the graph's order.
    pub packed: Vec<PackedTensor>,
    /// The tensors that did not, in the graph's order.
    pub kept: Vec<KeptTensor>,
    /// The patterns of `only`, `keep` and `finer` that no tensor goes by: typing errors, as a rule.
    pub unmatched: Vec<String>,
}

/// A tensor that became blocks.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PackedTensor {
    /// Its name in the graph.
    pub name: String,
    /// Its name in the weight file.
    pub stored: String,
    /// Its dimensions in the graph.
    pub dims: Vec<u64>,
    /// The blocks: `q4_0`, `q8_0` or `f16`.
    pub format: &'static str,
    /// The operators that read it.
    pub operators: Vec<String>,
    /// Bytes before.
    pub before: u64,
    /// Bytes of blocks.
    pub after: u64,
    /// Of every 32 weights in a row: max |w − ŵ| ÷ max |w|, where ŵ is what the blocks say of w. This is the largest.
    pub worst_error: f64,
    /// ‖w − ŵ‖₂ ÷ ‖w‖₂ over the tensor.
    pub relative_error: f64,
}

/// A tensor that stayed as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptTensor {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
    /// Why.
    pub reason: String,
}

/// Packs an ONNX model into a new folder `to`, and tells `progress` how far it is. For a folder, the `model.onnx` in it
/// is packed.
///
/// The folder appears when it is complete: it is written under another name beside, made durable, and moved. A process
/// that is killed leaves nothing of that name, or what was there before, or all of it; what it was writing stays beside as
/// `.NAME.PROCESS.part`, and no other run touches it. Killed between the two moves of a replacement it leaves the model
/// that was there as `.NAME.PROCESS.old`.
///
/// Errors: `InvalidArgument` if `to` exists ([`Packing::overwrite`]), the model is packed, or [`Packing::mean_bits`] is
/// less than 4.5; `NotFound` for a model, or a folder for `to` to be in, that is not there; `Corrupt` for a file that
/// is no valid ONNX model; `Unsupported` for GGUF, for a model in which there is nothing to pack, for external data in
/// sub-graphs, and if the graph exceeds 2 GiB without its packed weights; `Io`, `Cancelled`.
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("selvedge-doc-pack-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// use selvedge::backend::pack::{Packing, Scheme, pack};
/// let packing = Packing::new(Scheme::Int8).min_elements(1);
/// let report = pack("examples/quickstart/rain.onnx", folder.join("rain"), &packing, |_| {});
/// # match report {
/// #     Err(e) if e.code() == selvedge::Code::Unsupported => {}
/// #     report => { report?; }
/// # }
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn pack(
    source: impl Into<Source>,
    to: impl AsRef<Path>,
    packing: &Packing,
    mut progress: impl FnMut(PackProgress<'_>),
) -> Result<Report> {
    let model = super::model_of(source.into(), Access::new())?;
    let name = model.name.clone();
    let to = to.as_ref();
    pack_model(&model, to, packing, &mut progress)
        .map_err(|e| e.during(format!("packing '{name}' into {}", to.display())))
}

fn pack_model(
    model: &Opened,
    to: &Path,
    packing: &Packing,
    progress: &mut dyn FnMut(PackProgress<'_>),
) -> Result<Report> {
    let bytes = model.bytes.as_slice();
    let format = super::Format::probe(bytes)?;
    if format != super::Format::Onnx {
        return Err(crate::Error::unsupported(format!("expected an ONNX model, got {}", format.name())));
    }
    let graph = Graph::read(bytes)?;
    if graph.metadata.iter().any(|(key, _)| *key == VERSION) {
        return Err(crate::Error::invalid("expected a model that is not packed yet"));
    }
    output::refuse(to, packing.overwrite)?;
    let declared = proto::read(bytes)?;
    declared.refuse_blocks()?;
    let external = External::open_all(&declared.external, model, Default::default())?;
    let before = bytes.len() as u64 + external.values().map(|bytes| bytes.as_slice().len() as u64).sum::<u64>();
    let model = output::Model { bytes, name: &model.name, before, graph, external, outside: declared.external.len() };
    model.pack(to, packing, progress)
}
