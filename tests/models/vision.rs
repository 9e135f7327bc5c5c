//! Digits, photos and pages.

use crate::corpus::{self, Rgb};
use crate::{agree, ask, best, engines, f32_tensor, f32s};

/// 98.4 % is what ONNX Runtime's Python API gives on the same digits.
#[test]
fn mnist_conv_reads_handwritten_digits() {
    let Some(model) = corpus::path("mnist-conv/model.onnx") else { return };
    let images = corpus::idx(&corpus::path("mnist/t10k-images-idx3-ubyte").expect("lies beside the model"));
    let labels = corpus::idx(&corpus::path("mnist/t10k-labels-idx1-ubyte").expect("lies beside the model"));
    let mut read = Vec::new();
    for (backend, engine) in engines(&model) {
        let digit = |i: usize| {
            let pixels = images.row(i).iter().map(|&p| f32::from(p)).collect();
            let answer = ask(backend, &*engine, [("Input3", f32_tensor(&[1, 1, 28, 28], pixels))]);
            best(f32s(&answer, "Plus214_Output_0")) as f32
        };
        let digits: Vec<f32> = (0..2000).map(digit).collect();
        let right = digits.iter().zip(&labels.data).filter(|(d, l)| **d == f32::from(**l)).count();
        assert_eq!(right, 1968, "{}: {right} of 2000 digits are right, expected 98.4 %", backend.name());
        read.push((backend, digits));
    }
    agree(&read, 0.0);
}

/// ImageNet's classes 285 (Egyptian cat) and 967 (espresso).
#[test]
fn mobilenet_names_two_photos() {
    let Some(model) = corpus::path("mobilenetv2/mobilenetv2-7.onnx") else { return };
    let engines = engines(&model);
    for (photo, class) in [("chelsea", 285), ("coffee", 967)] {
        let photo = corpus::ppm(&corpus::path(&format!("photos/{photo}.ppm")).expect("lies beside the model"));
        let scale = 256.0 / photo.width.min(photo.height) as f64;
        let size = |n: usize| (n as f64 * scale).round() as usize;
        let resized = resize(&photo, size(photo.width), size(photo.height));
        let pixels = planes(&center(&resized, 224), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
        let mut logits = Vec::new();
        for (backend, engine) in &engines {
            let answer = ask(*backend, &**engine, [("data", f32_tensor(&[1, 3, 224, 224], pixels.clone()))]);
            let values = f32s(&answer, "mobilenetv20_output_flatten0_reshape0").to_vec();
            assert_eq!(best(&values), class, "{}", backend.name());
            logits.push((*backend, values));
        }
        agree(&logits, 1e-3);
    }
}

/// Dynamic batch, height and width: three pictures of three sizes through one engine. The share of pixels on
/// text (probability above 0.3, the detector's own threshold) is that of ONNX Runtime's Python API.
#[test]
fn ppocr_finds_text_in_pictures_of_any_size() {
    let Some(model) = corpus::path("ppocr/det.onnx") else { return };
    let engines = engines(&model);
    for (picture, width, height, share) in
        [("page", 384, 192, 0.174), ("page", 768, 384, 0.141), ("text", 1344, 512, 0.026)]
    {
        let picture = corpus::ppm(&corpus::path(&format!("photos/{picture}.ppm")).expect("lies beside the model"));
        let pixels = planes(&resize(&picture, width, height), [0.5; 3], [0.5; 3]);
        let mut maps = Vec::new();
        for (backend, engine) in &engines {
            let answer = ask(*backend, &**engine, [("x", f32_tensor(&[1, 3, height, width], pixels.clone()))]);
            let map = answer.output("sigmoid_0.tmp_0").expect("the model's output");
            assert_eq!(**map.shape(), [1, 1, height, width], "{}", backend.name());
            let map = f32s(&answer, "sigmoid_0.tmp_0").to_vec();
            let text = map.iter().filter(|p| **p > 0.3).count() as f64 / map.len() as f64;
            assert!((text - share).abs() < 0.002, "{}: {text} of the pixels are text, not {share}", backend.name());
            maps.push((*backend, map));
        }
        agree(&maps, 1e-3);
    }
}

/// A picture in floats, from 0 to 255, as the resize gives it.
struct Pixels {
    width: usize,
    height: usize,
    data: Vec<[f64; 3]>,
}

/// Bilinear, pixel centres at halves, edges repeated.
fn resize(picture: &Rgb, width: usize, height: usize) -> Pixels {
    let along = |i: usize, to: usize, from: usize| {
        let x = ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, (from - 1) as f64);
        (x as usize, (x as usize + 1).min(from - 1), x.fract())
    };
    let mix = |a: [f64; 3], b: [f64; 3], f: f64| std::array::from_fn(|c| a[c] * (1.0 - f) + b[c] * f);
    let mut data = Vec::with_capacity(width * height);
    for y in 0..height {
        let (top, bottom, down) = along(y, height, picture.height);
        for x in 0..width {
            let (left, right, over) = along(x, width, picture.width);
            let row = |y| mix(picture.at(left, y).map(f64::from), picture.at(right, y).map(f64::from), over);
            data.push(mix(row(top), row(bottom), down));
        }
    }
    Pixels { width, height, data }
}

/// The square in the middle.
fn center(picture: &Pixels, side: usize) -> Pixels {
    let (left, top) = ((picture.width - side) / 2, (picture.height - side) / 2);
    let rows = (top..top + side).flat_map(|y| &picture.data[y * picture.width + left..][..side]);
    Pixels { width: side, height: side, data: rows.copied().collect() }
}

/// One plane per colour, scaled to 0 to 1 and then to the model's mean and deviation.
fn planes(picture: &Pixels, mean: [f64; 3], deviation: [f64; 3]) -> Vec<f32> {
    let plane = |c: usize| picture.data.iter().map(move |p| ((p[c] / 255.0 - mean[c]) / deviation[c]) as f32);
    (0..3).flat_map(plane).collect()
}
