//! Real models: how much smaller they become, and how far their answers move.

use std::path::Path;
use std::time::Instant;

use selvedge::backend::pack::{Packing, Scheme};
use selvedge::{Answer, Backend, Engine, Tensor};

use crate::{ask, backends, corpus, cosine, f32s, open, packed};

/// The three sentences of the sentence-transformers README, as tokens of BERT's vocabulary.
const SENTENCES: [&[i64]; 3] = [
    &[101, 1996, 4633, 2003, 8403, 2651, 1012, 102],
    &[101, 2009, 1005, 1055, 2061, 11559, 2648, 999, 102],
    &[101, 2002, 5225, 2000, 1996, 3346, 1012, 102],
];
/// The weights of a transformer that matter most: of values, and of what follows attention.
const SENSITIVE: [&str; 3] = ["*.value.*", "*.intermediate.*", "*.output.*"];

fn sentence(engine: &dyn Engine, ids: &[i64]) -> Vec<f32> {
    let row = |values: Vec<i64>| Tensor::new(&[1, ids.len()], values).unwrap();
    let inputs = [
        ("input_ids", row(ids.to_vec())),
        ("attention_mask", row(vec![1; ids.len()])),
        ("token_type_ids", row(vec![0; ids.len()])),
    ];
    f32s(&ask(engine, &inputs), "last_hidden_state").to_vec()
}

/// The mean over the tokens.
fn pooled(states: &[f32]) -> Vec<f32> {
    let tokens = states.len() / 384;
    (0..384).map(|i| states.iter().skip(i).step_by(384).sum::<f32>() / tokens as f32).collect()
}

/// Milliseconds to open, and the median of some runs.
fn timed(path: &Path, backend: Backend, run: impl Fn(&dyn Engine)) -> (f64, f64) {
    let begun = Instant::now();
    let engine = open(path, backend);
    let opened = begun.elapsed().as_secs_f64() * 1e3;
    run(&*engine);
    let mut times: Vec<f64> = (0..9)
        .map(|_| {
            let begun = Instant::now();
            run(&*engine);
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (opened, times[times.len() / 2])
}

struct Case {
    label: &'static str,
    packing: Packing,
    /// The most bytes, of those before.
    size: f64,
    cosine: f64,
}

#[test]
fn minilm_says_the_same_in_fewer_bytes() {
    let Some(model) = corpus::path("minilm-onnx/all-MiniLM-L6-v2.onnx") else { return };
    let mixed = SENSITIVE.iter().fold(Packing::new(Scheme::Int4), |packing, pattern| packing.finer(*pattern));
    let cases = [
        Case { label: "int4, finer where it matters", packing: mixed, size: 0.20, cosine: 0.99 },
        Case { label: "int4", packing: Packing::new(Scheme::Int4), size: 0.145, cosine: 0.95 },
        Case { label: "int8", packing: Packing::new(Scheme::Int8), size: 0.27, cosine: 0.999 },
        Case { label: "f16", packing: Packing::new(Scheme::F16), size: 0.51, cosine: 0.99999 },
    ];
    let run = |engine: &dyn Engine| drop(sentence(engine, SENTENCES[0]));
    for backend in backends() {
        let whole = open(&model, backend);
        let (opened, latency) = timed(&model, backend, run);
        println!("{} MiniLM f32: opens in {opened:.0} ms, answers in {latency:.1} ms", backend.name());
        for Case { label, packing, size, cosine: least } in &cases {
            let packed = packed(&model, packing);
            let ratio = packed.report.after as f64 / packed.report.before as f64;
            assert!(ratio <= *size, "{label}: {ratio} of the bytes");
            let engine = open(&packed.path, backend);
            let (mut tokens, mut sentences) = (f64::MAX, f64::MAX);
            for ids in SENTENCES {
                let (a, b) = (sentence(&*whole, ids), sentence(&*engine, ids));
                tokens = tokens.min(cosine(&a, &b));
                sentences = sentences.min(cosine(&pooled(&a), &pooled(&b)));
            }
            let (opened, latency) = timed(&packed.path, backend, run);
            println!(
                "{} MiniLM {label}: {:.1} % of the bytes, opens in {opened:.0} ms, answers in {latency:.1} ms, cosine \
                 of the tokens' states {tokens:.5}, of the sentences {sentences:.5}",
                backend.name(),
                ratio * 100.0
            );
            assert!(tokens >= *least && sentences >= *least, "{} {label}: {tokens} {sentences}", backend.name());
        }
    }
}

/// A photo, scaled to -2.1 to 2.6 as the model wants it, without care for its sides.
fn photo() -> Option<Tensor> {
    let photo = corpus::ppm(&corpus::path("photos/chelsea.ppm")?);
    let (mean, deviation) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let mut planes = Vec::with_capacity(3 * 224 * 224);
    for c in 0..3 {
        for at in 0..224 * 224 {
            let (x, y) = (at % 224 * photo.width / 224, at / 224 * photo.height / 224);
            planes.push((f32::from(photo.at(x, y)[c]) / 255.0 - mean[c]) / deviation[c]);
        }
    }
    Tensor::new(&[1, 3, 224, 224], planes).ok()
}

#[test]
fn mobilenet_names_the_same_photo() {
    let Some(model) = corpus::path("mobilenetv2/mobilenetv2-7.onnx") else { return };
    let photo = photo().expect("lies beside the model");
    const OUTPUT: &str = "mobilenetv20_output_flatten0_reshape0";
    let classify = |engine: &dyn Engine| -> Answer { ask(engine, &[("data", photo.clone())]) };
    let best = |v: &[f32]| v.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(i, _)| i);
    let run = |engine: &dyn Engine| drop(classify(engine));
    for backend in backends() {
        let whole = classify(&*open(&model, backend));
        let whole = f32s(&whole, OUTPUT);
        assert_eq!(best(whole), Some(285), "an Egyptian cat");
        let (opened, latency) = timed(&model, backend, run);
        println!("{} MobileNetV2 f32: opens in {opened:.0} ms, answers in {latency:.1} ms", backend.name());
        for (scheme, size, least) in [(Scheme::Int8, 0.30, 0.999), (Scheme::F16, 0.52, 0.99999)] {
            let packed = packed(&model, &Packing::new(scheme));
            let ratio = packed.report.after as f64 / packed.report.before as f64;
            let answer = classify(&*open(&packed.path, backend));
            let got = f32s(&answer, OUTPUT);
            let cosine = cosine(whole, got);
            let (opened, latency) = timed(&packed.path, backend, run);
            println!(
                "{} MobileNetV2 {}: {:.1} % of the bytes, opens in {opened:.0} ms, answers in {latency:.1} ms, cosine \
                 {cosine:.6}",
                backend.name(),
                scheme.name(),
                ratio * 100.0
            );
            assert!(ratio <= size && cosine >= least && best(got) == Some(285), "{} {cosine} {ratio}", scheme.name());
        }
    }
}
