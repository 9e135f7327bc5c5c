//! Files that are no adapter of the model.

use crate::craft::{File, Tensor};
use crate::tiny;

/// Each with its name.
pub(super) fn all() -> Vec<(String, Vec<u8>)> {
    let mut all = files();
    all.extend(bytes());
    all
}

fn head() -> File {
    File::new()
        .text("general.architecture", "llama")
        .text("general.type", "adapter")
        .text("adapter.type", "lora")
        .f32("adapter.lora.alpha", 6.0)
}

fn tensor(name: &str, dims: &[u64]) -> Tensor {
    let bytes = dims.iter().product::<u64>() as usize * 4;
    Tensor { name: name.into(), dims: dims.into(), kind: 0, offset: None, fill: vec![0, 0, 0, 62], bytes }
}

fn pair(name: &str, a: &[u64], b: &[u64]) -> File {
    head().any_tensor(tensor(&format!("{name}.lora_a"), a)).any_tensor(tensor(&format!("{name}.lora_b"), b))
}

fn good() -> File {
    pair("blk.0.attn_q.weight", &[64, 4], &[4, 64])
}

/// The adapter, but for what is done to its first tensor.
fn changed(change: impl FnOnce(&mut Tensor)) -> File {
    let mut file = good();
    change(&mut file.tensors_mut()[0]);
    file
}

fn files() -> Vec<(String, Vec<u8>)> {
    let q = "blk.0.attn_q.weight";
    let cases = vec![
        ("a model", tiny::llama(256)),
        ("of no type", good().without("general.type")),
        ("a type that is a number", good().u32("general.type", 1)),
        ("another type", good().text("general.type", "model")),
        ("of no architecture", good().without("general.architecture")),
        ("another architecture", good().text("general.architecture", "qwen2")),
        ("a control vector", good().text("adapter.type", "control_vector")),
        ("of no kind", good().without("adapter.type")),
        ("an alpha that is a whole number", good().u32("adapter.lora.alpha", 1)),
        ("an alpha of NaN", good().f32("adapter.lora.alpha", f32::NAN)),
        ("an alpha of infinity", good().f32("adapter.lora.alpha", f32::INFINITY)),
        ("tokens that invoke it", good().array("adapter.alora.invocation_tokens", 4, 1, vec![0; 4])),
        ("a key twice", good().twice("adapter.type")),
        ("no changes", head()),
        ("a norm alone", head().any_tensor(tensor("blk.0.attn_norm.weight", &[64]))),
        ("a whole matrix", head().any_tensor(tensor(q, &[64, 64]))),
        ("the first half", head().any_tensor(tensor(&format!("{q}.lora_a"), &[64, 4]))),
        ("the second half", head().any_tensor(tensor(&format!("{q}.lora_b"), &[4, 64]))),
        ("the vocabulary", pair("token_embd.weight", &[4, 300], &[4, 64])),
        ("halves of halves", pair(&format!("{q}.lora_a"), &[64, 4], &[4, 64])),
        ("an output that the model has not", pair("output.weight", &[64, 4], &[4, 300])),
        ("a layer that the model has not", pair("blk.2.attn_q.weight", &[64, 4], &[4, 64])),
        ("a layer beyond numbers", pair("blk.99999999999999999999.attn_q.weight", &[64, 4], &[4, 64])),
        ("a matrix of another name", pair("blk.0.attn_x.weight", &[64, 4], &[4, 64])),
        ("an empty name", pair("", &[64, 4], &[4, 64])),
        ("another input", pair(q, &[32, 4], &[4, 64])),
        ("another output", pair(q, &[64, 4], &[4, 32])),
        ("two ranks", pair(q, &[64, 4], &[5, 64])),
        ("turned", pair(q, &[4, 64], &[64, 4])),
        ("of three dimensions", pair(q, &[64, 4, 2], &[4, 64, 2])),
        ("of one dimension", pair(q, &[64], &[64])),
        ("a rank beyond reason", pair(q, &[64, 8192], &[8192, 64])),
        ("a rank of zero", pair(q, &[64, 0], &[0, 64])),
        ("in whole numbers", changed(|t| t.kind = 26)),
        ("in Q8_0", changed(|t| (t.kind, t.bytes) = (8, 64 * 4 / 32 * 34))),
        ("in a type that is none", changed(|t| t.kind = 255)),
        ("an offset beyond its end", changed(|t| t.offset = Some(1 << 40))),
        ("an offset of all ones", changed(|t| t.offset = Some(u64::MAX))),
        ("an offset between blocks", changed(|t| t.offset = Some(3))),
        ("dimensions beyond numbers", changed(|t| t.dims = vec![1 << 31, 1 << 33])),
        ("dimensions of all ones", changed(|t| t.dims = vec![u64::MAX, u64::MAX])),
        ("nine dimensions", changed(|t| t.dims = vec![1; 9])),
        ("a name of a megabyte", changed(|t| t.name = vec![b'x'; 1 << 20])),
        ("a name that is no text", changed(|t| t.name = vec![0xff; 8])),
        ("a matrix twice", good().any_tensor(tensor(&format!("{q}.lora_a"), &[64, 4]))),
    ];
    cases.into_iter().map(|(name, file)| (name.to_owned(), file.bytes())).collect()
}

/// What is wrong before there are tensors.
fn bytes() -> Vec<(String, Vec<u8>)> {
    let good = good().bytes();
    let with = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let mut all = vec![
        ("nothing".to_owned(), Vec::new()),
        ("zeros".into(), vec![0; 4096]),
        ("a megabyte of ones".into(), vec![0xff; 1 << 20]),
        ("safetensors".into(), [&2u64.to_le_bytes()[..], b"{}"].concat()),
        ("ONNX".into(), b"\x08\x08\x12\x04test".to_vec()),
        ("version 0".into(), with(4, &[0; 4])),
        ("version 99".into(), with(4, &99u32.to_le_bytes())),
        ("tensors of all ones".into(), with(8, &[0xff; 8])),
        ("tensors beyond memory".into(), with(8, &(1u64 << 40).to_le_bytes())),
        ("keys of all ones".into(), with(16, &[0xff; 8])),
        ("keys beyond memory".into(), with(16, &(1u64 << 40).to_le_bytes())),
        ("a key beyond memory".into(), with(24, &(1u64 << 40).to_le_bytes())),
        ("an alignment of zero".into(), self::good().u32("general.alignment", 0).bytes()),
        ("a part of a split".into(), self::good().key("split.count", 2, vec![9, 0]).bytes()),
    ];
    for len in [1, 4, 23, 24, good.len() / 4, good.len() / 2, good.len() - 1] {
        all.push((format!("its first {len} bytes"), good[..len].to_vec()));
    }
    all
}
