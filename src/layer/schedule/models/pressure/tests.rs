//! Tests of the look at pressure: on files like those of the kernel.

use std::fs;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::*;

fn line(kind: &str, total: u64) -> String {
    format!("{kind} avg10=0.00 avg60=0.01 avg300=0.00 total={total}\n")
}

fn system(some: u64, full: u64) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("proc/pressure")).unwrap();
    tell(&root, "proc/pressure/memory", some, full);
    root
}

fn tell(root: &tempfile::TempDir, file: &str, some: u64, full: u64) {
    fs::write(root.path().join(file), line("some", some) + &line("full", full)).unwrap();
}

#[test]
fn the_share_of_the_time_between_two_looks_counts() {
    let root = system(5_000_000, 1_000_000);
    let mut stalls = Stalls::of_system(root.path()).unwrap();
    let mut now = stalls.looked;
    let mut after = |some, full| {
        tell(&root, "proc/pressure/memory", some, full);
        now += Duration::from_secs(2);
        stalls.look(now)
    };
    // 2 s are 2,000,000 µs: a tenth is 200,000.
    assert_eq!(after(5_199_999, 1_000_000), None);
    assert_eq!(after(5_400_000, 1_100_000), Some(Pressure::Warning));
    assert_eq!(after(5_800_000, 1_300_000), Some(Pressure::Critical));
    assert_eq!(after(5_800_000, 1_300_000), None);
    // A counter that began anew is no pressure.
    assert_eq!(after(7, 3), None);
}

#[test]
fn the_worse_of_machine_and_control_group_counts() {
    let root = system(0, 0);
    fs::create_dir_all(root.path().join("proc/self")).unwrap();
    fs::create_dir_all(root.path().join("sys/fs/cgroup/app.slice")).unwrap();
    fs::write(root.path().join("proc/self/cgroup"), "4:memory:/old\n0::/app.slice\n").unwrap();
    tell(&root, "sys/fs/cgroup/app.slice/memory.pressure", 0, 0);
    let mut stalls = Stalls::of_system(root.path()).unwrap();
    tell(&root, "sys/fs/cgroup/app.slice/memory.pressure", 900_000, 0);
    let now = stalls.looked + Duration::from_secs(1);
    assert_eq!(stalls.look(now), Some(Pressure::Warning));
    // The group may go; the machine is still there.
    fs::remove_file(root.path().join("sys/fs/cgroup/app.slice/memory.pressure")).unwrap();
    tell(&root, "proc/pressure/memory", 900_000, 900_000);
    assert_eq!(stalls.look(now + Duration::from_secs(1)), Some(Pressure::Critical));
}

#[test]
fn a_system_that_does_not_tell_is_unsupported() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(Stalls::of_system(root.path()).err().unwrap().code(), Code::Unsupported);
    for text in ["", "some total=", "full avg10=0.00 total=4", "some avg10=0.00 total=-1"] {
        assert_eq!(Totals::parse(text), None, "{text:?}");
    }
    // As kernels before 5.13 tell of processors.
    assert_eq!(Totals::parse(&line("some", 9)), Some(Totals { some: 9, full: 0 }));
}

#[test]
fn the_watch_tells_and_ends_when_dropped() {
    let root = system(0, 0);
    let stalls = Stalls::of_system(root.path()).unwrap();
    let (tell_us, told) = channel();
    let watch = PressureWatch::of(stalls, Duration::from_millis(1), move |pressure| _ = tell_us.send(pressure));
    // More than any time that passes until then.
    tell(&root, "proc/pressure/memory", u64::MAX / 2, 0);
    assert_eq!(told.recv().unwrap(), Pressure::Warning);
    drop(watch.unwrap());
    assert!(told.try_iter().count() < 2 && told.recv().is_err(), "the thread is gone");
    let long = PressureWatch::of(Stalls::of_system(root.path()).unwrap(), Duration::from_secs(3600), |_| {}).unwrap();
    let began = Instant::now();
    drop(long);
    assert!(began.elapsed() < Duration::from_secs(1800), "it waited for the next look");
}
