//! Sentences and files.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use selvedge::Tensor;

use crate::corpus;
use crate::{agree, ask, best, engines, f32s};

/// The three sentences of the sentence-transformers README; the similarities are those that ONNX Runtime's
/// Python API gives for this int8 file (for the f32 original the README prints 0.6660, 0.1046, 0.1411).
#[test]
fn minilm_int8_ranks_sentences() {
    let Some(model) = corpus::path("minilm-int8/model.onnx") else { return };
    let vocabulary = vocabulary(&corpus::path("minilm/vocab.txt").expect("lies beside the model"));
    let sentences = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."];
    let tokens = sentences.map(|s| word_pieces(&vocabulary, s));
    assert_eq!(tokens[1], [101, 2009, 1005, 1055, 2061, 11559, 2648, 999, 102]);
    let mut embedded = Vec::new();
    for (backend, engine) in engines(&model) {
        let embed = |ids: &Vec<i64>| {
            let row = |values| Tensor::new(&[1, ids.len()], values).expect("a row");
            let inputs = [
                ("input_ids", row(ids.clone())),
                ("attention_mask", row(vec![1i64; ids.len()])),
                ("token_type_ids", row(vec![0; ids.len()])),
            ];
            let answer = ask(backend, &*engine, inputs);
            pooled(f32s(&answer, "last_hidden_state"), ids.len())
        };
        let vectors = tokens.each_ref().map(embed);
        for (a, b, expected) in [(0, 1, 0.6684), (0, 2, 0.1055), (1, 2, 0.1404)] {
            let got: f32 = vectors[a].iter().zip(&vectors[b]).map(|(x, y)| x * y).sum();
            assert!((got - expected).abs() < 1e-3, "{}: sentences {a} and {b}: {got}, not {expected}", backend.name());
        }
        embedded.push((backend, vectors.concat()));
    }
    agree(&embedded, 1e-3);
}

/// Files of this repository (and a picture of the corpus), in one batch and one at a time.
#[test]
fn magika_knows_this_repositorys_files() {
    let Some(model) = corpus::path("magika/model.onnx") else { return };
    let config = fs::read(corpus::path("magika/config.min.json").expect("lies beside the model")).expect("readable");
    let config: serde_json::Value = serde_json::from_slice(&config).expect("JSON");
    let shape = ["beg_size", "mid_size", "end_size", "block_size", "padding_token"].map(|key| config[key].as_u64());
    assert_eq!(shape, [1024, 0, 1024, 4096, 256].map(Some), "what `features` does");
    let files = [
        ("src/lib.rs", "rust"),
        ("src/error.rs", "rust"),
        ("Cargo.toml", "toml"),
        ("README.md", "markdown"),
        ("tests/tools/corpus.py", "python"),
        ("tests/run", "shell"),
        ("tests/data/linear.onnx", "onnx"),
        ("tests/data/expected.json", "json"),
        ("examples/quickstart/weather.csv", "csv"),
        ("LICENSE-MIT", "txt"),
    ];
    let rows: Vec<Vec<i32>> =
        files.map(|(file, _)| features(&Path::new(env!("CARGO_MANIFEST_DIR")).join(file))).to_vec();
    let mut scored = Vec::new();
    for (backend, engine) in engines(&model) {
        let batch = Tensor::new(&[files.len(), 2048], rows.concat()).expect("rows of 2048");
        let answer = ask(backend, &*engine, [("bytes", batch)]);
        let scores = f32s(&answer, "target_label").to_vec();
        for (i, (file, label)) in files.iter().enumerate() {
            let row = &scores[i * 214..][..214];
            assert_eq!(config["target_labels_space"][best(row)], *label, "{}: {file}", backend.name());
            let single = Tensor::new(&[1, 2048], rows[i].clone()).expect("one row");
            let answer = ask(backend, &*engine, [("bytes", single)]);
            agree(&[(backend, row.to_vec()), (backend, f32s(&answer, "target_label").to_vec())], 1e-3);
        }
        scored.push((backend, scores));
    }
    agree(&scored, 1e-3);
}

/// Magika's input: the first and last 1024 bytes of the first and last 4096, without the white space at
/// either end of the file, padded towards the middle.
fn features(file: &Path) -> Vec<i32> {
    let bytes = fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let white = |b: &&u8| b" \t\n\r\x0b\x0c".contains(b);
    let first: Vec<i32> = bytes.iter().take(4096).skip_while(white).take(1024).map(|&b| b.into()).collect();
    let mut last: Vec<i32> = bytes.iter().rev().take(4096).skip_while(white).take(1024).map(|&b| b.into()).collect();
    last.resize(1024, 256);
    last.reverse();
    let padding = vec![256; 1024 - first.len()];
    [first, padding, last].concat()
}

/// The mean of the tokens' vectors, at length 1.
fn pooled(hidden: &[f32], tokens: usize) -> Vec<f32> {
    let size = hidden.len() / tokens;
    let sum = |d: usize| hidden.iter().skip(d).step_by(size).sum::<f32>();
    let vector: Vec<f32> = (0..size).map(sum).collect();
    let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
    vector.iter().map(|v| v / length).collect()
}

fn vocabulary(file: &Path) -> HashMap<String, i64> {
    let text = fs::read_to_string(file).expect("readable");
    text.lines().zip(0..).map(|(word, id)| (word.to_string(), id)).collect()
}

/// BERT's tokens of plain English: lower case, punctuation apart, the longest known piece first.
fn word_pieces(vocabulary: &HashMap<String, i64>, sentence: &str) -> Vec<i64> {
    let mut spaced = String::new();
    for c in sentence.to_lowercase().chars() {
        spaced.extend(if c.is_ascii_punctuation() { vec![' ', c, ' '] } else { vec![c] });
    }
    let mut ids = vec![vocabulary["[CLS]"]];
    for word in spaced.split_whitespace() {
        let mut from = 0;
        while from < word.len() {
            let piece = |to: &usize| format!("{}{}", if from > 0 { "##" } else { "" }, &word[from..*to]);
            let to = (from + 1..=word.len()).rev().find(|to| vocabulary.contains_key(&piece(to)));
            let to = to.unwrap_or_else(|| panic!("no piece begins '{}'", &word[from..]));
            ids.push(vocabulary[&piece(&to)]);
            from = to;
        }
    }
    ids.push(vocabulary["[SEP]"]);
    ids
}
