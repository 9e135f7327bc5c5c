//! Real models: how much smaller they become, and how far their answers move. Memory is the benchmark's.

use std::path::Path;
use std::time::Instant;

use selvedge::pack::{Packing, Scheme};
use selvedge::{Backend, Engine};

use crate::models::{MINILM, MOBILENET, cosine, pooled, scores, sentences, states, views};
use crate::{backends, corpus, open, packed};

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
    /// The least mean cosine of the sentences, and the least of any sentence and of any one's tokens' states.
    mean: f64,
    least: f64,
}

/// The figures in the documentation of `pack` and in the README are those of this test.
#[test]
fn minilm_says_the_same_in_fewer_bytes() {
    let Some(model) = corpus::path(MINILM) else { return };
    let int4 = || Packing::new(Scheme::Int4);
    let cases = [
        Case { label: "int4", packing: int4(), size: 0.20, mean: 0.997, least: 0.99 },
        Case { label: "int4 of 6 bits", packing: int4().mean_bits(6.0), size: 0.19, mean: 0.995, least: 0.99 },
        // What the mixture is for.
        Case { label: "int4 of 4.5 bits", packing: int4().mean_bits(4.5), size: 0.145, mean: 0.97, least: 0.89 },
        Case { label: "int8", packing: Packing::new(Scheme::Int8), size: 0.27, mean: 0.9995, least: 0.998 },
        Case { label: "f16", packing: Packing::new(Scheme::F16), size: 0.51, mean: 0.99999, least: 0.99999 },
    ];
    let sentences: Vec<Vec<i64>> = sentences().into_iter().map(|(_, ids)| ids).collect();
    let run = |engine: &dyn Engine| drop(states(engine, &sentences[..1]));
    for backend in backends() {
        let (opened, latency) = timed(&model, backend, run);
        println!("{} MiniLM f32: opens in {opened:.0} ms, answers in {latency:.1} ms", backend.name());
        let whole = states(&*open(&model, backend), &sentences);
        for Case { label, packing, size, mean: least_mean, least } in &cases {
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
            assert!(mean >= *least_mean, "{} {label}: expected a mean of {least_mean}, got {mean}", backend.name());
            let worst = least_of_all.min(least_of_tokens);
            assert!(worst >= *least, "{} {label}: expected a cosine of {least}, got {worst}", backend.name());
        }
    }
}

#[cfg(feature = "table")]
#[test]
fn the_sentences_have_the_tokens_of_the_models_own_tokenizer() {
    let Some(file) = corpus::path("minilm/tokenizer.json") else { return };
    let mut tokenizer = tokenizers::Tokenizer::from_file(file).expect("a tokenizer");
    tokenizer.with_padding(None).with_truncation(None).expect("no limits");
    for (text, ids) in sentences() {
        let tokens = tokenizer.encode(text, true).expect("tokens");
        let expected: Vec<i64> = tokens.get_ids().iter().map(|id| i64::from(*id)).collect();
        assert_eq!(ids, expected, "{text}");
    }
}

/// Two photos of what ImageNet has classes for, with that class; then two scans of text, which its photos are nothing like.
const PICTURES: [(&str, Option<usize>); 4] = [
    // An Egyptian cat, and espresso.
    ("photos/chelsea.ppm", Some(285)),
    ("photos/coffee.ppm", Some(967)),
    ("photos/page.ppm", None),
    ("photos/text.ppm", None),
];

#[test]
fn mobilenet_names_the_same_photos() {
    let Some(model) = corpus::path(MOBILENET) else { return };
    let pictures = PICTURES.map(|(file, class)| (file, class, views(file).expect("lies beside the model")));
    let best = |v: &[f32]| v.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(i, _)| i);
    let run = |engine: &dyn Engine| drop(scores(engine, &pictures[0].2[0]));
    for backend in backends() {
        let name = backend.name();
        let engine = open(&model, backend);
        let (opened, latency) = timed(&model, backend, run);
        println!("{name} MobileNetV2 f32: opens in {opened:.0} ms, answers in {latency:.1} ms");
        // Bytes, the mean of the photos, and the least of any picture.
        for (scheme, size, mean, least) in [(Scheme::Int8, 0.30, 0.999, 0.998), (Scheme::F16, 0.52, 0.99999, 0.99999)] {
            let packed = packed(&model, &Packing::new(scheme));
            let ratio = packed.report.after as f64 / packed.report.before as f64;
            let (opened, latency) = timed(&packed.path, backend, run);
            let small = open(&packed.path, backend);
            let (mut photos, mut scans) = (Vec::new(), Vec::new());
            for (file, class, views) in &pictures {
                for (i, view) in views.iter().enumerate() {
                    let (whole, got) = (scores(&*engine, view), scores(&*small, view));
                    assert!(i > 0 || class.is_none() || best(&whole) == *class, "{file}: {:?}", best(&whole));
                    assert_eq!(best(&got), best(&whole), "{name} {} {file}, view {i}", scheme.name());
                    if class.is_some() { &mut photos } else { &mut scans }.push(cosine(&whole, &got));
                }
            }
            let ((photos, least_photo), (scans, least_scan)) =
                (summary(photos.into_iter()), summary(scans.into_iter()));
            println!(
                "{name} MobileNetV2 {}: {:.1} % of the bytes, opens in {opened:.0} ms, answers in {latency:.1} ms, cosine \
                 of photos {photos:.6}, at least {least_photo:.6}, of scans of text {scans:.6}, at least {least_scan:.6}",
                scheme.name(),
                ratio * 100.0
            );
            assert!(ratio <= size, "{}: {ratio} of the bytes", scheme.name());
            assert!(photos >= mean, "{name} {}: expected a mean of {mean}, got {photos}", scheme.name());
            let worst = least_photo.min(least_scan);
            assert!(worst >= least, "{name} {}: expected {least}, got {worst}", scheme.name());
        }
    }
}
