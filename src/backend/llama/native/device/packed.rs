//! Packed weights of a model: each matrix once, for all of its contexts.

#![expect(unsafe_code, reason = "reads the weights of ggml's tensors")]

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use llama_cpp_sys_2 as sys;

use crate::kernel::BlockFormat;
use crate::kernel::product::Panels;
use crate::threads::{self, unpoisoned};
use crate::{Code, Error, Result};

/// Memory that must be left once all is packed: what llama.cpp takes of a few bytes at a time it ends the process without.
const MARGIN: usize = 64 << 20;

/// A matrix of weights in a model's memory: `rows` rows of blocks, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Matrix {
    pub(super) address: usize,
    pub(super) format: BlockFormat,
    pub(super) rows: usize,
    pub(super) cols: usize,
}

impl Matrix {
    /// None of another form, or in a format whose products ggml has as fast.
    pub(super) fn of(tensor: &sys::ggml_tensor) -> Option<Self> {
        let format = format_of(tensor.type_).filter(|format| Panels::are_fast(*format))?;
        let [cols, rows, 1, 1] = tensor.ne else { return None };
        let (rows, cols) = (usize::try_from(rows).ok()?, usize::try_from(cols).ok()?);
        let row_bytes = format.bytes(cols)?;
        let is_dense = tensor.nb[0] == format.block_bytes() && tensor.nb[1] == row_bytes;
        let is_packable = Panels::packed_bytes(format, rows, cols).is_some_and(|bytes| bytes > 0);
        (is_dense && is_packable).then_some(Self { address: tensor.data.expose_provenance(), format, rows, cols })
    }

    fn packed_bytes(&self) -> usize {
        Panels::packed_bytes(self.format, self.rows, self.cols).unwrap_or(usize::MAX)
    }

    fn pack(&self) -> Result<Panels> {
        let elements = self.rows.checked_mul(self.cols);
        let bytes = elements.and_then(|elements| self.format.bytes(elements)).filter(|_| self.address != 0);
        let bytes = bytes.ok_or_else(|| Error::internal("a matrix without weights"))?;
        // SAFETY: it was read off a tensor of a model's weights, which lie in host memory, as many bytes as its form says. They
        // change no more, and are there as long as the model, which the context that packs keeps alive.
        let blocks = unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance(self.address), bytes) };
        Panels::pack(self.format, blocks, self.rows, self.cols)
    }
}

/// What is packed of a model.
#[derive(Default)]
pub(in crate::backend::llama::native) struct PackedWeights {
    packed: Mutex<Packed>,
}

#[derive(Default)]
struct Packed {
    panels: HashMap<Matrix, Arc<Panels>>,
    /// Whether there was no room for the first ones: then no later context has any, for answers would change with it.
    is_off: bool,
}

impl PackedWeights {
    /// Whether anything is packed, so that prompts are computed otherwise than llama.cpp would.
    pub(in crate::backend::llama::native) fn is_used(&self) -> bool {
        !unpoisoned(self.packed.lock()).panels.is_empty()
    }

    /// Matrices that are packed.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        unpoisoned(self.packed.lock()).panels.len()
    }

    /// These matrices, packed now on so many threads unless they are.
    ///
    /// # Errors
    ///
    /// `OutOfMemory` where there is no room for all of them; then none is kept that was not there.
    pub(super) fn take(&self, wanted: HashSet<Matrix>, threads: usize) -> Result<HashMap<Matrix, Arc<Panels>>> {
        let mut packed = unpoisoned(self.packed.lock());
        if packed.is_off {
            return Ok(HashMap::new());
        }
        let missing: Vec<Matrix> = wanted.iter().filter(|one| !packed.panels.contains_key(one)).copied().collect();
        match pack(&missing, threads) {
            Ok(panels) => packed.panels.extend(missing.into_iter().zip(panels)),
            Err(error) => {
                packed.is_off = packed.panels.is_empty();
                return Err(error);
            }
        }
        let found = wanted.into_iter().filter_map(|one| Some((one, packed.panels.get(&one)?.clone())));
        Ok(found.collect())
    }
}

fn pack(matrices: &[Matrix], threads: usize) -> Result<Vec<Arc<Panels>>> {
    if matrices.is_empty() {
        return Ok(Vec::new());
    }
    let bytes = matrices.iter().map(Matrix::packed_bytes).fold(MARGIN, usize::saturating_add);
    let threads = threads::granted("packing of weights", threads, bytes)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("selvedge-pack-{i}"));
    let no_pool = |e| Error::new(Code::OutOfMemory, format!("no pool of {threads} threads")).because(e);
    let pool = pool.build().map_err(no_pool)?;
    pool.install(|| matrices.iter().map(|matrix| matrix.pack().map(Arc::new)).collect())
}

/// The format of a type of ggml's, if it is one that kernels read.
fn format_of(kind: sys::ggml_type) -> Option<BlockFormat> {
    Some(match kind {
        sys::GGML_TYPE_F16 => BlockFormat::F16,
        sys::GGML_TYPE_BF16 => BlockFormat::Bf16,
        sys::GGML_TYPE_Q4_0 => BlockFormat::Q4_0,
        sys::GGML_TYPE_Q4_1 => BlockFormat::Q4_1,
        sys::GGML_TYPE_Q5_0 => BlockFormat::Q5_0,
        sys::GGML_TYPE_Q5_1 => BlockFormat::Q5_1,
        sys::GGML_TYPE_Q8_0 => BlockFormat::Q8_0,
        sys::GGML_TYPE_Q4_K => BlockFormat::Q4K,
        sys::GGML_TYPE_Q5_K => BlockFormat::Q5K,
        sys::GGML_TYPE_Q6_K => BlockFormat::Q6K,
        sys::GGML_TYPE_IQ4_NL => BlockFormat::Iq4Nl,
        sys::GGML_TYPE_MXFP4 => BlockFormat::Mxfp4,
        _ => return None,
    })
}
