//! Opening GGUF models (SmolLM2-135M, Q4_1; all-MiniLM-L6-v2, F16) from wherever they are, and embedding texts.
//!
//! The similarities are those that the model's own page publishes.

use std::io::Write;
use std::sync::Arc;

use selvedge::{
    Ask, Call, Cancel, Code, Embed, Finish, Generate, Loading, OpenProgress, Options, Source, Step, Trim, open,
};

use crate::{code, minilm, smollm};

#[test]
fn similar_sentences_have_similar_embeddings() {
    let Some(path) = minilm() else { return };
    let engine = open(path, Options::new()).unwrap();
    assert_eq!(engine.spec().embedding_size, Some(384));
    let sentences = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."];
    let embeddings = engine.embed(sentences).unwrap();
    assert_eq!(&**embeddings.shape(), &[3, 384]);
    let rows: Vec<&[f32]> = embeddings.as_slice::<f32>().unwrap().chunks(384).collect();
    let cosine = |a: usize, b: usize| rows[a].iter().zip(rows[b]).map(|(x, y)| f64::from(x * y)).sum::<f64>();
    // The similarities that the model's page gives for these sentences.
    for (a, b, published) in [(0, 1, 0.6660), (0, 2, 0.1046), (1, 2, 0.1411)] {
        assert!((cosine(a, b) - published).abs() < 1e-3, "{a}, {b}: {}", cosine(a, b));
    }
    assert!((0..3).all(|i| (cosine(i, i) - 1.0).abs() < 1e-5));

    let raw = engine.run(Embed::new(sentences).normalize(false)).unwrap();
    assert_eq!((&raw.finish, raw.usage.output_tokens), (&Finish::Complete, 0));
    let raw = raw.output(Embed::OUTPUT).unwrap().as_slice::<f32>().unwrap()[..384].to_vec();
    let length = raw.iter().map(|x| x * x).sum::<f32>().sqrt();
    assert!((length - 1.0).abs() > 0.01, "{length}");
    assert!(raw.iter().zip(rows[0]).all(|(x, y)| (x / length - y).abs() < 1e-5));
}

#[test]
fn many_texts_are_embedded_in_turn() {
    let Some(path) = minilm() else { return };
    let engine = open(path, Options::new()).unwrap();
    let texts: Vec<String> = (0..70).map(|i| format!("sentence {i} {}", "word ".repeat(i * 7 % 60))).collect();
    let all = engine.embed(texts.clone()).unwrap();
    for i in [0, 33, 69] {
        let one = engine.embed([texts[i].as_str()]).unwrap();
        let (one, all) = (one.as_slice::<f32>().unwrap(), &all.as_slice::<f32>().unwrap()[i * 384..][..384]);
        // Which texts are computed together shows in the last digits.
        assert!(one.iter().zip(all).all(|(a, b)| (a - b).abs() < 1e-3), "text {i}");
    }
    let mut run = engine.start(Embed::new(texts.clone()).into(), Call::new()).unwrap();
    let Step::Working(progress) = run.step().unwrap() else { panic!("expected progress") };
    assert_eq!(progress.total, Some(70));
    let cancel = Cancel::new();
    let mut run = engine.start(Embed::new(texts).into(), Call::new().cancel(&cancel)).unwrap();
    run.step().unwrap();
    cancel.cancel();
    assert_eq!(code(run.step()), Code::Cancelled);

    let error = engine.run(Embed::new(["short".to_owned(), "word ".repeat(600)])).unwrap_err();
    assert_eq!(error.code(), Code::ContextFull);
    assert!(error.message().contains("text 1"), "{error}");
    assert_eq!(code(engine.run(Embed::new(Vec::<String>::new()))), Code::InvalidArgument);
    assert_eq!(code(engine.run(Generate::text("a"))), Code::Unsupported);
    assert!(engine.trim(Trim::All).unwrap() > 0);
    assert!(engine.embed(["again"]).is_ok());
}

#[test]
fn a_model_may_come_from_a_part_of_a_file_or_from_memory() {
    let Some(path) = minilm() else { return };
    let model = std::fs::read(&path).unwrap();
    let expected = open(&path, Options::new()).unwrap().embed(["the sea"]).unwrap();
    let same = |source: Source, options: Options| {
        let engine = open(source, options).unwrap();
        assert_eq!(engine.embed(["the sea"]).unwrap(), expected);
    };
    same(Source::from(model.clone()), Options::new());
    same(Source::from(&path), Options::new().loading(Loading::Read));
    // A place that weights can be used in, and one that they cannot.
    for start in [4096, 4097] {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![0xAA; start]).unwrap();
        file.write_all(&model).unwrap();
        file.write_all(b"and more").unwrap();
        let range = start as u64..(start + model.len()) as u64;
        // The caller's own offset is of no matter.
        same(Source::file(file.try_clone().unwrap(), range.clone()), Options::new());
        same(Source::file(file, range), Options::new().loading(Loading::Read));
    }
}

#[test]
fn opening_tells_how_far_it_is_and_can_be_ended() {
    let Some(path) = smollm() else { return };
    let reported = Arc::new(std::sync::Mutex::new(Vec::new()));
    let tells = reported.clone();
    open(&path, Options::new().progress(move |p| tells.lock().unwrap().push(p))).unwrap();
    let reported = reported.lock().unwrap();
    assert!(matches!(reported[0], OpenProgress::Digest(_, 98_353_088..)), "{:?}", reported[0]);
    assert_eq!(reported.last(), Some(&OpenProgress::Load(1.0)));

    let cancel = Cancel::new();
    let stop = cancel.clone();
    let options = Options::new().cancel(&cancel).progress(move |p| {
        if let OpenProgress::Load(_) = p {
            stop.cancel();
        }
    });
    assert_eq!(code(open(&path, options)), Code::Cancelled);
    let options = Options::new().progress(|p| assert!(matches!(p, OpenProgress::Digest(..)), "a panic of the caller"));
    assert_eq!(code(open(&path, options)), Code::Panic);
}

#[test]
fn what_does_not_fit_the_limit_is_not_loaded() {
    let Some(path) = smollm() else { return };
    // A panic of the receiver would be another code.
    let unloaded = |p| assert!(!matches!(p, OpenProgress::Load(_)), "it is being loaded");
    let error = open(&path, Options::new().memory_limit(100 << 20).progress(unloaded)).map(|_| ()).unwrap_err();
    assert_eq!(error.code(), Code::OutOfMemory);
    for options in [Options::new().threads(0), Options::new().parallel(0), Options::new().context_tokens(1 << 20)] {
        assert_eq!(code(open(&path, options)), Code::InvalidArgument);
    }
    // A smaller context fits. What it takes was estimated within a third of what llama.cpp then said it took.
    let engine = open(&path, Options::new().context_tokens(512).parallel(1).memory_limit(150 << 20)).unwrap();
    assert_eq!(engine.spec().memory.context, 512 * 30 * 3 * 128 * 2);
}

#[test]
fn broken_files_are_typed_errors() {
    let Some(path) = smollm() else { return };
    let model = std::fs::read(path).unwrap();
    for len in [0, 3, 24, 100, 10_000, 1_000_000, 1_800_000, model.len() / 2, model.len() - 1] {
        assert_eq!(code(open(model[..len].to_vec(), Options::new())), Code::Corrupt, "{len} bytes");
    }
    let name = b"blk.17.ffn_norm.weight";
    let at = model.windows(name.len()).position(|w| w == name).unwrap();
    // Of a layer that is not there; of no known meaning, so that llama.cpp misses the tensor.
    for (place, byte, reported) in
        [(4, b'9', "expected a layer below 30, got '97'"), (14, b'x', "blk.17.ffn_norm.weight")]
    {
        let mut renamed = model.clone();
        renamed[at + place] = byte;
        let error = open(renamed, Options::new()).map(|_| ()).unwrap_err();
        assert_eq!(error.code(), Code::Corrupt);
        assert!(error.message().contains(reported), "{error}");
    }
}
