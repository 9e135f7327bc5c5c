//! Memory that an engine allocates beside its weights, and what was estimated of it (SmolLM2-135M, Q4_1; all-MiniLM-L6-v2, F16).

use std::path::Path;
use std::process::Command;

use selvedge::weights::{GgufWriter, ValueType, WeightFile};
use selvedge::{Ask, Embed, Engine, Generate, Loading, Options, Trim, open};

use crate::{minilm, smollm};

/// Set in the process that measures.
pub(crate) const CHILD: &str = "SELVEDGE_MEMORY_CHILD";

/// Bytes of memory that are this process's own and in use. Mapped weights are not among them, nor is what was
/// allocated and never touched.
pub(crate) fn resident() -> u64 {
    number_of("RssAnon:") << 10
}

/// A number that the system tells of this process.
pub(crate) fn number_of(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn beside_weights(engine: &dyn Engine) -> u64 {
    engine.spec().memory.context + engine.spec().memory.scratch
}

/// The allocator keeps a little of what was freed, and graphs take some; what is estimated is a tenth off at most.
#[track_caller]
fn covers(what: &str, estimate: u64, taken: u64) {
    println!("{what}: estimated {estimate}, taken {taken}");
    assert!(taken <= estimate + estimate / 10, "{what}: estimated {estimate}, taken {taken}");
    assert!(taken >= estimate - estimate / 10, "{what}: estimated {estimate}, taken {taken}");
}

/// In a process of its own: what other tests allocate meanwhile would count, too.
#[test]
fn what_is_taken_beside_the_weights_was_estimated() {
    if std::env::var_os(CHILD).is_none() {
        return in_a_child("memory::what_is_taken_beside_the_weights_was_estimated");
    }
    let Some(minilm) = minilm() else { return };
    let Some(smollm) = smollm() else { return };
    let folder = tempfile::tempdir().unwrap();
    let pooled = folder.path().join("pooled.gguf");
    with_pooling(&smollm, &pooled);

    // A text as long as the model takes, or as many as are computed together, which a shorter context does not change.
    for (context, texts) in [(512, vec!["word ".repeat(510)]), (64, vec!["word ".repeat(14); 32])] {
        let engine = open(&minilm, Options::new().threads(1).context_tokens(context)).unwrap();
        let before = resident();
        let answer = engine.run(Embed::new(texts)).unwrap();
        assert_eq!(answer.usage.input_tokens, 512);
        covers("an encoder", beside_weights(&*engine), resident() - before);
    }

    for context in [600, 2048] {
        let options = || Options::new().threads(1).context_tokens(context).parallel(1);
        let plain = beside_weights(&*open(&smollm, options()).unwrap());
        let engine = open(&pooled, options()).unwrap();
        // The context of the generations is in use.
        engine.run(Generate::text("word ".repeat(300)).max_tokens(4)).unwrap();
        let before = resident();
        // A short text first, so that the context of a long one comes in the place of its.
        for tokens in [100, context as usize - 1] {
            engine.run(Embed::new(["word ".repeat(tokens)])).unwrap();
        }
        covers("to embed, beside generating", beside_weights(&*engine) - plain, resident() - before);
        let freed = engine.trim(Trim::All).unwrap();
        assert_eq!(freed, beside_weights(&*engine));
    }
}

/// What llama.cpp has room for with each token of the vocabulary is most of it then, whether anybody asks for that or not.
#[test]
fn large_vocabularies_are_estimated() {
    if std::env::var_os(CHILD).is_none() {
        return in_a_child("memory::large_vocabularies_are_estimated");
    }
    let Some(minilm) = minilm() else { return };
    let Some(smollm) = smollm() else { return };
    let folder = tempfile::tempdir().unwrap();
    let pooled = folder.path().join("pooled.gguf");
    with_pooling(&smollm, &pooled);
    let wide = |model: &Path, tokens: usize| {
        let path = folder.path().join("model.gguf");
        with_vocabulary(model, tokens, &path);
        open(&path, Options::new().threads(1).context_tokens(256).parallel(1)).unwrap()
    };
    let check = |tokens: usize, engine: &dyn Engine, estimate: u64, texts: Vec<String>| {
        let before = resident();
        engine.run(Embed::new(texts)).unwrap();
        covers(&format!("{tokens} tokens"), estimate, resident() - before);
    };
    // As much as is computed together.
    for tokens in [30_522, 120_000, 250_000] {
        let engine = wide(&minilm, tokens);
        check(tokens, &*engine, beside_weights(&*engine), vec!["word ".repeat(254); 2]);
    }
    for tokens in [49_152, 100_000, 150_000] {
        let generating = beside_weights(&*wide(&smollm, tokens));
        let engine = wide(&pooled, tokens);
        engine.run(Generate::text("word ".repeat(200)).max_tokens(4)).unwrap();
        check(tokens, &*engine, beside_weights(&*engine) - generating, vec!["word ".repeat(255); 2]);
    }
}

/// The model with so many tokens, those added with the vectors of others.
fn with_vocabulary(model: &Path, tokens: usize, to: &Path) {
    let model = WeightFile::open(model, Loading::Mapped).unwrap();
    let mut writer = GgufWriter::new();
    for (key, value) in model.metadata().iter() {
        writer.set(key, value).unwrap();
    }
    let array = |key: &str| model.metadata().array(&format!("tokenizer.ggml.{key}")).unwrap();
    let mut texts = texts(array("tokens").unwrap().bytes());
    let known = texts.len();
    texts.extend((known..tokens).map(|i| format!("added{i}")));
    writer.set("tokenizer.ggml.tokens", texts).unwrap();
    for key in ["token_type", "scores"] {
        let Some(values) = array(key) else { continue };
        let key = format!("tokenizer.ggml.{key}");
        let bytes = values.bytes().as_chunks::<4>().0;
        let rest = tokens - known;
        match values.element_type() {
            ValueType::F32 => {
                let all = bytes.iter().map(|b| f32::from_le_bytes(*b)).chain(vec![0.0; rest]);
                writer.set(&key, all.collect::<Vec<_>>()).unwrap();
            }
            _ => {
                let all = bytes.iter().map(|b| i32::from_le_bytes(*b)).chain(vec![1; rest]);
                writer.set(&key, all.collect::<Vec<_>>()).unwrap();
            }
        }
    }
    for tensor in model.tensors() {
        let mut shape: Vec<usize> = tensor.shape().iter().copied().collect();
        if shape[0] == known {
            shape[0] = tokens;
        }
        writer.tensor(tensor.name(), &shape, tensor.tensor_type()).unwrap();
    }
    let mut data = writer.create(to).unwrap();
    for tensor in model.tensors() {
        let bytes = tensor.bytes();
        let rows = if tensor.shape().iter().next() == Some(&known) { tokens } else { 0 };
        let len = if rows == 0 { bytes.len() } else { bytes.len() / known * rows };
        let all: Vec<u8> = bytes.iter().copied().cycle().take(len).collect();
        data.write(&all).unwrap();
    }
    data.finish().unwrap();
}

/// The texts of an array: each its length in 64 bits, then its bytes.
fn texts(mut bytes: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk::<8>() {
        let (text, rest) = rest.split_at(u64::from_le_bytes(*len) as usize);
        texts.push(String::from_utf8(text.to_vec()).unwrap());
        bytes = rest;
    }
    texts
}

/// Runs a test of this binary alone.
pub(crate) fn in_a_child(test: &str) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    let output = child.args([test, "--exact", "--nocapture"]).env(CHILD, "1").output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    println!("{out}");
    assert!(output.status.success(), "{}: {err}", output.status);
    assert!(out.contains("1 passed"), "{test} was not run: {out}");
}

/// The model with the mean of its tokens' vectors as an embedding.
pub(crate) fn with_pooling(model: &Path, to: &Path) {
    let model = WeightFile::open(model, Loading::Mapped).unwrap();
    let mut writer = GgufWriter::new();
    for (key, value) in model.metadata().iter() {
        writer.set(key, value).unwrap();
    }
    writer.set("llama.pooling_type", 1u32).unwrap();
    for tensor in model.tensors() {
        writer.tensor(tensor.name(), tensor.shape(), tensor.tensor_type()).unwrap();
    }
    let mut data = writer.create(to).unwrap();
    model.tensors().for_each(|tensor| data.write(tensor.bytes()).unwrap());
    data.finish().unwrap();
}
