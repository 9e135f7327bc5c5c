//! Cost of being watched: MobileNetV2 with and without a monitor, and engines that compute nothing.
//!
//! On a machine that does other things, the difference of two times of MobileNetV2 is mostly noise; so the same probe
//! also watches an engine that takes the same image and computes nothing, and that cost is put beside MobileNetV2's time.
//!
//! `cargo bench -p selvedge-benches --features tract --bench monitor`, with the corpus of `tests/run --setup`. Both sides are asserted to
//! give one answer, then timed in alternating rounds; one line per figure: `RATIO name value <=bar`.

#[path = "../../tests/support/corpus.rs"]
mod corpus;
#[path = "../engine/rounds.rs"]
mod rounds;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use rounds::alternate;
use selvedge::drift::Profile;
use selvedge::fake::Fake;
use selvedge::layer::monitor::Monitor;
use selvedge::layer::probe::{All, Classes, Columns, Image, Probe};
use selvedge::telemetry::{Limits, Telemetry};
use selvedge::{Ask, DType, Engine, Options, Tensor, Tensors, open};

fn main() {
    mobilenet();
    nothing();
}

fn watched(engine: &Arc<dyn Engine>, profile: Profile, probe: impl Probe + 'static) -> (tempfile::TempDir, Monitor) {
    let folder = tempfile::tempdir().expect("a folder");
    let telemetry = Telemetry::open(folder.path(), Limits::default());
    let monitor = Monitor::builder(engine.clone(), telemetry, probe).profile(profile).build();
    (folder, monitor.expect("the profile fits"))
}

/// The summaries of the image and the classes.
fn mobilenet() {
    let Some(path) = corpus::path("mobilenetv2/mobilenetv2-7.onnx") else {
        eprintln!("mobilenetv2 is not there: run tests/run --setup");
        return;
    };
    let engine = open(path, Options::new().threads(1)).expect("the model opens");
    let dims = [1, 3, 224, 224];
    let pixels: Vec<f32> = (0..dims.iter().product()).map(|i: usize| (i * 37 % 255) as f32 / 64.0 - 2.0).collect();
    let input = Tensor::new(&dims, pixels).expect("fits");
    let fit = ["brightness", "contrast", "sharpness", "saturation"].iter().fold(Profile::fit(), |f, n| f.number(*n));
    let rows: Vec<[f32; 4]> = (0..2000).map(|i| [i, i / 2, i / 3, i % 97].map(|v| v as f32 * 1e-3)).collect();
    let profile = fit.of_rows(&rows).expect("fits");
    let probe = || All::new().and(Image::of("data")).and(Classes::of("").softmax());
    let (_folder, monitor) = watched(&engine, profile.clone(), probe());
    let ask = |engine: &dyn Engine| engine.run(Tensors::from([("data", input.clone())])).expect("runs");
    assert_eq!(ask(&monitor).outputs, ask(&*engine).outputs, "both must give one answer");
    let pair = alternate(40, 8, 1, || drop(black_box(ask(&monitor))), || drop(black_box(ask(&*engine))));
    pair.at_most("monitor_mobilenetv2_time_over_bare", 1.005);
    assert!(monitor.report().in_progress > 300 && monitor.report().telemetry.dropped.is_empty());

    // The same image in, the same logits out, and nothing in between.
    let logits = ask(&*engine).outputs[0].1.clone();
    let spec = engine.spec();
    let answer = move |_: &[Option<Tensor>]| Ok(vec![logits.clone()]);
    let idle = Fake::tensors(spec.inputs.clone(), spec.outputs.clone(), answer).build();
    let (_folder, monitor) = watched(&idle, profile, probe());
    assert_eq!(ask(&monitor).outputs, ask(&*engine).outputs, "both must give one answer");
    let idle = alternate(41, 20, 1, || drop(black_box(ask(&monitor))), || drop(black_box(ask(&*idle))));
    let overhead = idle.ours - idle.bare;
    println!("monitor_image: {:.1} µs per answer, MobileNetV2 takes {:.3} ms", overhead * 1e6, pair.bare * 1e3);
    println!("RATIO monitor_mobilenetv2_overhead_share {:.5} <=0.005", overhead / pair.bare);
}

/// Eight columns, class and confidence of an engine that gives its input back.
fn nothing() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let rows: Vec<[f32; 8]> = (0..5000).map(|i| std::array::from_fn(|j| ((i * (j + 3)) % 101) as f32)).collect();
    let profile = names.iter().fold(Profile::fit(), |fit, name| fit.number(*name)).of_rows(&rows).expect("fits");
    let engine = Fake::echo(DType::F32).build();
    let probe = All::new().and(Columns::of("x", names)).and(Classes::of("y"));
    let (_folder, monitor) = watched(&engine, profile, probe);
    let row = |i: usize| Tensor::new(&[1, 8], rows[i % rows.len()].to_vec()).expect("fits");
    let inputs: Vec<Tensor> = (0..1000).map(row).collect();
    let mut next = 0;
    let mut ask = |engine: &dyn Engine| {
        next = (next + 1) % inputs.len();
        drop(black_box(engine.run(Tensors::from([("x", inputs[next].clone())])).expect("runs")));
    };
    let cell = std::cell::RefCell::new(&mut ask);
    let pair = alternate(21, 200, 1, || (cell.borrow_mut())(&monitor), || (cell.borrow_mut())(&*engine));
    pair.overhead("monitor_tabular_overhead_us", Duration::from_micros(10));
}
