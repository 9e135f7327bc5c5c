//! A single-node VictoriaMetrics as a child process.

use std::path::Path;
use std::process::Command;

use prost::Message;
use selvedge::sync::{Batch, Outbox};
use serde_json::Value;

use super::stored::{Samples, read};
use crate::device::{DAY, now};
use crate::http;
use crate::process::{Process, binary};

/// The default, a month, is less than the 30 days of a late device and the time it takes to come.
pub(crate) const KEEP: &str = "-retentionPeriod=100d";
/// Where it takes OTLP.
const METRICS: &str = "/opentelemetry/v1/metrics";
/// What its log says once it does.
const LISTENS: &str = "started server at http://";

pub(crate) struct Server {
    _process: Process,
    pub(crate) port: u16,
}

impl Server {
    /// Starts one with its store in the folder. `None` without a binary.
    pub(crate) fn start(folder: &Path, flags: &[&str]) -> Option<Self> {
        let Some(binary) = binary("SELVEDGE_VICTORIA_METRICS", "victoria-metrics") else {
            println!("note: no VictoriaMetrics (tests/run --long builds one); skipped");
            return None;
        };
        let process = Process::start(folder, "victoria-metrics", LISTENS, |port| {
            let mut command = Command::new(&binary);
            command
                .arg(format!("-storageDataPath={}", folder.join("data").display()))
                .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
                .args(flags);
            command
        });
        Some(Self { port: process.port, _process: process })
    }

    /// SIGKILL: it gets no chance to finish anything.
    pub(crate) fn kill(self) {}

    pub(crate) fn post(&self, batch: &Batch) -> u16 {
        http::post(self.port, METRICS, batch.encoding.header(), &batch.metrics).unwrap().status
    }

    pub(crate) fn post_request(&self, request: &impl Message) -> u16 {
        http::post(self.port, METRICS, None, &request.encode_to_vec()).unwrap().status
    }

    /// Posts and acknowledges all there is.
    pub(crate) fn drain(&self, outbox: &mut Outbox, max_bytes: usize) -> Vec<Batch> {
        let mut batches = vec![];
        while let Some(batch) = outbox.next_batch(max_bytes).unwrap() {
            assert_eq!(self.post(&batch), 200, "{batch:?}");
            outbox.ack(&batch).unwrap();
            batches.push(batch);
        }
        batches
    }

    /// All samples, as a query would see them.
    pub(crate) fn stored(&self) -> Samples {
        self.flush();
        let start = (now() - 99 * DAY) / 1_000_000_000;
        let query = encode("{__name__!=\"\"}");
        read(&self.get(&format!("/api/v1/export?start={start}&match[]={query}")))
    }

    /// The answer to a query at a time in ms: each series' labels and value. `nocache`, else it would put a time of the
    /// last 30 s back.
    pub(crate) fn query(&self, query: &str, ms: u64) -> Vec<(Value, f64)> {
        self.flush();
        let time = format!("{}.{:03}", ms / 1000, ms % 1000);
        let answer = self.get(&format!("/api/v1/query?nocache=1&time={time}&query={}", encode(query)));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let series = answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{query}: {answer}"));
        series.iter().map(|s| (s["metric"].clone(), s["value"][1].as_str().unwrap().parse().unwrap())).collect()
    }

    /// What it counts of itself under this name and these labels.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let page = self.get("/metrics");
        let value = page.lines().find_map(|line| line.strip_prefix(series));
        value.unwrap_or_else(|| panic!("no {series} in {page}")).trim().parse().unwrap()
    }

    /// What was posted is found by queries only a second later, unless asked for.
    fn flush(&self) {
        self.get("/internal/force_flush");
    }

    fn get(&self, path: &str) -> String {
        let answer = http::get(self.port, path).unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }
}

/// For the query part of a URL.
fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
