use std::time::Duration;

use crate::sync::{Hints, Retry, RetryDecision, retry_after};

const MAX: u64 = u64::MAX;

fn waits(retry: &Retry, attempt: u32, random: u64) -> Duration {
    match retry.next(attempt, 503, None, random) {
        RetryDecision::Wait(wait) => wait,
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_passing_failures_are_tried_again() {
    let retry = Retry::default();
    for status in 100..=599 {
        let expected = match status {
            200..=299 => RetryDecision::Accepted,
            429 | 502 | 503 | 504 => RetryDecision::Wait(Duration::ZERO),
            _ => RetryDecision::Drop,
        };
        assert_eq!(retry.next(0, status, None, 0), expected, "{status}");
    }
    assert_eq!(retry.next(0, 0, None, 0), RetryDecision::Wait(Duration::ZERO));
    assert_eq!(retry.next(7, 503, None, 0), RetryDecision::Later);
    assert_eq!(retry.next(u32::MAX, 0, None, 0), RetryDecision::Later);
    assert_eq!(retry.next(7, 200, None, 0), RetryDecision::Accepted);
}

#[test]
fn the_bound_doubles_up_to_the_cap_and_the_wait_is_uniform_below_it() {
    let retry = Retry { attempts: u32::MAX, ..Retry::default() };
    for (attempt, bound) in [(0, 1), (1, 2), (4, 16), (8, 256), (9, 300), (31, 300), (32, 300), (4000, 300)] {
        assert_eq!(waits(&retry, attempt, MAX), Duration::from_secs(bound), "{attempt}");
        assert_eq!(waits(&retry, attempt, 0), Duration::ZERO);
        let quarter = waits(&retry, attempt, MAX / 4).as_secs_f64();
        assert!((quarter - bound as f64 / 4.0).abs() < 1e-6, "{attempt}: {quarter}");
    }
}

#[test]
fn a_told_wait_is_a_floor() {
    let reported = Some(Duration::from_secs(3600));
    for (random, expected) in [(0, 3600), (MAX, 3601)] {
        let decision = Retry::default().next(0, 429, reported, random);
        assert_eq!(decision, RetryDecision::Wait(Duration::from_secs(expected)));
    }
    assert_eq!(Retry::default().next(0, 400, reported, 0), RetryDecision::Drop);
}

#[test]
fn hints_hold_a_batch_back() {
    let retry = Retry::default();
    assert_eq!(retry.begin(Hints::default()), None);
    assert_eq!(retry.begin(Hints { offline: true, ..Hints::default() }), Some(RetryDecision::Later));
    let metered = Hints { metered: true, ..Hints::default() };
    assert_eq!(retry.begin(metered), Some(RetryDecision::Later));
    assert_eq!(Retry { on_metered: true, ..retry }.begin(metered), None);
}

#[test]
fn no_process_waits_for_hours() {
    let retry = Retry::default();
    for reported in [3601, 86_400, u64::MAX] {
        assert_eq!(
            retry.next(0, 503, Some(std::time::Duration::from_secs(reported)), 0),
            RetryDecision::Later,
            "{reported} s"
        );
    }
}

#[test]
fn a_retry_after_is_seconds_or_a_date() {
    let seconds = |n| Some(Duration::from_secs(n));
    assert_eq!(retry_after(" 120 ", 0), seconds(120));
    // The example of RFC 9110, 10.2.3, and dates around leap days; the numbers are those of `date -u +%s`.
    assert_eq!(retry_after("Fri, 31 Dec 1999 23:59:59 GMT", 946_684_790), seconds(9));
    assert_eq!(retry_after("Tue, 29 Feb 2028 12:00:00 GMT", 0), seconds(1_835_438_400));
    assert_eq!(retry_after("Wed, 01 Mar 2028 00:00:00 GMT", 0), seconds(1_835_481_600));
    assert_eq!(retry_after("Fri, 31 Dec 1999 23:59:59 GMT", 1_700_000_000), seconds(0));
    for bad in ["", "-1", "soon", "1.5", "Fri, 31 Dec 1999 23:59:59", "Fri, 31 Foo 1999 23:59:59 GMT", "a b c d e GMT"]
    {
        assert_eq!(retry_after(bad, 0), None, "{bad}");
    }
}
