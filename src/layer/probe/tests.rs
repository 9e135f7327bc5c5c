use std::sync::Arc;

use super::*;
use crate::engine::{Embed, Finish, Provenance, Tensors, TokenInfo, Usage};
use crate::{DType, Digest, Shape, Tensor};

/// What a probe makes of a request and an answer: the rows, and the predictions.
fn seen(probe: &dyn Probe, request: impl Into<Request>, answer: &Answer) -> (Vec<Vec<f32>>, Vec<Prediction>) {
    let mut sheet = Sheet::new(probe.features().len());
    probe.request(&request.into(), &mut Rows::new(&mut sheet));
    probe.answer(answer, &mut Rows::new(&mut sheet));
    let rows = (0..sheet.rows()).map(|i| sheet.row(i));
    rows.map(|(values, prediction)| (values.to_vec(), *prediction)).unzip()
}

fn answer(outputs: Vec<(&str, Tensor)>) -> Answer {
    let provenance = Arc::new(Provenance::new("m", Digest::default(), "fake", "fake"));
    let mut answer = Answer::new(Finish::Complete, Usage::default(), provenance);
    answer.outputs = outputs.into_iter().map(|(name, tensor)| (name.into(), tensor)).collect();
    answer
}

fn tensor(dims: &[usize], values: &[f32]) -> Tensor {
    Tensor::new(dims, values.to_vec()).unwrap()
}

fn close(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-4 * b.abs().max(1.0)
}

#[test]
fn columns_are_rows_of_any_dtype() {
    let probe = Columns::of("x", ["a", "b"]);
    let rows = |x: Tensor| seen(&probe, Tensors::from([("x", x)]), &answer(vec![])).0;
    assert_eq!(rows(tensor(&[2, 2], &[1., 2., 3., 4.])), [[1., 2.], [3., 4.]]);
    assert_eq!(rows(tensor(&[2], &[1., 2.])), [[1., 2.]]);
    assert_eq!(rows(Tensor::new(&[1, 2], vec![7i64, -8]).unwrap()), [[7., -8.]]);
    assert_eq!(rows(Tensor::new(&[1, 2], vec![true, false]).unwrap()), [[1., 0.]]);
    assert_eq!(rows(Tensor::new(&[1, 2], vec![0.5f64, 1e300]).unwrap()), [[0.5, f32::INFINITY]]);
    let words = Tensor::strings(&[1, 2], vec!["rain".into(), "12.5".into()]).unwrap();
    assert_eq!(rows(words), [[category_code("rain"), 12.5]]);
    // Bytes that are not aligned are read all the same.
    let bytes: Vec<u8> = [0].into_iter().chain([1.5f32, 2.5].iter().flat_map(|v| v.to_le_bytes())).collect();
    let shifted: &'static [u8] = Box::leak(bytes.into_boxed_slice());
    let odd = Tensor::copy_from(DType::F32, Shape::new(&[1, 2]).unwrap(), &shifted[1..]).unwrap();
    assert_eq!(rows(odd), [[1.5, 2.5]]);
    for unfit in [tensor(&[2, 3], &[0.; 6]), tensor(&[0, 2], &[]), tensor(&[], &[1.])] {
        assert!(rows(unfit).is_empty());
    }
    let (none, _) = seen(&probe, Embed::new(["a"]), &answer(vec![]));
    assert!(none.is_empty());
    let output = Columns::of_output("y", ["z"]);
    let (rows, _) = seen(&output, Tensors::default(), &answer(vec![("y", tensor(&[3], &[1., 2., 3.]))]));
    assert_eq!(rows, [[1.], [2.], [3.]]);
}

#[test]
fn several_probes_share_a_row() {
    let probe = All::new().and(Columns::of("x", ["a"])).and(Classes::of("p")).and(Columns::of("w", ["b"]));
    let request = Tensors::from([("x", tensor(&[2, 1], &[1., 2.])), ("w", tensor(&[1, 1], &[9.]))]);
    let (rows, predictions) = seen(&probe, request, &answer(vec![("p", tensor(&[2, 2], &[0.25, 0.75, 1., 0.]))]));
    assert_eq!((rows[0][0], rows[0][1], rows[0][2], rows[0][4]), (1., 1., 0.75, 9.));
    assert_eq!((rows[1][0], rows[1][1], rows[1][2], rows[1][3]), (2., 0., 1., 0.));
    assert!(rows[1][4].is_nan(), "the second row has no such column");
    assert_eq!(predictions[0].class, Some(1));
}

#[test]
fn classes_come_from_probabilities_and_logits() {
    let decide = |probe: Classes, dims: &[usize], values: &[f32]| {
        seen(&probe, Tensors::default(), &answer(vec![("p", tensor(dims, values))])).1
    };
    let classes = || Classes::of("p");
    let soft = decide(classes().softmax(), &[1, 3], &[1., 2., 3.])[0];
    // exp(3) / (e + e² + e³), and the entropy by hand.
    assert!(soft.class == Some(2) && close(soft.confidence, 0.665_241) && close(soft.entropy, 0.832_396), "{soft:?}");
    assert!(close(soft.max_entropy, 3f32.ln()));
    let large = decide(classes().softmax(), &[2], &[1000., 0.])[0];
    assert!(large.class == Some(0) && large.confidence == 1.0 && large.entropy == 0.0);
    let binary = decide(classes(), &[2, 1], &[0.2, 0.9]);
    assert_eq!((binary[0].class, binary[0].confidence, binary[1].class), (Some(0), 0.8, Some(1)));
    assert!(close(binary[0].entropy, 0.500_402));
    assert_eq!(decide(classes().binary(), &[3], &[0.2, 0.9, 0.5]).len(), 3);
    assert!(close(decide(classes().softmax(), &[1, 1], &[0.0])[0].confidence, 0.5));
    for broken in [[f32::NAN, 1.0], [f32::INFINITY, 1.0], [-0.5, 1.0], [0.0, 0.0]] {
        let prediction = decide(classes(), &[1, 2], &broken)[0];
        assert!(prediction.class.is_none() && prediction.confidence.is_nan(), "{broken:?} {prediction:?}");
    }
    assert!(decide(classes(), &[1, 1], &[1.5])[0].class.is_none());
}

#[test]
fn tokens_give_lengths_and_certainty() {
    let mut text = answer(vec![]);
    text.finish = Finish::Length;
    (text.usage.input_tokens, text.usage.output_tokens) = (7, 2);
    text.tokens = vec![TokenInfo::new(1, Some(-0.5)), TokenInfo::new(2, Some(-1.5))];
    let (rows, predictions) = seen(&Tokens, Embed::new(["a"]), &text);
    assert_eq!(rows, [[7., 2., -1.0, -1.5, 4.]]);
    assert!(close(predictions[0].confidence, (-1f32).exp()));
    text.tokens[0].logprob = None;
    text.tokens[1].logprob = None;
    let (rows, predictions) = seen(&Tokens, Embed::new(["a"]), &text);
    assert!(rows[0][2].is_nan() && rows[0][3].is_nan() && predictions[0].confidence.is_nan());
}

#[test]
fn images_are_summarised_in_either_layout() {
    // Left half red, right half white, in planes and in pixels.
    let (h, w) = (8, 8);
    let pixel = |c: usize, x: usize| if c == 0 || x >= w / 2 { 1.0f32 } else { 0.0 };
    let planes: Vec<f32> = (0..3).flat_map(|c| (0..h * w).map(move |i| pixel(c, i % w))).collect();
    let pixels: Vec<f32> = (0..h * w).flat_map(|i| (0..3).map(move |c| pixel(c, i % w))).collect();
    let summary = |x: Tensor| seen(&Image::of(""), Tensors::from([("any", x)]), &answer(vec![])).0;
    let chw = summary(tensor(&[1, 3, h, w], &planes));
    assert_eq!(chw, summary(tensor(&[h, w, 3], &pixels)));
    let [brightness, contrast, sharpness, saturation] = chw[0][..] else { panic!("{chw:?}") };
    assert!(
        close(brightness, (0.299 + 1.0) / 2.0) && close(contrast, 0.701 / 2.0) && close(saturation, 0.5),
        "{chw:?}"
    );
    // Of six inner columns, one has a white neighbour on the right and one a red one on the left.
    assert!(close(sharpness, 0.701 * (2f32 / 6.0).sqrt()), "{sharpness}");
    assert_eq!(summary(tensor(&[2, 1, 4, 4], &[0.5; 32])), [[0.5, 0., 0., 0.], [0.5, 0., 0., 0.]]);
    let bytes = Tensor::new(&[1, 2, 2, 1], vec![0u8, 255, 0, 255]).unwrap();
    assert_eq!(summary(bytes)[0][..2], [127.5, 127.5]);
    assert!(summary(tensor(&[5, 5], &[0.; 25])).is_empty() && summary(tensor(&[1, 3, 0, 4], &[])).is_empty());
    // A large one is read in part and gives much the same.
    let large: Vec<f32> = (0..1000 * 1000).map(|i| (i % 1000) as f32 / 999.0).collect();
    let large = summary(tensor(&[1, 1, 1000, 1000], &large));
    assert!((large[0][0] - 0.5).abs() < 1e-2 && (large[0][1] - 0.2887).abs() < 1e-2, "{large:?}");
}

#[test]
fn sounds_are_summarised() {
    let rate = 16_000u32;
    let tone = |hz: f32, level: f32| -> Vec<f32> {
        (0..8000).map(|i| level * (2.0 * std::f32::consts::PI * hz * i as f32 / rate as f32).sin()).collect()
    };
    let summary = |x: Tensor| seen(&Audio::of("x", rate), Tensors::from([("x", x)]), &answer(vec![])).0;
    let loud = summary(tensor(&[1, 8000], &tone(1000.0, 1.0)))[0].clone();
    assert!(close(loud[0], -3.0103) && (loud[1] - 0.125).abs() < 2e-4 && (loud[2] - 1000.0).abs() < 5.0, "{loud:?}");
    assert!(loud[3] > 0.0);
    let quiet = summary(tensor(&[8000], &tone(4000.0, 0.1)))[0].clone();
    assert!(close(quiet[0], -23.0103) && (quiet[2] - 4000.0).abs() < 5.0 && quiet[3] == 0.0, "{quiet:?}");
    let silence = summary(tensor(&[1, 1, 8000], &[0.0; 8000]))[0].clone();
    assert!(silence[0] == -120.0 && silence[1] == 0.0 && silence[2].is_nan(), "{silence:?}");
    assert!(summary(tensor(&[1, 100], &[0.5; 100]))[0][2].is_nan(), "shorter than a frame");
    assert!(summary(tensor(&[2, 3, 4], &[0.5; 24])).is_empty());
}

#[test]
fn embeddings_are_held_row_by_row() {
    let mut sheet = Sheet::new(0);
    let vectors = tensor(&[2, 3], &[1., 2., 3., 4., 5., 6.]);
    Embeddings::default().answer(&answer(vec![(Embed::OUTPUT, vectors)]), &mut Rows::new(&mut sheet));
    assert_eq!([0, 1].map(|row| sheet.embedding(row).to_vec()), [[1., 2., 3.], [4., 5., 6.]]);
    Rows::new(&mut sheet).embedding(0, [7.0f32, 8.0, 9.0].into_iter());
    Rows::new(&mut sheet).embedding(3, [1.0f32].into_iter());
    let held = [0, 1, 2, 3, 4].map(|row| sheet.embedding(row).first().copied());
    assert_eq!(held, [Some(7.), Some(4.), None, None, None], "replaced, of no embedding, of another width, of no row");
    assert_eq!(sheet.rows(), 4);
    sheet.clear();
    assert_eq!((sheet.embedding(0), sheet.rows()), (&[][..], 0));
}

#[test]
fn rows_end_somewhere() {
    let mut sheet = Sheet::new(1);
    let mut rows = Rows::new(&mut sheet);
    rows.set(Rows::MAX - 1, 0, 1.0);
    rows.set(Rows::MAX, 0, 1.0);
    assert!(rows.row(usize::MAX).is_none());
    rows.set(0, 9, 1.0);
    assert_eq!(rows.count(), Rows::MAX);
    assert_eq!((sheet.missed, sheet.row(0).0[0].is_nan()), (2, true));
}

#[test]
fn a_name_has_a_number() {
    assert_eq!((category_code("7"), category_code("-0.5"), category_code("1e3")), (7.0, -0.5, 1000.0));
    for name in ["", "rain", "NaN", "inf", "ä"] {
        assert!(
            (-16_777_216.0..=-8_388_608.0).contains(&category_code(name)) && category_code(name).fract() == 0.0,
            "{name}"
        );
    }
    assert_ne!(category_code("drizzle"), category_code("snow"));
}

#[test]
fn a_decision_leaves_what_it_does_not_know() {
    let mut sheet = Sheet::new(0);
    let mut rows = Rows::new(&mut sheet);
    rows.set_prediction(0, Prediction { class: Some(3), confidence: 0.7, entropy: 0.1, ..Prediction::default() });
    rows.set_prediction(0, Prediction { refused: true, confidence: 0.6, ..Prediction::default() });
    rows.set_prediction(0, Prediction { valid: Some(false), max_entropy: 2.0, ..Prediction::default() });
    let kept = sheet.row(0).1;
    assert_eq!((kept.class, kept.confidence, kept.entropy, kept.max_entropy), (Some(3), 0.6, 0.1, 2.0));
    assert_eq!((kept.refused, kept.valid), (true, Some(false)));
}
