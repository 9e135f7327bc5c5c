//! Files made to end the process: what our reader takes, ggml's takes; what `open` takes, serves.

use std::path::{Path, PathBuf};

use super::child::{End, ends};
use super::*;
use crate::weights::tests::craft::Tensor;
use crate::weights::{TensorType, ValueRef, ValueType};

/// Lists of files; a child makes the same.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum List {
    /// Models with each of their tensors in every type.
    Types,
    /// Models with each number of their metadata as what it should not be.
    Numbers,
    /// Models of the other architectures, in the same way.
    Families,
    /// Models with weights, or scales of them, that are no finite numbers.
    Infinite,
    /// Headers with a few wrong bytes that our reader takes.
    Mutants,
    /// The same with what our reader lists and ggml does not know.
    Foreign,
    /// What the fuzzer of our reader has made, and the reader takes.
    Found,
    /// Headers that ggml is known for.
    Known,
}

type Files = Box<dyn Iterator<Item = (String, Vec<u8>)>>;

impl List {
    pub(super) const ALL: [List; 8] = [
        List::Types,
        List::Numbers,
        List::Families,
        List::Infinite,
        List::Mutants,
        List::Foreign,
        List::Found,
        List::Known,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            List::Types => "types",
            List::Numbers => "numbers",
            List::Families => "families",
            List::Infinite => "infinite",
            List::Mutants => "mutants",
            List::Foreign => "foreign",
            List::Found => "found",
            List::Known => "known",
        }
    }

    pub(super) fn files(self) -> Files {
        match self {
            List::Types => Box::new(
                [File::complete(small), File::encoder(small), File::reranker(small), wide()]
                    .into_iter()
                    .flat_map(in_types),
            ),
            List::Numbers => Box::new(
                [("llama", File::complete(small)), ("bert", File::encoder(small)), ("bert", File::reranker(small))]
                    .into_iter()
                    .flat_map(with_numbers),
            ),
            List::Families => Box::new(super::families::files()),
            List::Infinite => {
                let all = [File::complete(small), File::encoder(small), File::reranker(small)];
                let whole = all.into_iter().flat_map(with_infinite_weights);
                Box::new(whole.chain(with_infinite_scales()))
            }
            List::Mutants => Box::new(mutants(is_known_to_ggml).take(40_000)),
            List::Foreign => Box::new(mutants(|file| !is_known_to_ggml(file)).take(10_000)),
            List::Found => Box::new(found()),
            List::Known => Box::new(known()),
        }
    }

    /// Whether ggml reads them by itself; others are opened and used.
    pub(super) fn is_native(self) -> bool {
        matches!(self, List::Mutants | List::Foreign | List::Found | List::Known)
    }
}

pub(super) fn small(i: usize) -> f32 {
    ((i * 7919 + 13) % 101) as f32 / 500.0 - 0.1
}

/// A model with rows of 256, as large blocks want them.
fn wide() -> File {
    let mut file = File::model()
        .u32("llama.block_count", 1)
        .u32("llama.embedding_length", 256)
        .u32("llama.feed_forward_length", 256)
        .u32("llama.attention.head_count_kv", 4)
        .no_tensors()
        .tensor("token_embd.weight", &[256, 300], 8, 300 * 272)
        .tensor("output_norm.weight", &[256], 0, 1024);
    for name in ["attn_norm", "ffn_norm"] {
        file = file.tensor(&format!("blk.0.{name}.weight"), &[256], 0, 1024);
    }
    for name in ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"] {
        file = file.tensor(&format!("blk.0.{name}.weight"), &[256, 256], 8, 256 * 272);
    }
    file
}

fn in_types(model: File) -> impl Iterator<Item = (String, Vec<u8>)> {
    let places = (0..model.tensors().len()).flat_map(|i| (0..48).map(move |number| (i, number)));
    places.filter_map(move |(i, number)| {
        let mut file = model.clone();
        let tensor = &mut file.tensors_mut()[i];
        let known = TensorType::ALL.iter().find(|t| t.gguf_number() == Some(number));
        let bytes = known.map_or(Some(96), |t| bytes_of(*t, &tensor.dims))?;
        let name = format!("{} in type {number}", String::from_utf8_lossy(&tensor.name));
        *tensor = Tensor { kind: number, fill: vec![0], bytes, ..tensor.clone() };
        Some((name, file.bytes()))
    })
}

/// Bytes that a tensor of a type takes, if its rows are whole blocks.
fn bytes_of(tensor_type: TensorType, dims: &[u64]) -> Option<usize> {
    let (block, bytes) = (tensor_type.block_elements()?, tensor_type.block_bytes()?);
    dims[0].is_multiple_of(block).then(|| (dims.iter().product::<u64>() / block * bytes) as usize)
}

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
    "attention.key_length_swa",
    "attention.value_length_swa",
    "attention.layer_norm_epsilon",
    "attention.layer_norm_rms_epsilon",
    "attention.causal",
    "attention.scale",
    "attention.clamp_kqv",
    "attention.max_alibi_bias",
    "attention.sliding_window",
    "attention.temperature_length",
    "rope.dimension_count",
    "rope.dimension_count_swa",
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
    "classifier.pooling_type",
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

fn with_numbers((family, model): (&'static str, File)) -> impl Iterator<Item = (String, Vec<u8>)> {
    let keys = KEYS.iter().map(move |key| format!("{family}.{key}"));
    keys.chain(TOKENIZER.iter().map(|key| format!("tokenizer.ggml.{key}"))).flat_map(move |key| {
        let with = |value: String, file: File| (format!("{key} = {value}"), file.bytes());
        odd_values(&model, &key).into_iter().map(|(value, file)| with(value, file)).collect::<Vec<_>>()
    })
}

pub(super) fn odd_values(model: &File, key: &str) -> Vec<(String, File)> {
    let model = || model.clone();
    let mut all = Vec::new();
    for n in [0u32, 1, 3, 17, 64, 65, 1 << 16, i32::MAX as u32, u32::MAX] {
        all.push((format!("{n}"), model().u32(key, n)));
    }
    for n in [0i32, 2, -1] {
        all.push((format!("{n} as i32"), model().key(key, 5, n.to_le_bytes().into())));
    }
    for x in [0.0f32, -1.0, 1e30, f32::NAN, f32::INFINITY] {
        all.push((format!("{x} as f32"), model().f32(key, x)));
    }
    for (kind, len, n) in [(4, 0, 0u32), (4, 1, 4), (4, 2, 0), (4, 2, 4), (4, 4, 1), (4, 513, 4), (6, 2, 0)] {
        let elements = n.to_le_bytes().repeat(len);
        all.push((format!("[{n}; {len}] in type {kind}"), model().array(key, kind, len as u64, elements)));
    }
    all.push(("1 as u64".into(), model().key(key, 10, 1u64.to_le_bytes().into())));
    all.push(("true".into(), model().key(key, 7, vec![1])));
    all.push(("a text".into(), model().text(key, "longrope")));
    all.push(("three bytes".into(), model().array(key, 0, 3, vec![0xFF; 3])));
    all.push(("nothing".into(), model().without(key)));
    all
}

/// Every tensor with numbers that are none, all over or one of them.
fn with_infinite_weights(model: File) -> impl Iterator<Item = (String, Vec<u8>)> {
    let numbers = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX];
    let places = (0..model.tensors().len()).flat_map(move |i| numbers.map(|x| (i, x)));
    places.flat_map(move |(i, x)| {
        [true, false].map(|all| {
            let mut file = model.clone();
            let tensor = &mut file.tensors_mut()[i];
            let fill = &mut tensor.fill;
            let upto = if all { fill.len() } else { 4 };
            fill[..upto].as_chunks_mut::<4>().0.fill(x.to_le_bytes());
            let (name, which) = (String::from_utf8_lossy(&tensor.name).into_owned(), if all { "all" } else { "one" });
            (format!("{name} with {which} {x}"), file.bytes())
        })
    })
}

/// Every matrix in every type whose blocks have scales, and these NaN or infinite.
fn with_infinite_scales() -> impl Iterator<Item = (String, Vec<u8>)> {
    // As the bytes of F16: all are NaN, or infinite of one sign; of one byte: NaN, where such a scale can be NaN.
    let fills = [("NaN", [0xFF, 0xFF]), ("infinity", [0x00, 0x7C]), ("-infinity", [0x00, 0xFC])];
    let model = wide();
    let matrices = (0..model.tensors().len()).filter(|&i| model.tensors()[i].dims.len() == 2).collect::<Vec<_>>();
    let scaled = TensorType::ALL.iter().filter(|t| t.block_elements().is_some_and(|block| block > 1));
    let kinds: Vec<_> = scaled.filter_map(|t| Some((*t, t.gguf_number()?))).collect();
    matrices.into_iter().flat_map(move |i| {
        let (model, kinds) = (model.clone(), kinds.clone());
        kinds.into_iter().flat_map(move |(kind, number)| {
            let model = model.clone();
            fills.into_iter().filter_map(move |(what, fill)| {
                let mut file = model.clone();
                let tensor = &mut file.tensors_mut()[i];
                let bytes = bytes_of(kind, &tensor.dims)?;
                *tensor = Tensor { kind: number, fill: fill.into(), bytes, ..tensor.clone() };
                let name = format!("{} in {kind} scaled by {what}", String::from_utf8_lossy(&tensor.name));
                Some((name, file.bytes()))
            })
        })
    })
}

/// Always the same files, which our reader takes.
fn mutants(wanted: fn(&WeightFile) -> bool) -> impl Iterator<Item = (String, Vec<u8>)> {
    let seeds = [
        File::model().no_tensors().tensor("token_embd.weight", &[32, 8], 2, 144).tensor("q", &[256], 12, 144).bytes(),
        File::new().u32("general.alignment", 64).array("k", 9, 0, vec![]).bytes(),
        File::new().tensor("a", &[3, 5, 7], 24, 105).tensor("b", &[2, 2, 2, 2], 27, 128).bytes(),
        File::new().array("t", 8, 2, [string(b"a"), string(b"b")].concat()).tensor("n", &[64, 2], 40, 72).bytes(),
    ];
    // A linear congruential generator.
    let mut state = 3u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mutant = move || {
        let mut file = seeds[random(seeds.len())].clone();
        let header = file.len().min(400);
        for _ in 0..=random(4) {
            // Half of them where the counts are, half where the tensors are.
            let at = if random(2) == 0 { random(header) } else { file.len() - 1 - random(header) };
            file[at] = match random(3) {
                0 => [0, 1, 2, 3, 0x7F, 0x80, 0xFF, b'x'][random(8)],
                1 => file[at] ^ 1 << random(8),
                _ => file[at].wrapping_add(1),
            };
        }
        file
    };
    std::iter::repeat_with(mutant)
        .enumerate()
        .filter(move |(_, file)| WeightFile::of_bytes(Bytes::shared(file.clone())).is_ok_and(|file| wanted(&file)))
        .map(|(i, file)| (format!("mutant {i}"), file))
}

/// What ggml does not know, it refuses, and so does the backend.
fn is_known_to_ggml(file: &WeightFile) -> bool {
    let nested = |value: ValueRef<'_>| value.as_array().is_some_and(|a| a.element_type() == ValueType::Array);
    !file.tensors().any(|t| matches!(t.tensor_type(), TensorType::Unknown(_)))
        && !file.metadata().iter().any(|(_, value)| nested(value))
}

/// The folder where `tests/fuzz/run` keeps them. `tests/run` names it, and then it must be there.
fn found_in() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("SELVEDGE_FUZZ_ACCEPTED") {
        return Some(folder.into());
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz/accepted");
    folder.exists().then_some(folder)
}

/// Named after what is to become of them.
fn found() -> impl Iterator<Item = (String, Vec<u8>)> {
    let folder = found_in().into_iter();
    let mut paths: Vec<_> = folder.flat_map(|f| f.read_dir().unwrap()).map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().filter_map(|path| {
        let bytes = std::fs::read(&path).unwrap();
        let file = WeightFile::of_bytes(Bytes::shared(bytes.clone())).ok()?;
        let kind = if is_known_to_ggml(&file) { "known" } else { "foreign" };
        Some((format!("{kind} {}", path.file_name()?.to_string_lossy()), bytes))
    })
}

/// Three files of about 100 bytes that end the process in ggml, one that it takes, one that it refuses.
fn known() -> impl Iterator<Item = (String, Vec<u8>)> {
    let shapes: [(&[u64], u32); 4] =
        [(&[1 << 31, (1 << 32) - 1], 24), (&[1, (1 << 63) - 1], 24), (&[1 << 32, 0, 1 << 32], 0), (&[8], 0)];
    let shapes = shapes.map(|(dims, kind)| (format!("{dims:?}"), File::new().tensor("t", dims, kind, 32).bytes()));
    shapes.into_iter().chain([("another magic".to_owned(), b"GGUX".to_vec())])
}

/// Every file comes to an end that is none of the process; returns how many were taken, of how many.
#[track_caller]
pub(super) fn survived(list: List) -> (usize, usize) {
    let ends = ends(list);
    let died: Vec<_> = ends.iter().filter(|(_, end)| matches!(end, End::Died(_))).collect();
    assert!(died.is_empty(), "{} of {} files end the process: {died:#?}", died.len(), ends.len());
    (ends.iter().filter(|(_, end)| *end == End::Taken).count(), ends.len())
}

#[test]
fn every_tensor_in_every_type_is_survived() {
    let (taken, all) = survived(List::Types);
    assert!(taken > 300 && taken < all - 300, "{taken} of {all} are taken");
}

#[test]
fn every_number_of_the_metadata_is_survived() {
    let (taken, all) = survived(List::Numbers);
    assert!(taken > 300 && taken < all - 300, "{taken} of {all} are taken");
}

#[test]
fn what_our_reader_takes_ggml_takes() {
    taken(List::Mutants, ends(List::Mutants));
}

/// ggml takes all of these.
#[track_caller]
fn taken(list: List, ends: Vec<(String, End)>) {
    let wrong: Vec<_> = ends.into_iter().filter(|(_, end)| *end != End::Taken).collect();
    let first = wrong.first().and_then(|(name, _)| list.files().find(|(n, _)| n == name));
    assert!(wrong.is_empty(), "{} are not taken by ggml, first {:?}: {first:?}", wrong.len(), wrong.first());
}

#[test]
fn what_ggml_does_not_know_does_not_end_it() {
    let (taken, all) = survived(List::Foreign);
    assert!(all == 10_000 && taken < all, "{taken} of {all} are taken");
}

/// Where the fuzzer has run: a sample of the files that it made and our reader took, of at most 4 KiB.
#[test]
fn what_the_fuzzer_found_ggml_takes() {
    if found_in().is_none() {
        return println!("skipped: there is no target/fuzz/accepted, run tests/fuzz/run 20");
    }
    let (known, foreign): (Vec<_>, Vec<_>) = ends(List::Found).into_iter().partition(|(n, _)| n.starts_with("known"));
    println!("{} files that ggml knows, {} that it does not", known.len(), foreign.len());
    // How many there are depends on how far the fuzzer came in its time.
    assert!(known.len() >= 10, "the fuzzer kept {} files that open", known.len());
    let died: Vec<_> = foreign.iter().filter(|(_, end)| matches!(end, End::Died(_))).collect();
    assert!(died.is_empty(), "{died:#?}");
    taken(List::Found, known);
}

#[test]
fn weights_that_are_no_finite_numbers_are_survived() {
    let (taken, all) = survived(List::Infinite);
    assert!(taken > 600 && all > taken, "{taken} of {all} are taken");
}

/// The tests under test: ggml does end the process.
#[test]
fn ggml_ends_the_process_where_our_reader_does_not() {
    let ends: Vec<End> = ends(List::Known).into_iter().map(|(_, end)| end).collect();
    assert!(ends[..3].iter().all(|end| matches!(end, End::Died(_))), "{ends:?}");
    assert!(ends[3] == End::Taken && matches!(ends[4], End::Refused(_)), "{ends:?}");
    for (_, file) in known().take(3) {
        refused(&file, Code::Corrupt, "tensor 't'");
        let error = crate::open(file, crate::Options::new()).err().unwrap();
        assert_eq!(error.code(), Code::Corrupt, "{error}");
    }
}
