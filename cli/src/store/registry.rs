//! A registry of the OCI distribution specification, over HTTP: one try of a request, and what to do after it.

use std::cell::RefCell;
use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use selvedge::sync::retry_after;
use selvedge::{Code, Error as Typed};
use ureq::http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use ureq::{Agent, Body};

use super::auth::{Access, Challenge};
use super::reference::Reference;
use super::work;
use crate::print;

/// Bytes of an error's answer that are read.
const MAX_ANSWER: u64 = 64 << 10;

pub(super) struct Registry {
    agent: Agent,
    /// `https://host:port`.
    base: String,
    host: String,
    name: String,
    credentials: Option<HeaderValue>,
    /// What the last challenge asked for.
    authorization: RefCell<Option<HeaderValue>>,
    /// What a token is asked to allow.
    scope: String,
    attempts: u32,
}

/// Why a try brought nothing.
pub(super) enum Failure {
    /// It may succeed later, and not before so long.
    Later { why: String, wait: Option<Duration> },
    /// It will not.
    Final(Box<dyn Error>),
}

impl<E: Into<Box<dyn Error>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Final(error.into())
    }
}

pub(super) type Try<T> = Result<T, Failure>;

/// One request, which can be made again.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Option<&'a [u8]>,
}

impl Ask<'_> {
    pub(super) fn of(method: Method, url: String) -> Self {
        Self { method, url, headers: Vec::new(), body: None }
    }
}

impl Registry {
    /// `actions` is what a token is asked to allow: `pull`, or `pull,push`.
    pub(super) fn new(reference: &Reference, access: &Access, actions: &str) -> Result<Self, Box<dyn Error>> {
        let scheme = if access.http || reference.is_local() { "http" } else { "https" };
        let wait = |seconds| Some(Duration::from_secs(seconds));
        let config = Agent::config_builder()
            // The status says what to do next.
            .http_status_as_error(false)
            .https_only(scheme == "https")
            .max_redirects(5)
            .timeout_connect(wait(10))
            .timeout_recv_response(wait(120))
            // Of a transfer that stands still, what is there is kept, and it goes on.
            .timeout_per_read(wait(60))
            .timeout_per_write(wait(60));
        Ok(Self {
            agent: config.build().new_agent(),
            base: format!("{scheme}://{}", reference.host),
            host: reference.host.clone(),
            name: reference.name.clone(),
            credentials: access.credentials()?,
            authorization: RefCell::default(),
            scope: format!("repository:{}:{actions}", reference.name),
            attempts: access.attempts,
        })
    }

    /// An address below that of the package's name.
    pub(super) fn url(&self, below: &str) -> String {
        format!("{}/v2/{}/{below}", self.base, self.name)
    }

    /// The address that a header names, which may be one without a host.
    pub(super) fn location(&self, headers: &HeaderMap) -> Result<String, String> {
        let location = headers.get("location").and_then(|value| value.to_str().ok());
        match location {
            Some(path) if path.starts_with('/') => Ok(format!("{}{path}", self.base)),
            Some(url) if url.starts_with("http://") || url.starts_with("https://") => Ok(url.into()),
            _ => Err("expected the address of an upload, got none".into()),
        }
    }

    /// Asks once, and again if the registry first wants to know who asks.
    pub(super) fn ask(&self, ask: &Ask<'_>) -> Try<Response<Body>> {
        let response = self.once(ask)?;
        if response.status().as_u16() != 401 || !self.is_own(&ask.url) {
            return Ok(response);
        }
        let challenge = Challenge::of(response.headers());
        let challenge =
            challenge.ok_or_else(|| self.says(ask, response, "expected a way to authenticate that is known"))?;
        let is_encrypted = self.base.starts_with("https:");
        let answer = challenge.answer(&self.agent, self.credentials.as_ref(), &self.scope, is_encrypted);
        let answer = answer.map_err(|e| format!("{}: authentication: {e}", self.host))?;
        self.authorization.replace(Some(answer));
        self.once(ask)
    }

    fn once(&self, ask: &Ask<'_>) -> Try<Response<Body>> {
        work::check()?;
        let mut request = Request::builder().method(ask.method.clone()).uri(&ask.url);
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        // Credentials are for the registry alone, not for wherever it sends an upload.
        if let Some(authorization) = self.authorization.borrow().as_ref().filter(|_| self.is_own(&ask.url)) {
            request = request.header("authorization", authorization);
        }
        let sent = match ask.body {
            Some(body) => self.agent.run(request.body(body)?),
            None if matches!(ask.method, Method::GET | Method::HEAD) => self.agent.run(request.body(())?),
            None => self.agent.run(request.body(&[][..])?),
        };
        sent.map_err(|e| match e {
            ureq::Error::BadUri(_) | ureq::Error::RequireHttpsOnly(_) | ureq::Error::TooManyRedirects => {
                Failure::Final(format!("{}: {e}", self.host).into())
            }
            e => Failure::Later { why: format!("{}: {e}", self.host), wait: None },
        })
    }

    fn is_own(&self, url: &str) -> bool {
        let uri: Result<Uri, _> = url.parse();
        let own = uri.ok().is_some_and(|uri| uri.authority().is_some_and(|authority| authority.as_str() == self.host));
        own && url.starts_with(&format!("{}/", self.base))
    }

    /// What a status means that is none of those that were hoped for.
    pub(super) fn refused(&self, ask: &Ask<'_>, response: Response<Body>) -> Failure {
        let status = response.status().as_u16();
        match status {
            408 | 429 | 500..=599 => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
                let value = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
                let wait = value.and_then(|value| retry_after(value, now));
                Failure::Later { why: format!("{}: status {status}", self.host), wait }
            }
            404 => {
                let what = format!("{}: expected {}, got status 404", self.host, path_of(&ask.url));
                Failure::Final(Typed::new(Code::NotFound, what).into())
            }
            _ => self.says(ask, response, "expected an answer"),
        }
    }

    /// An answer of the registry as an error, with its own words.
    fn says(&self, ask: &Ask<'_>, mut response: Response<Body>, expected: &str) -> Failure {
        let status = response.status().as_u16();
        let words = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec().unwrap_or_default();
        let words = words_of(&words);
        let what = format!("{}: {} {}: {expected}, got status {status}", self.host, ask.method, path_of(&ask.url));
        Failure::Final(if words.is_empty() { what } else { format!("{what}: {words}") }.into())
    }

    /// Makes a request until it is answered, or has failed as often as may be.
    pub(super) fn persist<T>(&self, mut request: impl FnMut() -> Try<T>) -> Result<T, Box<dyn Error>> {
        let mut patience = Patience::new(self.attempts);
        loop {
            match request() {
                Ok(answer) => return Ok(answer),
                Err(failure) => patience.lose(failure, &indicatif::ProgressBar::hidden())?,
            }
        }
    }

    pub(super) fn patience(&self) -> Patience {
        Patience::new(self.attempts)
    }
}

/// How much longer failures are borne.
pub(super) struct Patience {
    attempts: u32,
    failed: u32,
}

impl Patience {
    fn new(attempts: u32) -> Self {
        Self { attempts, failed: 0 }
    }

    /// Something came, so that the next failure is the first.
    pub(super) fn gain(&mut self) {
        self.failed = 0;
    }

    /// Waits after a failure, longer each time; an error if there were too many, or if it is final.
    pub(super) fn lose(&mut self, failure: Failure, bar: &indicatif::ProgressBar) -> Result<(), Box<dyn Error>> {
        const MAX: Duration = Duration::from_secs(60);
        let (why, wait) = match failure {
            Failure::Final(error) => return Err(error),
            Failure::Later { why, wait } => (why, wait),
        };
        self.failed += 1;
        if self.failed >= self.attempts {
            return Err(
                format!("{why}: given up after {} attempts; what came stays for the next try", self.failed).into()
            );
        }
        let growing = Duration::from_millis(100 << self.failed.min(8));
        // Devices that failed at one moment come back at several.
        let random = f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX);
        let wait = wait.unwrap_or(growing.mul_f64(0.5 + random / 2.0)).min(MAX);
        work::note(bar, &format!("{why}: again in {:.1} s", wait.as_secs_f64()));
        Ok(work::wait(wait)?)
    }
}

fn path_of(url: &str) -> &str {
    let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or(url, |(_, path)| path);
    path.split('?').next().unwrap_or(path)
}

/// What a registry says of an error: its `errors`, or the beginning of whatever it says.
fn words_of(body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let first = json.as_ref().map(|json| &json["errors"][0]);
    let text = first.map(|e| [&e["code"], &e["message"]].map(|part| part.as_str().unwrap_or_default()).join(" "));
    let text = text.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    print::line(text.trim(), 200)
}
