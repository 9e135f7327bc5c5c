use std::time::Duration;

use crate::sync::{Hints, Judgement, Response, Retry, RetryDecision, retry_after};

const MAX: u64 = u64::MAX;

fn waits(retry: &Retry, attempt: u32, random: u64) -> Duration {
    match retry.next(attempt, 503, None, random) {
        RetryDecision::Wait(wait) => wait,
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_passing_failures_are_tried_again_and_only_refused_content_is_given_up() {
    let retry = Retry::default();
    for status in 1..=999 {
        let expected = match status {
            200..=299 => RetryDecision::Accepted,
            408 | 425 | 429 | 502 | 503 | 504 => RetryDecision::Wait(Duration::ZERO),
            413 => RetryDecision::Split,
            400 | 422 => RetryDecision::Drop,
            _ => RetryDecision::Later,
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

fn judged(response: Response<'_>) -> Judgement {
    Retry::default().attempts(1).judge(0, "/v1/metrics", &response, 0)
}

#[test]
fn what_is_kept_says_what_to_check() {
    for (status, check) in [
        (301, "give the address that it redirects to"),
        (401, "check the header with the credentials"),
        (403, "check their rights"),
        (404, "check the path of the endpoint"),
        (407, "a proxy asks"),
        (415, "check the compression"),
        (421, "another host answered"),
        (429, "check its limits"),
        (500, "check its log"),
        (503, "check that it runs"),
        (511, "sign in there"),
    ] {
        let Judgement { decision, refused, reason } = judged(Response::new(status).body(b"no\x07 such\tplace\n"));
        assert_eq!((decision, refused), (RetryDecision::Later, 0), "{status}");
        assert!(reason.starts_with(&format!("status {status}: ")) && reason.contains(check), "{reason}");
        assert!(reason.ends_with(" (no such place)"), "{reason}");
    }
    let none = judged(Response::none());
    assert_eq!(none.decision, RetryDecision::Later);
    assert!(none.reason.starts_with("no answer came: check the network"), "{none:?}");
    let long = "x".repeat(100_000);
    assert!(judged(Response::new(404).body(long.as_bytes())).reason.len() < 400);
}

#[test]
fn a_success_is_one_only_with_the_body_of_a_receiver() {
    const PROTOBUF: &str = "application/x-protobuf";
    let page = b"<html>Welcome</html>";
    let is_taken = |kind: Option<&'static str>, body: &[u8]| {
        let judged = judged(Response::new(200).content_type(kind).body(body));
        match judged.decision {
            RetryDecision::Accepted => true,
            RetryDecision::Later => false,
            other => panic!("{other:?}"),
        }
    };
    for (kind, body) in [
        (None, &b""[..]),
        (Some(PROTOBUF), b""),
        (Some("text/plain; charset=utf-8"), b""),
        (Some(PROTOBUF), b"\x0a\x00"),
        (None, b"\x0a\x02\x08\x03"),
        (Some("Application/JSON;charset=utf-8"), b" { } "),
        (Some("application/json"), b"{\"partialSuccess\":null}"),
    ] {
        assert!(is_taken(kind, body), "{kind:?} {body:?}");
    }
    for (kind, body) in [
        (Some("text/html"), &b""[..]),
        (Some("text/html"), page),
        (None, page),
        (None, b"\n  <!doctype html>"),
        (Some(PROTOBUF), page),
        (Some(PROTOBUF), b"{}"),
        (Some(PROTOBUF), b"OK\n"),
        (Some(PROTOBUF), b"\x0a\x05\x08\x03"),
        (Some(PROTOBUF), b"\x7a\x02hi"),
        (Some("text/plain"), b"OK"),
        (Some("application/json"), b"{\"error\":\"sign in\"}"),
        (Some("application/json"), b"{\"partialSuccess\":7}"),
        (Some("application/json"), b"null"),
        (Some("application/json"), b"\x0a\x00"),
    ] {
        assert!(!is_taken(kind, body), "{kind:?} {body:?}");
    }
    let json = br#"{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"too old"}}"#;
    let partial = judged(Response::new(200).content_type("application/json").body(json));
    assert_eq!((partial.decision, partial.refused, &*partial.reason), (RetryDecision::Accepted, 3, "too old"));
    let partial = judged(Response::new(200).content_type(PROTOBUF).body(b"\x0a\x02\x08\x03"));
    assert_eq!((partial.decision, partial.refused), (RetryDecision::Accepted, 3));
}

/// A proxy, or a server of TLS that was spoken to in the clear, says 400 without having read anything.
#[test]
fn a_refusal_is_one_only_by_who_read_the_content() {
    let decision = |kind: Option<&'static str>, body: &'static [u8]| {
        judged(Response::new(400).content_type(kind).body(body)).decision
    };
    assert_eq!(decision(Some("application/x-protobuf"), b"\x08\x03\x12\x03bad"), RetryDecision::Drop);
    assert_eq!(decision(None, b""), RetryDecision::Drop);
    assert_eq!(decision(Some("text/plain"), b"unsupported path requested"), RetryDecision::Drop);
    assert_eq!(decision(Some("text/html"), b"<html><h1>400 Bad Request"), RetryDecision::Later);
    assert_eq!(decision(None, b"Client sent an HTTP request to an HTTPS server.\n"), RetryDecision::Later);
}
