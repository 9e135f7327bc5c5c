//! `selvedge sync`: posts a telemetry folder's batches. The library opens no socket; this does.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use selvedge::sync::{Batch, Encoding, Endpoint, Outbox, OutboxOptions, Privacy, Retry};
use selvedge::telemetry::{Limits, Mode, Telemetry};

use crate::header::{self, Header};
use crate::poster::{Delivery, Poster};
use crate::{NO, Outcome};

/// Batches are not made smaller than this because a receiver takes no larger ones: what is, is split.
const LEAST: usize = 16 << 10;

/// Posts what a telemetry folder holds to an OpenTelemetry Collector, or any receiver of OTLP over HTTP.
///
/// A batch leaves the folder only when the receiver has it, or has refused its content, which is counted. What cannot be
/// posted now stays for the next run. No app may have the folder open meanwhile.
#[derive(Args)]
pub(crate) struct Sync {
    /// The telemetry folder.
    folder: PathBuf,
    /// Where to post: http://localhost:4318 becomes http://localhost:4318/v1/metrics and …/v1/logs.
    #[arg(long, value_name = "URL")]
    endpoint: String,
    /// A header of each request, or @FILE with one per line: a secret in a file or a variable is in no list of processes.
    /// May be given more than once.
    #[arg(long, value_name = "NAME: VALUE | @FILE")]
    header: Vec<String>,
    /// A variable of the environment that holds headers, one NAME: VALUE per line. May be given more than once.
    #[arg(long, value_name = "VARIABLE")]
    header_env: Vec<String>,
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
    /// Attempts per request until the batch is left for another time.
    #[arg(long, default_value_t = Retry::default().attempts, value_name = "N")]
    attempts: u32,
    /// Post one batch and stop.
    #[arg(long)]
    once: bool,
}

impl Sync {
    pub(crate) fn run(self) -> Outcome {
        // What is wrong with the command is said before anything is read or posted.
        let (endpoint, headers) = (Endpoint::parse(&self.endpoint)?, self.headers()?);
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
        let before = outbox.refused();
        let poster = Poster::new(endpoint, headers, Retry::default().attempts(self.attempts));
        let is_done = self.post(&mut outbox, poster)?;
        let lost = outbox.refused() - before;
        if lost > 0 {
            let all = outbox.refused();
            eprintln!("note: {lost} points and log records lost: the receiver refused their content");
            eprintln!("note: {all} since the folder was made; the count goes out as selvedge.dropped");
        }
        Ok(if is_done && lost == 0 { ExitCode::SUCCESS } else { ExitCode::from(NO) })
    }

    /// Posts until nothing is left; `false` if something stays for another time.
    fn post(&self, outbox: &mut Outbox, mut poster: Poster) -> selvedge::Result<bool> {
        let mut max_bytes = self.max_bytes;
        while let Some(batch) = outbox.next_batch(max_bytes)? {
            let bytes = batch.metrics.len() + batch.logs.len();
            let what = format!("{} records, {} points, {} logs", batch.records, batch.points, batch.log_records);
            println!("{}  {what}, {bytes} bytes", &batch.id_hex()[..12]);
            let is_smaller = match poster.deliver(&batch) {
                Delivery::Later { reason } => {
                    let why = crate::print::line(&reason, usize::MAX);
                    eprintln!("note: the batch stays in {} for another time: {why}", self.folder.display());
                    return Ok(false);
                }
                Delivery::Done { refused: 0 } => outbox.ack(&batch).map(|()| false)?,
                Delivery::Done { refused } => outbox.refuse(&batch, refused).map(|()| false)?,
                Delivery::TooLarge => {
                    // Those to come would be too large as well.
                    max_bytes = (max_bytes / 2).max(max_bytes.min(LEAST));
                    outbox.split(&batch)? || give_up(outbox, &batch)?
                }
                Delivery::Refused => outbox.bisect(&batch)? || give_up(outbox, &batch)?,
            };
            if self.once && !is_smaller {
                break;
            }
        }
        Ok(true)
    }

    fn headers(&self) -> Result<Vec<Header>, Box<dyn Error>> {
        let mut headers = Vec::new();
        for argument in &self.header {
            headers.extend(header::of_argument(argument)?);
        }
        for variable in &self.header_env {
            headers.extend(header::of_variable(variable)?);
        }
        Ok(headers)
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

/// Nothing is left to try in smaller parts, which is what `false` says.
fn give_up(outbox: &mut Outbox, batch: &Batch) -> selvedge::Result<bool> {
    outbox.refuse(batch, batch.points.saturating_add(batch.log_records)).map(|()| false)
}
