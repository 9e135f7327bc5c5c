//! AlertKind being watched allocates.
#![expect(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use selvedge::backend::fake::Fake;
use selvedge::layer::monitor::Monitor;
use selvedge::layer::probe::{All, Classes, Columns};
use selvedge::{Ask, DType, Engine, Tensor, Tensors};

use crate::{COLUMNS, Noise, folder, profile};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator as it came; counting touches a plain number of the thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
        // SAFETY: the caller keeps the promises of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the promises of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
        // SAFETY: the caller keeps the promises of `GlobalAlloc::realloc`.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// AlertKind a call allocates, after some to warm up: the median, as some calls drain the records of those before.
fn allocations(engine: &Arc<dyn Engine>) -> u64 {
    let mut noise = Noise(12);
    let mut one = || {
        let x = Tensor::new(&[2, 2], [noise.row(), noise.row()].concat()).unwrap();
        let before = ALLOCATIONS.get();
        drop(engine.run(Tensors::from([("x", x)])).unwrap());
        ALLOCATIONS.get() - before
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
    assert_eq!(allocations(&watched), allocations(&bare) + 1);
    assert_eq!(monitor.report().in_progress, 2 * 700);
}
