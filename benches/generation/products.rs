//! Prompts by products of ours, beside the same engine with llama.cpp's.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use selvedge::kernel::{BlockFormat, dequantize_into, quantize_into};
use selvedge::weights::{GgufWriter, TensorType, WeightFile};
use selvedge::{Engine, Loading, Trim, open};

use crate::asking::{Timed, options, prompt};
use crate::figures::{Ratios, load, median, rounds};
use crate::padded::Padded;

const ROUNDS: usize = 9;
const CONTEXT: u32 = 1024;
const PROMPT: usize = 456;
const NEW_TOKENS: u32 = 32;
/// A prompt whose first token is waited for.
const LONG_PROMPT: usize = 1000;

/// The prompt, the next tokens and the first token of a longer prompt with products of ours over those without, for each format that
/// can be written.
pub(crate) fn bench(path: &Path, threads: u32) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = vec![("q4_1", path.to_owned(), 2.0)];
    for format in [BlockFormat::Q4_0, BlockFormat::Q8_0] {
        files.push((format.name(), written(path, format, folder.path()), 1.5));
    }
    for format in [BlockFormat::Q4K, BlockFormat::Q5K, BlockFormat::Q6K] {
        files.push((format.name(), Padded::write(path, format, folder.path()).quantized, 2.0));
    }
    for (format, path, bar) in files {
        one(format, &path, threads, bar);
    }
}

fn one(format: &str, path: &Path, threads: u32, bar: f64) {
    let options = || options(threads, CONTEXT, 1);
    let ours = open(path, options().own_products()).expect("the model opens");
    let theirs = open(path, options()).expect("the model opens");
    if ours.spec().memory == theirs.spec().memory {
        return println!("products_{format}_{threads}t: not measured, this processor has none");
    }
    let (mut prompts, mut next, mut speeds) = (Ratios::default(), Ratios::default(), [Vec::new(), Vec::new()]);
    for round in 0..=rounds(ROUNDS) {
        let prompt = prompt(&*ours, &format!("Round {round}"), PROMPT);
        let ask = |engine: &Arc<dyn Engine>| {
            engine.trim(Trim::Caches).expect("forgets");
            Timed::continuation(&**engine, &prompt, NEW_TOKENS)
        };
        let (ours, theirs) = if round % 2 == 0 {
            let ours = ask(&ours);
            (ours, ask(&theirs))
        } else {
            let theirs = ask(&theirs);
            (ask(&ours), theirs)
        };
        if round > 0 {
            prompts.speed(ours.prompt(), theirs.prompt());
            next.speed(ours.generation(), theirs.generation());
            speeds[0].push(PROMPT as f64 / ours.prompt());
            speeds[1].push(PROMPT as f64 / theirs.prompt());
        }
    }
    let [with, without] = speeds.each_mut().map(|values| median(values));
    println!("products of {format}, {threads} threads: prompt {with:.1} tok/s, {without:.1} without, load {}", load());
    prompts.at_least(&format!("prompt_{format}_{threads}t_over_llama"), bar);
    next.at_least(&format!("generation_{format}_{threads}t_over_llama"), 0.95);
    first_token(&format!("first_token_{format}_{threads}t_over_llama"), &*ours, &*theirs);
}

/// The time to the first token of a long prompt.
fn first_token(name: &str, ours: &dyn Engine, theirs: &dyn Engine) {
    let mut ratios = Ratios::default();
    for round in 0..rounds(ROUNDS).div_ceil(2) {
        let prompt = prompt(ours, &format!("Long round {round}"), LONG_PROMPT);
        let ask = |engine: &dyn Engine| {
            engine.trim(Trim::Caches).expect("forgets");
            Timed::continuation(engine, &prompt, 1).first
        };
        ratios.time(ask(ours), ask(theirs));
    }
    ratios.at_most(name, 0.5);
}

/// The model with the matrices of its layers in another format.
fn written(path: &Path, format: BlockFormat, folder: &Path) -> PathBuf {
    let model = WeightFile::open(path, Loading::Mapped).expect("a model");
    let mut writer = GgufWriter::new();
    for (key, value) in model.metadata().iter() {
        writer.set(key, value).expect("a key");
    }
    let is_matrix = |name: &str, rank: usize| name.starts_with("blk.") && rank == 2;
    let written_type = TensorType::from(format);
    for tensor in model.tensors() {
        let changed = is_matrix(tensor.name(), tensor.shape().rank());
        let tensor_type = if changed { written_type } else { tensor.tensor_type() };
        writer.tensor(tensor.name(), tensor.shape(), tensor_type).expect("a tensor");
    }
    let to = folder.join(format!("{format}.gguf"));
    let mut data = writer.create(&to).expect("a file");
    for tensor in model.tensors() {
        if !is_matrix(tensor.name(), tensor.shape().rank()) {
            data.write(tensor.bytes()).expect("room");
            continue;
        }
        let mut weights = vec![0.0; tensor.shape().elements()];
        dequantize_into(tensor.format().expect("blocks"), tensor.bytes(), &mut weights).expect("blocks");
        let mut blocks = vec![0; format.bytes(weights.len()).expect("whole blocks")];
        quantize_into(format, &weights, &mut blocks).expect("finite weights");
        data.write(&blocks).expect("room");
    }
    data.finish().expect("written");
    to
}
