//! The memory that a cache takes, by the allocator's own count.

use selvedge::fake::Fake;
use selvedge::layer::cache::Cache;
use selvedge::{Ask, DType, Generate, Tensor, Tensors};

use crate::counting::peak_of;

/// Asks so much that the cache is full several times over; what it held at most.
fn peak(max_bytes: u64, ask: impl Fn(&Cache, usize), engine: Fake) -> usize {
    let engine = engine.build();
    let ((), bytes) = peak_of(|| {
        let cache = Cache::new(engine, max_bytes);
        let mut asked = 0;
        // Full, and once more as much.
        while cache.status().misses < 2 * cache.status().answers + 1000 {
            ask(&cache, asked);
            asked += 1;
            assert!(cache.status().bytes <= max_bytes);
        }
    });
    bytes
}

#[test]
fn the_memory_of_a_cache_is_what_it_was_given() {
    let number = |cache: &Cache, i: usize| {
        let x = Tensor::new(&[1], vec![i as f32]).unwrap();
        drop(cache.run(Tensors::from([("x", x)])).unwrap());
    };
    let row = |cache: &Cache, i: usize| {
        let x = Tensor::new(&[1, 1000], vec![i as f32; 1000]).unwrap();
        drop(cache.run(Tensors::from([("x", x)])).unwrap());
    };
    let text = |cache: &Cache, i: usize| drop(cache.run(Generate::text(i.to_string())).unwrap());
    let reply = "so it goes and so it went and so it will go on";
    for max in [256u64 << 10, 4 << 20] {
        for (what, bytes) in [
            ("numbers", peak(max, number, Fake::echo(DType::F32))),
            ("rows", peak(max, row, Fake::echo(DType::F32))),
            ("texts", peak(max, text, Fake::text(reply))),
        ] {
            let share = bytes as f64 / max as f64;
            println!("{what}: {bytes} bytes of {max}");
            assert!((0.4..1.1).contains(&share), "{what}: {bytes} bytes are {share:.2} of the {max} that were given");
        }
    }
}
