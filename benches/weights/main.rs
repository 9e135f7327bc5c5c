//! Cost of opening a large weight file: `cargo bench -p selvedge-benches --bench weights`.
//!
//! The file has the header of a language model of a gigabyte, 49,152 tokens and 290 tensors, and a hole for data. It
//! first asserts what the header says, then prints one line per figure: `RATIO name value <=bar`.

#[path = "../../src/weights/tests/craft.rs"]
#[allow(dead_code, unreachable_pub, reason = "the library's tests need the rest of it")]
mod craft;

use std::path::Path;
use std::time::Instant;

use craft::{File, Tensor, string};
use selvedge::Loading;
use selvedge::weights::WeightFile;

const SIZE: u64 = 1 << 30;
const TOKENS: u64 = 49_152;
const TENSORS: u64 = 290;
const ROUNDS: usize = 51;

/// Where a process of its own, which has allocated nothing before, finds the file.
const FILE: &str = "SELVEDGE_BENCH_FILE";

fn main() {
    if let Some(path) = std::env::var_os(FILE) {
        return println!("{}", anonymous_bytes_of_opening(Path::new(&path)));
    }
    let folder = std::env::temp_dir().join(format!("selvedge-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the file");
    let path = folder.join("gigabyte.gguf");
    write(&path);
    check(&WeightFile::open(&path, Loading::Mapped).expect("the file opens"));
    let own = std::env::current_exe().expect("a program");
    let reported = std::process::Command::new(own).env(FILE, &path).output().expect("the program runs again").stdout;
    let took: f64 = String::from_utf8_lossy(&reported).trim().parse().expect("a number of bytes");
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            let file = WeightFile::open(&path, Loading::Mapped).expect("the file opens");
            let time = start.elapsed().as_secs_f64() * 1e3;
            drop(file);
            time
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("RATIO open_1gib_ms {:.3} <=5", times[ROUNDS / 2]);
    println!("RATIO open_1gib_anonymous_mib {:.3} <=2", took / 1_048_576.0);
    std::fs::remove_dir_all(folder).expect("the file goes");
}

fn write(path: &Path) {
    let texts = (0..TOKENS).flat_map(|i| string(format!("token{i}").as_bytes())).collect();
    let merges = (0..TOKENS).flat_map(|i| string(format!("tok en{i}").as_bytes())).collect();
    let mut file = File::model()
        .no_tensors()
        .array("tokenizer.ggml.tokens", 8, TOKENS, texts)
        .array("tokenizer.ggml.merges", 8, TOKENS, merges)
        .array("tokenizer.ggml.scores", 6, TOKENS, vec![0; 4 * TOKENS as usize])
        .array("tokenizer.ggml.token_type", 5, TOKENS, vec![0; 4 * TOKENS as usize]);
    // Rows of Q4_0, 18 bytes for 32; what is left over goes into the last tensor, as bytes.
    let rows = (SIZE - (4 << 20)) / TENSORS / (18 * 64);
    let bytes = rows * 18 * 64;
    for i in 0..TENSORS {
        let (name, offset) = (format!("blk.{i}.weight").into_bytes(), Some(i * bytes));
        file = file.any_tensor(Tensor { name, dims: vec![2048, rows], kind: 2, offset, fill: vec![], bytes: 0 });
    }
    let header = file.bytes().len() as u64;
    let rest = SIZE - (header + 64).next_multiple_of(32) - TENSORS * bytes;
    let (name, offset) = (b"rest".to_vec(), Some(TENSORS * bytes));
    let header =
        file.any_tensor(Tensor { name, dims: vec![rest / 32 * 32], kind: 24, offset, fill: vec![], bytes: 0 }).bytes();
    std::fs::write(path, &header).expect("the header is written");
    let file = std::fs::File::options().write(true).open(path).expect("the file is there");
    file.set_len(header.len() as u64 + TENSORS * bytes + rest / 32 * 32).expect("the file grows");
}

fn check(file: &WeightFile) {
    let tokens = file.metadata().array("tokenizer.ggml.tokens").expect("an array").expect("tokens");
    assert_eq!(tokens.texts().nth(49_151), Some(&b"token49151"[..]));
    assert_eq!(file.tensors().len() as u64, TENSORS + 1);
    let end = file.tensor("rest").expect("the last tensor").place().end;
    assert!(end == file.files()[0].as_slice().len() as u64 && end.abs_diff(SIZE) < 1 << 10, "{end} bytes");
}

fn anonymous_bytes_of_opening(path: &Path) -> u64 {
    let before = anonymous_bytes();
    let file = WeightFile::open(path, Loading::Mapped).expect("the file opens");
    let took = anonymous_bytes() - before;
    drop(file);
    took
}

/// Memory of this process that is no file's, counted page by page; zero where the system does not tell.
fn anonymous_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let line = pages.lines().find_map(|line| line.strip_prefix("Anonymous:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}
