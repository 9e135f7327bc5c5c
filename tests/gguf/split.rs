//! A real GGUF model (SmolLM2-135M, Q4_1) in three files: the text of the one file it was split from.

use std::path::{Path, PathBuf};

use selvedge::backend::inspect;
use selvedge::weights::{GgufWriter, WeightFile};
use selvedge::{Answer, Ask, Code, Generate, Loading, Options, open};

use crate::smollm;

fn part(folder: &Path, number: u16) -> PathBuf {
    folder.join(format!("smollm2-{:05}-of-00003.gguf", number + 1))
}

/// Writes the model as three files of about the same number of tensors, the metadata in the first.
fn split(model: &WeightFile, folder: &Path) {
    let tensors: Vec<_> = model.tensors().collect();
    for (number, tensors) in (0u16..).zip(tensors.chunks(tensors.len().div_ceil(3))) {
        let mut writer = GgufWriter::new();
        if number == 0 {
            for (key, value) in model.metadata().iter() {
                writer.set(key, value).unwrap();
            }
        }
        writer.set("split.no", number).unwrap().set("split.count", 3u16).unwrap();
        writer.set("split.tensors.count", i32::try_from(model.tensors().len()).unwrap()).unwrap();
        for tensor in tensors {
            writer.tensor(tensor.name(), tensor.shape(), tensor.tensor_type()).unwrap();
        }
        let mut data = writer.create(part(folder, number)).unwrap();
        tensors.iter().for_each(|tensor| data.write(tensor.bytes()).unwrap());
        data.finish().unwrap();
    }
}

#[test]
fn a_model_in_three_files_writes_the_same_text() {
    let Some(path) = smollm() else { return };
    let folder = tempfile::tempdir().unwrap();
    split(&WeightFile::open(&path, Loading::Mapped).unwrap(), folder.path());
    let options = || Options::new().context_tokens(512);
    let ask = |path: &Path, options: Options| -> (Answer, u64) {
        let engine = open(path, options).unwrap();
        let request = Generate::text("The capital of France is").max_tokens(24).logprobs(true);
        (engine.run(request).unwrap(), engine.spec().memory.total())
    };
    let (expected, memory) = ask(&path, options());
    assert!(expected.text.starts_with(" Paris."), "{:?}", expected.text);
    for number in 0..3 {
        for loading in [Loading::Mapped, Loading::Read] {
            let (answer, needed) = ask(&part(folder.path(), number), options().loading(loading));
            // To the last bit of every token's probability.
            assert_eq!(
                (&answer.text, &answer.tokens),
                (&expected.text, &expected.tokens),
                "part {number}, {loading:?}"
            );
            assert_eq!((&answer.provenance.model, needed), (&expected.provenance.model, memory));
            assert_ne!(answer.provenance.digest, expected.provenance.digest);
        }
    }
    let digest = ask(&part(folder.path(), 0), options()).0.provenance.digest;
    assert!(open(part(folder.path(), 2), options().digest(digest)).is_ok());
    assert_eq!(
        open(part(folder.path(), 2), options().digest(expected.provenance.digest)).err().unwrap().code(),
        Code::Corrupt
    );

    let reported = inspect(part(folder.path(), 1), &options()).unwrap();
    let bytes: u64 = (0..3).map(|number| std::fs::metadata(part(folder.path(), number)).unwrap().len()).sum();
    assert_eq!((reported.bytes, reported.backends[0].1.as_ref().unwrap().total()), (bytes, memory));
    assert!(reported.flaw.is_none() && reported.warnings.is_empty(), "{:?}", reported.warnings);
    let error = open(part(folder.path(), 1), options().memory_limit(memory - 1)).err().unwrap();
    assert_eq!(error.code(), Code::OutOfMemory);
    std::fs::remove_file(part(folder.path(), 2)).unwrap();
    assert_eq!(open(part(folder.path(), 0), options()).err().unwrap().code(), Code::NotFound);
}
