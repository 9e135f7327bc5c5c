//! The Collector as a child process.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::process::{Process, binary};

pub(crate) struct Collector {
    _process: Process,
    pub(crate) port: u16,
}

impl Collector {
    /// Starts one that writes `metrics-PORT.jsonl` and `logs-PORT.jsonl` into the folder. `None` without a binary.
    pub(crate) fn start(folder: &Path) -> Option<Self> {
        Self::start_after(folder, |_| ())
    }

    /// The same, after something is done with each port that it is started for.
    pub(crate) fn start_after(folder: &Path, before: impl Fn(u16)) -> Option<Self> {
        let Some(binary) = binary("SELVEDGE_COLLECTOR", "collector") else {
            println!("note: no Collector (tests/run builds one); skipped");
            return None;
        };
        let process = Process::start(folder, "collector", "Everything is ready", |port| {
            before(port);
            let config = folder.join(format!("config-{port}.yaml"));
            let text = CONFIG.replace("PORT", &port.to_string()).replace("FOLDER", folder.to_str().unwrap());
            fs::write(&config, text).unwrap();
            let mut command = Command::new(&binary);
            command.arg("--config").arg(config);
            command
        });
        Some(Self { port: process.port, _process: process })
    }

    /// SIGKILL: it gets no chance to finish anything.
    pub(crate) fn kill(self) {}
}

const CONFIG: &str = "
receivers:
  otlp:
    protocols:
      http:
        endpoint: 127.0.0.1:PORT
exporters:
  file/metrics:
    path: FOLDER/metrics-PORT.jsonl
    flush_interval: 50ms
  file/logs:
    path: FOLDER/logs-PORT.jsonl
    flush_interval: 50ms
service:
  telemetry:
    metrics:
      level: none
  pipelines:
    metrics:
      receivers: [otlp]
      exporters: [file/metrics]
    logs:
      receivers: [otlp]
      exporters: [file/logs]
";
