//! Runs and loads that end early, or fail.

use std::time::{Duration, Instant};

use super::craft::{field, input, int, model, node, output};
use super::engine;
use super::fixture::{data, inputs, open, options};
use crate::{Ask, Call, Cancel, Code, Tensor, Tensors};

/// A run of hours.
fn endless() -> Tensors {
    trips(i64::MAX)
}

fn trips(n: i64) -> Tensors {
    let mut request = inputs("slow.onnx");
    request.inputs.retain(|(name, _)| name != "trips");
    request.inputs.push(("trips".into(), Tensor::scalar(n)));
    request
}

#[test]
fn a_cancel_ends_a_run_that_is_under_way() {
    let engine = engine!(data("slow.onnx"));
    for after in [0, 1, 50] {
        let cancel = Cancel::new();
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let run = scope.spawn(|| engine.run_with(endless(), Call::new().cancel(&cancel)));
            std::thread::sleep(Duration::from_millis(after));
            cancel.cancel();
            assert_eq!(run.join().unwrap().unwrap_err().code(), Code::Cancelled);
        });
        assert!(begun.elapsed() < Duration::from_millis(after + 2000), "{:?}", begun.elapsed());
    }
    assert!(engine.run(inputs("slow.onnx")).is_ok(), "the engine still answers");
}

#[test]
fn a_deadline_ends_a_run_that_is_under_way() {
    let engine = engine!(data("slow.onnx"));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        // Several at once, the later ones first.
        for ms in [200, 150, 100, 100, 50, 1] {
            let engine = &engine;
            scope.spawn(move || {
                let call = Call::new().timeout(Duration::from_millis(ms));
                let error = engine.run_with(endless(), call).unwrap_err();
                assert_eq!(error.code(), Code::DeadlineExceeded);
                assert!(begun.elapsed() >= Duration::from_millis(ms));
            });
        }
    });
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[test]
fn what_came_first_is_the_cause() {
    let engine = engine!(data("slow.onnx"));
    let (cancel, late) = (Cancel::new(), Duration::from_millis(30));
    let both = Call::new().cancel(&cancel).timeout(late);
    assert_eq!(engine.run_with(endless(), both).unwrap_err().code(), Code::DeadlineExceeded);
    let both = Call::new().cancel(&cancel).timeout(Duration::from_secs(3600));
    std::thread::scope(|scope| {
        let run = scope.spawn(|| engine.run_with(endless(), both).unwrap_err().code());
        std::thread::sleep(late);
        cancel.cancel();
        assert_eq!(run.join().unwrap(), Code::Cancelled);
    });
}

#[test]
fn terms_that_do_not_strike_change_nothing() {
    let engine = engine!(data("slow.onnx"));
    let plain = engine.run(inputs("slow.onnx")).unwrap();
    let cancel = Cancel::new();
    for _ in 0..100 {
        let call = Call::new().cancel(&cancel).timeout(Duration::from_secs(3600));
        assert_eq!(engine.run_with(inputs("slow.onnx"), call).unwrap().outputs, plain.outputs);
    }
    cancel.cancel();
    let call = Call::new().cancel(&cancel);
    assert_eq!(engine.run_with(inputs("slow.onnx"), call).unwrap_err().code(), Code::Cancelled);
}

#[test]
fn a_call_that_is_over_before_its_step_does_not_run() {
    let engine = engine!(data("slow.onnx"));
    let cancel = Cancel::new();
    let mut run = engine.start(endless().into(), Call::new().cancel(&cancel)).unwrap();
    cancel.cancel();
    assert_eq!(run.step().unwrap_err().code(), Code::Cancelled);
    assert_eq!(run.step().unwrap_err().code(), Code::InvalidArgument, "an error ends the run");
}

#[test]
fn a_run_does_not_wait_for_another() {
    let engine = engine!(data("slow.onnx"));
    let cancel = Cancel::new();
    std::thread::scope(|scope| {
        let long = scope.spawn(|| engine.run_with(endless(), Call::new().cancel(&cancel)));
        for n in 1..20 {
            assert!(engine.run(trips(n)).is_ok());
        }
        assert!(!long.is_finished());
        cancel.cancel();
        assert_eq!(long.join().unwrap().unwrap_err().code(), Code::Cancelled);
    });
}

#[test]
fn a_cancelled_open_ends() {
    let Some(options) = options() else { return };
    let cancel = Cancel::new();
    cancel.cancel();
    let open = crate::open(data("linear.onnx"), options.cancel(&cancel));
    assert_eq!(open.err().expect("cancelled").code(), Code::Cancelled);
}

#[test]
fn a_load_under_way_is_cancelled() {
    let Some(library) = super::fixture::library() else { return };
    let runtime = super::super::Runtime::get(Some(&library), false).unwrap();
    let cancel = Cancel::new();
    cancel.cancel();
    let loading = super::super::LoadOptions {
        threads: None,
        external: Default::default(),
        borrow: true,
        entries: &[],
        cancel: Some(&cancel),
    };
    let file = std::fs::read(data("linear.onnx")).unwrap();
    let error = super::super::Session::load(runtime, &file, loading).err().expect("cancelled");
    assert_eq!(error.code(), Code::Cancelled, "{error}");
}

/// y has the shape that x holds.
fn allocating() -> Vec<u8> {
    let port = |tag: u32, name: &str, element: u64, dims: &[u8]| {
        field(tag, [field(1, name), field(2, field(1, [int(1, element), field(2, dims)].concat()))].concat())
    };
    let (one, two) = (field(1, ""), [field(1, ""), field(1, "")].concat());
    model(&[node("ConstantOfShape", &["x"], &["y"], &[]), port(11, "x", 7, &one), port(12, "y", 1, &two)])
}

#[test]
fn memory_that_cannot_be_had_is_an_error() {
    let engine = engine!(allocating());
    let of = |dims: [i64; 2]| Tensors::from([("x", Tensor::new(&[2], dims.to_vec()).unwrap())]);
    assert_eq!(engine.run(of([2, 3])).unwrap().outputs[0].1.shape()[..], [2, 3]);
    let error = engine.run(of([1 << 24, 1 << 30])).unwrap_err();
    assert_eq!(error.code(), Code::OutOfMemory, "{error}");
    let error = engine.run(of([i64::MAX, i64::MAX])).unwrap_err();
    assert!(matches!(error.code(), Code::Backend | Code::InvalidArgument | Code::OutOfMemory), "{error}");
    assert!(engine.run(of([2, 3])).is_ok(), "the engine still answers");
}

#[test]
fn a_kernel_that_fails_is_named() {
    let engine =
        engine!(model(&[node("Add", &["a", "b"], &["y"], &[]), input("a", &[0]), input("b", &[0]), output("y", &[0])]));
    let of = |n: usize| Tensor::zeros(crate::DType::F32, &[n]).unwrap();
    let error = engine.run(Tensors::from([("a", of(2)), ("b", of(3))])).unwrap_err();
    assert_eq!(error.code(), Code::Backend, "{error}");
    assert!(error.message().contains("Add node"), "{error}");
}
