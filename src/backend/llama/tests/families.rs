//! The other architectures that are checked in full: what of their metadata ends the process in llama.cpp is refused.

use super::hostile::{List, odd_values, small, survived};
use super::*;
use crate::weights::tests::craft::Tensor;

const FAMILIES: [&str; 7] = ["gemma", "gemma2", "gemma3", "mistral3", "qwen2", "qwen3", "smollm3"];

/// Numbers that their graphs and their readers ask for, beside those that all have.
const KEYS: [&str; 14] = [
    "attention.head_count",
    "attention.head_count_kv",
    "attention.sliding_window",
    "attention.sliding_window_pattern",
    "attention.temperature_scale",
    "attn_logit_softcapping",
    "expert_count",
    "expert_used_count",
    "final_logit_softcapping",
    "nextn_predict_layers",
    "rope.dimension_count",
    "rope.freq_base_swa",
    "rope.scaling.factor",
    "rope.scaling.original_context_length",
];

fn with(file: File, name: &str, dims: &[u64]) -> File {
    let count = dims.iter().product::<u64>() as usize;
    let fill = (0..count).flat_map(|i| small(i).to_le_bytes()).collect();
    file.any_tensor(Tensor { name: name.into(), dims: dims.into(), kind: 0, offset: None, fill, bytes: count * 4 })
}

/// A model of a family with all of its weights, that generates and embeds.
fn of(family: &str) -> File {
    let key = |name: &str| format!("{family}.{name}");
    let mut file = File::complete(small)
        .text("general.architecture", family)
        .u32(&key("block_count"), 2)
        .u32(&key("context_length"), 128)
        .u32(&key("embedding_length"), 64)
        .u32(&key("feed_forward_length"), 96)
        .u32(&key("attention.head_count"), 4)
        .u32(&key("attention.head_count_kv"), 2)
        .f32(&key("attention.layer_norm_rms_epsilon"), 1e-5)
        .u32(&key("pooling_type"), 1);
    if family == "gemma3" {
        file = file.u32(&key("attention.sliding_window"), 16);
    }
    for layer in 0..2 {
        let more: &[(&str, u64)] = match family {
            "gemma2" => &[("post_attention_norm", 64), ("post_ffw_norm", 64)],
            "gemma3" => &[("post_attention_norm", 64), ("post_ffw_norm", 64), ("attn_q_norm", 16), ("attn_k_norm", 16)],
            "qwen3" => &[("attn_q_norm", 16), ("attn_k_norm", 16)],
            _ => &[],
        };
        for (name, len) in more {
            file = with(file, &format!("blk.{layer}.{name}.weight"), &[*len]);
        }
        if family == "qwen2" {
            for (name, len) in [("attn_q", 64), ("attn_k", 32), ("attn_v", 32)] {
                file = with(file, &format!("blk.{layer}.{name}.bias"), &[len]);
            }
        }
    }
    file
}

/// A model with 4 experts.
fn mixture(used: &[u32]) -> File {
    let mut file = File::model().no_tensors().u32("llama.expert_count", 4).array(
        "llama.expert_used_count",
        4,
        used.len() as u64,
        used.iter().flat_map(|n| n.to_le_bytes()).collect(),
    );
    let kept = File::complete(small);
    for tensor in kept.tensors().iter().filter(|t| !String::from_utf8_lossy(&t.name).contains("ffn_")) {
        file = file.any_tensor(tensor.clone());
    }
    for layer in 0..2 {
        let tensors: [(&str, &[u64]); 5] = [
            ("ffn_norm", &[64]),
            ("ffn_gate_inp", &[64, 4]),
            ("ffn_gate_exps", &[64, 96, 4]),
            ("ffn_up_exps", &[64, 96, 4]),
            ("ffn_down_exps", &[96, 64, 4]),
        ];
        for (name, dims) in tensors {
            file = with(file, &format!("blk.{layer}.{name}.weight"), dims);
        }
    }
    file
}

/// A feed-forward matrix in NVFP4, with what may stand beside it.
fn scaled(beside: &[(&str, u64)]) -> File {
    let mut file = File::complete(small);
    for tensor in file.tensors_mut().iter_mut().filter(|t| t.name.ends_with(b"ffn_up.weight")) {
        *tensor = Tensor { kind: 40, fill: vec![0x38], bytes: 96 * 36, ..tensor.clone() };
    }
    for (name, len) in beside {
        file = with(file, &format!("blk.0.ffn_up.{name}"), &[*len]);
    }
    file
}

/// Files that are opened and asked in a child process.
pub(super) fn files() -> impl Iterator<Item = (String, Vec<u8>)> {
    let odd = FAMILIES.into_iter().flat_map(|family| {
        let model = of(family);
        KEYS.into_iter().flat_map(move |key| {
            let key = format!("{family}.{key}");
            odd_values(&model, &key).into_iter().map(move |(value, file)| (format!("{key} = {value}"), file.bytes()))
        })
    });
    let mixtures =
        [[2, 2], [4, 4], [0, 2], [2, 0], [2, 4]].map(|used| (format!("{used:?} experts of 4"), mixture(&used).bytes()));
    let besides: [&[(&str, u64)]; 4] = [&[], &[("scale", 1)], &[("bias", 96)], &[("scale", 1), ("bias", 96)]];
    let scales = besides.map(|beside| (format!("NVFP4 with {beside:?}"), scaled(beside).bytes()));
    odd.chain(mixtures).chain(scales)
}

#[test]
fn numbers_of_every_family_are_survived() {
    let (taken, all) = survived(List::Families);
    assert!(taken > 1000 && taken < all - 400, "{taken} of {all} are taken");
}

#[test]
fn a_family_without_odd_numbers_is_taken() {
    for family in FAMILIES {
        assert!(read(&of(family).bytes()).is_ok(), "{family}");
    }
    assert!(read(&mixture(&[2, 2]).bytes()).is_ok());
}

#[test]
fn windows_that_no_layer_has_are_refused() {
    let pattern = |family: &str| format!("{family}.attention.sliding_window_pattern");
    for family in ["gemma2", "gemma3"] {
        let of_layers = |windows: &[u8]| of(family).array(&pattern(family), 7, windows.len() as u64, windows.to_vec());
        for file in [of(family).u32(&pattern(family), 1), of_layers(&[0, 0]), of_layers(&[]), of_layers(&[0, 0, 1])] {
            corrupt(&file, "expected a layer with a window");
        }
        for file in [of(family).u32(&pattern(family), 2), of(family).u32(&pattern(family), 0), of_layers(&[0, 1])] {
            assert!(read(&file.bytes()).is_ok());
        }
    }
    // Without windows there is nothing to repeat.
    let none = of("gemma3").u32("gemma3.attention.sliding_window", 0).u32(&pattern("gemma3"), 1);
    assert!(read(&none.bytes()).is_ok());
}

#[test]
fn a_rotation_of_nothing_is_refused() {
    for family in ["gemma", "gemma2", "gemma3"] {
        corrupt(&of(family).u32(&format!("{family}.rope.dimension_count"), 0), "expected at least 2, got 0");
    }
}

/// The reader of these divides the width by the heads where there are so many layers.
#[test]
fn a_model_without_heads_is_refused() {
    for (family, layers) in [("gemma2", 46), ("gemma3", 62), ("llama", 2)] {
        let file = of(family).u32(&format!("{family}.block_count"), layers);
        corrupt(
            &file.clone().u32(&format!("{family}.attention.head_count"), 0),
            "expected at least 1 in the first layer",
        );
        corrupt(&file.without(&format!("{family}.attention.head_count")), "head_count");
    }
}

#[test]
fn layers_with_other_numbers_of_experts_are_refused() {
    for used in [[0, 2], [2, 0], [2, 4]] {
        corrupt(&mixture(&used), "expected the same number in all layers");
    }
}

#[test]
fn a_scale_beside_a_bias_is_refused() {
    refused(&scaled(&[("scale", 1), ("bias", 96)]).bytes(), Code::Unsupported, "a scale or a bias, not both");
    assert!(read(&scaled(&[("scale", 1)]).bytes()).is_ok() && read(&scaled(&[("bias", 96)]).bytes()).is_ok());
}
