//! Tiny models with all of their weights, which mean nothing: two layers, 300 tokens.

use std::path::{Path, PathBuf};

use half::f16;

use super::craft::{File, Tensor};

/// The number of Q4_1 in a file.
const Q4_1: u32 = 3;

/// Numbers without a pattern, so that no two tokens are alike.
pub(crate) fn noise(seed: usize) -> impl Fn(usize) -> f32 {
    move |i| {
        let mut x =
            (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (seed as u64).wrapping_mul(0xD1B5_4A32_D192_ED03);
        x = (x ^ (x >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        ((x >> 40) as f32 / (1 << 24) as f32 - 0.5) * 0.5
    }
}

/// A model of the family llama, in which the length of a context is `context`.
pub(crate) fn llama(context: u32) -> File {
    seeded(context, 1)
}

pub(crate) fn seeded(context: u32, seed: usize) -> File {
    let mut file = File::complete(noise(seed)).u32("llama.context_length", context);
    // The same numbers in each tensor would make layers alike.
    for (i, tensor) in file.tensors_mut().iter_mut().enumerate() {
        let norm = tensor.dims.len() == 1;
        let number = noise(seed * 100 + i);
        let number = |j| if norm { 1.0 + number(j) } else { number(j) };
        tensor.fill = (0..tensor.bytes / 4).flat_map(|j| number(j).to_le_bytes()).collect();
    }
    file
}

/// A model of the family gemma3: one of its layers sees 16 tokens back.
pub(crate) fn gemma3(context: u32) -> File {
    let key = |name: &str| format!("gemma3.{name}");
    let mut file = llama(context)
        .text("general.architecture", "gemma3")
        .u32(&key("block_count"), 2)
        .u32(&key("context_length"), context)
        .u32(&key("embedding_length"), 64)
        .u32(&key("feed_forward_length"), 96)
        .u32(&key("attention.head_count"), 4)
        .u32(&key("attention.head_count_kv"), 2)
        .f32(&key("attention.layer_norm_rms_epsilon"), 1e-5)
        .u32(&key("attention.sliding_window"), 16)
        .array(&key("attention.sliding_window_pattern"), 7, 2, vec![1, 0]);
    for layer in 0..2 {
        for (name, len) in
            [("post_attention_norm", 64), ("post_ffw_norm", 64), ("attn_q_norm", 16), ("attn_k_norm", 16)]
        {
            let number = noise(layer * 7 + len);
            let fill = (0..len).flat_map(|i| (1.0 + number(i)).to_le_bytes()).collect();
            let name = format!("blk.{layer}.{name}.weight").into_bytes();
            file =
                file.any_tensor(Tensor { name, dims: vec![len as u64], kind: 0, offset: None, fill, bytes: len * 4 });
        }
    }
    file
}

/// The model with its matrices in Q4_1, which ggml multiplies row by row: unlike f32, f16 and Q8_0, of which it computes several
/// tokens in another order than one, it gives a token the same numbers to the last bit whatever else is in the batch.
pub(crate) fn quantized(mut file: File) -> File {
    for tensor in file.tensors_mut().iter_mut().filter(|tensor| tensor.dims.len() == 2) {
        let weights: Vec<f32> = tensor.fill.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        tensor.fill = weights.as_chunks::<32>().0.iter().flat_map(q4_1).collect();
        (tensor.kind, tensor.bytes) = (Q4_1, tensor.fill.len());
    }
    file
}

/// A block: the size of a step, the least weight, and the numbers of steps, the first half of them in the lower bits.
fn q4_1(weights: &[f32; 32]) -> Vec<u8> {
    let least = weights.iter().copied().fold(f32::INFINITY, f32::min);
    let most = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let step = ((most - least) / 15.0).max(1e-6);
    let number = |weight: f32| (((weight - least) / step).round() as u8).min(15);
    let mut block = [f16::from_f32(step).to_le_bytes(), f16::from_f32(least).to_le_bytes()].concat();
    block.extend((0..16).map(|i| number(weights[i]) | number(weights[i + 16]) << 4));
    block
}

pub(crate) fn write(file: &File, folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, file.bytes()).unwrap();
    path
}

/// A prompt of so many tokens, none of which ends a text.
pub(crate) fn tokens(count: usize, seed: usize) -> Vec<u32> {
    (0..count).map(|i| ((i * 31 + i * i * 7 + seed * 17) % 250) as u32).collect()
}
