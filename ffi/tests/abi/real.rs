//! The real runtimes through the C ABI: models of `tests/data`, whose answers are known.

use std::ptr;
use std::time::{Duration, Instant};

use selvedge::Code;

use super::tensors::{bytes, floats, output, run};
use super::*;

/// The backends of this build that can run here.
fn backends() -> Vec<i32> {
    let mut backends = Vec::new();
    if cfg!(feature = "tract") {
        backends.push(SELVEDGE_BACKEND_TRACT);
    }
    if cfg!(feature = "ort") && std::env::var_os("SELVEDGE_ONNXRUNTIME").is_some() {
        backends.push(SELVEDGE_BACKEND_ORT);
    }
    backends
}

fn open(model: &str, by: i32) -> *mut selvedge_engine {
    let path = format!("{}/../tests/data/{model}", env!("CARGO_MANIFEST_DIR"));
    let options = init!(selvedge_options { backend: by });
    let mut engine = ptr::null_mut();
    // SAFETY: path and options live during the call.
    call(|err| unsafe { selvedge_engine_open(path.as_ptr().cast(), path.len(), &options, &raw mut engine, err) })
        .unwrap();
    engine
}

#[test]
fn lent_memory_is_computed_on_and_let_go_of() {
    for backend in backends() {
        // Rotates each row of 256 by 300 columns; 16 KiB are lent, not copied.
        let engine = open("slow_chain.onnx", backend);
        let mut x: Vec<f32> = (0..16 * 256).map(|i| (i % 100) as f32).collect();
        let expected: Vec<u8> = (0..16 * 256)
            .map(|i| x[i / 256 * 256 + (i % 256 + 256 - 300 % 256) % 256])
            .flat_map(f32::to_le_bytes)
            .collect();
        let answer = run(engine, &[floats("x", &[16, 256], &x)], None).unwrap();
        x.fill(f32::NAN);
        assert_eq!(bytes(&output(answer, 0)), expected, "backend {backend}");
        assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
        assert_eq!(bytes(&output(answer, 0)), expected, "the answer outlives the engine");
        assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
    }
}

#[test]
fn a_cancelled_call_lets_go_of_lent_memory_and_returns() {
    for backend in backends() {
        let engine = open("slow_chain.onnx", backend);
        // About 160 GFLOP: longer than any machine takes to come to the switch.
        let x = vec![1.0f32; 4000 * 256];
        let mut cancel = ptr::null_mut();
        // SAFETY: `cancel` may be written.
        call(|err| unsafe { selvedge_cancel_new(&raw mut cancel, err) }).unwrap();
        let switch = Shared(cancel);
        let terms = init!(selvedge_call { cancel: switch.get() });
        let begun = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(15));
                assert_eq!(selvedge_cancel_set(switch.get()), SELVEDGE_OK);
            });
            let (code, message) = run(engine, &[floats("x", &[4000, 256], &x)], Some(&terms)).unwrap_err();
            assert_eq!(code, Code::Cancelled as i32, "backend {backend} after {:?}: {message}", begun.elapsed());
        });
        assert_eq!(selvedge_cancel_free(cancel), SELVEDGE_OK);
        assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
    }
}

#[test]
fn an_input_that_the_model_passes_on_is_copied_out() {
    for backend in backends() {
        let engine = open("echo_f32.onnx", backend);
        let mut x = vec![2.5f32; 2 * 1024];
        let expected: Vec<u8> = x.iter().flat_map(|v| v.to_le_bytes()).collect();
        let answer = run(engine, &[floats("x", &[2 * 1024], &x)], None).unwrap();
        x.fill(0.0);
        std::hint::black_box(&x);
        assert_eq!(bytes(&output(answer, 0)), expected, "backend {backend}");
        assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
        assert_eq!(selvedge_engine_close(engine), SELVEDGE_OK);
    }
}
