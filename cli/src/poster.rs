//! The posting of a batch of `selvedge sync`, as often as the policy says.

use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use selvedge::sync::{Batch, Endpoint, Judgement, Response, Retry, RetryDecision, retry_after};
use ureq::Agent;

use crate::header::Header;
use crate::print;

/// Bytes of an answer that are read.
const ANSWER: u64 = 1 << 20;

pub(crate) struct Poster {
    agent: Agent,
    endpoint: Endpoint,
    headers: Vec<Header>,
    retry: Retry,
    /// The body that was taken last, of a batch that was not taken whole: it need not be posted again.
    taken: Option<(Vec<u8>, u64)>,
}

pub(crate) enum Delivery {
    /// The receiver has all of it but for what it refused.
    Done { refused: u64 },
    /// It is too large.
    TooLarge,
    /// The receiver refused the content.
    Refused,
    /// It stays for another time.
    Later { reason: String },
}

struct Received {
    status: u16,
    content_type: Option<String>,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

impl Poster {
    pub(crate) fn new(endpoint: Endpoint, headers: Vec<Header>, retry: Retry) -> Self {
        let config = Agent::config_builder()
            // The status is for the policy to judge, and a redirected POST would lose its body.
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_global(Some(Duration::from_secs(60)));
        Self { agent: config.build().new_agent(), endpoint, headers, retry, taken: None }
    }

    pub(crate) fn deliver(&mut self, batch: &Batch) -> Delivery {
        let mut refused = 0u64;
        for (path, body) in batch.requests() {
            if let Some((_, count)) = self.taken.take_if(|(taken, _)| taken == body) {
                refused = refused.saturating_add(count);
                continue;
            }
            let judged = self.request(batch, path, body);
            match judged.decision {
                RetryDecision::Accepted => {
                    refused = refused.saturating_add(judged.refused);
                    self.taken = Some((body.to_vec(), judged.refused));
                }
                RetryDecision::Split => return Delivery::TooLarge,
                RetryDecision::Drop => return Delivery::Refused,
                _ => return Delivery::Later { reason: judged.reason },
            }
        }
        self.taken = None;
        Delivery::Done { refused }
    }

    /// What is to be done with the request at last.
    fn request(&self, batch: &Batch, path: &str, body: &[u8]) -> Judgement {
        let mut attempt = 0u32;
        loop {
            let received = self.post(batch, path, body);
            let response = Response::new(received.status)
                .content_type(received.content_type.as_deref())
                .retry_after(received.retry_after)
                .body(&received.body);
            // Without random numbers the wait is the longest one, which is no reason to fail.
            let random = getrandom::u64().unwrap_or(u64::MAX);
            let judged = self.retry.judge(attempt, path, &response, random);
            let reason = print::line(&judged.reason, usize::MAX);
            match judged.decision {
                RetryDecision::Accepted if judged.refused > 0 || !reason.is_empty() => {
                    eprintln!("note: {path}: {} refused: {reason}", judged.refused);
                }
                RetryDecision::Accepted => {}
                RetryDecision::Drop => eprintln!("note: {path}: status {}: refused: {reason}", received.status),
                _ => eprintln!("note: {path}: {reason}"),
            }
            let RetryDecision::Wait(wait) = judged.decision else { return judged };
            eprintln!("note: {path}: again in {:.1} s", wait.as_secs_f64());
            sleep(wait);
            attempt = attempt.saturating_add(1);
        }
    }

    fn post(&self, batch: &Batch, path: &str, body: &[u8]) -> Received {
        let mut request = self.agent.post(self.endpoint.url(path));
        request = request.header("Content-Type", Batch::CONTENT_TYPE).header("Idempotency-Key", batch.id_hex());
        if let Some(encoding) = batch.encoding.header() {
            request = request.header("Content-Encoding", encoding);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let none = |error: ureq::Error| {
            eprintln!("note: {path}: {}", print::line(&error.to_string(), usize::MAX));
            Received { status: 0, content_type: None, retry_after: None, body: vec![] }
        };
        let mut response = match request.send(body) {
            Ok(response) => response,
            Err(error) => return none(error),
        };
        // An answer of which a part is missing says nothing.
        let body = match response.body_mut().with_config().limit(ANSWER).read_to_vec() {
            Ok(body) => body,
            Err(error) => return none(error),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        Received {
            status: response.status().as_u16(),
            content_type: header("content-type").map(str::to_string),
            retry_after: header("retry-after").and_then(|value| retry_after(value, now)),
            body,
        }
    }
}
