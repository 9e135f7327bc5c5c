//! Threads that the system does not start: fewer compute, or the open is refused. ONNX Runtime would wait for them for ever.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::fixture::{data, inputs, library, options};
use crate::{Ask, Code};

const CHILD: &str = "SELVEDGE_TEST_ORT_THREADS";
/// In place of a hang.
const WATCHDOG: Duration = Duration::from_secs(300);

/// A child under a limit of address space: 512 threads want 4 GiB for their stacks.
#[test]
fn threads_that_do_not_start_are_not_waited_for() {
    if library().is_none() {
        return;
    }
    for kib in [1_500_000, 3_000_000] {
        let mut child = Command::new("sh")
            .args(["-c", &format!("ulimit -v {kib} && exec \"$0\" \"$@\"")])
            .arg(std::env::current_exe().unwrap())
            .args(["backend::ort::tests::threads::a_child_opens", "--exact", "--nocapture"])
            .env(CHILD, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if began.elapsed() > WATCHDOG {
                child.kill().unwrap();
                panic!("{kib} KiB: still at it after {WATCHDOG:?}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stdout);
        assert!(ended.status.success() && said.contains("@@ done"), "{kib} KiB: {}: {said}", ended.status);
    }
}

/// The child's side.
#[test]
fn a_child_opens() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    assert!(crate::threads::startable(512, 0) < 512);
    match crate::open(data("linear.onnx"), options().unwrap().threads(512)) {
        Ok(engine) => assert!(engine.run(inputs("linear.onnx")).is_ok()),
        Err(error) => assert_eq!(error.code(), Code::OutOfMemory, "{error}"),
    }
    println!("\n@@ done");
}
