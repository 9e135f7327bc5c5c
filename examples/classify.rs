//! A photo in, the likeliest classes of an ImageNet model out.
//!
//! `cargo run --release -p selvedge-examples --example classify -- mobilenetv2-7.onnx photo.jpg [labels.txt]`
//! With `--features ort` and ` --backend ort` it runs through ONNX Runtime instead of tract.

use image::imageops::{FilterType, crop_imm, resize};
use selvedge::{Ask, Backend, Options, Tensor, Tensors, open};

/// What ImageNet models of the torchvision family expect: RGB in 0..1, less the mean, by the deviation.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let mut options = Options::new();
    if let Some(at) = args.iter().position(|a| a == "--backend") {
        let backend = args.drain(at..(at + 2).min(args.len())).nth(1);
        options = options.backend(match backend.as_deref() {
            Some("ort") => Backend::Ort,
            Some("tract") => Backend::Tract,
            other => return Err(format!("--backend: expected ort or tract, got {other:?}").into()),
        });
    }
    let [model, photo, labels @ ..] = &args[..] else {
        return Err("usage: classify MODEL.onnx PHOTO [LABELS.txt] [--backend ort|tract]".into());
    };
    let labels = match labels.first() {
        Some(file) => std::fs::read_to_string(file)?.lines().map(String::from).collect(),
        None => Vec::new(),
    };

    let engine = open(model, options)?;
    let input = engine.spec().inputs[0].name.clone();
    let answer = engine.run(Tensors::from([(input, pixels(photo)?)]))?;
    let probabilities = softmax(answer.outputs[0].1.as_slice()?);

    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    for &class in order.iter().take(5) {
        let label = labels.get(class).map_or("", |l| l);
        println!("{:>5.1} %  {class:>4}  {label}", 100.0 * probabilities[class]);
    }
    println!("{} in {:.1} ms", answer.provenance.runtime, answer.usage.compute.as_secs_f64() * 1e3);
    Ok(())
}

/// The photo's middle as f32 `[1, 3, 224, 224]`.
fn pixels(photo: &str) -> Result<Tensor, Box<dyn std::error::Error>> {
    let photo = image::open(photo)?.into_rgb8();
    let short = photo.width().min(photo.height());
    let scaled = |side: u32| (u64::from(side) * 256).div_ceil(u64::from(short)) as u32;
    let small = resize(&photo, scaled(photo.width()), scaled(photo.height()), FilterType::Triangle);
    let middle = crop_imm(&small, (small.width() - 224) / 2, (small.height() - 224) / 2, 224, 224).to_image();
    let channel = |c: usize| middle.pixels().map(move |p| (f32::from(p.0[c]) / 255.0 - MEAN[c]) / DEVIATION[c]);
    Ok(Tensor::new(&[1, 3, 224, 224], (0..3).flat_map(channel).collect())?)
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let top = logits.iter().copied().fold(f32::MIN, f32::max);
    let exp: Vec<f32> = logits.iter().map(|x| (x - top).exp()).collect();
    let sum: f32 = exp.iter().sum();
    exp.iter().map(|x| x / sum).collect()
}
