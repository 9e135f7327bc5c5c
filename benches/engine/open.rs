//! Cost of opening: time, and memory that is the process's own or the file's. Each way in a process of its own, since
//! what one leaves in the heap the next one would use again.

use std::process::Command;
use std::time::Instant;

use selvedge::{Loading, Options, open};

use crate::corpus;

/// Asks a process of this benchmark for one figure: the name of a way and the model's file.
const WAY: &str = "SELVEDGE_BENCH_OPEN";
const FILE: &str = "SELVEDGE_BENCH_FILE";
const WAYS: [(&str, Loading); 2] = [("mapped", Loading::Mapped), ("read", Loading::Read)];

pub(crate) fn bench() {
    for (name, file) in
        [("MobileNetV2", "mobilenetv2/mobilenetv2-7.onnx"), ("SmolLM2", "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")]
    {
        let Some(path) = corpus::path(file) else { return };
        for (way, _) in WAYS {
            let this = std::env::current_exe().expect("this benchmark");
            let out = Command::new(this).env(WAY, way).env(FILE, &path).output().expect("starts");
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            println!("open {name} {way}: {}", String::from_utf8_lossy(&out.stdout).trim());
        }
    }
}

/// In a process that was asked for one figure: prints it.
pub(crate) fn asked() -> bool {
    let (Some(way), Some(path)) = (std::env::var_os(WAY), std::env::var_os(FILE)) else { return false };
    let (_, map) = WAYS.into_iter().find(|(name, _)| way == *name).expect("a way to open");
    let (anonymous, filed) = resident();
    let start = Instant::now();
    let engine = open(std::path::PathBuf::from(path), Options::new().map(map)).expect("the model opens");
    let took = start.elapsed();
    let (more_anonymous, more_filed) = resident();
    println!(
        "{:.1} ms, {:+.1} MiB own, {:+.1} MiB of files",
        took.as_secs_f64() * 1e3,
        more_anonymous - anonymous,
        more_filed - filed
    );
    drop(engine);
    true
}

/// Resident anonymous and file-backed MiB of this process; zero where the system does not tell.
fn resident() -> (f64, f64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mib = |key: &str| {
        let line = status.lines().find(|l| l.starts_with(key));
        line.and_then(|l| l.split_whitespace().nth(1)?.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
    };
    (mib("RssAnon:"), mib("RssFile:"))
}
