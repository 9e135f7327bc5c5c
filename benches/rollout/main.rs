//! Cost of layers around a tiny model, and of a large one on its way into the store and into service.
//!
//! `cargo bench -p selvedge-benches --features tract --bench rollout`. Answers are asserted, then both sides are timed in
//! alternating rounds; one line per figure: `RATIO name value <=bar`, or `>=bar`. Without the feature, an engine that gives
//! its input back stands in the place of the model.

mod cache;
mod deployment;
#[allow(dead_code, reason = "each benchmark prints another kind of figure")]
#[path = "../engine/rounds.rs"]
mod rounds;
mod schedule;
mod store;

use selvedge::DType;
use selvedge::fake::Fake;

fn main() {
    cache::cost("echo", &Fake::echo(DType::F32).build(), "x", &[0.0, 12.8, 5.0, 4.7]);
    deployment::cost("echo", &Fake::echo(DType::F32).build(), "x", &[0.0, 12.8, 5.0, 4.7]);
    #[cfg(feature = "tract")]
    {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/quickstart/rain.onnx");
        let rain = selvedge::open(path, selvedge::Options::new().threads(1)).expect("the model opens");
        cache::cost("rain", &rain, "weather", &[0.0, 12.8, 5.0, 4.7]);
        deployment::cost("rain", &rain, "weather", &[0.0, 12.8, 5.0, 4.7]);
        let open = move || selvedge::open(path, selvedge::Options::new().threads(1)).expect("the model opens");
        deployment::swaps("rain", open, "weather", &[0.0, 12.8, 5.0, 4.7]);
    }
    deployment::swaps("echo", || Fake::echo(DType::F32).build(), "x", &[0.0, 12.8, 5.0, 4.7]);
    schedule::bench();
    store::bench();
}
