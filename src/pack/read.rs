//! A packed model, opened: from its graph and blocks to what a runtime reads.
//!
//! Enters: a graph that [`pack`](super::pack) wrote, and its weight file. Leaves: a graph for one runtime, and the bytes
//! of its tensors: the map itself for f16, and for blocks an arena in which quants and scales lie as the runtime's
//! operators want them. May import: digest, engine, kernel, tensor, weights.
//!
//! Why the arena is made although the file is mapped: a block of GGUF has its scale, in f16, before its quants, and
//! `MatMulNBits` reads all quants of a matrix, and all scales in f32, as two tensors. Two such tensors in the file would
//! save the copy, but it would be 11 % larger for 4 bits, no reader of GGUF could dequantize it, and tract, whose blocks
//! are GGUF's, would need the copy instead. Little is to be won: ONNX Runtime reorders matrices into memory of its own in
//! any case, and then the arena goes; only tables of Gather, 7 of MiniLM's 23 MiB, could stay in the map. For a matrix of
//! 4096 by 16384 the arena is 40 MiB in 4 bits and takes 21 ms of the 131 to open, 72 MiB and 34 of 221 ms in 8.
//!
//! Nothing that the two files say of each other is believed: digest, types and dimensions are checked first, and the
//! rewritten graph is read by `proto` like any other.

use std::collections::BTreeMap;

use super::blocks::Blocks;
use super::form::{Packed, Runtime, Stored};
use super::keys::{SHA256, VERSION, WEIGHTS, power};
use super::rewrite;
use crate::digest::Digest;
use crate::onnx::{External, Graph, metadata};
use crate::source::{Loading, OpenedFile};
use crate::tensor::Bytes;
use crate::weights::{TensorType, WeightFile};
use crate::{Code, Error, Result};

/// The weight file of a packed model, which is the one that the graph was packed with.
#[derive(Debug)]
pub(crate) struct Weights {
    bytes: Bytes,
    file: WeightFile,
}

impl Weights {
    /// Opens the weight file of a model and checks its digest; `None` if the model is not packed.
    ///
    /// # Errors
    ///
    /// `Unsupported` without a folder to look for the weight file in, and for a version that is not known;
    /// `NotFound` if the weight file is not there; `Corrupt` if it is not the one that the graph was packed with;
    /// `Cancelled`.
    pub(crate) fn open(
        model: &OpenedFile,
        loading: Loading,
        check: impl Fn() -> Result<()>,
        progress: impl Fn(u64, u64),
    ) -> Result<Option<Self>> {
        let bytes = model.bytes.as_slice();
        let Some(version) = metadata(bytes, VERSION)? else { return Ok(None) };
        if version != "1" {
            return Err(Error::unsupported(format!("packed model: expected version 1, got '{version}'")));
        }
        let place = External { tensor: "weights".into(), location: WEIGHTS.into(), offset: 0, length: 0 };
        let weights = External::open_all(&[place], model, loading)?
            .remove(WEIGHTS)
            .ok_or_else(|| Error::new(Code::NotFound, format!("packed model: {WEIGHTS} is not there")))?;
        let expected = metadata(bytes, SHA256)?.unwrap_or_default();
        let expected: Digest = expected
            .parse()
            .map_err(|_| Error::corrupt(format!("packed model: {SHA256}: expected a SHA-256, got '{expected}'")))?;
        let got = Digest::of_parts([weights.as_slice()], check, progress)?;
        if got != expected {
            return Err(Error::corrupt(format!(
                "{WEIGHTS}: expected SHA-256 {expected}, as the graph says, got {got}"
            )));
        }
        let file = WeightFile::of_bytes(weights.clone()).map_err(|e| e.during(format!("opening {WEIGHTS}")))?;
        Ok(Some(Self { bytes: weights, file }))
    }

    /// The graph's tensors of blocks; `Corrupt` if one does not fit what the weight file has.
    fn blocks<'a>(&self, graph: &Graph<'a>) -> Result<Vec<Blocks<'a>>> {
        let mut tensors = Vec::new();
        for tensor in &graph.initializers {
            tensors.extend(Blocks::read(tensor, &self.file)?);
        }
        Ok(tensors)
    }

    /// The graph's tensors of blocks by their names: type and bytes in the weight file.
    pub(crate) fn listed<'a>(&self, model: &'a OpenedFile) -> Result<BTreeMap<&'a str, (TensorType, u64)>> {
        let graph = Graph::read(model.bytes.as_slice())?;
        let listed = |blocks: &Blocks<'a>| {
            let tensor = self.file.tensor(blocks.stored)?;
            Ok((blocks.name, (tensor.tensor_type(), tensor.bytes().len() as u64)))
        };
        self.blocks(&graph)?.iter().map(listed).collect()
    }

    /// The files of external data that are in memory before any is looked for.
    pub(crate) fn files(&self) -> BTreeMap<String, Bytes> {
        BTreeMap::from([(WEIGHTS.to_string(), self.bytes.clone())])
    }
}

impl Packed {
    /// The model for `runtime`. Errors: `Corrupt` if graph and weight file do not fit.
    pub(crate) fn with(weights: &Weights, model: &OpenedFile, runtime: Runtime) -> Result<Self> {
        let bytes = model.bytes.as_slice();
        let graph = Graph::read(bytes)?;
        let (tensors, file, weights) = (weights.blocks(&graph)?, &weights.file, weights.bytes.clone());
        if tensors.is_empty() {
            let (graph, pieces) = (model.bytes.clone(), BTreeMap::new());
            return Ok(Self { graph, weights, pieces, arena_len: 0, stored: Vec::new() });
        }
        let rewritten = rewrite::rewrite(bytes, &graph, &tensors, runtime)?;
        let mut stored = Vec::with_capacity(tensors.len());
        for blocks in &tensors {
            let place = file.tensor(blocks.stored)?.place();
            let place = usize::try_from(place.start).ok().zip(usize::try_from(place.end).ok());
            let size = usize::try_from(blocks.rows).ok().zip(usize::try_from(blocks.columns).ok());
            // They lie within a file that is in memory.
            let ((start, end), (rows, columns)) =
                place.zip(size).ok_or_else(|| Error::corrupt("packed model: it exceeds the address space"))?;
            let scale = power(blocks.exponent);
            stored.push(Stored { place: start..end, format: blocks.format, rows, columns, scale });
        }
        let graph = Bytes::shared(rewritten.bytes);
        Ok(Self { graph, weights, pieces: rewritten.pieces, arena_len: rewritten.len, stored })
    }

    /// The files of external data that are in memory before any is looked for.
    pub(crate) fn files(&self) -> BTreeMap<String, Bytes> {
        BTreeMap::from([(WEIGHTS.to_string(), self.weights.clone())])
    }
}
