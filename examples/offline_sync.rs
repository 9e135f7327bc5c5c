//! A device that is offline for a while, and what it posts when it is not.
//!
//! `cargo run -p selvedge-examples --example offline_sync -- FOLDER [http://localhost:4318]`
//!
//! Without an endpoint it records, and shows the batch that would go out. Run it again, with one, and it posts what the
//! earlier runs left in the folder too.

use std::error::Error;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use selvedge::drift::{Profile, WindowCounts};
use selvedge::sync::{
    Batch, Endpoint, Hints, Outbox, OutboxOptions, Privacy, Response, Retry, RetryDecision, retry_after,
};
use selvedge::telemetry::{Inference, Limits, ModelInfo, ModelSlot, Outcome, Record, Telemetry, Window};
use sha2::{Digest, Sha256};
use ureq::Agent;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(folder) = args.first() else { return Err("usage: offline_sync FOLDER [ENDPOINT]".into()) };
    let telemetry = Telemetry::open(folder, Limits::default());

    record(&telemetry)?;
    println!("telemetry: {:?}", telemetry.status());

    // Everything at once, to look at; an app keeps the default.
    let options = OutboxOptions::new("offline-sync").app_version("1.0").privacy(Privacy::NONE);
    let mut outbox = Outbox::open(&telemetry, folder, options)?;
    let hints = Hints::default().offline(args.len() < 2);
    let retry = Retry::default();
    while let Some(batch) = outbox.next_batch(256 << 10)? {
        println!("batch: {batch:?}");
        if retry.begin(hints).is_some() {
            println!("offline: it stays in {folder}");
            break;
        }
        // What is not taken whole goes on in smaller parts, and only what is refused by itself is given up.
        let is_smaller = match post(&Endpoint::parse(&args[1])?, &batch, &retry)? {
            Delivery::Taken { refused: 0 } => {
                outbox.ack(&batch)?;
                continue;
            }
            Delivery::Taken { refused } => {
                outbox.refuse(&batch, refused)?;
                continue;
            }
            Delivery::Later => {
                println!("it stays in {folder}");
                break;
            }
            Delivery::TooLarge => outbox.split(&batch)?,
            Delivery::Refused => outbox.bisect(&batch)?,
        };
        if !is_smaller {
            outbox.refuse(&batch, batch.points + batch.log_records)?;
        }
    }
    Ok(())
}

/// A thousand answers of a model with two features, counted into windows of 256.
fn record(telemetry: &Telemetry) -> selvedge::Result<()> {
    let rows: Vec<[f32; 2]> = (0..2000).map(|i| [(i % 97) as f32, (i % 31) as f32]).collect();
    let profile = Profile::fit().number("wind").number("temperature").of_rows(&rows)?;
    let bytes = profile.encode();
    let info = ModelInfo {
        slot: ModelSlot(1),
        name: "rain".into(),
        version: Some("3".into()),
        digest: [7; 32],
        backend: "tract".into(),
        profile_digest: Sha256::digest(&bytes).into(),
        profile: bytes,
        ..ModelInfo::default()
    };
    telemetry.seal(&Record::Model(info))?;
    for index in 0..4 {
        let opened = telemetry.now();
        for i in 0..256u32 {
            let bins = [profile.features[0].bin((i % 90) as f32), profile.features[1].bin((i % 31) as f32)];
            telemetry.record(&Inference {
                model_slot: ModelSlot(1),
                latency_us: 700 + i,
                bins: &bins,
                ..Inference::default()
            });
        }
        let mut counts = WindowCounts::new(&profile);
        let mut window = Window { model_slot: ModelSlot(1), index, opened, ..Window::default() };
        telemetry.drain(&mut |inference| {
            counts.add_row(inference.bins);
            window.latency.record(inference.latency_us.into());
        });
        (window.rows, window.outcomes) = (counts.rows, vec![(Outcome::default(), counts.rows)]);
        window.features = counts.features;
        window.closed = telemetry.now();
        telemetry.seal(&Record::Window(window))?;
    }
    Ok(())
}

enum Delivery {
    Taken { refused: u64 },
    TooLarge,
    Refused,
    Later,
}

/// Posts both requests of a batch, as often as the policy says.
fn post(endpoint: &Endpoint, batch: &Batch, retry: &Retry) -> Result<Delivery, Box<dyn Error>> {
    let agent: Agent = Agent::config_builder().http_status_as_error(false).max_redirects(0).build().into();
    let mut refused = 0;
    for (path, body) in batch.requests() {
        for attempt in 0.. {
            let mut request = agent.post(endpoint.url(path)).content_type(Batch::CONTENT_TYPE);
            if let Some(encoding) = batch.encoding.header() {
                request = request.header("Content-Encoding", encoding);
            }
            // What came only in part is no answer.
            let answer = request.send(body).ok().and_then(Answer::of).unwrap_or_default();
            let response = Response::new(answer.status)
                .content_type(answer.content_type.as_deref())
                .retry_after(answer.retry_after)
                .body(&answer.body);
            let judged = retry.judge(attempt, path, &response, getrandom::u64()?);
            println!("{path}: {} {}", answer.status, judged.reason);
            match judged.decision {
                RetryDecision::Accepted => {
                    refused += judged.refused;
                    break;
                }
                RetryDecision::Wait(wait) => sleep(wait),
                RetryDecision::Split => return Ok(Delivery::TooLarge),
                RetryDecision::Drop => return Ok(Delivery::Refused),
                _ => return Ok(Delivery::Later),
            }
        }
    }
    Ok(Delivery::Taken { refused })
}

/// What the policy asks about; a status of 0 stands for no answer.
#[derive(Default)]
struct Answer {
    status: u16,
    content_type: Option<String>,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

impl Answer {
    fn of(mut response: ureq::http::Response<ureq::Body>) -> Option<Self> {
        let body = response.body_mut().read_to_vec().ok()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        Some(Self {
            status: response.status().as_u16(),
            content_type: header("content-type").map(str::to_string),
            retry_after: header("retry-after").and_then(|value| retry_after(value, now)),
            body,
        })
    }
}
