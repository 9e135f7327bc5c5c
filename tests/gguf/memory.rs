//! Memory that an engine allocates beside its weights, and what was estimated of it (SmolLM2-135M, Q4_1; all-MiniLM-L6-v2, F16).

use std::path::Path;
use std::process::Command;

use selvedge::weights::{GgufWriter, WeightFile};
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

/// The allocator keeps a little of what was freed, and graphs take some: a tenth at most. A quarter of the estimate may
/// be too much.
#[track_caller]
fn covers(what: &str, estimate: u64, taken: u64) {
    println!("{what}: estimated {estimate}, taken {taken}");
    assert!(taken <= estimate + estimate / 10, "{what}: estimated {estimate}, taken {taken}");
    assert!(taken >= estimate - estimate / 4, "{what}: estimated {estimate}, taken {taken}");
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
