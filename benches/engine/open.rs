//! What opening costs: time, and memory that is the process's own or the file's.

use std::time::Instant;

use selvedge::{Map, Options, open};

use crate::corpus;

pub(crate) fn bench() {
    for (name, file) in
        [("MobileNetV2", "mobilenetv2/mobilenetv2-7.onnx"), ("SmolLM2", "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")]
    {
        let Some(path) = corpus::path(file) else { return };
        for (how, map) in [("mapped", Map::Mapped), ("read", Map::Read)] {
            let (anonymous, filed) = resident();
            let start = Instant::now();
            let engine = open(&path, Options::new().map(map)).expect("the model opens");
            let took = start.elapsed();
            let (more_anonymous, more_filed) = resident();
            println!(
                "open {name} {how}: {:.1} ms, {:+.1} MiB own, {:+.1} MiB of files",
                took.as_secs_f64() * 1e3,
                more_anonymous - anonymous,
                more_filed - filed
            );
            drop(engine);
        }
    }
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
