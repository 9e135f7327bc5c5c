//! The corpus's other models: two runtimes that share no code give the same numbers.

use crate::corpus;
use crate::{agree, ask, engines, f32_tensor, f32s};

/// Model, input, dimensions, and the range of the input's values.
const MODELS: [(&str, &str, &[usize], f32); 7] = [
    ("yunet/yunet.onnx", "input", &[1, 3, 640, 640], 255.0),
    ("livekit/melspectrogram.onnx", "input", &[1, 16000], 1.0),
    ("livekit/embedding.onnx", "input_1", &[2, 76, 32, 1], 1.0),
    ("ppocr/rec.onnx", "x", &[1, 3, 48, 320], 1.0),
    ("ppocr/rec.onnx", "x", &[2, 3, 48, 160], 1.0),
    ("ppocr/cls.onnx", "x", &[1, 3, 48, 192], 1.0),
    ("ppocr/cls.onnx", "x", &[3, 3, 48, 192], 1.0),
];

#[test]
fn the_backends_agree_on_every_output() {
    for (model, input, dims, range) in MODELS {
        let Some(path) = corpus::path(model) else { return };
        let mut outputs = Vec::new();
        for (backend, engine) in engines(&path) {
            let values = noise(dims.iter().product(), range);
            let answer = ask(backend, &*engine, [(input, f32_tensor(dims, values))]);
            let names: Vec<&String> = answer.outputs.iter().map(|(name, _)| name).collect();
            let all: Vec<f32> = names.iter().flat_map(|name| f32s(&answer, name).to_vec()).collect();
            assert!(all.iter().all(|v| v.is_finite()), "{model}: {} gives what is no number", backend.name());
            assert!(all.iter().any(|v| *v != all[0]), "{model}: {} gives the same everywhere", backend.name());
            outputs.push((backend, all));
        }
        println!("{model} {dims:?}");
        agree(&outputs, 1e-3);
    }
}

/// The same values on every run, from 0 to `range`.
fn noise(count: usize, range: f32) -> Vec<f32> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 24) as f32 * range
    };
    (0..count).map(|_| next()).collect()
}
