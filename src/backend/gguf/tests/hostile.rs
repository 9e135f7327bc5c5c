//! Files made to end the process: what our reader takes, ggml's takes; what `open` takes, serves.

use super::child::{End, Job, bytes_of, ends};
use super::*;
use crate::weights::tests::craft::Tensor;
use crate::weights::{TensorType, Value, ValueType};

fn small(i: usize) -> f32 {
    ((i * 7919 + 13) % 101) as f32 / 500.0 - 0.1
}

/// Named files.
type Files = Vec<(String, Vec<u8>)>;

/// Every file comes to an end that is none of the process; returns how many were taken.
#[track_caller]
fn survived(job: Job, files: Files) -> usize {
    let (names, files): (Vec<_>, Vec<_>) = files.into_iter().unzip();
    let ends = ends(job, &files);
    let died: Vec<_> = names.iter().zip(&ends).filter(|(_, end)| matches!(end, End::Died(_))).collect();
    assert!(died.is_empty(), "{} of {} files end the process: {died:#?}", died.len(), names.len());
    ends.iter().filter(|end| **end == End::Taken).count()
}

/// Each tensor of a model in every type that there is, the others as they were.
fn in_every_type(model: &File, files: &mut Files) {
    for i in 0..model.tensors().len() {
        for number in 0..48 {
            let mut file = model.clone();
            let tensor = &mut file.tensors_mut()[i];
            let tensor_type = TensorType::ALL.iter().find(|t| t.gguf_number() == Some(number));
            let bytes = tensor_type.map_or(Some(96), |t| bytes_of(*t, &tensor.dims));
            let Some(bytes) = bytes else { continue };
            let name = format!("{} in type {number}", String::from_utf8_lossy(&tensor.name));
            *tensor = Tensor { kind: number, fill: vec![0], bytes, ..tensor.clone() };
            files.push((name, file.bytes()));
        }
    }
}

#[test]
fn every_tensor_in_every_type_is_survived() {
    let mut files = Vec::new();
    in_every_type(&File::complete(small), &mut files);
    in_every_type(&File::encoder(small), &mut files);
    // Blocks of 256 want wider rows.
    let mut wide = File::model().u32("llama.block_count", 1).u32("llama.embedding_length", 256).no_tensors();
    wide = wide.u32("llama.feed_forward_length", 256).u32("llama.attention.head_count_kv", 4);
    let layer = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"];
    wide = wide.tensor("token_embd.weight", &[256, 300], 8, 300 * 272).tensor("output_norm.weight", &[256], 0, 1024);
    for name in ["attn_norm", "ffn_norm"] {
        wide = wide.tensor(&format!("blk.0.{name}.weight"), &[256], 0, 1024);
    }
    for name in layer {
        wide = wide.tensor(&format!("blk.0.{name}.weight"), &[256, 256], 8, 256 * 272);
    }
    in_every_type(&wide, &mut files);
    let count = files.len();
    let taken = survived(Job::Open, files);
    assert!(taken > 300 && taken < count - 300, "{taken} of {count} are taken");
}

/// Each number of the metadata as what it should not be.
#[test]
fn every_number_of_the_metadata_is_survived() {
    const KEYS: &[&str] = &[
        "block_count",
        "context_length",
        "embedding_length",
        "embedding_length_out",
        "feed_forward_length",
        "vocab_size",
        "attention.head_count",
        "attention.head_count_kv",
        "attention.key_length",
        "attention.value_length",
        "attention.layer_norm_epsilon",
        "attention.layer_norm_rms_epsilon",
        "attention.causal",
        "attention.scale",
        "attention.clamp_kqv",
        "attention.max_alibi_bias",
        "attention.sliding_window",
        "attention.temperature_length",
        "rope.dimension_count",
        "rope.dimension_sections",
        "rope.freq_base",
        "rope.scaling.type",
        "rope.scaling.factor",
        "rope.scaling.attn_factor",
        "rope.scaling.original_context_length",
        "rope.scaling.yarn_log_multiplier",
        "expert_count",
        "expert_used_count",
        "expert_group_count",
        "expert_shared_count",
        "expert_feed_forward_length",
        "expert_weights_scale",
        "leading_dense_block_count",
        "nextn_predict_layers",
        "decoder_block_count",
        "pooling_type",
        "logit_scale",
        "residual_scale",
        "embedding_scale",
        "use_parallel_residual",
        "classifier.output_labels",
        "attention.shared_kv_layers",
    ];
    const TOKENIZER: &[&str] = &[
        "token_type_count",
        "bos_token_id",
        "eos_token_id",
        "add_bos_token",
        "add_space_prefix",
        "remove_extra_whitespaces",
        "precompiled_charsmap",
        "pre",
    ];
    let integers = [0u32, 1, 2, 3, 5, 15, 17, 63, 65, 128, 1 << 16, i32::MAX as u32, 1 << 31, u32::MAX];
    let reals = [0.0f32, -1.0, 1e-30, 1e30, f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
    let mut files = Vec::new();
    for (family, model) in [("llama", File::complete(small)), ("bert", File::encoder(small))] {
        let keys = KEYS.iter().map(|key| format!("{family}.{key}"));
        for key in keys.chain(TOKENIZER.iter().map(|key| format!("tokenizer.ggml.{key}"))) {
            let mut add = |value: &str, file: File| files.push((format!("{key} = {value}"), file.bytes()));
            for n in integers {
                add(&format!("{n}"), model.clone().u32(&key, n));
                add(&format!("{n} as i32"), model.clone().key(&key, 5, n.to_le_bytes().into()));
            }
            for x in reals {
                add(&format!("{x}"), model.clone().f32(&key, x));
            }
            add("u64 1", model.clone().key(&key, 10, 1u64.to_le_bytes().into()));
            add("true", model.clone().key(&key, 7, vec![1]));
            add("a text", model.clone().text(&key, "longrope"));
            for (len, n) in [(0, 0u32), (1, 4), (2, 0), (2, 4), (4, 1), (512, 4), (513, 4)] {
                let elements = n.to_le_bytes().repeat(len);
                add(&format!("[{n}; {len}]"), model.clone().array(&key, 4, len as u64, elements.clone()));
                add(&format!("[{n}; {len}] as f32"), model.clone().array(&key, 6, len as u64, elements));
            }
            add("three bytes", model.clone().array(&key, 0, 3, vec![0xFF; 3]));
            add("no", model.clone().without(&key));
        }
    }
    let count = files.len();
    let taken = survived(Job::Open, files);
    assert!(taken > 300 && taken < count - 300, "{taken} of {count} are taken");
}

/// The other way round, too: the file's own header, and others', with a few wrong bytes.
#[test]
fn what_our_reader_takes_ggml_takes() {
    let seeds = [
        File::model().no_tensors().tensor("token_embd.weight", &[32, 8], 2, 144).tensor("q", &[256], 12, 144).bytes(),
        File::new().u32("general.alignment", 64).array("k", 9, 0, vec![]).bytes(),
        File::new().tensor("a", &[3, 5, 7], 24, 105).tensor("b", &[2, 2, 2, 2], 27, 128).bytes(),
        File::new().array("t", 8, 2, [string(b"a"), string(b"b")].concat()).tensor("n", &[64, 2], 40, 72).bytes(),
    ];
    // A linear congruential generator: always the same files.
    let mut state = 3u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let (mut taken, mut tried) = (Vec::new(), 0);
    while taken.len() < 40_000 {
        tried += 1;
        let mut file = seeds[random(seeds.len())].clone();
        let header = file.len().min(400);
        for _ in 0..=random(4) {
            // Half of them where the counts and the last tensors are.
            let at = if random(2) == 0 { random(header) } else { file.len() - 1 - random(header) };
            file[at] = match random(3) {
                0 => [0, 1, 2, 3, 0x7F, 0x80, 0xFF, b'x'][random(8)],
                1 => file[at] ^ 1 << random(8),
                _ => file[at].wrapping_add(1),
            };
        }
        // What ggml does not know, it refuses, as does the backend; or the backend leaves it to ggml.
        let known = |file: &WeightFile| {
            let nested = |value: Value<'_>| value.as_array().is_some_and(|a| a.element_type() == ValueType::Array);
            !file.tensors().any(|t| matches!(t.tensor_type(), TensorType::Unknown(_)))
                && !file.metadata().iter().any(|(_, value)| nested(value))
        };
        if WeightFile::of_bytes(Bytes::shared(file.clone())).is_ok_and(|file| known(&file)) {
            taken.push(file);
        }
    }
    assert!(tried > 50_000, "few of {tried} files are refused");
    let wrong: Vec<_> =
        ends(Job::Native, &taken).into_iter().zip(&taken).filter(|(end, _)| *end != End::Taken).collect();
    assert!(wrong.is_empty(), "{} of {} are not taken by ggml, first {:?}", wrong.len(), taken.len(), wrong[0]);
}

/// The test under test: three files of about 100 bytes end the process in ggml, two more are refused by it.
#[test]
fn ggml_ends_the_process_where_our_reader_does_not() {
    let shapes: [(&[u64], u32); 3] =
        [(&[1 << 31, (1 << 32) - 1], 24), (&[1, (1 << 63) - 1], 24), (&[1 << 32, 0, 1 << 32], 0)];
    let mut files: Vec<_> =
        shapes.iter().map(|(dims, kind)| File::new().tensor("t", dims, *kind, 32).bytes()).collect();
    files.push(File::new().tensor("t", &[8], 0, 32).bytes());
    files.push(b"GGUX".to_vec());
    let ends = ends(Job::Native, &files);
    assert!(ends[..3].iter().all(|end| matches!(end, End::Died(_))) && ends[3] == End::Taken, "{ends:?}");
    assert!(matches!(ends[4], End::Refused(_)));
    for file in &files[..3] {
        refused(file, Code::Corrupt, "tensor 't'");
        let error = crate::open(file.clone(), crate::Options::new()).err().unwrap();
        assert_eq!(error.code(), Code::Corrupt, "{error}");
    }
}
