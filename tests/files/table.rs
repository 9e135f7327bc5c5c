//! Static-embedding models through the public door, against what model2vec itself answers (`tests/data/static`).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use selvedge::kernel::{BlockFormat, quantize_into};
use selvedge::weights::{GgufWriter, TensorType, WeightFile};
use selvedge::{
    Ask, Backend, Call, Cancel, Code, Embed, Engine, Generate, Loading, Options, Source, Step, Tensors, open,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::corpus;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/static")
}

fn expected() -> Value {
    serde_json::from_slice(&fs::read(data().join("expected.json")).unwrap()).unwrap()
}

fn texts(expected: &Value) -> Vec<String> {
    expected["texts"].as_array().unwrap().iter().map(|t| t.as_str().unwrap().to_owned()).collect()
}

fn matrix(value: &Value) -> Vec<f32> {
    let rows = value.as_array().unwrap().iter();
    rows.flat_map(|row| row.as_array().unwrap()).map(|x| x.as_f64().unwrap() as f32).collect()
}

fn code(source: impl Into<Source>, options: Options) -> (Code, String) {
    match open(source, options) {
        Ok(_) => panic!("it opened"),
        Err(error) => (error.code(), error.to_string()),
    }
}

/// A copy of the model's folder, for a test to spoil.
fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["model.safetensors", "tokenizer.json", "config.json"] {
        fs::copy(data().join(name), folder.path().join(name)).unwrap();
    }
    folder
}

/// A safetensors file of `(name, dtype, shape, bytes)`.
fn safetensors(tensors: &[(&str, &str, &[usize], Vec<u8>)]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, dtype, shape, bytes) in tensors {
        let place = [data.len(), data.len() + bytes.len()];
        header.insert((*name).into(), serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": place}));
        data.extend(bytes);
    }
    let mut header = serde_json::to_vec(&header).unwrap();
    header.resize(header.len().next_multiple_of(8), b' ');
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

/// The fixture's table, weights and mapping as a GGUF file with its tokenizer within.
fn gguf(path: &Path, format: BlockFormat, tensor_type: TensorType) {
    let file = WeightFile::open(data().join("model.safetensors"), Loading::Mapped).unwrap();
    let (table, mapping) = (file.tensor("embeddings").unwrap(), file.tensor("mapping").unwrap());
    let mut rows = vec![0.0; table.shape().elements()];
    table.dequantize_into(&mut rows).unwrap();
    let mut blocks = vec![0; format.bytes(rows.len()).unwrap()];
    quantize_into(format, &rows, &mut blocks).unwrap();
    let tokenizer = fs::read_to_string(data().join("tokenizer.json")).unwrap();
    let mut writer = GgufWriter::new();
    writer.set("general.architecture", "static-embedding").unwrap();
    writer.set("general.name", "small words").unwrap();
    writer.set("tokenizer.huggingface.json", tokenizer.as_str()).unwrap();
    writer.tensor("embeddings", table.shape(), tensor_type).unwrap();
    writer.tensor("weights", &[mapping.shape()[0]], TensorType::F32).unwrap();
    writer.tensor("mapping", mapping.shape(), TensorType::I64).unwrap();
    let mut out = writer.create(path).unwrap();
    out.write(&blocks).unwrap();
    out.write(file.tensor("weights").unwrap().bytes()).unwrap();
    out.write(mapping.bytes()).unwrap();
    out.finish().unwrap();
}

#[test]
fn vectors_are_those_of_model2vec() {
    let (expected, engine) = (expected(), open(data(), Options::new()).unwrap());
    let texts = texts(&expected);
    let (spec, name) = (engine.spec(), engine.spec().provenance.model.as_str());
    assert_eq!((spec.embedding_size, spec.provenance.backend, name), (Some(32), "table", "static"));
    for (normalize, vectors) in [(true, "vectors"), (false, "raw")] {
        let answer = engine.run(Embed::new(texts.clone()).normalize(normalize)).unwrap();
        let tokens: u64 = expected["tokens"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum();
        assert_eq!(answer.usage.input_tokens, tokens);
        let got = answer.output(Embed::OUTPUT).unwrap();
        assert_eq!(**got.shape(), [texts.len(), 32]);
        for (i, (got, expected)) in got.as_slice::<f32>().unwrap().iter().zip(matrix(&expected[vectors])).enumerate() {
            let text = &texts[i / 32];
            assert!((got - expected).abs() < 2e-6, "{text:?}, {vectors} {}: {got}, {expected}", i % 32);
        }
    }
}

#[test]
fn a_text_is_text_and_not_a_special_token() {
    let engine = open(data(), Options::new()).unwrap();
    let vectors = engine.embed(["[CLS] the [SEP]", "the"]).unwrap();
    let vectors = vectors.as_slice::<f32>().unwrap();
    assert_ne!(vectors[..32], vectors[32..]);
    // As its characters, of which the vocabulary has the letters.
    let tokens = |text: &str| engine.run(Embed::new([text])).unwrap().usage.input_tokens;
    assert!(tokens("[CLS] the [SEP]") > tokens("the"), "{}", tokens("[CLS] the [SEP]"));
    assert_eq!(tokens("the"), 1);
}

#[test]
fn threads_make_no_difference() {
    let texts: Vec<String> = (0..500).map(|i| format!("{} rain the city {}", "a ".repeat(i % 37), i)).collect();
    let with = |threads| open(data(), Options::new().threads(threads)).unwrap().embed(texts.clone()).unwrap();
    let one = with(1);
    assert_eq!(with(3), one);
    assert_eq!(open(data(), Options::new()).unwrap().embed(texts.clone()).unwrap(), one);
    for bad in [0, 1025] {
        assert_eq!(code(data(), Options::new().threads(bad)).0, Code::InvalidArgument);
    }
}

#[test]
fn long_requests_take_steps_that_can_be_cancelled() {
    let engine = open(data(), Options::new()).unwrap();
    let request = || Embed::new(vec!["rain in the city and rain again ".repeat(50); 200]);
    let cancel = Cancel::new();
    let mut run = engine.start(request().into(), Call::new().cancel(&cancel)).unwrap();
    let mut seen = 0;
    for _ in 0..3 {
        let Step::Working(progress) = run.step().unwrap() else { panic!("it is done already") };
        assert!(progress.done > seen && progress.total == Some(200), "{progress:?}");
        seen = progress.done;
    }
    cancel.cancel();
    assert_eq!(run.step().unwrap_err().code(), Code::Cancelled);
    assert_eq!(run.step().unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(engine.run(request()).unwrap().output(Embed::OUTPUT).unwrap().shape()[0], 200);
}

#[test]
fn what_is_not_served_is_refused() {
    let engine = open(data(), Options::new()).unwrap();
    let refused = |request: selvedge::Request| {
        let error = engine.start(request, Call::new()).err().expect("it was admitted");
        (error.code(), error.to_string())
    };
    assert_eq!(refused(Generate::text("a").into()).0, Code::Unsupported);
    assert_eq!(refused(Tensors::default().into()).0, Code::Unsupported);
    assert_eq!(refused(Embed::new::<&str>([]).into()).0, Code::InvalidArgument);
    let (code, message) = refused(Embed::new(["fine".to_owned(), "a".repeat((1 << 20) + 1)]).into());
    assert_eq!(code, Code::InvalidArgument);
    assert!(message.contains("text 1: expected at most 1048576 bytes, got 1048577"), "{message}");
    assert!(engine.embed(["a".repeat(1 << 20)]).is_ok());
}

#[test]
fn the_digest_is_of_table_and_tokenizer() {
    let folder = copy();
    let whole = [fs::read(data().join("model.safetensors")).unwrap(), fs::read(data().join("tokenizer.json")).unwrap()];
    let digest = selvedge::Digest(Sha256::digest(whole.concat()).into());
    let opened = |options| open(folder.path(), options).map(|engine| engine.spec().provenance.digest);
    assert_eq!(opened(Options::new()).unwrap(), digest);
    assert_eq!(opened(Options::new().digest(digest).loading(Loading::Read)).unwrap(), digest);
    // One more blank at the end: the same tokenizer, by other bytes.
    fs::write(folder.path().join("tokenizer.json"), [&whole[1][..], b" "].concat()).unwrap();
    assert_ne!(opened(Options::new()).unwrap(), digest);
    assert_eq!(opened(Options::new().digest(digest)).unwrap_err().code(), Code::Corrupt);
}

#[test]
fn memory_is_foreseen_and_limited() {
    let needs = open(data(), Options::new()).unwrap().spec().memory;
    assert!(needs.weights == 167 * 32 * 2 && needs.context > 0 && needs.scratch > 0, "{needs:?}");
    assert!(open(data(), Options::new().memory_limit(needs.total())).is_ok());
    let (code, message) = code(data(), Options::new().memory_limit(needs.total() - 1));
    assert_eq!(code, Code::OutOfMemory, "{message}");
}

#[test]
fn a_quantized_table_in_one_gguf_file_gives_nearly_the_same() {
    let (folder, expected) = (tempfile::tempdir().unwrap(), expected());
    let texts = texts(&expected);
    let exact = matrix(&expected["vectors"]);
    for (format, tensor_type, least) in [
        (BlockFormat::F16, TensorType::F16, 0.999_99),
        (BlockFormat::Q8_0, TensorType::Q8_0, 0.999),
        (BlockFormat::Q4_0, TensorType::Q4_0, 0.97),
    ] {
        let path = folder.path().join(format!("{format}.gguf"));
        gguf(&path, format, tensor_type);
        let from: [Source; 3] =
            [(&path).into(), fs::File::open(&path).unwrap().into(), fs::read(&path).unwrap().into()];
        for source in from {
            let engine = open(source, Options::new()).unwrap();
            assert_eq!(&engine.spec().provenance.model, "small words");
            let got = engine.embed(texts.clone()).unwrap();
            for (got, exact) in got.as_slice::<f32>().unwrap().chunks(32).zip(exact.chunks(32)) {
                let cosine: f32 = got.iter().zip(exact).map(|(a, b)| a * b).sum();
                assert!(cosine > least || exact.iter().all(|x| *x == 0.0), "{format}: {cosine}");
            }
        }
    }
    let explicit = open(folder.path().join("q8_0.gguf"), Options::new().backend(Backend::Table));
    assert!(explicit.is_ok());
}

#[test]
fn a_model_without_its_tokenizer_says_so() {
    let folder = copy();
    fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    let (kind, message) = code(folder.path(), Options::new());
    assert_eq!(kind, Code::NotFound, "{message}");
    assert!(message.contains("tokenizer.json"), "{message}");
    let bytes = fs::read(folder.path().join("model.safetensors")).unwrap();
    let (kind, message) = code(bytes, Options::new());
    assert_eq!(kind, Code::Unsupported, "{message}");
    assert!(message.contains("tokenizer.json"), "{message}");

    fs::create_dir(folder.path().join("tokenizer.json")).unwrap();
    assert_eq!(code(folder.path(), Options::new()).0, Code::Corrupt);
}

#[cfg(unix)]
#[test]
fn a_tokenizer_behind_a_link_is_refused() {
    let folder = copy();
    let tokenizer = folder.path().join("tokenizer.json");
    fs::remove_file(&tokenizer).unwrap();
    std::os::unix::fs::symlink(data().join("tokenizer.json"), &tokenizer).unwrap();
    let (kind, message) = code(folder.path(), Options::new());
    assert_eq!(kind, Code::Corrupt, "{message}");
    assert!(message.contains("symbolic link"), "{message}");
}

#[test]
fn broken_tokenizers_are_typed_errors() {
    let folder = copy();
    let json = fs::read(folder.path().join("tokenizer.json")).unwrap();
    let text = String::from_utf8(json.clone()).unwrap();
    let deep = "[".repeat(100_000);
    let broken: Vec<Vec<u8>> = vec![
        b"".into(),
        b"{}".into(),
        b"null".into(),
        json[..json.len() / 2].into(),
        deep.into(),
        vec![0xff; 64],
        text.replace("\"WordPiece\"", "\"Nonsense\"").into(),
        text.replace("\"vocab\":{", "\"vocab\":[").into(),
        // Tokens without a row.
        text.replace("\"[MASK]\":4", "\"[MASK]\":4000000000").into(),
        text.replace("\"[MASK]\":4", "\"[MASK]\":167").into(),
        text.replace(
            "\"type\":\"BertPreTokenizer\"",
            "\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},\"behavior\":\"Removed\",\"invert\":false",
        )
        .into(),
    ];
    for (i, tokenizer) in broken.iter().enumerate() {
        assert_ne!(tokenizer, &json, "{i} breaks nothing");
        fs::write(folder.path().join("tokenizer.json"), tokenizer).unwrap();
        let (kind, message) = code(folder.path(), Options::new());
        assert_eq!(kind, Code::Corrupt, "{i}: {message}");
    }
    for len in (0..json.len()).step_by(97) {
        fs::write(folder.path().join("tokenizer.json"), &json[..len]).unwrap();
        assert_eq!(code(folder.path(), Options::new()).0, Code::Corrupt, "{len} bytes");
    }
}

#[test]
fn parts_that_contradict_each_other_are_typed_errors() {
    let folder = copy();
    let path = folder.path().join("model.safetensors");
    let rows = |n: usize| vec![0u8; n * 8 * 4];
    let floats = |n: usize, x: f32| (0..n).flat_map(|_| x.to_le_bytes()).collect::<Vec<u8>>();
    let longs = |n: usize, x: i64| (0..n).flat_map(|_| x.to_le_bytes()).collect::<Vec<u8>>();
    let table = |n: usize| ("embeddings", "F32", vec![n, 8], rows(n));
    type Part = (&'static str, &'static str, Vec<usize>, Vec<u8>);
    let cases: Vec<(Code, &str, Vec<Part>)> = vec![
        (Code::Corrupt, "few rows", vec![table(166)]),
        (Code::Corrupt, "no matrix", vec![("embeddings", "F32", vec![167 * 8], rows(167))]),
        (Code::Corrupt, "three dimensions", vec![("embeddings", "F32", vec![167, 2, 4], rows(167))]),
        (Code::Unsupported, "whole numbers", vec![("embeddings", "I64", vec![167, 4], rows(167))]),
        (Code::Corrupt, "few weights", vec![table(167), ("weights", "F32", vec![166], floats(166, 1.0))]),
        (Code::Corrupt, "NaN", vec![table(167), ("weights", "F32", vec![167], floats(167, f32::NAN))]),
        (Code::Corrupt, "matrix of weights", vec![table(167), ("weights", "F32", vec![167, 1], floats(167, 1.0))]),
        (Code::Corrupt, "past the rows", vec![table(9), ("mapping", "I64", vec![167], longs(167, 9))]),
        (Code::Corrupt, "below 0", vec![table(9), ("mapping", "I64", vec![167], longs(167, -1))]),
        (Code::Corrupt, "few mapped", vec![table(9), ("mapping", "I64", vec![166], longs(166, 0))]),
        (Code::Unsupported, "mapping in f32", vec![table(9), ("mapping", "F32", vec![167], floats(167, 0.0))]),
        (Code::Unsupported, "no table", vec![("other", "F32", vec![167, 8], rows(167))]),
        (Code::Unsupported, "and more", vec![table(167), ("encoder.layer.0", "F32", vec![1], floats(1, 0.0))]),
    ];
    for (expected, name, parts) in cases {
        let parts: Vec<_> = parts.iter().map(|(n, d, s, b)| (*n, *d, &s[..], b.clone())).collect();
        fs::write(&path, safetensors(&parts)).unwrap();
        let (code, message) = code(&path, Options::new());
        assert_eq!(code, expected, "{name}: {message}");
    }
    // The last of them is opened if it is asked for by name.
    assert!(open(&path, Options::new().backend(Backend::Table)).is_ok());
    // And the ones that do fit, in every spelling.
    let good: Vec<Vec<Part>> = vec![
        vec![table(167)],
        vec![table(200), ("weights", "F64", vec![167], longs(167, 0))],
        vec![("embedding.weight", "F16", vec![167, 8], vec![0; 167 * 16])],
        vec![("embeddings.word_embeddings.weight", "BF16", vec![167, 8], vec![0; 167 * 16])],
        vec![("embeddings", "I8", vec![167, 8], vec![1; 167 * 8])],
        vec![table(2), ("mapping", "I32", vec![167], floats(167, 0.0))],
    ];
    for parts in good {
        let parts: Vec<_> = parts.iter().map(|(n, d, s, b)| (*n, *d, &s[..], b.clone())).collect();
        fs::write(&path, safetensors(&parts)).unwrap();
        let engine: Arc<dyn Engine> = open(&path, Options::new()).unwrap_or_else(|e| panic!("{}: {e}", parts[0].0));
        assert_eq!(engine.embed(["the rain"]).unwrap().shape()[1], 8);
    }
}

#[test]
fn every_prefix_of_a_model_is_a_typed_error() {
    let folder = copy();
    let path = folder.path().join("model.safetensors");
    let model = fs::read(&path).unwrap();
    for len in (0..600).chain((600..model.len()).step_by(211)) {
        fs::write(&path, &model[..len]).unwrap();
        let (code, message) = code(&path, Options::new());
        assert!([Code::Corrupt, Code::Unsupported].contains(&code), "{len} bytes: {code:?} {message}");
    }
}

#[test]
fn numbers_that_are_none_do_not_come_out() {
    let folder = copy();
    let rows = (0..167 * 8).flat_map(|_| f32::INFINITY.to_le_bytes()).collect();
    let model = safetensors(&[("embeddings", "F32", &[167, 8], rows)]);
    fs::write(folder.path().join("model.safetensors"), model).unwrap();
    let error = open(folder.path(), Options::new()).unwrap().embed(["rain"]).unwrap_err();
    assert_eq!(error.code(), Code::Backend);
}

#[test]
fn a_real_table_ranks_sentences_as_people_do() {
    let Some(model) = corpus::path("static-minilm/model.safetensors") else { return };
    let engine = open(&model, Options::new()).unwrap();
    let sentences = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."];
    let vectors = engine.embed(sentences).unwrap();
    let rows: Vec<&[f32]> = vectors.as_slice::<f32>().unwrap().chunks(384).collect();
    let cosine = |a: usize, b: usize| rows[a].iter().zip(rows[b]).map(|(x, y)| x * y).sum::<f32>();
    let (weather, other, third) = (cosine(0, 1), cosine(0, 2), cosine(1, 2));
    assert!(weather > other + 0.2 && weather > third + 0.2, "{weather} {other} {third}");
}

/// The fixture in two safetensors files with an index, as `transformers` saves a large model.
fn in_two_files() -> tempfile::TempDir {
    let folder = copy();
    let whole = WeightFile::open(folder.path().join("model.safetensors"), Loading::Read).unwrap();
    let part = |file: &str, names: &[&str]| {
        let tensors: Vec<_> = names.iter().map(|name| whole.tensor(name).unwrap()).collect();
        let parts: Vec<_> =
            tensors.iter().map(|t| (t.name(), t.tensor_type().name(), &t.shape()[..], t.bytes().to_vec())).collect();
        fs::write(folder.path().join(file), safetensors(&parts)).unwrap();
    };
    part("model-00001-of-00002.safetensors", &["mapping", "weights"]);
    part("model-00002-of-00002.safetensors", &["embeddings"]);
    let index = serde_json::json!({"metadata": {"total_size": 0}, "weight_map": {
        "embeddings": "model-00002-of-00002.safetensors", "mapping": "model-00001-of-00002.safetensors",
        "weights": "model-00001-of-00002.safetensors",
    }});
    fs::write(folder.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    folder
}

#[test]
fn several_safetensors_files_are_one_model_by_their_index() {
    let folder = in_two_files();
    let at = |name: &str| folder.path().join(name);
    let index = at("model.safetensors.index.json");
    let texts = texts(&expected());
    let vectors = |path: &Path| {
        let engine = open(path, Options::new()).unwrap_or_else(|e| panic!("{e}"));
        (engine.embed(texts.clone()).unwrap(), engine.spec().provenance.digest, engine.spec().memory)
    };
    let (answer, digest, memory) = vectors(&index);
    let (expected, _, whole) = vectors(&data());
    assert_eq!((&answer, memory), (&expected, whole));
    assert_eq!(vectors(folder.path()).0, expected);
    let reported = selvedge::backend::inspect(folder.path(), &Options::new()).unwrap();
    assert_eq!(
        (&*reported.name, reported.tensors.len(), reported.backends[0].1.as_ref().unwrap()),
        ("model", 3, &whole)
    );
    // The digest is of all of it.
    let names = [
        "model.safetensors.index.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "tokenizer.json",
    ];
    let all: Vec<u8> = names.iter().flat_map(|name| fs::read(at(name)).unwrap()).collect();
    assert_eq!(digest.0[..], Sha256::digest(all)[..]);
    // Without a path there is nowhere to look.
    for source in [Source::from(fs::read(&index).unwrap()), fs::File::open(&index).unwrap().into()] {
        let (code, message) = code(source, Options::new());
        assert!(code == Code::Unsupported && message.contains("index of several safetensors files"), "{message}");
    }
    fs::remove_file(at(names[1])).unwrap();
    let (code, message) = code(&index, Options::new());
    assert!(code == Code::NotFound && message.contains(names[1]), "{message}");
}
