//! The Collector as a child process.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

pub(crate) struct Collector {
    child: Child,
    pub(crate) port: u16,
}

impl Collector {
    /// Starts one that writes `metrics-PORT.jsonl` and `logs-PORT.jsonl` into the folder. `None` without a binary.
    pub(crate) fn start(folder: &Path) -> Option<Self> {
        let Some(binary) = binary() else {
            println!("note: no Collector (tests/run builds one); skipped");
            return None;
        };
        // Between our look for a free port and its use another process may take it.
        (0..5).find_map(|_| Self::try_start(&binary, folder)).or_else(|| panic!("the Collector ended five times"))
    }

    fn try_start(binary: &Path, folder: &Path) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = folder.join(format!("config-{port}.yaml"));
        fs::write(&config, CONFIG.replace("PORT", &port.to_string()).replace("FOLDER", folder.to_str().unwrap()))
            .unwrap();
        let log = fs::File::create(folder.join(format!("collector-{port}.log"))).unwrap();
        let mut child = Command::new(binary);
        child.arg("--config").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut collector = Self { child: child.spawn().unwrap(), port };
        let listens = wait(|| {
            if let Some(status) = collector.child.try_wait().unwrap() {
                let log = fs::read_to_string(folder.join(format!("collector-{port}.log"))).unwrap();
                println!("the Collector ended with {status}:\n{log}");
                return Some(false);
            }
            let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
            // Where nobody listens, a port of the range for callers may be connected with itself.
            (stream.local_addr().ok()? != stream.peer_addr().ok()?).then_some(true)
        });
        listens.then_some(collector)
    }

    /// SIGKILL: it gets no chance to finish anything.
    pub(crate) fn kill(self) {}
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
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

fn binary() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("SELVEDGE_COLLECTOR") {
        let named = PathBuf::from(named);
        assert!(named.is_file(), "SELVEDGE_COLLECTOR: no file {}", named.display());
        return Some(named);
    }
    // The package that runs this may lie in a folder of the repository.
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    folders.map(|folder| folder.join("target/collector")).find(|built| built.is_file())
}

/// Asks until there is an answer. It is a hang, and not slowness, that ends it.
pub(crate) fn wait<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(300), "it did not come");
        sleep(Duration::from_millis(20));
    }
}
