//! Requests to the real models, by the tests and by the benchmark: sentences for MiniLM, photos for MobileNetV2.

use selvedge::{Ask, Engine, Tensor, Tensors};

use crate::corpus;

/// Text, and its tokens of BERT's vocabulary: 50 of everyday speech, 70 of prose, 70 of manuals, 60 of everyday speech. Our
/// own, under this repository's licence, but for the first three, which are those of the sentence-transformers README
/// (Apache-2.0). No choice of how to pack was made by them.
const SENTENCES: &str = include_str!("sentences.tsv");
/// Numbers of a token's state, and of a sentence's embedding.
const WIDTH: usize = 384;

pub(crate) const MINILM: &str = "minilm-onnx/all-MiniLM-L6-v2.onnx";
pub(crate) const MOBILENET: &str = "mobilenetv2/mobilenetv2-7.onnx";

/// The text and the tokens of every sentence.
pub(crate) fn sentences() -> Vec<(&'static str, Vec<i64>)> {
    let tokens = |line: &'static str| {
        let (text, ids) = line.split_once('\t').expect("a tab");
        (text, ids.split(' ').map(|id| id.parse().expect("a number")).collect())
    };
    SENTENCES.lines().map(tokens).collect()
}

/// The states of every sentence's tokens, asked for at once.
pub(crate) fn states(minilm: &dyn Engine, sentences: &[Vec<i64>]) -> Vec<Vec<f32>> {
    let length = sentences.iter().map(Vec::len).max().expect("sentences");
    let padded = |of: &dyn Fn(i64) -> i64| {
        let rows = sentences.iter().flat_map(|ids| (0..length).map(|i| ids.get(i).map_or(0, |id| of(*id))));
        Tensor::new(&[sentences.len(), length], rows.collect::<Vec<i64>>()).unwrap()
    };
    let inputs =
        [("input_ids", padded(&|id| id)), ("attention_mask", padded(&|_| 1)), ("token_type_ids", padded(&|_| 0))];
    let rows = asked(minilm, &inputs, "last_hidden_state");
    rows.chunks(length * WIDTH).zip(sentences).map(|(row, ids)| row[..ids.len() * WIDTH].to_vec()).collect()
}

/// The mean over the tokens.
pub(crate) fn pooled(states: &[f32]) -> Vec<f32> {
    let tokens = states.len() / WIDTH;
    (0..WIDTH).map(|i| states.iter().skip(i).step_by(WIDTH).sum::<f32>() / tokens as f32).collect()
}

/// A photo as it is, its mirror image, and its middle; scaled to -2.1 to 2.6 as MobileNetV2 wants it, without care for
/// its sides.
pub(crate) fn views(photo: &str) -> Option<[Tensor; 3]> {
    let photo = corpus::ppm(&corpus::path(photo)?);
    let (width, height) = (photo.width, photo.height);
    let view = |at: &dyn Fn(usize, usize) -> (usize, usize)| {
        let (mean, deviation) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
        let mut planes = Vec::with_capacity(3 * 224 * 224);
        for c in 0..3 {
            for i in 0..224 * 224 {
                let (x, y) = at(i % 224, i / 224);
                planes.push((f32::from(photo.at(x, y)[c]) / 255.0 - mean[c]) / deviation[c]);
            }
        }
        Tensor::new(&[1, 3, 224, 224], planes).unwrap()
    };
    Some([
        view(&|x, y| (x * width / 224, y * height / 224)),
        view(&|x, y| ((223 - x) * width / 224, y * height / 224)),
        view(&|x, y| (width / 4 + x * width / 448, height / 4 + y * height / 448)),
    ])
}

/// The scores of ImageNet's thousand classes.
pub(crate) fn scores(mobilenet: &dyn Engine, photo: &Tensor) -> Vec<f32> {
    asked(mobilenet, &[("data", photo.clone())], "mobilenetv20_output_flatten0_reshape0")
}

fn asked(engine: &dyn Engine, inputs: &[(&str, Tensor)], output: &str) -> Vec<f32> {
    let answer = engine.run(Tensors::new(inputs.iter().cloned())).unwrap_or_else(|e| panic!("{e}"));
    answer.output(output).and_then(|y| y.as_slice::<f32>()).map(<[f32]>::to_vec).unwrap_or_else(|e| panic!("{e}"))
}

pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
