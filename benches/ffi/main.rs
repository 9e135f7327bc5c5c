//! What a call through the C ABI costs beside the same call in Rust.
//!
//! `cargo bench -p selvedge-benches --bench ffi`; with `--features tract` of a model too. Each side's answer is checked first; then both sides
//! run in alternating rounds, and one line per figure is printed: `RATIO name value <=bar`. Everything runs on one thread.
//! The fastest round of each side counts: whatever else the machine does only adds to a call of some nanoseconds.

#![expect(unsafe_code, reason = "calls the C ABI")]

use std::hint::black_box;
use std::ptr;
use std::time::Instant;

use selvedge::fake::Fake;
use selvedge::{Ask, Call, Cancel, DType, Engine, Generate, Request, Step, Tensor, Tensors};
use selvedge_ffi::abi::{
    SELVEDGE_EVENT_DONE, SELVEDGE_F32, SELVEDGE_OK, selvedge_answer, selvedge_engine, selvedge_event,
    selvedge_generate, selvedge_run, selvedge_tensor, selvedge_tensors, selvedge_text,
};
use selvedge_ffi::{
    export, selvedge_answer_free, selvedge_answer_output_count, selvedge_cancel_free, selvedge_cancel_new,
    selvedge_cancel_set, selvedge_engine_close, selvedge_engine_generate, selvedge_engine_run, selvedge_run_free,
    selvedge_run_next,
};

const ROUNDS: usize = 50;
const CALLS: usize = 200_000;
#[cfg(feature = "tract")]
const RUNS: usize = 2_000;
const TEXTS: usize = 200;

fn main() {
    // `cargo bench` says `--bench`; `cargo test --benches` does not, and wants no minutes of timing.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    switch();
    count();
    tokens();
    #[cfg(feature = "tract")]
    rain();
}

/// A handle that is looked up, and nothing else: a switch that is set.
fn switch() {
    let cancel = Cancel::new();
    let mut handle = ptr::null_mut();
    // SAFETY: the place may be written.
    assert_eq!(unsafe { selvedge_cancel_new(&raw mut handle, ptr::null_mut()) }, SELVEDGE_OK);
    assert_eq!(selvedge_cancel_set(handle), SELVEDGE_OK);
    let [plain, guarded] = nanoseconds(
        CALLS,
        || black_box(&cancel).cancel(),
        || assert_eq!(selvedge_cancel_set(black_box(handle)), SELVEDGE_OK),
    );
    report("ffi_call_ns", guarded - plain, 10.0);
    selvedge_cancel_free(handle);
}

/// A call with places for its result and its error.
fn count() {
    let engine = Fake::echo(DType::F32).build();
    let answer = engine.run(echo()).expect("an echo");
    let handle = export(engine.clone()).expect("a handle");
    let held = c_answer(handle, &[1.0, 2.0, 3.0], "x");
    let [plain, guarded] = nanoseconds(
        CALLS,
        || assert_eq!(black_box(&answer).outputs.len(), 1),
        || {
            let (mut count, mut err) = (0, ptr::null_mut());
            // SAFETY: both places may be written.
            let status = unsafe { selvedge_answer_output_count(black_box(held), &raw mut count, &raw mut err) };
            assert_eq!((status, count), (SELVEDGE_OK, 1));
        },
    );
    report("ffi_call_with_places_ns", guarded - plain, 10.0);
    selvedge_answer_free(held);
    selvedge_engine_close(handle);
}

/// An event of a text, and what a text costs apart from its events.
fn tokens() {
    let [(begun, few), (whole, many)] = [1, 600].map(text_of);
    let event = (whole - begun) / (many - few) as f64;
    report("ffi_text_ns", begun - event * few as f64, 1_000.0);
    report("ffi_event_ns", event, 100.0);
}

/// Nanoseconds that a text of so many words takes longer through C, and the number of its events.
fn text_of(words: usize) -> (f64, usize) {
    let engine = Fake::text("well ".repeat(words)).build();
    let request = || Request::from(Generate::text("say"));
    let events = rust_text(engine.as_ref(), request());
    let handle = export(engine.clone()).expect("a handle");
    assert_eq!(c_text(handle), events, "both give the same number of events");
    let [plain, guarded] = nanoseconds(
        TEXTS,
        || assert_eq!(rust_text(engine.as_ref(), request()), events),
        || assert_eq!(c_text(handle), events),
    );
    selvedge_engine_close(handle);
    (guarded - plain, events)
}

/// A model that answers within microseconds, under tract.
#[cfg(feature = "tract")]
fn rain() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/quickstart/rain.onnx");
    let engine = selvedge::open(model, selvedge::Options::new()).expect("the model of the quickstart");
    let row = [10.9, 10.6, 2.8, 4.5];
    let input = engine.spec().inputs[0].name.clone();
    let run = || {
        let tensor = Tensor::new(&[1, 4], row.to_vec()).expect("four numbers");
        engine.run(Tensors::new([(input.clone(), tensor)])).expect("an answer")
    };
    let expected = run().outputs[0].1.as_slice::<f32>().expect("f32").to_vec();
    let handle = export(engine.clone()).expect("a handle");
    let [plain, guarded] = nanoseconds(
        RUNS,
        || assert_eq!(run().outputs[0].1.as_slice::<f32>().expect("f32"), expected),
        || {
            selvedge_answer_free(c_answer(handle, &row, &input));
        },
    );
    report("ffi_run_over_rust", guarded / plain, 1.10);
    selvedge_engine_close(handle);
}

fn echo() -> Tensors {
    Tensors::new([("x", Tensor::new(&[1, 3], vec![1.0f32, 2.0, 3.0]).expect("three numbers"))])
}

/// The number of events of a text, until it is done.
fn rust_text(engine: &dyn Engine, request: Request) -> usize {
    let mut run = engine.start(request, Call::new()).expect("a run");
    let mut events = 1;
    while !matches!(run.step().expect("a step"), Step::Done(_)) {
        events += 1;
    }
    events
}

fn c_text(engine: *mut selvedge_engine) -> usize {
    let mut request = selvedge_generate { struct_size: size_of::<selvedge_generate>(), ..selvedge_generate::default() };
    request.prompt = selvedge_text { data: c"say".as_ptr(), len: 3 };
    let mut run: *mut selvedge_run = ptr::null_mut();
    // SAFETY: the request and the places live here.
    let status =
        unsafe { selvedge_engine_generate(engine, &raw const request, ptr::null(), &raw mut run, ptr::null_mut()) };
    assert_eq!(status, SELVEDGE_OK);
    let mut event = selvedge_event { struct_size: size_of::<selvedge_event>(), ..selvedge_event::default() };
    let mut events = 0;
    while event.kind != SELVEDGE_EVENT_DONE {
        // SAFETY: as above.
        assert_eq!(unsafe { selvedge_run_next(run, &raw mut event, ptr::null_mut()) }, SELVEDGE_OK);
        events += 1;
    }
    selvedge_run_free(run);
    events
}

/// The answer to one row of numbers.
fn c_answer(engine: *mut selvedge_engine, row: &[f32], name: &str) -> *mut selvedge_answer {
    let dims = [1, row.len() as i64];
    let tensor = selvedge_tensor {
        struct_size: size_of::<selvedge_tensor>(),
        name: name.as_ptr().cast(),
        name_len: name.len(),
        dims: dims.as_ptr(),
        rank: dims.len(),
        data: row.as_ptr().cast(),
        byte_len: size_of_val(row),
        dtype: SELVEDGE_F32,
        flags: 0,
    };
    let request = selvedge_tensors {
        struct_size: size_of::<selvedge_tensors>(),
        inputs: &raw const tensor,
        input_count: 1,
        ..selvedge_tensors::default()
    };
    let mut answer = ptr::null_mut();
    // SAFETY: the request, what it points to and the place live here.
    let status =
        unsafe { selvedge_engine_run(engine, &raw const request, ptr::null(), &raw mut answer, ptr::null_mut()) };
    assert_eq!(status, SELVEDGE_OK);
    answer
}

/// Nanoseconds of a call of each side, in the fastest of alternating rounds.
fn nanoseconds(calls: usize, mut plain: impl FnMut(), mut guarded: impl FnMut()) -> [f64; 2] {
    let mut fastest = [f64::INFINITY; 2];
    for _ in 0..ROUNDS {
        let sides: [&mut dyn FnMut(); 2] =
            [&mut || (0..calls).for_each(|_| plain()), &mut || (0..calls).for_each(|_| guarded())];
        for (side, fastest) in sides.into_iter().zip(&mut fastest) {
            let begin = Instant::now();
            side();
            *fastest = fastest.min(begin.elapsed().as_secs_f64() * 1e9 / calls as f64);
        }
    }
    fastest
}

fn report(name: &str, value: f64, bar: f64) {
    println!("RATIO {name} {value:.2} <={bar}");
}
