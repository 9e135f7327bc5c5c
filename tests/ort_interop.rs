//! Sessions of the crate `ort` as engines, held against the library's own backend on the same ONNX Runtime.

#![cfg(feature = "ort-interop")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ort::environment::Environment;
use ort::session::Session;
use selvedge::backend::OrtEngine;
use selvedge::layer::monitor::Monitor;
use selvedge::layer::probe::Columns;
use selvedge::telemetry::{Limits, Telemetry};
use selvedge::{
    Ask, Backend, Bytes, Call, Cancel, Code, DType, Digest, Dim, Engine, Generate, Kind, Options, Port, Shape, Tensor,
    Tensors,
};

/// The library to test with, if `tests/run` has named one.
fn library() -> Option<PathBuf> {
    let library = std::env::var_os("SELVEDGE_ONNXRUNTIME").map(PathBuf::from);
    if library.is_none() {
        println!("skipped: no ONNX Runtime to test with, run tests/run");
    }
    library
}

fn file(name: &str) -> PathBuf {
    let folder = if name == "rain.onnx" { "examples/quickstart" } else { "tests/data" };
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name)
}

fn session(library: &Path, name: &str) -> Session {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    let environment = ENVIRONMENT
        .get_or_init(|| ort::init_from(library).expect("loads").with_telemetry(false).build().expect("the first"));
    Session::builder(environment).unwrap().commit_from_file(file(name)).expect("the model opens")
}

/// The engine over a session, and the library's own.
fn both(name: &str) -> Option<(OrtEngine, Arc<dyn Engine>)> {
    let library = library()?;
    let theirs = OrtEngine::new(session(&library, name)).unwrap();
    let options = Options::new().backend(Backend::Ort).onnxruntime(library);
    Some((theirs, selvedge::open(file(name), options).unwrap()))
}

/// Some tensor that fits the port: its bytes differ from each other.
fn fitting(port: &Port, seed: usize) -> Tensor {
    let Kind::Tensor { dtype, shape } = &port.kind else { panic!("{port}") };
    let size = |dim: &Dim| if let Dim::Fixed(n) = dim { *n } else { 3 };
    let shape = Shape::new(&shape.iter().flatten().map(size).collect::<Vec<_>>()).unwrap();
    match dtype {
        DType::String => Tensor::strings(&shape, (0..shape.elements()).map(|i| "é".repeat(i % 3)).collect()).unwrap(),
        dtype => {
            let len = shape.elements() * dtype.size().unwrap();
            let byte = |i: usize| (i * 37 + seed * 11) as u8 % if *dtype == DType::Bool { 2 } else { 128 };
            Tensor::copy_from(*dtype, shape, &(0..len).map(byte).collect::<Vec<u8>>()).unwrap()
        }
    }
}

#[test]
fn answers_are_those_of_the_backend_bit_for_bit() {
    let echoes = DType::ALL.map(|dtype| format!("echo_{dtype}.onnx"));
    let names = ["rain.onnx", "linear.onnx", "pair.onnx", "scale_f16.onnx"];
    for name in names.into_iter().chain(echoes.iter().map(String::as_str)) {
        let Some((theirs, ours)) = both(name) else { return };
        for seed in 0..20 {
            let inputs = ours.spec().inputs.iter().map(|port| (port.name.clone(), fitting(port, seed)));
            let request = Tensors::new(inputs);
            let answers = [theirs.run(request.clone()).unwrap(), ours.run(request).unwrap()];
            assert_eq!(answers[0].outputs, answers[1].outputs, "{name}");
        }
    }
}

#[test]
fn the_spec_is_that_of_the_backend() {
    for name in ["rain.onnx", "linear.onnx", "pair.onnx", "echo_string.onnx"] {
        let Some((theirs, ours)) = both(name) else { return };
        let (theirs, ours) = (theirs.spec(), ours.spec());
        assert_eq!((&theirs.inputs, &theirs.outputs), (&ours.inputs, &ours.outputs), "{name}");
        assert_eq!((theirs.abilities, &theirs.metadata), (ours.abilities, &ours.metadata), "{name}");
        assert_eq!(theirs.provenance.version, ours.provenance.version, "{name}");
        assert!(theirs.provenance.runtime.starts_with("ONNX Runtime "), "{}", theirs.provenance.runtime);
        assert_eq!((theirs.provenance.backend, theirs.provenance.digest), ("ort_interop", Digest::default()));
    }
    let Some((theirs, ours)) = both("rain.onnx") else { return };
    let named = theirs.name("rain").digest(ours.spec().provenance.digest);
    let provenance = &named.run(rainy()).unwrap().provenance;
    assert_eq!((&*provenance.model, provenance.digest), ("rain", ours.spec().provenance.digest));
}

fn rainy() -> Tensors {
    Tensors::from([("weather", Tensor::new(&[1, 4], vec![10.9f32, 10.6, 2.8, 4.5]).unwrap())])
}

#[test]
fn a_monitor_stands_around_it() {
    let Some((theirs, ours)) = both("rain.onnx") else { return };
    let folder = tempfile::tempdir().unwrap();
    let telemetry = Telemetry::open(folder.path(), Limits::default());
    let columns = Columns::of("weather", ["rain", "warmest", "coldest", "wind"]);
    let monitor = Monitor::builder(Arc::new(theirs), telemetry, columns).build().unwrap();
    let answer = monitor.run(rainy()).unwrap();
    assert_eq!(answer.outputs, ours.run(rainy()).unwrap().outputs);
    assert_eq!(answer.provenance.route, ["monitor"]);
    monitor.close_window();
    assert_eq!(monitor.report().totals.requests, 1);
}

#[test]
fn what_does_not_fit_is_refused() {
    let Some((engine, _)) = both("rain.onnx") else { return };
    let code = |request: Tensors| engine.run(request).unwrap_err().code();
    assert_eq!(code(Tensors::from([("x", Tensor::scalar(1f32))])), Code::InvalidArgument);
    assert_eq!(code(Tensors::from([("weather", Tensor::scalar(1f32))])), Code::InvalidArgument);
    assert_eq!(code(rainy().only(["y"])), Code::InvalidArgument);
    assert_eq!(engine.run(Generate::text("rain")).unwrap_err().code(), Code::Unsupported);
    let Some((echo, _)) = both("echo_string.onnx") else { return };
    let text = |text: &str| {
        Tensors::new(echo.spec().inputs.iter().map(|port| {
            let n = fitting(port, 0).shape().elements();
            (port.name.clone(), Tensor::strings(fitting(port, 0).shape(), vec![text.into(); n]).unwrap())
        }))
    };
    assert_eq!(echo.run(text("a\0b")).unwrap_err().code(), Code::Unsupported);
    assert!(echo.run(text("ab")).is_ok());
}

#[test]
fn some_of_the_outputs_are_given_and_odd_memory_is_read() {
    let Some((engine, _)) = both("rain.onnx") else { return };
    let all = engine.run(rainy()).unwrap().outputs;
    assert_eq!(engine.run(rainy().only(["rain_tomorrow"])).unwrap().outputs.len(), 1);
    let bytes = rainy().inputs[0].1.bytes().unwrap().to_vec();
    for shift in 0..4 {
        let mut shifted = vec![0u8; shift];
        shifted.extend(&bytes);
        let bytes = Bytes::shared(Tail(shifted, shift));
        let weather = Tensor::from_bytes(DType::F32, Shape::new(&[1, 4]).unwrap(), bytes).unwrap();
        assert_eq!(engine.run(Tensors::from([("weather", weather)])).unwrap().outputs, all);
    }
}

/// Bytes without the first few.
struct Tail(Vec<u8>, usize);

impl AsRef<[u8]> for Tail {
    fn as_ref(&self) -> &[u8] {
        &self.0[self.1..]
    }
}

/// A run of hours.
fn endless(engine: &dyn Engine) -> Tensors {
    let fit = |port: &Port| match &*port.name {
        "trips" => Tensor::scalar(i64::MAX),
        _ => fitting(port, 1),
    };
    Tensors::new(engine.spec().inputs.iter().map(|port| (port.name.clone(), fit(port))))
}

#[test]
fn cancel_and_deadline_end_a_run_and_the_wait_for_one() {
    let Some((theirs, ours)) = both("slow.onnx") else { return };
    for engine in [&theirs, &*ours] {
        let cancel = Cancel::new();
        let late = || {
            let late = engine.run_with(endless(engine), Call::new().timeout(Duration::from_millis(50)));
            assert_eq!(late.unwrap_err().code(), Code::DeadlineExceeded);
        };
        std::thread::scope(|scope| {
            let run = scope.spawn(|| engine.run_with(endless(engine), Call::new().cancel(&cancel)));
            std::thread::sleep(Duration::from_millis(100));
            // Over a session, one waits.
            late();
            cancel.cancel();
            assert_eq!(run.join().unwrap().unwrap_err().code(), Code::Cancelled);
        });
        late();
    }
}

#[test]
fn threads_take_turns() {
    let Some((engine, _)) = both("rain.onnx") else { return };
    let alone = engine.run(rainy()).unwrap().outputs;
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..50).for_each(|_| assert_eq!(engine.run(rainy()).unwrap().outputs, alone)));
        }
    });
}
