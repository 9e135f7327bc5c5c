//! Real models: how much smaller they become, and how far their answers move.

use std::path::Path;
use std::time::Instant;

use selvedge::backend::pack::{Packing, Scheme};
use selvedge::{Answer, Backend, Engine, Tensor};

use crate::{ask, backends, corpus, cosine, f32s, open, packed};

/// Everyday sentences, no part in any choice of how to pack: text, and its tokens of BERT's vocabulary. The first three
/// are those of the sentence-transformers README.
const SENTENCES: &str = include_str!("sentences.tsv");
const WIDTH: usize = 384;

fn sentences() -> Vec<Vec<i64>> {
    let tokens = |line: &str| {
        let (_, ids) = line.split_once('\t').expect("a tab");
        ids.split(' ').map(|id| id.parse().expect("a number")).collect()
    };
    SENTENCES.lines().map(tokens).collect()
}

/// The states of every sentence's tokens, asked for at once.
fn states(engine: &dyn Engine, sentences: &[Vec<i64>]) -> Vec<Vec<f32>> {
    let length = sentences.iter().map(Vec::len).max().expect("sentences");
    let padded = |of: &dyn Fn(i64) -> i64| {
        let rows = sentences.iter().flat_map(|ids| (0..length).map(|i| ids.get(i).map_or(0, |id| of(*id))));
        Tensor::new(&[sentences.len(), length], rows.collect::<Vec<i64>>()).unwrap()
    };
    let inputs =
        [("input_ids", padded(&|id| id)), ("attention_mask", padded(&|_| 1)), ("token_type_ids", padded(&|_| 0))];
    let answer = ask(engine, &inputs);
    let rows = f32s(&answer, "last_hidden_state").chunks(length * WIDTH);
    rows.zip(sentences).map(|(row, ids)| row[..ids.len() * WIDTH].to_vec()).collect()
}

/// The mean over the tokens.
fn pooled(states: &[f32]) -> Vec<f32> {
    let tokens = states.len() / WIDTH;
    (0..WIDTH).map(|i| states.iter().skip(i).step_by(WIDTH).sum::<f32>() / tokens as f32).collect()
}

/// The mean and the least.
fn summary(cosines: impl Iterator<Item = f64>) -> (f64, f64) {
    let all: Vec<f64> = cosines.collect();
    (all.iter().sum::<f64>() / all.len() as f64, all.iter().copied().fold(f64::MAX, f64::min))
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
    /// The least cosine of any sentence.
    cosine: f64,
}

#[test]
fn minilm_says_the_same_in_fewer_bytes() {
    let Some(model) = corpus::path("minilm-onnx/all-MiniLM-L6-v2.onnx") else { return };
    let cases = [
        Case { label: "int4", packing: Packing::new(Scheme::Int4), size: 0.20, cosine: 0.99 },
        // What the mixture is for.
        Case {
            label: "int4 throughout",
            packing: Packing::new(Scheme::Int4).mean_bits(4.5),
            size: 0.145,
            cosine: 0.93,
        },
        Case { label: "int8", packing: Packing::new(Scheme::Int8), size: 0.27, cosine: 0.999 },
        Case { label: "f16", packing: Packing::new(Scheme::F16), size: 0.51, cosine: 0.99999 },
    ];
    let sentences = sentences();
    let run = |engine: &dyn Engine| drop(states(engine, &sentences[..1]));
    for backend in backends() {
        let (opened, latency) = timed(&model, backend, run);
        println!("{} MiniLM f32: opens in {opened:.0} ms, answers in {latency:.1} ms", backend.name());
        let whole = states(&*open(&model, backend), &sentences);
        for Case { label, packing, size, cosine: least } in &cases {
            let packed = packed(&model, packing);
            let ratio = packed.report.after as f64 / packed.report.before as f64;
            let got = states(&*open(&packed.path, backend), &sentences);
            let pairs = || whole.iter().zip(&got);
            let (tokens, least_of_tokens) = summary(pairs().map(|(a, b)| cosine(a, b)));
            let (mean, least_of_all) = summary(pairs().map(|(a, b)| cosine(&pooled(a), &pooled(b))));
            let (opened, latency) = timed(&packed.path, backend, run);
            println!(
                "{} MiniLM {label}: {:.1} % of the bytes, opens in {opened:.0} ms, answers in {latency:.1} ms, cosine \
                 of {} sentences {mean:.5}, at least {least_of_all:.5}, of their tokens' states {tokens:.5}, at least \
                 {least_of_tokens:.5}",
                backend.name(),
                ratio * 100.0,
                sentences.len()
            );
            assert!(ratio <= *size, "{label}: {ratio} of the bytes");
            let worst = least_of_all.min(least_of_tokens);
            assert!(worst >= *least, "{} {label}: expected a cosine of {least}, got {worst}", backend.name());
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
