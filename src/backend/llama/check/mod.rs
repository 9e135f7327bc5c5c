//! Checks of a GGUF model before llama.cpp sees it.
//!
//! llama.cpp asserts where it could refuse: a hundred places end the process on metadata that contradicts itself. The
//! checks stand before those that any architecture can reach: `keys` for layers, heads, experts and rope, `vocabulary`,
//! `tensors`, by what `architectures` says of each. What is left is the `header`.

mod adapter;
mod architectures;
mod header;
mod keys;
mod ranking;
mod tensors;
mod vocabulary;

pub(super) use adapter::read_adapter;
use architectures::{Architecture, checked};
pub(super) use header::{Header, Layer, Pooling, Ranking};
use keys::Keys;
use tensors::check_tensors;
use vocabulary::check_vocabulary;

use crate::kernel::product::Panels;
use crate::weights::{TensorEntry, WeightFile};
use crate::{Error, Result};

/// llama.cpp's `LLAMA_MAX_LAYERS`.
const MAX_LAYERS: u64 = 512;
const MAX_WIDTH: u64 = 1 << 20;

/// Reads and checks what the header says.
///
/// # Errors
///
/// `Corrupt` for metadata that is missing or contradicts itself, `Unsupported` for a file that is not a
/// model by itself, or whose tokenizer is not taken.
pub(in crate::backend::llama) fn read(file: &WeightFile) -> Result<Header> {
    let header = file.metadata();
    let Some(architecture) = header.text("general.architecture")? else {
        return Err(Error::corrupt("key 'general.architecture' is missing"));
    };
    if file.tensors().len() == 0 {
        return Err(Error::unsupported("expected a model, got a GGUF file without weights"));
    }
    if let Some((_, parts)) = file.part()?
        && parts != file.files().len() as u64
    {
        return Err(Error::unsupported(format!(
            "it is one part of a model split into {parts}: expected the path to it, with the others beside it"
        )));
    }
    if let Some(kind) = header.text("general.type")?
        && kind != "model"
    {
        return Err(Error::unsupported(format!("expected a model, got a GGUF file of type '{kind}'")));
    }
    let keys = Keys { header, architecture };
    let layers = keys.within("block_count", 1, MAX_LAYERS)?;
    let context = keys.within("context_length", 1, u64::from(u32::MAX))?;
    let width = keys.within("embedding_length", 1, MAX_WIDTH)?;
    keys.check_experts(layers)?;
    keys.check_rope()?;
    keys.check_windows(layers)?;
    keys.check_norms()?;
    keys.check_output(width)?;
    keys.check_sizes(width)?;
    let heads = keys.heads(layers, width)?;
    let feed_forward = keys.per_layer("feed_forward_length", layers)?;
    let layer = |i: usize| Layer {
        heads: heads.queries.get(i).copied().unwrap_or(0),
        shared_heads: heads.shared.get(i).copied().unwrap_or(0),
        feed_forward: feed_forward.get(i).copied().unwrap_or(0),
    };
    let checked = Header {
        architecture: architecture.to_owned(),
        context: u32::try_from(context).unwrap_or(u32::MAX),
        width,
        layers: (0..layers as usize).map(layer).collect(),
        feed_forward: feed_forward.iter().copied().max().unwrap_or(0),
        head_size: heads.key.max(heads.value),
        key_size: heads.key,
        value_size: heads.value,
        cache_elements: heads.cache_elements(),
        heads: heads.queries.iter().copied().max().unwrap_or(0),
        pooling: keys.pooling()?,
        ranking: keys.ranking(file)?,
        vocabulary: check_vocabulary(header)?,
        weight_bytes: file.tensor_bytes(),
        packed_bytes: packed_bytes(file),
        tensors: file.tensors().len() as u64,
    };
    check_tensors(file, &checked)?;
    Ok(checked)
}

/// What the matrices of all layers take when they are packed, but for formats that are not. Nothing of a model of experts:
/// most of its weights are not ours to multiply, and llama.cpp packs those in its own way, for all formats or for none.
fn packed_bytes(file: &WeightFile) -> u64 {
    let of_layers = || file.tensors().filter(|tensor| tensor.name().starts_with("blk."));
    if of_layers().any(|tensor| tensor.shape().rank() > 2) {
        return 0;
    }
    let packed = |tensor: TensorEntry<'_>| {
        let format = tensor.format().filter(|format| Panels::are_fast(*format))?;
        let &[rows, cols] = &**tensor.shape() else { return None };
        Panels::packed_bytes(format, rows, cols).map(|bytes| bytes as u64)
    };
    of_layers().filter_map(packed).fold(0, u64::saturating_add)
}

/// llama.cpp asserts what it needs of a model's tensors, and an assertion that fails ends the process. Of these
/// architectures all of it is checked here; another one takes an app that knows which file it means. Comes before the
/// keys are judged, which another one may spell in another way. `is_known` says that the app gave the file's digest.
pub(in crate::backend::llama) fn admit(file: &WeightFile, is_known: bool) -> Result<()> {
    match file.metadata().text("general.architecture")? {
        Some(architecture) if !Architecture::of(architecture).is_checked() && !is_known => {
            Err(Error::unsupported(format!(
                "architecture '{architecture}': expected one of {}; a file of another one opens if its digest is given",
                checked().collect::<Vec<_>>().join(", ")
            )))
        }
        // Its absence is for `read` to report.
        _ => Ok(()),
    }
}

/// Whether models of this architecture keep no state from token to token.
pub(super) fn is_encoder(architecture: &str) -> bool {
    Architecture::of(architecture).is_encoder()
}
