//! An app that runs its model with the crate `ort`, and a monitor around the session that it has.
//!
//! `ORT_DYLIB_PATH=libonnxruntime.so cargo run -p selvedge-examples --example ort_interop --no-default-features
//! --features ort-interop -- FOLDER`

use std::error::Error;
use std::sync::Arc;

use ort::session::Session;
use selvedge::backend::OrtEngine;
use selvedge::layer::monitor::Monitor;
use selvedge::layer::probe::Columns;
use selvedge::telemetry::{Limits, Telemetry};
use selvedge::{Ask, Digest, Tensor, Tensors};
use sha2::Digest as _;

const MODEL: &[u8] = include_bytes!("quickstart/rain.onnx");
const COLUMNS: [&str; 4] = ["precipitation", "temp_max", "temp_min", "wind"];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: ort_interop FOLDER")?;
    // What the app had before: an environment and a session, with its own options.
    let environment = ort::init().with_telemetry(false).build()?;
    let session = Session::builder(&environment)?.commit_from_memory(MODEL)?;

    let engine = OrtEngine::new(session)?.name("rain").digest(Digest(sha2::Sha256::digest(MODEL).into()));
    let telemetry = Telemetry::open(folder, Limits::default());
    let monitor = Monitor::builder(Arc::new(engine), telemetry, Columns::of("weather", COLUMNS)).build()?;

    for weather in [[10.9f32, 10.6, 2.8, 4.5], [0.0, 25.6, 13.3, 3.3]] {
        let answer = monitor.run(Tensors::from([("weather", Tensor::new(&[1, 4], weather.to_vec())?)]))?;
        let rain = answer.output("rain_tomorrow")?.as_slice::<f32>()?[0];
        println!("{weather:?}: rain tomorrow {:.0} %, by {}", rain * 100.0, answer.provenance.runtime);
    }
    monitor.close_window();
    println!("{:?}", monitor.report().totals);
    Ok(())
}
