//! `selvedge sync` against real receivers, an OpenTelemetry Collector and a VictoriaMetrics: those of `tests/sync`, with
//! its device. What those two never answer, a receiver of the test's own does.

mod answers;
#[path = "../../../tests/sync/collector.rs"]
#[allow(dead_code, reason = "the library's tests need the rest of it")]
mod collector;
#[path = "../../../tests/sync/device.rs"]
#[allow(dead_code, reason = "the library's tests need the rest of it")]
mod device;
#[path = "../../../tests/sync/http.rs"]
#[allow(dead_code, reason = "the library's tests need the rest of it")]
mod http;
#[path = "../../../src/sync/otlp.rs"]
#[allow(dead_code, reason = "a test reads a part of the messages")]
mod otlp;
#[path = "../../../tests/sync/process.rs"]
mod process;
#[path = "../../../tests/sync/received.rs"]
#[allow(dead_code, reason = "the library's tests need the rest of it")]
mod received;
mod receiver;
#[path = "../../../tests/sync/victoria_metrics/server.rs"]
#[allow(dead_code, reason = "the library's tests need the rest of it")]
mod server;
#[path = "../../../tests/sync/victoria_metrics/stored.rs"]
#[allow(dead_code, reason = "the library's tests need the rest of it")]
mod stored;

use collector::Collector;
use device::{DAY, Device, now};
use received::check;
use server::{KEEP, Server};
use stored::check_features;

#[test]
fn the_command_posts_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let Some(collector) = Collector::start(folder.path()) else { return };
    let mut device = Device::new(6, now() - DAY);
    (1..=10).for_each(|hour| device.window(hour * 3600));
    device.alert();
    let device = device.close();
    let sync = |port: u16| {
        std::process::Command::new(env!("CARGO_BIN_EXE_selvedge"))
            .args(["sync", device.folder().to_str().unwrap(), "--endpoint", &format!("http://127.0.0.1:{port}/")])
            .args(["--gzip", "--interval", "0", "--min-count", "1", "--attempts", "2", "--max-bytes", "40000"])
            .output()
            .unwrap()
    };
    // Port 9, discard, is nobody's here: the batch stays.
    let refused = sync(9);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let done = sync(collector.port);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    check(&device, folder.path());
    let nothing = std::process::Command::new(env!("CARGO_BIN_EXE_selvedge"))
        .args(["sync", "/no/such/folder", "--endpoint", "http://127.0.0.1:9"])
        .output()
        .unwrap();
    assert_eq!(nothing.status.code(), Some(2), "{nothing:?}");
}

/// VictoriaMetrics has no place for alerts, and refuses them.
#[test]
fn the_command_posts_a_folder_to_victoria_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(folder.path(), &[KEEP]) else { return };
    let mut device = Device::new(20, now() - DAY);
    (1..=10).for_each(|hour| device.window(hour * 3600));
    device.alert();
    let device = device.close();
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_selvedge"))
        .args(["sync", device.folder().to_str().unwrap()])
        .args(["--endpoint", &format!("http://127.0.0.1:{}/opentelemetry", server.port)])
        .args(["--gzip", "--interval", "0", "--min-count", "1", "--attempts", "2"])
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(1), "something was refused: {done:?}");
    assert!(String::from_utf8_lossy(&done.stderr).contains("/v1/logs: status 400: refused"), "{done:?}");
    check_features(&server.stored(), device.expected());
}
