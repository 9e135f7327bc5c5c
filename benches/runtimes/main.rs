//! The runtimes of ONNX beside each other on real models: time to open, and of a call, on one thread.
//!
//! `cargo bench -p selvedge-benches --features rten,tract,ort --bench runtimes [-- PART_OF_A_FILE]`, with the corpus of
//! `tests/run --setup`; any two of the features will do. First every runtime answers, and all answers are held against the first one's; then they run in turns. Of
//! each the fastest round counts. One row of a table for each model and runtime: what another run takes beside the fastest.

#[path = "../../tests/support/corpus.rs"]
mod corpus;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use selvedge::{Ask, Backend, DType, Dim, Engine, Kind, Options, Port, Tensor, Tensors, open};

const ROUNDS: usize = 12;
const OPENS: usize = 3;

/// A model, the dimensions of its inputs where it leaves them open, and how far answers may be apart, as a part of the largest.
struct Model {
    file: &'static str,
    dims: &'static [(&'static str, &'static [usize])],
    room: f32,
}

const TOKENS: &[(&str, &[usize])] =
    &[("input_ids", &[1, 128]), ("attention_mask", &[1, 128]), ("token_type_ids", &[1, 128])];

const MODELS: [Model; 7] = [
    Model { file: "minilm-onnx/all-MiniLM-L6-v2.onnx", dims: TOKENS, room: 1e-3 },
    // Rounded to 8 bits at every layer.
    Model { file: "minilm-int8/model.onnx", dims: TOKENS, room: 0.2 },
    Model { file: "mobilenetv2/mobilenetv2-7.onnx", dims: &[("data", &[1, 3, 224, 224])], room: 1e-3 },
    Model { file: "ppocr/det.onnx", dims: &[("x", &[1, 3, 320, 320])], room: 1e-3 },
    Model { file: "ppocr/rec.onnx", dims: &[("x", &[1, 3, 48, 320])], room: 1e-3 },
    Model { file: "yunet/yunet.onnx", dims: &[("input", &[1, 3, 640, 640])], room: 1e-3 },
    Model { file: "magika/model.onnx", dims: &[("bytes", &[1, 2048])], room: 1e-3 },
];

fn main() {
    // `cargo bench` says `--bench`; `cargo test --benches` does not, and wants no minutes of timing.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    println!("| model | runtime | open, ms | a call, ms | of the fastest |\n|---|---|---|---|---|");
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    for model in MODELS.iter().filter(|model| model.file.contains(&wanted)) {
        let Some(path) = corpus::path(model.file) else { continue };
        compare(model, &path);
    }
}

fn compare(model: &Model, path: &Path) {
    let built = [Backend::Tract, Backend::Rten, Backend::Ort].into_iter().filter(|backend| backend.is_built());
    let mut runtimes: Vec<(Backend, Arc<dyn Engine>, f64, f64)> = Vec::new();
    for backend in built {
        match opened(path, backend) {
            Ok((engine, seconds)) => runtimes.push((backend, engine, seconds, f64::INFINITY)),
            Err(e) => println!("| {} | {} | {e} | | |", model.file, backend.name()),
        }
    }
    let Some((_, first, ..)) = runtimes.first() else { return };
    let request = Tensors::new(first.spec().inputs.iter().map(|port| (port.name.clone(), input(port, model))));
    let expected = answer(&**first, &request);
    for (backend, engine, ..) in &runtimes {
        let got = answer(&**engine, &request);
        let largest = expected.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        let worst = got.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let name = backend.name();
        assert_eq!(got.len(), expected.len(), "{}: {name}", model.file);
        // A detector that sees nothing gives numbers near zero, of which no digit is certain.
        assert!(worst <= model.room * largest.max(0.01), "{}: {name} is off by {worst} of {largest}", model.file);
    }
    for _ in 0..ROUNDS {
        for (_, engine, _, fastest) in &mut runtimes {
            let begun = Instant::now();
            std::hint::black_box(engine.run(request.clone()).expect("it answered before"));
            *fastest = fastest.min(begun.elapsed().as_secs_f64());
        }
    }
    let best = runtimes.iter().map(|(.., seconds)| *seconds).fold(f64::INFINITY, f64::min);
    for (backend, _, opening, call) in &runtimes {
        let (name, over) = (backend.name(), call / best);
        println!("| {} | {name} | {:.1} | {:.2} | {over:.2} |", model.file, opening * 1e3, call * 1e3);
    }
}

/// The engine, and the seconds of the fastest of some openings.
fn opened(path: &Path, backend: Backend) -> selvedge::Result<(Arc<dyn Engine>, f64)> {
    let mut fastest = f64::INFINITY;
    let mut engine = None;
    for _ in 0..OPENS {
        drop(engine.take());
        let begun = Instant::now();
        engine = Some(open(path, Options::new().backend(backend).threads(1))?);
        fastest = fastest.min(begun.elapsed().as_secs_f64());
    }
    Ok((engine.expect("opened once at least"), fastest))
}

/// All values of the first output.
fn answer(engine: &dyn Engine, request: &Tensors) -> Vec<f32> {
    let answer = engine.run(request.clone()).unwrap_or_else(|e| panic!("{}: {e:#}", engine.spec().provenance.runtime));
    answer.outputs[0].1.as_slice::<f32>().expect("f32").to_vec()
}

fn input(port: &Port, model: &Model) -> Tensor {
    let Kind::Tensor { dtype, shape } = &port.kind else { panic!("{port} is no tensor") };
    let known = model.dims.iter().find(|(name, _)| *name == port.name).map(|(_, dims)| dims.to_vec());
    let fixed = || {
        let dims = shape.iter().flatten().map(|dim| if let Dim::Fixed(n) = dim { *n } else { 1 });
        dims.collect::<Vec<usize>>()
    };
    let dims = known.unwrap_or_else(fixed);
    let count = dims.iter().product::<usize>();
    let id = |i: usize| match &*port.name {
        name if name.contains("mask") => 1,
        name if name.contains("type") => 0,
        _ => (i * 37 % 250) as i64,
    };
    match dtype {
        DType::I64 => Tensor::new(&dims, (0..count).map(id).collect()),
        DType::I32 => Tensor::new(&dims, (0..count).map(|i| id(i) as i32).collect()),
        _ => Tensor::new(&dims, (0..count).map(|i| (i * 37 % 255) as f32 / 64.0 - 2.0).collect()),
    }
    .expect("as many values as the dimensions hold")
}
