//! `selvedge sync`: posts a telemetry folder's batches. The library opens no socket; this does.

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use selvedge::sync::{
    Batch, Encoding, Outbox, OutboxOptions, Privacy, Retry, RetryDecision, partial_success, retry_after,
};
use selvedge::telemetry::{Limits, Mode, Telemetry};
use ureq::Agent;

use crate::{NO, Outcome};

/// Posts what a telemetry folder holds to an OpenTelemetry Collector, or any receiver of OTLP over HTTP.
///
/// A batch leaves the folder only when the receiver has it. What cannot be posted now stays for the next run. No app may
/// have the folder open meanwhile.
#[derive(Args)]
pub(crate) struct Sync {
    /// The telemetry folder.
    folder: PathBuf,
    /// Where to post: http://localhost:4318 becomes http://localhost:4318/v1/metrics and …/v1/logs.
    #[arg(long, value_name = "URL")]
    endpoint: String,
    /// A header of each request, such as 'Authorization: Bearer …'. May be given more than once.
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// The app that the telemetry is of: service.name.
    #[arg(long, default_value = "selvedge")]
    app: String,
    /// The app's version: service.version.
    #[arg(long)]
    app_version: Option<String>,
    /// Compress bodies with gzip.
    #[arg(long)]
    gzip: bool,
    /// The most bytes of a batch before compression.
    #[arg(long, default_value_t = 1 << 20, value_name = "N")]
    max_bytes: usize,
    /// Tell totals at most once in so many seconds of recorded time; 0 tells every window.
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    interval: u64,
    /// Hold the growth of a bin back until it is so many rows; 1 tells everything.
    #[arg(long, default_value_t = Privacy::default().min_count, value_name = "ROWS")]
    min_count: u64,
    /// Blur bins with Laplace noise of this ε before anything is stored or sent.
    #[arg(long, value_name = "E")]
    epsilon: Option<f64>,
    /// Attempts per batch until it is left for another time.
    #[arg(long, default_value_t = Retry::default().attempts, value_name = "N")]
    attempts: u32,
    /// Post one batch and stop.
    #[arg(long)]
    once: bool,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected NAME: VALUE")?;
    Ok((name.trim().into(), value.trim().into()))
}

impl Sync {
    pub(crate) fn run(self) -> Outcome {
        if !self.folder.is_dir() {
            return Err(format!("{}: no such folder", self.folder.display()).into());
        }
        let telemetry = Telemetry::open(&self.folder, Limits::default());
        if let Mode::Counting { why } = telemetry.status().mode {
            return Err(format!("{}: {why}", self.folder.display()).into());
        }
        let mut outbox = Outbox::open(&telemetry, &self.folder, self.options())?;
        if let Some(damage) = outbox.damage() {
            eprintln!("note: {damage}; counting begins anew");
        }
        let mut exit = ExitCode::SUCCESS;
        let poster = Poster::new(&self.endpoint, &self.header, Retry::default().attempts(self.attempts));
        while let Some(batch) = outbox.next_batch(self.max_bytes)? {
            let bytes = batch.metrics.len() + batch.logs.len();
            let what = format!("{} records, {} points, {} logs", batch.records, batch.points, batch.log_records);
            println!("{}  {what}, {bytes} bytes", &batch.id_hex()[..12]);
            match poster.deliver(&batch) {
                Delivery::Later => {
                    eprintln!("note: the receiver does not answer; the batch stays for another time");
                    return Ok(ExitCode::from(NO));
                }
                Delivery::Done { refused: 0 } => outbox.ack(&batch)?,
                Delivery::Done { refused } => {
                    outbox.refuse(&batch, refused)?;
                    exit = ExitCode::from(NO);
                }
            }
            if self.once {
                break;
            }
        }
        Ok(exit)
    }

    fn options(&self) -> OutboxOptions {
        let mut options = OutboxOptions::new(&self.app)
            .encoding(if self.gzip { Encoding::Gzip } else { Encoding::Identity })
            .interval(Duration::from_secs(self.interval))
            .privacy(Privacy::default().min_count(self.min_count).epsilon(self.epsilon));
        options.app_version = self.app_version.clone();
        options
    }
}

struct Poster<'a> {
    agent: Agent,
    endpoint: &'a str,
    headers: &'a [(String, String)],
    retry: Retry,
}

enum Delivery {
    /// The receiver has all of it but for what it refused.
    Done { refused: u64 },
    /// It could not be reached, or has no room now.
    Later,
}

struct Answer {
    status: u16,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

impl<'a> Poster<'a> {
    fn new(endpoint: &'a str, headers: &'a [(String, String)], retry: Retry) -> Self {
        let config = Agent::config_builder()
            // The status is for the policy to judge, and a redirected POST would lose its body.
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_global(Some(Duration::from_secs(60)));
        Self { agent: config.build().new_agent(), endpoint: endpoint.trim_end_matches('/'), headers, retry }
    }

    fn deliver(&self, batch: &Batch) -> Delivery {
        let mut refused = 0;
        for (path, body) in batch.requests() {
            match self.request(batch, path, body) {
                Some(count) => refused += count,
                None => return Delivery::Later,
            }
        }
        Delivery::Done { refused }
    }

    /// How much of the request the receiver refused, or `None` if it is to be made another time.
    fn request(&self, batch: &Batch, path: &str, body: &[u8]) -> Option<u64> {
        for attempt in 0.. {
            let answer = self.post(batch, path, body);
            // Without random numbers the wait is the longest one, which is no reason to fail.
            let random = getrandom::u64().unwrap_or(u64::MAX);
            match self.retry.next(attempt, answer.status, answer.retry_after, random) {
                RetryDecision::Accepted => {
                    let partial = partial_success(path, &answer.body);
                    if let Some(partial) = &partial {
                        eprintln!("note: {path}: {} refused: {}", partial.refused, partial.message);
                    }
                    return Some(partial.map_or(0, |p| p.refused));
                }
                RetryDecision::Wait(wait) => {
                    eprintln!("note: {path}: status {}; again in {:.1} s", answer.status, wait.as_secs_f64());
                    sleep(wait);
                }
                RetryDecision::Drop => {
                    let why = String::from_utf8_lossy(&answer.body);
                    eprintln!("note: {path}: status {}: refused: {}", answer.status, why.trim());
                    return Some(if path == "/v1/logs" { batch.log_records } else { batch.points });
                }
                _ => return None,
            }
        }
        None
    }

    fn post(&self, batch: &Batch, path: &str, body: &[u8]) -> Answer {
        let mut request = self.agent.post(format!("{}{path}", self.endpoint));
        request = request.header("Content-Type", Batch::CONTENT_TYPE).header("Idempotency-Key", batch.id_hex());
        if let Some(encoding) = batch.encoding.header() {
            request = request.header("Content-Encoding", encoding);
        }
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let mut response = match request.send(body) {
            Ok(response) => response,
            Err(error) => {
                eprintln!("note: {path}: {error}");
                return Answer { status: 0, retry_after: None, body: vec![] };
            }
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let reported = response.headers().get("retry-after").and_then(|v| v.to_str().ok());
        Answer {
            retry_after: reported.and_then(|v| retry_after(v, now)),
            status: response.status().as_u16(),
            body: response.body_mut().with_config().limit(1 << 20).read_to_vec().unwrap_or_default(),
        }
    }
}
