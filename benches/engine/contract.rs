//! Cost of the contract by itself: calls of an engine that computes nothing.

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use selvedge::fake::Fake;
use selvedge::{Ask, Call, Cancel, DType, Tensor, Tensors};

pub(crate) fn bench() {
    let mut criterion =
        Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    let engine = Fake::echo(DType::F32).build();
    let input = engine.spec().inputs[0].name.clone();
    let x = Tensor::new(&[64], vec![0.5f32; 64]).expect("fits");
    let request = || Tensors::from([(input.clone(), x.clone())]);
    assert_eq!(engine.run(request()).expect("echoes").outputs[0].1, x);

    criterion.bench_function("contract/tensor call", |b| b.iter(|| engine.run(black_box(request()))));
    let cancel = Cancel::new();
    let call = || Call::new().cancel(&cancel).timeout(Duration::from_secs(60));
    criterion.bench_function("contract/tensor call with cancel and deadline", |b| {
        b.iter(|| engine.run_with(black_box(request()), call()));
    });
    criterion.bench_function("contract/admission", |b| b.iter(|| engine.spec().admit(black_box(request()))));
}
