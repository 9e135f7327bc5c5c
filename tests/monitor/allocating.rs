//! Allocations of being watched.

use std::sync::Arc;

use selvedge::fake::Fake;
use selvedge::layer::monitor::Monitor;
use selvedge::layer::probe::{All, Classes, Columns};
use selvedge::{Ask, DType, Engine, Tensor, Tensors};

use crate::counting::allocations;
use crate::{COLUMNS, Noise, folder, profile};

/// What a call allocates, after some to warm up: the median, as some calls drain the records of those before.
fn per_call(engine: &Arc<dyn Engine>) -> u64 {
    let mut noise = Noise(12);
    let mut one = || {
        let x = Tensor::new(&[2, 2], [noise.row(), noise.row()].concat()).unwrap();
        let before = allocations();
        drop(engine.run(Tensors::from([("x", x)])).unwrap());
        allocations() - before
    };
    let mut counts: Vec<u64> = (0..700).map(|_| one()).skip(200).collect();
    counts.sort_unstable();
    counts[counts.len() / 2]
}

#[test]
fn a_watched_call_allocates_the_box_of_its_run_and_nothing_else() {
    let bare = Fake::echo(DType::F32).build();
    let (_folder, telemetry) = folder();
    let probe = All::new().and(Columns::of("x", COLUMNS)).and(Classes::of("y"));
    // No window closes among these calls: that allocates, once per window.
    let monitor = Monitor::builder(bare.clone(), telemetry, probe).profile(profile()).window(60_000).build().unwrap();
    let watched: Arc<dyn Engine> = Arc::new(monitor.clone());
    assert_eq!(per_call(&watched), per_call(&bare) + 1);
    assert_eq!(monitor.report().in_progress, 2 * 700);
}
