//! Speech and tones.

use std::f64::consts::TAU;

use selvedge::{Ask, Backend, DType, Engine, Tensor, Tensors};

use crate::corpus;
use crate::{agree, ask, best, engines, f32_tensor, f32s, input_dtype, mean};

/// Samples per chunk at 16 kHz, and those of the chunk before that go ahead of it.
const CHUNK: usize = 512;
const CONTEXT: usize = 64;
const STATE: [usize; 3] = [2, 1, 128];

/// The forms of the one-chunk model that differ in operators: `If` and `Loop`-free `If`-less, static shapes,
/// weights in half precision.
const FORMS: [&str; 4] = ["silero_vad", "silero_vad_op18_ifless", "silero_vad_openvino_16k", "silero_vad_half"];

/// A second of speech and of silence; the figures are those of ONNX Runtime's Python API.
#[test]
fn silero_tells_speech_from_silence() {
    for form in FORMS {
        let Some(model) = corpus::path(&format!("silero/{form}.onnx")) else { return };
        let (speech_mean, speech_max, silence_max) =
            if form == "silero_vad_half" { (0.4747, 0.9674, 0.0158) } else { (0.4713, 0.9937, 0.0066) };
        let mut heard = Vec::new();
        for (backend, engine) in engines(&model) {
            let speech = listen(backend, &*engine, &sound("speech"));
            let silence = listen(backend, &*engine, &sound("silence"));
            let most = |p: &[f32]| p.iter().copied().fold(0.0, f32::max);
            let name = backend.name();
            assert!((mean(&speech) - speech_mean).abs() < 1e-3, "{name}, {form}: speech mean {}", mean(&speech));
            assert!((most(&speech) - speech_max).abs() < 1e-3, "{name}, {form}: speech max {}", most(&speech));
            assert!((most(&silence) - silence_max).abs() < 1e-3, "{name}, {form}: silence max {}", most(&silence));
            heard.push((backend, [speech, silence].concat()));
        }
        agree(&heard, 1e-3);
    }
}

/// The form that takes a whole sequence at once gives what the stateful ones give chunk by chunk.
#[test]
fn silero_sequence_equals_chunk_by_chunk() {
    let Some(whole) = corpus::path("silero/silero_vad_16k_sequence.onnx") else { return };
    let stepwise = corpus::path("silero/silero_vad_openvino_16k.onnx").expect("lies beside the other");
    let samples = sound("speech");
    let chunks = with_context(&samples);
    let mut heard = Vec::new();
    for (backend, engine) in engines(&whole) {
        let sequence = f32_tensor(&[chunks.len(), CONTEXT + CHUNK], chunks.concat());
        let zeros = || Tensor::zeros(DType::F32, &[1, 1, 128]).expect("small");
        let answer = ask(backend, &*engine, [("input", sequence), ("h", zeros()), ("c", zeros())]);
        heard.push((backend, f32s(&answer, "speech_probs").to_vec()));
    }
    for (backend, engine) in engines(&stepwise) {
        heard.push((backend, listen(backend, &*engine, &samples)));
    }
    agree(&heard, 1e-3);
}

/// 440 Hz is A4, the 49th key of a piano; middle C the 40th.
#[test]
fn basic_pitch_hears_which_note_is_played() {
    let Some(model) = corpus::path("basic-pitch/nmp.onnx") else { return };
    let engines = engines(&model);
    for (hertz, key) in [(440.0, 48), (261.63, 39)] {
        let tone = |i: usize| (0.5 * (TAU * hertz * i as f64 / 22050.0).sin()) as f32;
        let samples: Vec<f32> = (0..43844).map(tone).collect();
        let mut notes = Vec::new();
        for (backend, engine) in &engines {
            let input = f32_tensor(&[1, samples.len(), 1], samples.clone());
            let answer = ask(*backend, &**engine, [("serving_default_input_2:0", input)]);
            // 172 frames of 88 keys: how strongly each key sounds, on average.
            let frames = f32s(&answer, "StatefulPartitionedCall:1");
            let sounding: Vec<f32> =
                (0..88).map(|key| mean(&frames.iter().skip(key).step_by(88).copied().collect::<Vec<_>>())).collect();
            assert_eq!(best(&sounding), key, "{}", backend.name());
            let others = sounding.iter().enumerate().filter(|(k, _)| *k != key).map(|(_, v)| *v).fold(0.0, f32::max);
            assert!(sounding[key] > 0.6 && others < 0.15, "{}: {}, {others}", backend.name(), sounding[key]);
            notes.push((*backend, frames.to_vec()));
        }
        agree(&notes, 1e-3);
    }
}

fn sound(name: &str) -> Vec<f32> {
    let wav = corpus::wav(&corpus::path(&format!("silero/{name}.wav")).expect("lies beside the model"));
    assert_eq!(wav.rate, 16000);
    wav.samples
}

/// The probability of speech in each whole chunk; the model's state goes from answer to request.
fn listen(backend: Backend, engine: &dyn Engine, samples: &[f32]) -> Vec<f32> {
    let mut state = Tensor::zeros(DType::F32, &STATE).expect("small");
    let mut heard = Vec::new();
    for chunk in with_context(samples) {
        let mut inputs = vec![("input", f32_tensor(&[1, chunk.len()], chunk)), ("state", state)];
        if input_dtype(engine, "sr") == Some(DType::I64) {
            inputs.push(("sr", Tensor::scalar(16000i64)));
        }
        let answer = engine.run(Tensors::new(inputs)).unwrap_or_else(|e| panic!("{}: {e}", backend.name()));
        heard.extend_from_slice(f32s(&answer, "output"));
        state = answer.output("stateN").expect("the model's state").clone();
    }
    heard
}

/// The whole chunks, each after the end of the one before it.
fn with_context(samples: &[f32]) -> Vec<Vec<f32>> {
    let mut before = [0.0; CONTEXT];
    let chunks = samples.chunks_exact(CHUNK).map(|chunk| {
        let whole = [&before, chunk].concat();
        before.copy_from_slice(&chunk[CHUNK - CONTEXT..]);
        whole
    });
    chunks.collect()
}
