//! Products of quantized matrices, against what the machine multiplies in registers alone, and against the kernel of one
//! row at a time. Needs no other crate.
//!
//! `cargo bench -p selvedge-benches --features experimental --bench matmul [-- FORMAT]`. Seconds are those that the thread ran; every number is
//! the median of rounds in which the sides alternate. `RATIO name value >=bar`.

#[path = "../kernels/clock.rs"]
mod clock;
mod peak;
#[path = "../kernels/rounds.rs"]
mod rounds;

use std::cell::RefCell;
use std::time::Instant;

use rounds::{Side, interleave};
use selvedge::kernel::product::{Activations, Panels};
use selvedge::kernel::{BlockFormat, Query, active, dot_i8_rows};

/// Rows and columns of the weights.
const N: usize = 512;
const K: usize = 2048;
/// Rows of activations: one, small batches, prompts.
const BATCHES: [usize; 6] = [1, 4, 8, 32, 128, 512];
/// From here on a batch is a prompt.
const PROMPT: usize = 64;

fn main() {
    let wanted = std::env::args().skip(1).find(|a| !a.starts_with('-')).unwrap_or_default();
    if let Some(format) = wanted.strip_prefix("alone:") {
        println!("kernels: {}", active());
        let formats = BlockFormat::ALL.into_iter().filter(|f| Panels::supports(*f) && f.name().contains(format));
        return formats.for_each(alone);
    }
    // Each instruction set in a process that is reported to use it.
    for set in ["avx2", "avx512", "neon", "scalar"] {
        let mut process = std::process::Command::new(std::env::current_exe().unwrap());
        let alone = format!("alone:{wanted}");
        let output = process.args(["--bench", &alone]).env("SELVEDGE_KERNEL", set).output().unwrap();
        assert!(output.status.success(), "{set}: {}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        match lines.strip_prefix(&format!("kernels: {set}\n")) {
            Some(lines) => print!("{lines}"),
            None => println!("matmul/{set}: not measured, this machine has none"),
        }
    }
}

/// A format with the instruction set in use.
fn alone(format: BlockFormat) {
    let rows = blocks(format, N * K);
    let panels = Panels::pack(format, &rows, N, K).unwrap();
    let peak = peak::of(active(), format);
    if let Some(peak) = &peak {
        println!(
            "matmul/{}/{format}: two threads do {:.2} times what one does of {}",
            active(),
            two_threads(peak),
            peak.name
        );
    }
    for m in BATCHES {
        if peak.is_none() && m > 32 {
            continue;
        }
        let values: Vec<f32> = (0..m * K).map(|i| (i as f32 * 0.37).sin()).collect();
        let activations = Activations::quantize(format, &values, m, K).unwrap();
        let products = (m * N * K) as f64;
        let repeats = (256 / m).max(1);
        let out = RefCell::new(vec![0.0; m * N]);
        let repeat = |work: &dyn Fn(&mut [f32])| {
            let mut out = out.borrow_mut();
            clock::seconds(|| (0..repeats).for_each(|_| work(&mut out))) / repeats as f64
        };
        let mut sides = vec![
            Side::new("product", || repeat(&|out| panels.multiply(&activations, out, N, 0..N).unwrap())),
            Side::new("quantizing", || {
                repeat(&|_| assert_eq!(Activations::quantize(format, &values, m, K).unwrap().rows(), m))
            }),
        ];
        if let Some(peak) = &peak {
            const ROUNDS: u64 = 200_000;
            let products = peak.products * ROUNDS as f64;
            sides.push(Side::new("peak", move || clock::seconds(|| (peak.run)(ROUNDS)) / products));
        }
        if matches!(format, BlockFormat::Q8_0 | BlockFormat::Q4_0) && m <= PROMPT {
            sides.push(Side::new("row by row", || repeat(&|out| row_by_row(format, &rows, &values, out))));
        }
        let seconds = interleave(9, &mut sides);
        let name = format!("matmul/{}/{format}/{m}", active());
        let speed = |seconds: f64| 2.0 * products / seconds / 1e9;
        let quantizing = seconds[1] / seconds[0] * 100.0;
        println!("{name}: {:.1} GOP/s; quantizing takes {quantizing:.1} % of that time", speed(seconds[0]));
        if let Some(peak) = &peak {
            let bar = if m >= PROMPT { ">=0.6" } else { ">=0" };
            let reached = products / seconds[0] * seconds[2];
            println!("{name}: {} does {:.1} GOP/s", peak.name, 2.0 / seconds[2] / 1e9);
            println!("RATIO {name}/of-peak {reached:.3} {bar}");
        }
        if sides.last().is_some_and(|side| side.name == "row by row") {
            println!("RATIO {name}/vs-row-by-row {:.3} >=1", seconds[sides.len() - 1] / seconds[0]);
        }
    }
}

/// How much more two threads do of what the machine does at most: two processors may be one core. By the clock on the wall.
fn two_threads(peak: &peak::Peak) -> f64 {
    const ROUNDS: u64 = 4_000_000;
    let timed = |work: &mut dyn FnMut()| {
        let begin = Instant::now();
        work();
        begin.elapsed().as_secs_f64()
    };
    let one = || timed(&mut || (peak.run)(ROUNDS));
    let two = || {
        timed(&mut || {
            _ = std::thread::scope(|scope| [(); 2].map(|()| scope.spawn(|| (peak.run)(ROUNDS))).map(|t| t.join()))
        })
    };
    let seconds = interleave(9, &mut [Side::new("one", one), Side::new("two", two)]);
    2.0 * seconds[0] / seconds[1]
}

/// The product by the kernel of one row of weights and one of activations.
fn row_by_row(format: BlockFormat, rows: &[u8], values: &[f32], out: &mut [f32]) {
    for (values, out) in values.chunks_exact(K).zip(out.chunks_exact_mut(N)) {
        dot_i8_rows(format, rows, &Query::new(values).unwrap(), out).unwrap();
    }
}

/// Random blocks with ordinary scales.
fn blocks(format: BlockFormat, elements: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut blocks: Vec<u8> = (0..format.bytes(elements).unwrap())
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 56) as u8
        })
        .collect();
    // Numbers that are not finite, or subnormal, take their own time.
    let scales: &[usize] = match format {
        BlockFormat::Q4_1 | BlockFormat::Q5_1 | BlockFormat::Q4K | BlockFormat::Q5K => &[0, 2],
        BlockFormat::Q6K => &[208],
        BlockFormat::Mxfp4 => &[],
        _ => &[0],
    };
    for block in blocks.chunks_exact_mut(format.block_bytes()) {
        scales.iter().for_each(|at| block[at + 1] = 0x2c | block[at + 1] & 3);
        if format == BlockFormat::Mxfp4 {
            block[0] = 120;
        }
    }
    blocks
}
