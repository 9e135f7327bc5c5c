//! Dequantization beside the limits of the machine and beside others, in one process.
//!
//! `cargo bench -p selvedge-benches --features peers --bench kernels`, with the environment of `tests/run --setup`; `-- cache`, `-- memory` or
//! `-- sets` runs one part; the last compares the instruction sets that this machine has. Each format is first checked against ggml, bit for bit. Figures are GB of `f32` output per
//! second of the thread's own time; then comes one line for each: `RATIO name value >=bar`. Outputs lie on huge pages and
//! are written before anything is timed.

mod arena;
mod clock;
mod limits;
mod peers;
mod rounds;

use std::cell::RefCell;
use std::sync::Barrier;

use arena::Arena;
use rounds::{Side, interleave};
use selvedge::kernel::{BlockFormat, Query, active, dequantize_into, dot_i8_rows};

/// A format, and how many times as fast as ggml it must be from the second cache.
const FORMATS: [(BlockFormat, f64); 5] = [
    (BlockFormat::F16, 10.0),
    (BlockFormat::Q8_0, 1.5),
    (BlockFormat::Q4_0, 5.0),
    (BlockFormat::Q4K, 1.8),
    (BlockFormat::Q6K, 10.0),
];

fn main() {
    let wanted = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    let part = |name: &str| wanted.as_deref().is_none_or(|w| name.contains(w));
    println!("kernels: {}", active());
    if wanted.as_deref() == Some("alone") {
        return alone();
    }
    // On a pool of one thread nothing is split.
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    if part("cache") {
        one.install(|| FORMATS.iter().for_each(|(format, bar)| cache(*format, *bar)));
    }
    if part("memory") {
        one.install(|| FORMATS.iter().for_each(|(format, _)| memory(*format)));
    }
    if part("sets") {
        sets();
    }
}

/// Each instruction set by itself, in a process that is reported to use it: which of them earn their code.
fn sets() {
    for set in ["scalar", "neon", "avx2", "avx512"] {
        let mut process = std::process::Command::new(std::env::current_exe().unwrap());
        let output = process.args(["--bench", "alone"]).env("SELVEDGE_KERNEL", set).output().unwrap();
        assert!(output.status.success(), "{set}: {}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        // What the machine lacks runs as the best that it has.
        if lines.starts_with(&format!("kernels: {set}\n")) {
            print!("{}", lines.split_once('\n').unwrap().1);
        }
    }
}

/// The instruction set in use: outputs of 512 KiB, and scores of rows of 256 in the first cache.
fn alone() {
    const ELEMENTS: usize = 128 << 10;
    const ROWS: usize = 100;
    for (format, _) in FORMATS {
        let (mut input, len) = blocks(format, ELEMENTS);
        let (input, mut out) = (&input.bytes()[..len], Arena::new(ELEMENTS));
        let seconds =
            median_of(|| (0..100).for_each(|_| dequantize_into(format, input, out.floats()).unwrap())) / 100.0;
        println!("kernels/sets/{}/{format}: {:.1} GB/s", active(), ELEMENTS as f64 * 4.0 / seconds / 1e9);
    }
    let query = Query::new(&[1.0; 256]).unwrap();
    for format in [BlockFormat::Q8_0, BlockFormat::Q4_0] {
        let (mut rows, len) = blocks(format, ROWS * 256);
        let (rows, mut scores) = (&rows.bytes()[..len], [0.0; ROWS]);
        let seconds =
            median_of(|| (0..1000).for_each(|_| dot_i8_rows(format, rows, &query, &mut scores).unwrap())) / 1000.0;
        println!("kernels/sets/{}/score of {format}: {:.1} ns a row", active(), seconds / ROWS as f64 * 1e9);
    }
}

fn median_of(mut work: impl FnMut()) -> f64 {
    interleave(11, &mut [Side::new("alone", || clock::seconds(&mut work))])[0]
}

/// Outputs of 512 KiB, which stay in the second cache.
fn cache(format: BlockFormat, bar: f64) {
    const ELEMENTS: usize = 128 << 10;
    const CALLS: usize = 100;
    let (mut input, len) = blocks(format, ELEMENTS);
    let input = &input.bytes()[..len];
    let out = RefCell::new(Arena::new(ELEMENTS));
    assert_answers(format, input, out.borrow_mut().floats());
    let many = |work: &dyn Fn(&mut [f32])| {
        let mut out = out.borrow_mut();
        clock::seconds(|| (0..CALLS).for_each(|_| work(out.floats()))) / CALLS as f64
    };
    let mut sides = vec![
        Side::new("selvedge", || many(&|out| dequantize_into(format, input, out).unwrap())),
        Side::new("plain stores", || many(&limits::plain)),
        Side::new("same traffic", || many(&|out| limits::traffic(input, out))),
        Side::new("ggml", || many(&|out| peers::ggml(format, input, out))),
        Side::new("candle", || many(&|out| peers::candle(format, input, out))),
    ];
    if format == BlockFormat::F16 {
        sides.push(Side::new("half", || many(&|out| peers::half(input, out))));
    }
    let seconds = interleave(21, &mut sides);
    report("cache", format, ELEMENTS, &sides, &seconds);
    ratio("cache", format, "of plain stores", seconds[1] / seconds[0], ">=0.80");
    // Where plain stores alone run at the pace of the first cache, reading the blocks takes its share.
    ratio("cache", format, "of the same traffic", seconds[2] / seconds[0], ">=0.80");
    ratio("cache", format, "vs ggml", seconds[3] / seconds[0], &format!(">={bar}"));
}

/// Outputs of 256 MiB, far beyond all caches.
fn memory(format: BlockFormat) {
    const ELEMENTS: usize = 64 << 20;
    let (mut input, len) = blocks(format, ELEMENTS);
    let input = &input.bytes()[..len];
    let out = RefCell::new(Arena::new(ELEMENTS));
    assert_answers(format, input, out.borrow_mut().floats());
    let once = |work: &dyn Fn(&mut [f32])| {
        let mut out = out.borrow_mut();
        clock::seconds(|| work(out.floats()))
    };
    let (low, high) = input.split_at(input.len() / 2);
    let halves = [low, high];
    let mut sides = vec![
        Side::new("selvedge", || once(&|out| dequantize_into(format, input, out).unwrap())),
        Side::new("streamed stores", || once(&limits::streamed)),
        Side::new("plain stores", || once(&limits::plain)),
        Side::new("ggml", || once(&|out| peers::ggml(format, input, out))),
        Side::new("candle", || once(&|out| peers::candle(format, input, out))),
        Side::new("2 threads", || {
            by_two(out.borrow_mut().floats(), &|i, out| dequantize_into(format, halves[i], out).unwrap())
        }),
        Side::new("2 threads, streamed stores", || by_two(out.borrow_mut().floats(), &|_, out| limits::streamed(out))),
    ];
    if format == BlockFormat::F16 {
        sides.push(Side::new("half", || once(&|out| peers::half(input, out))));
    }
    let seconds = interleave(9, &mut sides);
    report("memory", format, ELEMENTS, &sides, &seconds);
    let limit = if format == BlockFormat::F16 { ">=0.70" } else { ">=0.85" };
    ratio("memory", format, "of streamed stores", seconds[1] / seconds[0], limit);
    println!(
        "kernels/memory/{format}: streamed stores alone are {:.2} x ggml and {:.2} x candle",
        seconds[3] / seconds[1],
        seconds[4] / seconds[1]
    );
    ratio("memory", format, "vs ggml", seconds[3] / seconds[0], ">=2.4");
    ratio("memory", format, "vs candle", seconds[4] / seconds[0], ">=3");
    println!("kernels/memory/{format}: streamed stores of two threads are {:.2} x one's", seconds[1] / seconds[6]);
    ratio("memory", format, "2 threads vs 1", seconds[0] / seconds[5], ">=1.8");
}

/// Each half on its own thread; the slower one counts.
fn by_two(out: &mut [f32], work: &(dyn Fn(usize, &mut [f32]) + Sync)) -> f64 {
    let (low, high) = out.split_at_mut(out.len() / 2);
    let barrier = Barrier::new(2);
    let half = |i: usize, out: &mut [f32]| {
        // Its own pool, so that the half is not split in turn.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        pool.install(|| {
            barrier.wait();
            clock::seconds(|| work(i, out))
        })
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1, high));
        half(0, low).max(other.join().unwrap())
    })
}

/// Random blocks with ordinary scales, and their length in bytes.
fn blocks(format: BlockFormat, elements: usize) -> (Arena, usize) {
    let len = format.bytes(elements).unwrap();
    let mut arena = Arena::new(len.div_ceil(4));
    let mut state = 1u64;
    for bytes in arena.bytes().chunks_mut(4) {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        bytes.copy_from_slice(&((state >> 32) as u32).to_le_bytes()[..bytes.len()]);
    }
    // Where the scales are: a NaN would make answers differ in what no standard settles.
    let scales: &[usize] = match format {
        BlockFormat::Q4K => &[0, 2],
        BlockFormat::Q6K => &[208],
        _ => &[0],
    };
    for block in arena.bytes()[..len].chunks_mut(format.block_bytes()) {
        for at in scales {
            // Exponents up to 2^8.
            block[at + 1] &= 0xdf;
        }
    }
    (arena, len)
}

fn assert_answers(format: BlockFormat, input: &[u8], out: &mut [f32]) {
    let mut expected = vec![0.0f32; out.len()];
    peers::ggml(format, input, &mut expected);
    let same = |who: &str, out: &[f32]| {
        assert!(out.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits()), "{format}: {who} differs");
    };
    dequantize_into(format, input, out).unwrap();
    same("selvedge", out);
    peers::candle(format, input, out);
    same("candle", out);
}

fn report(part: &str, format: BlockFormat, elements: usize, sides: &[Side<'_>], seconds: &[f64]) {
    let all =
        sides.iter().zip(seconds).map(|(side, s)| format!("{} {:.1}", side.name, elements as f64 * 4.0 / s / 1e9));
    println!("kernels/{part}/{format}, GB/s: {}", all.collect::<Vec<_>>().join(", "));
}

fn ratio(part: &str, format: BlockFormat, what: &str, value: f64, bar: &str) {
    println!("RATIO kernels/{part}/{format}/{} {value:.3} {bar}", what.replace(' ', "-"));
}
