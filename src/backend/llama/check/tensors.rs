//! Tensors of a GGUF model: whether llama.cpp computes with them.
//!
//! It checks the shape of each tensor when it loads it, and the type of none: a norm in 8 bits, or a matrix of
//! integers, ends the process in the middle of the first answer.

use super::architectures::Architecture;
use super::header::Header;
use crate::weights::{TensorEntry, TensorType, WeightFile};
use crate::{Error, Result};

/// Types whose rows can be multiplied or looked up.
fn is_computed_with(tensor_type: TensorType) -> bool {
    use TensorType::*;
    // Q8_1 and Q8_K are for activations; integers are indices.
    !matches!(tensor_type, Q8_1 | Q8K | I8 | I16 | I32 | I64 | F64 | Unknown(_))
}

/// Ends of the names of tensors that hold indices.
const INDICES: &[&str] = &["ffn_gate_tid2eid.weight", "masked_embd_ordering", "masked_embd_ordering.weight", "d2t"];

/// Ends of the names of tables that are added or convolved element by element, which is done in f32 only. So are those
/// with a single row, which are norms, biases and scales.
const PLAIN: &[&str] = &[
    "norm.weight",
    ".bias",
    "token_types.weight",
    "ssm_conv1d.weight",
    "ssm_a",
    "ssm_d",
    "shortconv.conv.weight",
    "time_mix_first.weight",
];
/// A single row that is multiplied as a matrix: the score of a reranker, the gate of a shared expert.
const MATRICES_OF_ONE_ROW: &[&str] = &["cls.output.weight", "ffn_gate_inp_shexp.weight"];

///
/// # Errors
///
/// `Corrupt` for a tensor of another shape than the metadata calls for, `Unsupported` for a type that is not
/// computed with, for a scalar, and for a tensor without elements.
pub(super) fn check_tensors(file: &WeightFile, header: &Header) -> Result<()> {
    let usual = Architecture::of(&header.architecture).is_checked();
    for tensor in file.tensors() {
        check_dimensions(&tensor)?;
        check_type(&tensor)?;
        check_scale(file, &tensor)?;
        if usual && let Some(expected) = header.shape_of(tensor.name())? {
            // One of several rows may be given without saying so.
            let dims: &[usize] = tensor.shape();
            let ones = dims.len().saturating_sub(expected.len());
            if dims[..ones].iter().any(|&n| n != 1) || dims[ones..].iter().ne(expected.iter()) {
                return Err(Error::corrupt(format!(
                    "tensor '{}': expected the shape {expected:?} by the metadata, got {dims:?}",
                    tensor.name()
                )));
            }
        }
    }
    Ok(())
}

/// Our reader lists what has no dimensions, or no elements. No architecture has such a tensor, and ggml divides by its
/// sizes.
fn check_dimensions(tensor: &TensorEntry<'_>) -> Result<()> {
    let shape = tensor.shape();
    if shape.rank() == 0 || shape.elements() == 0 {
        let name = tensor.name();
        return Err(Error::unsupported(format!(
            "tensor '{name}': expected 1 to 4 dimensions, all from 1, got {shape}"
        )));
    }
    Ok(())
}

fn check_type(tensor: &TensorEntry<'_>) -> Result<()> {
    let (name, got) = (tensor.name(), tensor.tensor_type());
    let among = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    if !is_computed_with(got) && !among(INDICES) {
        return Err(Error::unsupported(format!("tensor '{name}': weights of {got} are not computed with")));
    }
    let plain = among(PLAIN) || tensor.row_count() == 1 && !among(MATRICES_OF_ONE_ROW) && !among(INDICES);
    if plain && got != TensorType::F32 {
        return Err(Error::unsupported(format!("tensor '{name}': expected F32, got {got}")));
    }
    Ok(())
}

/// llama.cpp would scale such a tensor's bias with its product, and asserts that there is none.
fn check_scale(file: &WeightFile, tensor: &TensorEntry<'_>) -> Result<()> {
    let name = tensor.name();
    let stem = name.strip_suffix(".weight").filter(|_| tensor.tensor_type() == TensorType::Nvfp4);
    let has = |stem: &str, part: &str| file.get(&format!("{stem}.{part}")).is_some();
    if stem.is_some_and(|stem| has(stem, "scale") && has(stem, "bias")) {
        return Err(Error::unsupported(format!("tensor '{name}': in NVFP4 it has a scale or a bias, not both")));
    }
    Ok(())
}

impl Header {
    /// The shape that a tensor has by the metadata, outermost first, if its name says so.
    fn shape_of(&self, name: &str) -> Result<Option<Vec<usize>>> {
        let (width, tokens) = (self.width, self.vocabulary.tokens as u64);
        let shape = match name {
            "token_embd.weight" | "output.weight" => vec![tokens, width],
            "output_norm.weight" | "token_embd_norm.weight" | "token_embd_norm.bias" => vec![width],
            "position_embd.weight" => vec![self.context.into(), width],
            _ => match name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
                Some((number, part)) => match self.shape_in_layer(name, number, part)? {
                    Some(shape) => shape,
                    None => return Ok(None),
                },
                None => return Ok(None),
            },
        };
        Ok(shape.into_iter().map(|n| usize::try_from(n).ok()).collect())
    }

    fn shape_in_layer(&self, name: &str, number: &str, part: &str) -> Result<Option<Vec<u64>>> {
        let layer = number.parse::<usize>().ok().and_then(|i| self.layers.get(i));
        let Some(layer) = layer else {
            let layers = self.layers.len();
            return Err(Error::corrupt(format!("tensor '{name}': expected a layer below {layers}, got '{number}'")));
        };
        let width = self.width;
        let (queries, keys) = (layer.heads * self.key_size, layer.shared_heads * self.key_size);
        let values = layer.shared_heads * self.value_size;
        Ok(Some(match part {
            "attn_norm.weight" | "ffn_norm.weight" => vec![width],
            "attn_q.weight" => vec![queries, width],
            "attn_k.weight" => vec![keys, width],
            "attn_v.weight" => vec![values, width],
            "attn_output.weight" => vec![width, layer.heads * self.value_size],
            "ffn_up.weight" | "ffn_gate.weight" if layer.feed_forward > 0 => vec![layer.feed_forward, width],
            "ffn_down.weight" if layer.feed_forward > 0 => vec![width, layer.feed_forward],
            _ => return Ok(None),
        }))
    }
}
