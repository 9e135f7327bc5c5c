//! Packing options, and the report of a packing.

use crate::engine::Cancel;

/// The blocks that weights become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// Q4_0: 4 bits, and an f16 scale per 32 weights; Q8_0 for the last matrices, as far as [`Packing::mean_bits`] goes.
    /// For MatMul, Gemm, Gather, LSTM, GRU and RNN.
    Int4,
    /// Q8_0: 8 bits, and an f16 scale per 32 weights. For MatMul, Gemm, Gather, Conv, LSTM, GRU and RNN.
    Int8,
    /// Half precision. For MatMul, Gemm, Gather, Conv, LSTM, GRU and RNN.
    F16,
}

impl Scheme {
    pub(super) fn finer(self) -> Self {
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

/// Options of packing a model.
///
/// ```
/// use selvedge::pack::{Packing, Scheme};
/// let packing = Packing::new(Scheme::Int4).keep("*/lm_head/*").keep("Gather");
/// assert_eq!(packing.keep.len(), 2);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Packing {
    /// The blocks that weights become.
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
    /// [`Packing::finer`] leaves goes to 8 bits for all but the tables of Gather, the one that is read last first. 4.5
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
    pub const MIN_MEAN_BITS: f64 = 4.5;

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

/// Progress of a packing: reported before each tensor, and at the end.
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

/// The report of a packing: the tensors that were packed, and those that were not.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PackReport {
    /// The blocks that weights became.
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

impl PackReport {
    /// Whether more than half of the model's bytes are left, so that packing was of little use; [`PackReport::kept`] says
    /// why. Half precision leaves half of what it packs: there it is whether more than half stayed as it was.
    ///
    /// ```no_run
    /// use selvedge::pack::{Packing, Scheme, pack};
    /// let report = pack("model.onnx", "packed", &Packing::new(Scheme::Int8), |_| {})?;
    /// if report.keeps_most() {
    ///     report.kept.iter().for_each(|tensor| println!("{}: {}", tensor.name, tensor.reason));
    /// }
    /// # Ok::<(), selvedge::Error>(())
    /// ```
    pub fn keeps_most(&self) -> bool {
        let packed: u64 = self.packed.iter().map(|tensor| tensor.before).sum();
        let left = if self.scheme == Scheme::F16 { self.before.saturating_sub(packed) } else { self.after };
        left > self.before / 2
    }
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
    /// What the blocks are multiplied with: a power of two, and 1 unless their scales, or the weights in f16, would be too
    /// small or too large for f16.
    pub scale: f32,
    /// Of every 32 weights in a row: max |w − ŵ| ÷ max |w|, where ŵ is what the blocks say of w. This is the largest.
    pub worst_error: f64,
    /// ‖w − ŵ‖₂ ÷ ‖w‖₂ of a row of blocks; of all rows the largest. At most 3/8 for `q4_0`, 1/32 for `q8_0` and 1/512 for
    /// `f16`: a tensor of which a row would lose more stays as it is.
    pub row_error: f64,
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
    /// The reason.
    pub reason: String,
}
