//! Outboxes: the bytes are those of the crate's, and so is what becomes of a batch.

use std::io::Read;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use selvedge::Code;
use selvedge::sync::{Encoding, Outbox, OutboxOptions, Privacy};
use selvedge::telemetry::{Limits, Telemetry};

use super::posting::*;
use super::*;

const MANY: usize = 1 << 20;

/// The crate's batches of a copy of the folder: the requests of each, and its id.
fn crates(folder: &Path, options: OutboxOptions) -> Vec<(Vec<Sent>, String)> {
    let folder = copy(folder);
    let telemetry = Telemetry::open(folder.path(), Limits::default());
    let mut outbox = Outbox::open(&telemetry, folder.path(), options).unwrap();
    let mut batches = Vec::new();
    while let Some(batch) = outbox.next_batch(MANY).unwrap() {
        let sent = |(path, body): (&str, &[u8])| Sent {
            path: path.into(),
            content_type: "application/x-protobuf".into(),
            content_encoding: batch.encoding.header().unwrap_or_default().into(),
            body: body.into(),
        };
        batches.push((batch.requests().map(sent).collect(), batch.id_hex()));
        outbox.ack(&batch).unwrap();
    }
    batches
}

/// The same through the ABI.
fn ours(folder: &Path, options: &selvedge_outbox_options) -> Vec<(Vec<Sent>, String)> {
    let folder = copy(folder);
    let post = Post::open(folder.path(), options);
    let mut batches = Vec::new();
    while let Some(batch) = post.next(MANY) {
        batches.push((requests(batch), described(batch)["id"].as_str().unwrap().to_owned()));
        post.ack(batch).unwrap();
        assert_eq!(selvedge_batch_free(batch), SELVEDGE_OK);
    }
    post.close();
    batches
}

fn as_crate() -> OutboxOptions {
    OutboxOptions::new("test").interval(Duration::from_millis(1))
}

#[test]
fn batches_are_those_of_the_crate_in_every_encoding() {
    let folder = folder(3);
    let plain = crates(folder.path(), as_crate().encoding(Encoding::Identity));
    let paths: Vec<&str> = plain[0].0.iter().map(|sent| &*sent.path).collect();
    assert_eq!(paths, ["/v1/metrics", "/v1/logs"]);
    for (number, encoding) in [
        (SELVEDGE_ENCODING_DEFAULT, Encoding::Gzip),
        (SELVEDGE_ENCODING_IDENTITY, Encoding::Identity),
        (SELVEDGE_ENCODING_GZIP, Encoding::Gzip),
        (SELVEDGE_ENCODING_ZSTD, Encoding::Zstd),
    ] {
        let got = ours(folder.path(), &selvedge_outbox_options { encoding: number, ..options() });
        assert_eq!(got, crates(folder.path(), as_crate().encoding(encoding)), "{encoding:?}");
        for (got, plain) in got[0].0.iter().zip(&plain[0].0) {
            let mut decoded = Vec::new();
            match &*got.content_encoding {
                "gzip" => _ = flate2::read::GzDecoder::new(&got.body[..]).read_to_end(&mut decoded).unwrap(),
                "" => decoded.clone_from(&got.body),
                _ => continue,
            }
            assert_eq!(decoded, plain.body, "{encoding:?}");
        }
    }
}

#[test]
fn the_options_are_those_of_the_crate() {
    let folder = folder(3);
    let is_same = |ours_: selvedge_outbox_options, theirs: OutboxOptions| {
        assert_eq!(ours(folder.path(), &ours_), crates(folder.path(), theirs));
    };
    let hourly = selvedge_outbox_options { interval_ms: 0, ..options() };
    is_same(hourly, OutboxOptions::new("test"));
    let pairs = [("region", "eu"), ("channel", "")].map(|(n, v)| selvedge_pair { name: text(n), value: text(v) });
    let named = selvedge_outbox_options {
        app: text("field-notes"),
        app_version: text("2.1"),
        attributes: pairs.as_ptr(),
        attribute_count: 2,
        ..options()
    };
    let theirs =
        OutboxOptions::new("field-notes").app_version("2.1").attribute("region", "eu").attribute("channel", "");
    is_same(named, theirs.interval(Duration::from_millis(1)));
}

#[test]
fn privacy_is_that_of_the_crate() {
    let folder = folder(3);
    let with = |flags, min_count, epsilon| selvedge_outbox_options { flags, min_count, epsilon, ..options() };
    let (exact, any) = (SELVEDGE_OUTBOX_EXACT_COUNTS, SELVEDGE_OUTBOX_ANY_COUNT);
    let default = crates(folder.path(), as_crate());
    let at_once = crates(folder.path(), as_crate().privacy(Privacy::NONE));
    assert_ne!(default, at_once, "the folder has counts of few rows");
    for (given, expected) in [
        (with(0, 0, 0.0), &default),
        (with(0, 10, 0.0), &default),
        (with(exact, 0, 0.5), &default),
        (with(0, 1, 0.0), &at_once),
        (with(any, 0, 0.0), &at_once),
        (with(any, 99, 0.0), &at_once),
        (with(any | exact, 99, 0.5), &at_once),
    ] {
        assert_eq!(&ours(folder.path(), &given), expected, "{given:?}");
    }
    // Of the noise on 64 classes in three windows, some is not zero.
    assert_ne!(ours(folder.path(), &with(any, 0, 0.01)), at_once);
    let telemetry = telemetry(folder.path());
    for epsilon in [-1.0, 1e-4, 101.0, f64::NAN, f64::INFINITY] {
        let (code, message) = open(telemetry, folder.path(), &with(0, 0, epsilon)).unwrap_err();
        assert_eq!(code, Code::InvalidArgument as i32);
        assert!(message.contains("epsilon: expected 0.001 to 100, got"), "{message}");
    }
    assert_eq!(selvedge_telemetry_free(telemetry), SELVEDGE_OK);
}

#[test]
fn a_batch_comes_again_until_it_is_acknowledged() {
    let folder = folder(2);
    let post = Post::open(folder.path(), &options());
    let first = post.next(MANY).unwrap();
    let again = post.next(1).unwrap();
    assert_eq!((requests(first), described(first)), (requests(again), described(again)));
    post.close();
    assert_eq!(requests(first), requests(again), "a batch outlives its outbox");

    let post = Post::open(folder.path(), &options());
    let once_more = post.next(MANY).unwrap();
    assert_eq!(requests(first), requests(once_more), "also after a restart");
    let json = described(once_more);
    assert_eq!((json["id"].as_str().unwrap().len(), &json["log_records"]), (64, &1.into()));
    assert_eq!(post.status()["through"], json["through"]);
    assert!(json["through"]["seq"].as_u64().unwrap() > 0 && json["points"].as_u64().unwrap() > 2, "{json}");

    post.ack(first).expect("the same batch, whichever handle it has");
    post.ack(once_more).expect("acknowledged twice");
    assert_eq!(post.next(MANY), None);
    let other = self::folder(1);
    let stranger = Post::open(other.path(), &options());
    let foreign = stranger.next(MANY).unwrap();
    for refused in
        [post.ack(foreign), post.refuse(foreign, 1), post.split(foreign).map(drop), post.bisect(foreign).map(drop)]
    {
        let (code, message) = refused.unwrap_err();
        assert_eq!(code, Code::InvalidArgument as i32);
        assert!(message.starts_with("batch: expected none, got "), "{message}");
    }
    for batch in [first, again, once_more, foreign] {
        assert_eq!(selvedge_batch_free(batch), SELVEDGE_OK);
    }
    post.close();
    stranger.close();
}

#[test]
fn a_batch_is_split_down_to_what_is_at_fault() {
    let folder = folder(3);
    let post = Post::open(folder.path(), &options());
    let whole = post.next(MANY).unwrap();
    let held = |batch| {
        let json = described(batch);
        json["points"].as_u64().unwrap() + json["log_records"].as_u64().unwrap()
    };
    let all = held(whole);
    assert_eq!(post.split(whole), Ok(1));
    let (mut single, mut seen) = (None, 0);
    while let Some(batch) = post.next(MANY) {
        match held(batch) {
            1 if single.is_none() => {
                assert_eq!(post.split(batch), Ok(0));
                assert_eq!(post.bisect(batch), Ok(0));
                post.refuse(batch, u64::MAX).unwrap();
                (single, seen) = (Some(batch), seen + 1);
            }
            n if single.is_none() => assert_eq!(post.bisect(batch), Ok(i32::from(n > 1))),
            n => {
                post.ack(batch).unwrap();
                seen += n;
            }
        }
    }
    assert_eq!(seen, all, "both halves came, each time");
    assert_eq!(post.status()["refused"], 1, "more than the batch holds is all of it");
    post.close();
}

#[test]
fn a_receiver_that_takes_nothing_is_not_asked_for_ever() {
    let folder = folder(40);
    let post = Post::open(folder.path(), &options());
    let mut refusals = 0;
    loop {
        let batch = post.next(MANY).unwrap();
        if post.bisect(batch) == Ok(0) {
            if described(batch)["points"].as_u64().unwrap() > 1 {
                break;
            }
            post.refuse(batch, 1).unwrap();
        }
        refusals += 1;
    }
    // What could not be divided any more may come after the twentieth.
    assert!((20..30).contains(&refusals), "{refusals}");
    post.close();
}

#[test]
fn the_install_id_is_drawn_anew() {
    let folder = folder(2);
    let post = Post::open(folder.path(), &options());
    let status = post.status();
    assert_eq!((&status["refused"], &status["through"], &status["damage"]), (&0.into(), &().into(), &().into()));
    let batch = post.next(MANY).unwrap();
    let mut out = ptr::null_mut();
    // SAFETY: `out` may be written.
    call(|err| unsafe { selvedge_outbox_reset_install_id(post.outbox, &raw mut out, err) }).unwrap();
    let id = buffer(out);
    assert_eq!((id.len(), id.matches('-').count()), (36, 4), "{id}");
    assert_ne!(status["install_id"], *id);
    assert_eq!(post.status()["install_id"], *id);
    assert_eq!(post.next(MANY), None, "what was on its way is forgotten");
    assert!(post.ack(batch).is_err());
    post.close();
    std::fs::write(folder.path().join("sync.state"), "rubbish").unwrap();
    let post = Post::open(folder.path(), &options());
    assert!(post.status()["damage"].as_str().unwrap().contains("sync.state"), "{}", post.status());
    post.close();
}

/// Judges one answer to the first request.
fn judge(
    post: &Post,
    batch: *const selvedge_batch,
    attempt: u32,
    retry: *const selvedge_retry,
    response: &selvedge_http_response,
) -> (i32, u64, u64, String) {
    let mut judgement = init!(selvedge_judgement { decision: 77 });
    // SAFETY: all live during the call.
    call(|err| unsafe {
        selvedge_outbox_judge(post.outbox, batch, 0, attempt, retry, response, &raw mut judgement, err)
    })
    .unwrap();
    (judgement.decision, judgement.wait_ms, judgement.refused, given(judgement.reason))
}

fn answer(status: u32, content_type: &str, retry_after: &str, body: &[u8]) -> selvedge_http_response {
    let (content_type, retry_after) = (text(content_type), text(retry_after));
    init!(selvedge_http_response {
        status: status,
        content_type: content_type,
        retry_after: retry_after,
        body: body.as_ptr().cast(),
        body_len: body.len()
    })
}

#[test]
fn answers_are_judged() {
    let folder = folder(1);
    let post = Post::open(folder.path(), &options());
    let batch = post.next(MANY).unwrap();
    let one = |attempt, response: &selvedge_http_response| judge(&post, batch, attempt, ptr::null(), response);
    const PROTOBUF: &str = "application/x-protobuf";
    let taken = (SELVEDGE_DECISION_ACCEPTED, 0, 0, String::new());
    assert_eq!(one(1, &answer(200, PROTOBUF, "", b"")), taken);
    assert_eq!(one(1, &answer(204, "", "", b"")), taken);
    let partial = answer(200, PROTOBUF, "", b"\x0a\x07\x08\x03\x12\x03bad");
    assert_eq!(one(1, &partial), (SELVEDGE_DECISION_ACCEPTED, 0, 3, "bad".into()));
    let page = one(1, &answer(200, "text/html", "", b"<html>hotel</html>"));
    assert_eq!(page.0, SELVEDGE_DECISION_LATER);
    assert!(page.3.contains("no answer of a receiver of OTLP of type text/html"), "{page:?}");

    let (decision, wait, _, reason) = one(1, &answer(429, "", "30", b""));
    assert_eq!(decision, SELVEDGE_DECISION_WAIT);
    assert!((30_000..=31_000).contains(&wait), "{wait}");
    assert!(reason.starts_with("status 429: "), "{reason}");
    let later = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(600);
    let (decision, wait, ..) = one(1, &answer(503, "", &http_date(later.as_secs()), b""));
    assert_eq!(decision, SELVEDGE_DECISION_WAIT);
    assert!((500_000..=601_000).contains(&wait), "{wait}");
    assert_eq!(one(1, &answer(503, "", "86400", b"")).0, SELVEDGE_DECISION_LATER);

    let failed = answer(0, "", "", b"");
    let (decision, wait, _, reason) = one(1, &failed);
    assert_eq!(decision, SELVEDGE_DECISION_WAIT);
    assert!(wait <= 1000 && reason.starts_with("no answer came"), "{wait} {reason}");
    assert_eq!((one(7, &failed).0, one(8, &failed).0), (SELVEDGE_DECISION_WAIT, SELVEDGE_DECISION_LATER));
    assert_eq!(one(u32::MAX, &failed).0, SELVEDGE_DECISION_LATER);
    let waits: std::collections::BTreeSet<u64> = (0..64).map(|_| one(7, &failed).1).collect();
    assert!(waits.len() > 32, "waits are drawn by chance: {waits:?}");

    for (status, decision, says) in [
        (401, SELVEDGE_DECISION_LATER, "check the header with the credentials"),
        (500, SELVEDGE_DECISION_LATER, "check its log"),
        (413, SELVEDGE_DECISION_SPLIT, "status 413: "),
        (400, SELVEDGE_DECISION_DROP, "status 400: "),
    ] {
        let (got, wait, refused, reason) = one(1, &answer(status, "text/plain", "", b"no such place"));
        assert_eq!((got, wait, refused), (decision, 0, 0), "{status}");
        assert!(reason.contains(says) && reason.ends_with("(no such place)"), "{reason}");
    }
    assert_eq!(one(1, &answer(400, "text/html", "", b"<html>")).0, SELVEDGE_DECISION_LATER);

    let retry = init!(selvedge_retry { attempts: 2, base_ms: 10, cap_ms: 20 });
    let own = |attempt| judge(&post, batch, attempt, &retry, &failed);
    assert_eq!((own(1).0, own(2).0), (SELVEDGE_DECISION_WAIT, SELVEDGE_DECISION_LATER));
    assert!((0..32).all(|_| own(1).1 <= 10));
    let longest = init!(selvedge_retry { attempts: u32::MAX, base_ms: u64::MAX, cap_ms: u64::MAX });
    assert_eq!(judge(&post, batch, 99, &longest, &failed).0, SELVEDGE_DECISION_WAIT);
    post.close();
}

/// As a server writes a date.
fn http_date(unix: u64) -> String {
    let (days, rest) = (unix / 86_400, unix % 86_400);
    let (mut year, mut day) = (1970, days);
    let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while day >= lengths[month] {
        day -= lengths[month];
        month += 1;
    }
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("Thu, {:02} {} {year} {hour:02}:{minute:02}:{second:02} GMT", day + 1, names[month])
}

#[test]
fn the_network_decides_whether_to_begin() {
    let folder = folder(1);
    let post = Post::open(folder.path(), &options());
    let begin = |retry: *const selvedge_retry, network| {
        let mut judgement = init!(selvedge_judgement { refused: 9, wait_ms: 9 });
        // SAFETY: all live during the call.
        call(|err| unsafe { selvedge_outbox_begin(post.outbox, retry, network, &raw mut judgement, err) }).unwrap();
        assert_eq!((judgement.wait_ms, judgement.refused), (0, 0));
        (judgement.decision, given(judgement.reason))
    };
    let (offline, metered) = (SELVEDGE_NETWORK_OFFLINE, SELVEDGE_NETWORK_METERED);
    let anywhere = init!(selvedge_retry { flags: SELVEDGE_RETRY_ON_METERED });
    let yes = (SELVEDGE_DECISION_ACCEPTED, String::new());
    assert_eq!(begin(ptr::null(), 0), yes);
    assert_eq!(begin(&anywhere, metered), yes);
    let no = |reason: &str| (SELVEDGE_DECISION_LATER, reason.to_owned());
    assert_eq!(begin(&anywhere, offline | metered), no("there is no network"));
    let costs = no("the network costs, and the policy is not to post over one that does");
    assert_eq!(begin(ptr::null(), metered), costs);
    post.close();
}

#[test]
fn options_that_cannot_be_are_refused() {
    let folder = folder(1);
    let telemetry = telemetry(folder.path());
    let refused = |options: &selvedge_outbox_options, what: &str| {
        let (code, message) = open(telemetry, folder.path(), options).unwrap_err();
        assert_eq!(code, Code::InvalidArgument as i32, "{message}");
        assert!(message.contains(what), "{message}");
    };
    refused(&selvedge_outbox_options { app: text(""), ..options() }, "app: expected the name of the app, got none");
    refused(&selvedge_outbox_options { encoding: 4, ..options() }, "selvedge_encoding: 4 has no meaning");
    refused(&selvedge_outbox_options { flags: 4, ..options() }, "the bits 0x4 have no meaning");
    for (names, why) in [
        (&["service.name"][..], "this one is the library's own"),
        (&["selvedge.model.name"], "this one is the library's own"),
        (&[""], "expected a name, got none"),
        (&["a", "b", "a"], "attributes 'a': it is there twice"),
    ] {
        let pairs: Vec<_> = names.iter().map(|name| selvedge_pair { name: text(name), value: text("x") }).collect();
        refused(
            &selvedge_outbox_options { attributes: pairs.as_ptr(), attribute_count: pairs.len(), ..options() },
            why,
        );
    }
    let missing = open(telemetry, &folder.path().join("no/such"), &options()).unwrap_err();
    assert_eq!(missing.0, Code::NotFound as i32, "{}", missing.1);
    let outbox = open(telemetry, folder.path(), &options()).unwrap();
    assert_eq!(open(telemetry, folder.path(), &options()).unwrap_err().0, Code::Busy as i32);
    assert_eq!(selvedge_outbox_free(outbox), SELVEDGE_OK);
    let again = open(telemetry, folder.path(), &options()).expect("the folder is free again");
    assert_eq!(selvedge_outbox_free(again), SELVEDGE_OK);
    assert_eq!(selvedge_telemetry_free(telemetry), SELVEDGE_OK);
}

#[test]
fn what_cannot_be_judged_is_refused() {
    let folder = folder(1);
    let post = Post::open(folder.path(), &options());
    let batch = post.next(MANY).unwrap();
    let fine = answer(200, "", "", b"");
    let refused = |code, index, attempt, retry: &selvedge_retry, response: &selvedge_http_response| {
        let mut judgement = init!(selvedge_judgement { decision: 77, refused: 77 });
        // SAFETY: all live during the call.
        let message = refused(code, |err| unsafe {
            selvedge_outbox_judge(post.outbox, batch, index, attempt, retry, response, &raw mut judgement, err)
        });
        assert_eq!((judgement.decision, judgement.refused), (SELVEDGE_DECISION_NONE, 0));
        message
    };
    let default = init!(selvedge_retry {});
    assert_eq!(refused(Code::NotFound, 2, 1, &default, &fine), "request 2: the batch has 2");
    refused(Code::NotFound, usize::MAX, 1, &default, &fine);
    assert_eq!(refused(Code::InvalidArgument, 0, 0, &default, &fine), "attempt: expected 1 or more, got 0");
    for status in [1000, 65_736, u32::MAX] {
        let message = refused(Code::InvalidArgument, 0, 1, &default, &answer(status, "", "", b""));
        assert_eq!(message, format!("selvedge_http_response.status: expected at most 999, got {status}"));
    }
    let flagged = init!(selvedge_retry { flags: 2 });
    assert!(refused(Code::InvalidArgument, 0, 1, &flagged, &fine).contains("selvedge_retry.flags"));
    let reserved = selvedge_http_response { reserved: 1, ..fine };
    assert!(refused(Code::InvalidArgument, 0, 1, &default, &reserved).contains("reserved"));
    let bad = selvedge_text { data: b"\xff".as_ptr().cast(), len: 1 };
    let latin = selvedge_http_response { retry_after: bad, ..fine };
    assert!(refused(Code::InvalidArgument, 0, 1, &default, &latin).contains("retry_after: expected UTF-8"));
    let mut judgement = init!(selvedge_judgement {});
    // SAFETY: all live during the call.
    let message = super::refused(Code::InvalidArgument, |err| unsafe {
        selvedge_outbox_begin(post.outbox, ptr::null(), 4, &raw mut judgement, err)
    });
    assert_eq!(message, "network: the bits 0x4 have no meaning in this version of the library");
    let (code, message) = request(batch, 2).unwrap_err();
    assert_eq!((code, &*message), (Code::NotFound as i32, "request 2: the batch has 2"));
    post.close();
}

#[test]
fn a_second_thread_is_told_that_the_outbox_is_busy() {
    let folder = folder(1);
    let post = Post::open(folder.path(), &options());
    let outbox = Shared(post.outbox);
    let reset = move || {
        let mut out = ptr::null_mut();
        // SAFETY: `out` may be written.
        let status = unsafe { selvedge_outbox_reset_install_id(outbox.get(), &raw mut out, ptr::null_mut()) };
        assert_eq!(out.is_null(), status != SELVEDGE_OK);
        assert_eq!(selvedge_buffer_free(out), SELVEDGE_OK);
        status
    };
    // Each writes a file; sooner or later both want to at once, and one of them is told so.
    let busy = selvedge_status(Code::Busy as i32);
    let told = std::sync::atomic::AtomicBool::new(false);
    let begun = std::time::Instant::now();
    let until_told = || {
        while !told.load(std::sync::atomic::Ordering::Relaxed) {
            assert!(begun.elapsed() < Duration::from_secs(120), "both go on for ever");
            match reset() {
                SELVEDGE_OK => {}
                status => {
                    assert_eq!(status, busy);
                    told.store(true, std::sync::atomic::Ordering::Relaxed);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(until_told);
        scope.spawn(until_told);
    });
    assert_eq!(reset(), SELVEDGE_OK, "free again");
    post.close();
}
