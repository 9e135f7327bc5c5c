//! Checks of a LoRA adapter before llama.cpp sees it, against the model that it is for.
//!
//! llama.cpp compares shapes when it loads one, and asserts what is left in the middle of an answer: types of keys and of
//! tensors, and a changed vocabulary where the model's output is the vocabulary itself.

use std::collections::BTreeMap;

use crate::weights::{TensorEntry, TensorType, ValueRef, WeightFile};
use crate::{Error, Result};

/// The matrices of a layer that an adapter may change: those that every checked architecture multiplies with nothing else.
const MATRICES: [&str; 7] = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"];
/// Ranks beyond the width of a model make no sense, and a product of two matrices is taken for each token.
const MAX_RANK: usize = 1 << 12;

/// The two halves of a change.
#[derive(Default)]
struct Pair<'a> {
    a: Option<TensorEntry<'a>>,
    b: Option<TensorEntry<'a>>,
}

/// How many weights of `base` the adapter changes, and for how many it has changes.
///
/// # Errors
///
/// `Corrupt` for metadata or tensors that contradict themselves or the model, `Unsupported` for what is no LoRA adapter of this
/// architecture, or changes what cannot be changed, or nothing.
pub(in crate::backend::llama) fn read_adapter(file: &WeightFile, base: &WeightFile) -> Result<(u32, u32)> {
    check_keys(file, base)?;
    let mut pairs = BTreeMap::<&str, Pair<'_>>::new();
    let (tensors, mut ignored) = (file.tensors().collect::<Vec<_>>(), 0);
    for tensor in &tensors {
        let name = tensor.name();
        if let Some(of) = name.strip_suffix(".lora_a") {
            pairs.entry(of).or_default().a = Some(*tensor);
        } else if let Some(of) = name.strip_suffix(".lora_b") {
            pairs.entry(of).or_default().b = Some(*tensor);
        } else if name.ends_with("_norm.weight") {
            ignored += 1;
        } else {
            return Err(Error::unsupported(format!(
                "tensor '{name}': expected a name that ends in .lora_a or .lora_b"
            )));
        }
    }
    if pairs.is_empty() {
        return Err(Error::unsupported("expected changes of at least one matrix, got none"));
    }
    for (name, pair) in &pairs {
        check_pair(name, pair, base)?;
    }
    Ok((pairs.len() as u32, pairs.len() as u32 + ignored))
}

fn check_keys(file: &WeightFile, base: &WeightFile) -> Result<()> {
    let (keys, base) = (file.metadata(), base.metadata());
    let architecture = base.text("general.architecture")?.unwrap_or("");
    let expected = [("general.type", "adapter"), ("adapter.type", "lora"), ("general.architecture", architecture)];
    for (key, expected) in expected {
        let got = keys.text(key)?.unwrap_or("nothing");
        if got != expected {
            return Err(Error::unsupported(format!("key '{key}': expected '{expected}', got '{got}'")));
        }
    }
    match keys.get("adapter.lora.alpha") {
        None => {}
        Some(ValueRef::F32(alpha)) if alpha.is_finite() => {}
        Some(got) => {
            return Err(Error::corrupt(format!("key 'adapter.lora.alpha': expected a finite f32, got {got:?}")));
        }
    }
    match keys.get("adapter.alora.invocation_tokens") {
        Some(_) => Err(Error::unsupported("an adapter that begins with certain tokens (aLoRA) is not served")),
        None => Ok(()),
    }
}

fn check_pair(name: &str, pair: &Pair<'_>, base: &WeightFile) -> Result<()> {
    let (Some(a), Some(b)) = (&pair.a, &pair.b) else {
        return Err(Error::corrupt(format!("matrix '{name}': expected .lora_a and .lora_b, got one of them")));
    };
    if !is_changed(name) {
        return Err(Error::unsupported(format!(
            "matrix '{name}': only matrices of attention, feed-forward and output are changed"
        )));
    }
    let Some(of) = base.get(name) else {
        return Err(Error::corrupt(format!("matrix '{name}': the model has none of this name")));
    };
    for half in [a, b] {
        if !matches!(half.tensor_type(), TensorType::F32 | TensorType::F16) {
            let (name, got) = (half.name(), half.tensor_type());
            return Err(Error::unsupported(format!("tensor '{name}': expected F32 or F16, got {got}")));
        }
    }
    // Outermost first: a matrix makes [out] of [in], `a` makes [rank] of [in], and `b` makes [out] of [rank].
    let shapes: [&[usize]; 3] = [of.shape(), a.shape(), b.shape()];
    let [&[out, input], &[rank, a_input], &[b_out, b_rank]] = shapes else { return Err(misfit(name, shapes)) };
    if a_input != input || b_out != out || b_rank != rank || !(1..=MAX_RANK).contains(&rank) {
        return Err(misfit(name, shapes));
    }
    Ok(())
}

fn misfit(name: &str, [of, a, b]: [&[usize]; 3]) -> Error {
    Error::corrupt(format!("matrix '{name}': expected factors of {of:?}, got {a:?} and {b:?}"))
}

fn is_changed(name: &str) -> bool {
    let part = match name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
        Some((_, part)) => part,
        None => return name == "output.weight",
    };
    part.strip_suffix(".weight").is_some_and(|part| MATRICES.contains(&part))
}
