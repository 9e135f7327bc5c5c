//! Cost of a cache: a hit by itself, and what a miss adds to the engine's own time.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use selvedge::layer::cache::Cache;
use selvedge::{Ask, Engine, Tensor, Tensors};

use crate::rounds::alternate;

/// Calls of a round.
const CALLS: u32 = 200;

pub(crate) fn cost(model: &str, engine: &Arc<dyn Engine>, input: &str, row: &[f32]) {
    let request = |first: f32| {
        let mut row = row.to_vec();
        row[0] = first;
        Tensors::from([(input, Tensor::new(&[1, row.len()], row).expect("fits"))])
    };
    let cache = Cache::new(engine.clone(), 4 << 20);
    let ask = |engine: &dyn Engine, first: f32| engine.run(request(first)).expect("runs");
    let first = ask(&cache, 0.0);
    let hit = ask(&cache, 0.0);
    assert_eq!((&first.outputs, first.usage.cache_hits), (&ask(&**engine, 0.0).outputs, 0), "the same answer");
    assert_eq!((&hit.outputs, hit.usage.cache_hits), (&first.outputs, 1), "and once more, kept");

    // Making the request is no part of it.
    let nothing = || drop(black_box(request(0.0)));
    let pair = alternate(41, CALLS, 1, || drop(black_box(ask(&cache, 0.0))), nothing);
    pair.overhead(&format!("cache_hit_{model}_us"), Duration::from_micros(2));

    // Each asked for the first time; by now the cache is full, and one gives way for each.
    let next = Cell::new(0u32);
    let fresh = || {
        next.set(next.get() + 1);
        f32::from_bits(0x3f80_0000 + next.get())
    };
    while cache.status().bytes < cache.status().max_bytes * 9 / 10 {
        drop(ask(&cache, fresh()));
    }
    let before = cache.status();
    let (ours, bare) = (|| drop(black_box(ask(&cache, fresh()))), || drop(black_box(ask(&**engine, fresh()))));
    let pair = alternate(41, CALLS, 1, ours, bare);
    pair.overhead(&format!("cache_miss_{model}_us"), Duration::from_micros(1));
    let after = cache.status();
    assert_eq!((after.hits, after.misses - before.misses), (before.hits, u64::from(CALLS) * 42), "all were misses");
}
