//! Rows of a quantized table beside the same table in f32: gathered and pooled at random, and scanned for a query.
//!
//! `cargo bench -p selvedge-benches --bench table`. A million rows of 256 numbers, in huge pages that are there before the clock runs.
//! Each side's answer is checked first; then all sides run in alternating rounds, and the medians and one line per
//! figure are printed: `RATIO name value >=bar`. Everything runs on one thread unless it says otherwise.

use std::hint::black_box;
use std::time::Instant;

use memmap2::{Advice, MmapMut};
use rayon::prelude::*;
use selvedge::Bytes;
use selvedge::kernel::{self, BlockFormat, dequantize_into, quantize_into};
use selvedge::weights::{Pool, Table};

const ROWS: usize = 1 << 20;
const WIDTH: usize = 256;
/// Ids of a text, and texts of a round: 65,536 rows, of which hardly any comes twice.
const TEXT: usize = 64;
const TEXTS: usize = 1024;
const ROUNDS: usize = 15;
const SCANS: usize = 7;
const FORMATS: [BlockFormat; 4] = [BlockFormat::F32, BlockFormat::F16, BlockFormat::Q8_0, BlockFormat::Q4_0];

fn main() {
    // `cargo bench` says `--bench`; `cargo test --benches` does not, and wants no minutes of timing.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    println!("kernels: {}", kernel::active());
    let tables: Vec<Table> = FORMATS.iter().map(|format| table(*format)).collect();
    println!("huge pages: {}", huge_pages());
    gather(&tables);
    scan(&tables);
}

/// How much of the tables lies in huge pages: without them, it is the search for pages that is timed.
fn huge_pages() -> String {
    let reported = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let line = reported.lines().find_map(|line| line.strip_prefix("AnonHugePages:"));
    line.map_or_else(|| "not reported".into(), |kib| kib.trim().into())
}

/// Numbers of a row, from -1 to 1: a function of the row alone.
fn row(i: usize, out: &mut [f32]) {
    let mut state = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for x in out {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *x = (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
    }
}

fn table(format: BlockFormat) -> Table {
    let row_bytes = format.bytes(WIDTH).expect("whole blocks");
    let mut memory = MmapMut::map_anon(ROWS * row_bytes).expect("memory for a table");
    #[cfg(target_os = "linux")]
    memory.advise(Advice::HugePage).expect("huge pages");
    memory.par_chunks_exact_mut(row_bytes).enumerate().for_each_init(
        || vec![0.0; WIDTH],
        |numbers, (i, blocks)| {
            row(i, numbers);
            quantize_into(format, numbers, blocks).expect("numbers to quantize");
        },
    );
    Table::from_bytes(format, WIDTH, Bytes::shared(memory)).expect("a table")
}

/// Seconds that each side takes, in alternating rounds: the median of each.
fn alternate(rounds: usize, sides: &mut [Box<dyn FnMut() + '_>]) -> Vec<f64> {
    let mut seconds = vec![Vec::new(); sides.len()];
    // One round of warming up, not counted; who goes first changes.
    for round in 0..=rounds {
        for i in 0..sides.len() {
            let side = (i + round) % sides.len();
            let begin = Instant::now();
            sides[side]();
            if round > 0 {
                seconds[side].push(begin.elapsed().as_secs_f64());
            }
        }
    }
    seconds.iter_mut().for_each(|s| s.sort_by(f64::total_cmp));
    seconds.iter().map(|s| s[s.len() / 2]).collect()
}

fn gather(tables: &[Table]) {
    let ids: Vec<u32> =
        (0..TEXT * TEXTS).map(|i| (i as u64).wrapping_mul(0xD1B5_4A32_D192_ED03) as u32 >> 12).collect();
    let pool = |table: &Table, ids: &[u32]| {
        let mut out = [0.0; WIDTH];
        table.pool_into(ids, Pool::Mean, true, &mut out).expect("ids of rows");
        out
    };
    for (format, table) in FORMATS.iter().zip(tables) {
        assert_eq!(pool(table, &ids[..TEXT]), naive(*format, &ids[..TEXT]), "{format}");
    }
    let pool = &pool;
    let timed = |ids: &[u32]| {
        let side = |table| -> Box<dyn FnMut() + '_> {
            Box::new(move || {
                ids.chunks_exact(TEXT).for_each(|ids| {
                    black_box(pool(table, ids));
                })
            })
        };
        alternate(ROUNDS, &mut tables.iter().map(side).collect::<Vec<_>>())
    };
    let seconds = timed(&ids);
    // The same work on rows that are in the cache: what is left of the time when the memory is not waited for.
    let near: Vec<u32> = ids.iter().map(|id| id % 32).collect();
    for ((format, s), cached) in FORMATS.iter().zip(&seconds).zip(timed(&near)) {
        let nanoseconds = |s: f64| s / ids.len() as f64 * 1e9;
        let (far, near, bytes) = (nanoseconds(*s), nanoseconds(cached), format.bytes(WIDTH).expect("whole blocks"));
        println!("gather and pool, {format}: {far:.1} ns a row of {bytes} bytes, from the cache {near:.1} ns");
    }
    println!("RATIO table/gather/q8_0-over-f32 {:.2} >=1.8", seconds[0] / seconds[2]);
    println!("RATIO table/gather/q4_0-over-f32 {:.2} >=3", seconds[0] / seconds[3]);
}

/// The mean of rows that were quantized and dequantized by themselves, scaled to length 1.
fn naive(format: BlockFormat, ids: &[u32]) -> [f32; WIDTH] {
    let (mut sum, mut numbers) = ([0.0f32; WIDTH], [0.0; WIDTH]);
    let mut blocks = vec![0; format.bytes(WIDTH).expect("whole blocks")];
    for id in ids {
        row(*id as usize, &mut numbers);
        quantize_into(format, &numbers, &mut blocks).expect("numbers to quantize");
        dequantize_into(format, &blocks, &mut numbers).expect("blocks to dequantize");
        sum.iter_mut().zip(&numbers).for_each(|(s, x)| *s += x);
    }
    let length = sum.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    sum.map(|x| (f64::from(x) / length) as f32)
}

fn scan(tables: &[Table]) {
    // Near a row that every table has, so that there is one right answer.
    const WANTED: u32 = 123_456;
    let mut query = [0.0; WIDTH];
    row(WANTED as usize, &mut query);
    let pools = [1, 2].map(|n| rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("threads"));
    for (format, table) in FORMATS.iter().zip(tables) {
        let hits = table.search(&query, 10).expect("a query that fits");
        assert!(hits[0].row == WANTED && hits.len() == 10, "{format}: {hits:?}");
        let naive: f64 = naive_dot(table, hits[9].row, &query);
        assert!((f64::from(hits[9].score) - naive).abs() < 1e-3, "{format}: {hits:?}, {naive}");
    }
    for (threads, pool) in [1, 2].iter().zip(&pools) {
        let query = &query;
        let side = |table: &Table| -> Box<dyn FnMut()> {
            let table = table.clone();
            Box::new(move || drop(black_box(pool.install(|| table.search(query, 10)))))
        };
        let seconds = alternate(SCANS, &mut tables.iter().map(side).collect::<Vec<_>>());
        for (format, s) in FORMATS.iter().zip(&seconds) {
            let bytes = format.bytes(WIDTH * ROWS).expect("whole blocks") as f64;
            let (rows, gigabytes) = (ROWS as f64 / s / 1e6, bytes / s / 1e9);
            println!("search, {threads} threads, {format}: {rows:.1} million rows a second, {gigabytes:.1} GB/s");
        }
        println!("RATIO table/search/{threads}-threads/q8_0-over-f32 {:.2} >=2", seconds[0] / seconds[2]);
        println!("RATIO table/search/{threads}-threads/q4_0-over-f32 {:.2} >=2", seconds[0] / seconds[3]);
    }
}

fn naive_dot(table: &Table, row: u32, query: &[f32]) -> f64 {
    let mut numbers = [0.0; WIDTH];
    table.gather_into(&[row], &mut numbers).expect("a row");
    numbers.iter().zip(query).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}
