use super::made::{SECOND, T0};
use crate::sync::clock::{Clocks, remember};
use crate::telemetry::{Anchor, Stamp};

fn at(boot: u8, seconds: u64) -> Stamp {
    Stamp { boot: [boot; 16], monotonic_ns: seconds * SECOND, ..Stamp::default() }
}

fn anchor(boot: u8, seconds: u64, unix_ns: i64) -> Anchor {
    let stamp = at(boot, seconds);
    Anchor { stamp, monotonic_ns: stamp.monotonic_ns, unix_ns, uncertainty_ns: 0 }
}

#[test]
fn the_latest_anchor_before_a_moment_tells_its_time() {
    let mut clocks = Clocks::default();
    let t0 = T0 as i64;
    clocks.add(&anchor(1, 100, t0));
    // The clock was set forward by an hour in between.
    clocks.add(&anchor(1, 200, t0 + 3700 * SECOND as i64));
    clocks.add(&anchor(2, 0, t0 + 10_000 * SECOND as i64));
    let unix = |boot, seconds| clocks.unix(&at(boot, seconds)).map(|t| (t as i64 - t0) / SECOND as i64);
    assert_eq!(unix(1, 150), Some(50));
    assert_eq!(unix(1, 200), Some(3700));
    assert_eq!(unix(1, 260), Some(3760));
    assert_eq!(unix(1, 40), Some(-60), "the first anchor tells for the time before it");
    assert_eq!(unix(2, 5), Some(10_005));
    let just_before = Stamp { monotonic_ns: 200 * SECOND - 1, ..at(1, 200) };
    assert_eq!(
        clocks.unix(&just_before),
        Some(T0 + 3700 * SECOND - 1),
        "an anchor tells for the moment before it, too"
    );
    assert_eq!(unix(3, 5), None);
}

#[test]
fn a_clock_that_was_not_set_tells_nothing() {
    let mut clocks = Clocks::default();
    clocks.add(&anchor(1, 0, 5 * SECOND as i64));
    clocks.add(&anchor(1, 1, -1));
    assert_eq!(clocks.unix(&at(1, 10)), None);
    clocks.add(&anchor(1, 30, T0 as i64));
    assert_eq!(clocks.unix(&at(1, 10)), Some(T0 - 20 * SECOND));
}

#[test]
fn of_the_last_boots_the_latest_anchor_is_kept() {
    let mut kept = vec![];
    for boot in 1..=6 {
        for second in [0, 10, 20] {
            remember(&mut kept, &anchor(boot, second, T0 as i64));
        }
    }
    remember(&mut kept, &anchor(6, 30, 0));
    let kept: Vec<(u8, u64)> = kept.iter().map(|a| (a.boot[0], a.monotonic / SECOND)).collect();
    assert_eq!(kept, [(3, 20), (4, 20), (5, 20), (6, 20)]);
}
