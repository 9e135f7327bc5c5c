//! Cost of a place in the queue, and of a model on the shelf: calls of engines that compute next to nothing, bare and within
//! the layers.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use selvedge::fake::Fake;
use selvedge::layer::schedule::{Models, Schedule, ScheduleOptions};
use selvedge::{Ask, Call, Cancel, DType, Engine, MemoryEstimate, Tensor, Tensors};

use crate::rounds::alternate;

/// What a layer may add to a call.
const BAR: Duration = Duration::from_micros(1);

pub(crate) fn bench() {
    compare("echo", Fake::echo(DType::F32).build(), "x", &[1, 4]);
    #[cfg(feature = "tract")]
    {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/quickstart/rain.onnx");
        let rain = selvedge::open(path, selvedge::Options::new()).expect("the model opens");
        compare("rain", rain, "weather", &[1, 4]);
    }
}

fn compare(name: &str, engine: Arc<dyn Engine>, input: &str, shape: &[usize]) {
    let schedule = Schedule::new(ScheduleOptions::new()).expect("a queue");
    let scheduled = schedule.around(engine.clone());
    let models = Models::new(u64::MAX);
    let shelved = engine.clone();
    models.add(name, MemoryEstimate::new(1, 0, 0), move |_| Ok(shelved.clone())).expect("fits");
    let models = models.engine(name).expect("opens");
    let x = Tensor::new(shape, vec![0.5f32; shape.iter().product()]).expect("fits");
    let cancel = Cancel::new();
    // The terms that a call has in an app that uses a queue.
    let ask = |engine: &dyn Engine| {
        let call = Call::new().cancel(&cancel).timeout(Duration::from_secs(60)).caller(7);
        engine.run_with(Tensors::from([(input, x.clone())]), call).expect("runs")
    };
    for (layer, engine_in) in [("schedule", scheduled), ("models", models)] {
        assert_eq!(ask(&*engine_in).outputs, ask(&*engine).outputs, "both must give one answer");
        let pair = alternate(101, 500, 1, || drop(black_box(ask(&*engine_in))), || drop(black_box(ask(&*engine))));
        pair.overhead(&format!("{layer}_{name}_overhead_us"), BAR);
    }
}
