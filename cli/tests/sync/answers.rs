//! Answers that say something about the receiver, the network or a setting, and nothing about the content.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::device::{DAY, Device, now};
use crate::receiver::{Answer, Receiver};

const WINDOWS: i64 = 6;

/// A device that was offline for six hours, with an alert.
fn device() -> Device<()> {
    let mut device = Device::new(31, now() - DAY);
    (1..=WINDOWS as u64).for_each(|hour| device.window(hour * 3600));
    device.alert();
    device.close()
}

fn sync_to(folder: &Path, endpoint: &str, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_selvedge"))
        .args(["sync", folder.to_str().unwrap(), "--endpoint", endpoint])
        .args(["--interval", "0", "--min-count", "1"])
        .args(if more.contains(&"--attempts") { &[][..] } else { &["--attempts", "1"] })
        .args(more)
        .env("SYNC_TEST_HEADERS", "X-Tenant: seven\n# a comment\n\nX-Key: s3cret\n")
        .output()
        .unwrap()
}

fn sync(device: &Device<()>, receiver: &Receiver, more: &[&str]) -> Output {
    sync_to(device.folder(), &format!("http://127.0.0.1:{}", receiver.port), more)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Everything arrives at a receiver that is well, and nothing was counted as lost.
fn all_is_there(device: &Device<()>, more: &[&str]) {
    let receiver = Receiver::start(|_| Answer::status(200));
    let done = sync(device, &receiver, more);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let totals = receiver.totals();
    assert_eq!(totals["selvedge.windows"], WINDOWS);
    assert!(!totals.contains_key("selvedge.dropped"), "{totals:?}");
    let logs: usize = receiver.all(|request| request.logs().resource_logs.len()).into_iter().sum();
    assert_eq!(logs, 1, "the alert");
}

#[test]
fn what_is_no_refusal_of_content_is_kept() {
    let device = device();
    let statuses = [
        300, 301, 302, 303, 307, 308, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 414, 415, 417, 421,
        423, 424, 425, 426, 428, 429, 431, 451, 500, 501, 502, 503, 504, 505, 507, 508, 511, 520, 599,
    ];
    for status in statuses {
        let receiver =
            Receiver::start(move |_| Answer { headers: "Location: http://127.0.0.1:9/\r\n", ..Answer::status(status) });
        let kept = sync(&device, &receiver, &[]);
        assert_eq!(kept.status.code(), Some(1), "{status}: {kept:?}");
        assert_eq!(receiver.count(), 1, "{status}: it stops");
        let said = stderr(&kept);
        assert!(said.contains(&format!("status {status}: ")) && said.contains("stays in"), "{status}: {said}");
    }
    all_is_there(&device, &[]);
}

#[test]
fn an_answer_that_is_no_receivers_is_kept() {
    let device = device();
    let page = b"<!DOCTYPE html><html><title>Welcome to the hotel</title></html>".to_vec();
    let answers = [
        (200, "text/html; charset=utf-8", page.clone()),
        (200, "text/html", vec![]),
        (200, "", page.clone()),
        (200, "application/x-protobuf", page.clone()),
        (200, "application/x-protobuf", b"\xff\xfe garbage".to_vec()),
        (200, "application/x-protobuf", b"{}".to_vec()),
        // Fields that no answer has.
        (200, "application/x-protobuf", vec![0x7a, 0x02, 0x68, 0x69]),
        (200, "application/json", b"{\"error\": \"sign in\"}".to_vec()),
        (200, "application/json", b"[1, 2".to_vec()),
        (200, "text/plain", b"OK".to_vec()),
        (202, "text/html", page.clone()),
        (400, "text/html", page.clone()),
        (400, "", b"Client sent an HTTP request to an HTTPS server.\n".to_vec()),
    ];
    for (status, kind, body) in answers {
        let what = format!("{status} {kind} {}", String::from_utf8_lossy(&body));
        let receiver = Receiver::start(move |_| Answer { kind, body: body.clone(), ..Answer::status(status) });
        let kept = sync(&device, &receiver, &[]);
        assert_eq!((kept.status.code(), receiver.count()), (Some(1), 1), "{what}: {kept:?}");
        let said = stderr(&kept);
        assert!(said.contains(&format!("status {status}")) && said.contains("check the endpoint"), "{what}: {said}");
    }
    all_is_there(&device, &[]);
}

#[test]
fn an_answer_that_is_a_receivers_is_taken() {
    let answers = [
        ("application/x-protobuf", &b""[..]),
        ("", b""),
        ("text/plain", b""),
        // An empty partial success, as some write it.
        ("application/x-protobuf", b"\x0a\x00"),
        ("application/json", b"{}"),
        ("application/json; charset=utf-8", b"{\"partialSuccess\": {}}"),
    ];
    for (kind, body) in answers {
        let device = device();
        let receiver = Receiver::start(move |_| Answer { kind, body: body.to_vec(), ..Answer::status(200) });
        let done = sync(&device, &receiver, &[]);
        assert_eq!(done.status.code(), Some(0), "{kind} {body:?}: {done:?}");
        assert_eq!(receiver.totals()["selvedge.windows"], WINDOWS);
    }
}

#[test]
fn what_is_too_large_is_split_until_it_fits() {
    for (gzip, most) in [(false, 2000), (true, 1200)] {
        let device = device();
        let receiver = Receiver::start(move |r| Answer::status(if r.body.len() > most { 413 } else { 200 }));
        let done = sync(&device, &receiver, if gzip { &["--gzip"] } else { &[] });
        assert_eq!(done.status.code(), Some(0), "{done:?}");
        let taken = receiver.taken();
        assert!(taken.len() > if gzip { 1 } else { 5 } && taken.iter().all(|bytes| *bytes <= most), "{taken:?}");
        if !gzip {
            let totals = receiver.totals();
            assert_eq!(totals["selvedge.windows"], WINDOWS);
            // Windows, two outcomes, three features with their missing ones; and the alert.
            assert_eq!(receiver.points() as i64, WINDOWS * 9 + 1, "each point is taken once");
        }
    }
}

#[test]
fn only_what_is_too_large_alone_is_lost_and_that_is_counted_and_told() {
    let device = device();
    let receiver = Receiver::start(|r| {
        Answer::status(if r.names().iter().any(|n| n.starts_with("selvedge.feature wind")) { 413 } else { 200 })
    });
    let done = sync(&device, &receiver, &[]);
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    let lost = format!("{WINDOWS} points and log records lost");
    assert!(stderr(&done).contains(&lost), "{done:?}");
    assert_eq!(receiver.points() as i64, WINDOWS * 8 + 1);
}

#[test]
fn a_bad_point_does_not_take_good_ones_with_it() {
    for status in [400, 422] {
        let device = device();
        let receiver = Receiver::start(move |r| {
            Answer::status(if r.names().iter().any(|n| n.starts_with("selvedge.feature rain")) { status } else { 200 })
        });
        let done = sync(&device, &receiver, &[]);
        assert_eq!(done.status.code(), Some(1), "{status}: {done:?}");
        let said = stderr(&done);
        assert!(said.contains(&format!("{WINDOWS} points and log records lost")), "{status}: {said}");
        assert!(said.contains(&format!("/v1/metrics: status {status}: refused")), "{status}: {said}");
        assert_eq!(receiver.points() as i64, WINDOWS * 8 + 1, "{status}");
    }
}

/// The count of what was lost outlives the process and goes out with what comes later.
#[test]
fn a_receiver_that_refuses_all_content_costs_a_bounded_number_of_posts_and_the_loss_is_sent_later() {
    let device = device();
    let receiver =
        Receiver::start(|_| Answer { body: b"unsupported".to_vec(), kind: "text/plain", ..Answer::status(400) });
    let done = sync(&device, &receiver, &[]);
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    let all = WINDOWS * 9 + 1;
    assert!(stderr(&done).contains(&format!("{all} points and log records lost")), "{done:?}");
    assert!(receiver.count() < 60, "{} posts for {all} points", receiver.count());
    let again = sync(&device, &receiver, &[]);
    assert_eq!(again.status.code(), Some(0), "nothing is left: {again:?}");
    let mut device = device.open();
    device.window(7 * 3600);
    let device = device.close();
    let receiver = Receiver::start(|_| Answer::status(200));
    let done = sync(&device, &receiver, &[]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let totals = receiver.totals();
    assert_eq!((totals["selvedge.windows"], totals["selvedge.dropped"]), (WINDOWS + 1, all), "{totals:?}");
}

#[test]
fn a_partial_success_is_counted() {
    for (kind, body) in [
        ("application/x-protobuf", &b"\x0a\x02\x08\x03"[..]),
        ("application/json", b"{\"partialSuccess\":{\"rejectedDataPoints\":\"3\"}}"),
    ] {
        let device = device();
        let receiver = Receiver::start(move |r| {
            let is_metrics = r.target.ends_with("/v1/metrics");
            Answer { kind, body: if is_metrics { body.to_vec() } else { vec![] }, ..Answer::status(200) }
        });
        let done = sync(&device, &receiver, &[]);
        assert_eq!(done.status.code(), Some(1), "{done:?}");
        assert!(stderr(&done).contains("3 points and log records lost"), "{done:?}");
        assert_eq!(receiver.count(), 2, "a partial success is not sent again");
    }
}

#[test]
fn a_retry_after_is_waited_for() {
    static POSTS: AtomicUsize = AtomicUsize::new(0);
    let device = device();
    let receiver = Receiver::start(|_| match POSTS.fetch_add(1, Ordering::Relaxed) {
        0 => Answer { headers: "Retry-After: 1\r\n", ..Answer::status(429) },
        _ => Answer::status(200),
    });
    let done = sync(&device, &receiver, &["--attempts", "2"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert!(["again in 1.", "again in 2.0 s"].iter().any(|wait| stderr(&done).contains(wait)), "{done:?}");
    // Nobody waits for a day.
    let device = self::device();
    let receiver = Receiver::start(|_| Answer { headers: "Retry-After: 86400\r\n", ..Answer::status(503) });
    let kept = sync(&device, &receiver, &["--attempts", "2"]);
    assert_eq!((kept.status.code(), receiver.count()), (Some(1), 1), "{kept:?}");
}

#[test]
fn an_endpoint_with_the_path_of_a_signal_is_the_same_endpoint() {
    for path in [
        "",
        "/",
        "/v1/metrics",
        "/v1/metrics/",
        "/v1/logs",
        "/v1/logs//",
        "/otlp",
        "/otlp/v1/metrics",
        "/otlp/v1/logs?a=b&c=d",
    ] {
        let device = device();
        let receiver = Receiver::start(|_| Answer::status(200));
        let done = sync_to(device.folder(), &format!("http://127.0.0.1:{}{path}", receiver.port), &[]);
        assert_eq!(done.status.code(), Some(0), "{path}: {done:?}");
        let base = if path.starts_with("/otlp") { "/otlp" } else { "" };
        let query = path.split_once('?').map_or_else(String::new, |(_, query)| format!("?{query}"));
        let targets = receiver.all(|request| request.target.clone());
        assert_eq!(targets, [format!("{base}/v1/metrics{query}"), format!("{base}/v1/logs{query}")], "{path}");
    }
}

#[test]
fn an_endpoint_that_is_none_is_refused_before_anything_is_read() {
    let device = device();
    let state = std::fs::read(device.folder().join("sync.state")).unwrap();
    for endpoint in [
        "localhost:4318",
        "127.0.0.1",
        "ftp://127.0.0.1:9",
        "http://",
        "http://:4318",
        "https:///v1/metrics",
        "",
        "http://a b",
        "http://a#b",
    ] {
        let refused = sync_to(device.folder(), endpoint, &[]);
        assert_eq!(refused.status.code(), Some(2), "{endpoint}: {refused:?}");
        let said = stderr(&refused);
        assert!(said.starts_with("error: endpoint: expected ") && said.contains("got '"), "{endpoint}: {said}");
    }
    assert_eq!(std::fs::read(device.folder().join("sync.state")).unwrap(), state);
    all_is_there(&device, &[]);
}

#[test]
fn headers_come_from_the_command_a_file_or_a_variable() {
    let device = device();
    let file = device.folder().join("headers.txt");
    std::fs::write(&file, "# who I am\r\nAuthorization: Bearer t0ken:with colon\r\n\r\n").unwrap();
    let receiver = Receiver::start(|_| Answer::status(200));
    let at = format!("@{}", file.display());
    let done =
        sync(&device, &receiver, &["--header", "X-Plain: one", "--header", &at, "--header-env", "SYNC_TEST_HEADERS"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    receiver.first(|request| {
        for (name, value) in [
            ("x-plain", "one"),
            ("authorization", "Bearer t0ken:with colon"),
            ("x-tenant", "seven"),
            ("x-key", "s3cret"),
        ] {
            assert_eq!(request.headers.get(name).map(|v| &**v), Some(value), "{name}");
        }
    });
    assert!(!stderr(&done).contains("t0ken"), "{done:?}");
}

#[test]
fn a_header_that_is_none_is_refused_and_not_quoted() {
    let device = device();
    let file = device.folder().join("headers.txt");
    let at = format!("@{}", file.display());
    for (text, more) in [
        ("", vec!["--header", "s3cret"]),
        ("", vec!["--header", "s3cret word: x"]),
        ("", vec!["--header", "X-Key: s3cret\u{7}"]),
        ("X-Key: s3cret\ns3cret", vec!["--header", &at]),
        ("# nothing", vec!["--header", &at]),
        ("", vec!["--header", "@/no/such/file"]),
        ("", vec!["--header-env", "SYNC_TEST_NO_SUCH"]),
    ] {
        std::fs::write(&file, text).unwrap();
        let refused = sync_to(device.folder(), "http://127.0.0.1:9", &more);
        assert_eq!(refused.status.code(), Some(2), "{more:?}: {refused:?}");
        let said = stderr(&refused);
        assert!(said.starts_with("error: --header") && !said.contains("s3cret"), "{more:?}: {said}");
    }
    // More than anyone's headers.
    std::fs::write(&file, "X-Key: a\n".repeat(10_000)).unwrap();
    let refused = sync_to(device.folder(), "http://127.0.0.1:9", &["--header", &at]);
    assert!(stderr(&refused).contains("expected at most 65536 bytes"), "{refused:?}");
}
