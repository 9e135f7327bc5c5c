//! Kills at any moment, from outside: never a healthy model on a lower rung, never a bad one that costs more than two starts.
//! 100 kills, or 2,000 with `SELVEDGE_LONG=1`.

use std::time::Duration;

use crate::child::Order;
use crate::random::splitmix64;

fn kills() -> usize {
    if std::env::var_os("SELVEDGE_LONG").is_some() { 2000 } else { 100 }
}

/// Kills a start after up to so many microseconds; whether it lived so long.
fn kill_at_random(order: &Order, most: u64, random: &mut u64) -> bool {
    let mut child = order.spawn();
    std::thread::sleep(Duration::from_micros(splitmix64(random) % most));
    let signal = if splitmix64(random).is_multiple_of(2) { libc::SIGKILL } else { libc::SIGTERM };
    // SAFETY: the child is ours and has not been waited for.
    unsafe { libc::kill(child.id().cast_signed(), signal) };
    use std::os::unix::process::ExitStatusExt;
    child.wait().unwrap().signal() == Some(signal)
}

#[test]
fn a_healthy_model_is_opened_as_asked_after_any_number_of_kills() {
    let folder = tempfile::tempdir().unwrap();
    let order = Order::new(folder.path());
    let begun = std::time::Instant::now();
    assert!(order.run().is_well());
    let most = u64::try_from(begun.elapsed().as_micros()).unwrap().max(1000);
    let (mut random, mut killed) = (7, 0);
    for n in 0..kills() {
        killed += usize::from(kill_at_random(&order, most, &mut random));
        if n % 20 == 19 {
            let ended = order.run();
            assert!(ended.is_well() && !ended.choice().unwrap().contains("rung"), "after {n}: {ended:?}");
        }
    }
    assert_eq!(order.record().entries().unwrap(), []);
    assert!(killed > kills() / 4, "{killed} kills came before the end");
    assert!(order.run().is_well());
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.len() <= 2, "marks are left: {names:?}");
}

#[test]
fn a_bad_model_costs_two_starts_whatever_is_killed_between() {
    let (mut random, mut left) = (11, kills() / 10);
    while left > 0 {
        let folder = tempfile::tempdir().unwrap();
        let when = ["load", "first", "later"][left % 3];
        let order = Order::dying(folder.path(), when, "fuse abort");
        let mut lost = 0;
        loop {
            if splitmix64(&mut random).is_multiple_of(2) && left > 0 {
                left -= 1;
                kill_at_random(&order, 20_000, &mut random);
                // Of those that it was too late to kill, some were lost to the model.
                lost = order.record().entries().unwrap().iter().map(|entry| entry.deaths.len()).sum();
            }
            let ended = order.run();
            if ended.refused().is_some() {
                break;
            }
            assert_eq!(ended.signal(), Some(6), "{ended:?}");
            lost += 1;
            assert!(lost <= 2, "{lost} starts were lost");
        }
        assert_eq!(order.record().entries().unwrap()[0].deaths.len(), 2);
    }
}

/// Several processes at the same time, with the same folder and model.
#[test]
fn starts_at_the_same_time_do_not_take_each_other_for_dead() {
    let folder = tempfile::tempdir().unwrap();
    let order = Order::new(folder.path());
    for _ in 0..3 {
        let children: Vec<_> = (0..6).map(|_| order.spawn()).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success() && said.contains("DONE") && !said.contains("LOG"), "{said}");
            assert!(!said.contains("rung"), "{said}");
        }
    }
    assert_eq!(order.record().entries().unwrap(), []);
}
