//! What every runtime of ONNX does alike, on models of this repository.

use std::path::{Path, PathBuf};

use selvedge::{Ask, Backend, Code, Engine, Options, Tensor, Tensors, open};

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn backends() -> impl Iterator<Item = Backend> {
    [Backend::Tract, Backend::Rten, Backend::Ort].into_iter().filter(|backend| backend.is_built())
}

/// The only output.
fn ask(engine: &dyn Engine, input: &str, dims: &[usize], values: &[f32]) -> Vec<f32> {
    let input = (input, Tensor::new(dims, values.to_vec()).unwrap());
    let answer = engine.run(Tensors::from([input])).unwrap();
    answer.outputs[0].1.as_slice().unwrap().to_vec()
}

#[test]
fn rain_is_predicted_as_its_trainer_wrote_down() {
    let expected = std::fs::read_to_string(path("examples/quickstart/expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
    let days = expected["days"].as_array().expect("days");
    assert!(days.len() >= 10);
    for backend in backends() {
        let engine = open(path("examples/quickstart/rain.onnx"), Options::new().backend(backend)).unwrap();
        for day in days {
            let weather: Vec<f32> =
                day["weather"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
            let probability = day["rain_tomorrow"].as_f64().unwrap() as f32;
            let got = ask(&*engine, "weather", &[1, 4], &weather);
            assert!((got[0] - probability).abs() < 1e-5, "{backend:?}: {day}");
        }
    }
}

#[test]
fn threads_change_nothing_but_the_time() {
    let x: Vec<f32> = (0..64 * 256).map(|i| (i % 100) as f32).collect();
    // The chain moves every column by 300 places, which is by 44.
    let moved: Vec<f32> = (0..64 * 256).map(|i| x[i / 256 * 256 + (i % 256 + 256 - 300 % 256) % 256]).collect();
    for (backend, threads) in backends().flat_map(|backend| [(backend, 1), (backend, 2)]) {
        let options = Options::new().backend(backend).threads(threads);
        let engine = open(path("tests/data/slow_chain.onnx"), options).unwrap();
        assert_eq!(ask(&*engine, "x", &[64, 256], &x), moved, "{backend:?}, {threads} threads");
    }
}

#[test]
fn threads_have_a_range() {
    for (backend, threads) in backends().flat_map(|backend| [(backend, 0), (backend, 1_000_000)]) {
        let error = open(path("tests/data/linear.onnx"), Options::new().backend(backend).threads(threads)).err();
        let error = error.unwrap_or_else(|| panic!("{backend:?}: {threads} threads"));
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(error.to_string().contains(&threads.to_string()), "{backend:?}: {error}");
    }
}
