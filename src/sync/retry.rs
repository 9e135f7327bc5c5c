//! Retries after an attempt to post: a policy as data, so that any HTTP client can follow it.

use std::time::Duration;

use super::response::{self, Response};
use super::status::{Meaning, meaning};

/// The policy of trying again: when to, and when not to.
///
/// What passes by itself is tried again: 408, 425, 429, 502, 503 and 504, and an attempt that got no answer. A
/// `Retry-After` is honoured, one of more than an hour by leaving it for another day. The wait is "full jitter": uniform
/// between zero and a bound that doubles up to a cap, so that a fleet that lost its server together does not return
/// together. Nothing is given up but what the receiver refuses as content:
///
/// | answer | decision |
/// |---|---|
/// | 2xx with a body that is an answer of OTLP, or empty | [`Accepted`](RetryDecision::Accepted) |
/// | 2xx with another body: the page of a hotel's network, another service | [`Later`](RetryDecision::Later) |
/// | none; 408, 425, 429, 502, 503, 504 | [`Wait`](RetryDecision::Wait), at last `Later` |
/// | 3xx, 401, 403, 404, 405, 407, 415, 421, other 4xx, 500 and other 5xx | `Later`: the owner has to look |
/// | 413 | [`Split`](RetryDecision::Split) |
/// | 400, 422 | [`Drop`](RetryDecision::Drop), or `Later` where the body shows that no receiver of OTLP has read it |
///
/// ```
/// use std::time::Duration;
/// use selvedge::sync::{Retry, RetryDecision};
/// let retry = Retry::default();
/// assert_eq!(retry.next(0, 200, None, 0), RetryDecision::Accepted);
/// assert_eq!(retry.next(0, 400, None, 0), RetryDecision::Drop);
/// let half = u64::MAX / 2;
/// let RetryDecision::Wait(wait) = retry.next(3, 503, None, half) else { panic!() };
/// assert_eq!(wait.as_secs(), 4); // half of 1 s · 2³
/// let RetryDecision::Wait(wait) = retry.next(0, 429, Some(Duration::from_secs(30)), 0) else { panic!() };
/// assert_eq!(wait, Duration::from_secs(30));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// The bound of the first wait. Default: 1 s.
    pub base: Duration,
    /// The bound that no wait exceeds, but for a longer `Retry-After`. Default: 5 min.
    pub cap: Duration,
    /// Attempts until the batch is left for another day. Default: 8.
    pub attempts: u32,
    /// Whether to post over a network that costs money. Default: no.
    pub on_metered: bool,
}

impl Default for Retry {
    fn default() -> Self {
        Self { base: Duration::from_secs(1), cap: Duration::from_secs(300), attempts: 8, on_metered: false }
    }
}

/// The answer of [`Retry::next`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryDecision {
    /// The receiver has it: [`Outbox::ack`](super::Outbox::ack). So too if it reports a partial success, which is
    /// never sent again.
    Accepted,
    /// Try the same bytes again after this time.
    Wait(Duration),
    /// Leave the batch in its folder and stop for now; the next run begins with it. Where the owner has to look, the
    /// [reason](Judgement::reason) says at what.
    Later,
    /// It is too large: [`Outbox::split`](super::Outbox::split), and go on with the smaller batch. Where nothing is
    /// left to split, [`Outbox::refuse`](super::Outbox::refuse).
    Split,
    /// The receiver will never take it as it is: [`Outbox::bisect`](super::Outbox::bisect) finds what of it, and where
    /// nothing is left to bisect, [`Outbox::refuse`](super::Outbox::refuse) drops and counts it.
    Drop,
}

/// The answer of [`Retry::judge`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Judgement {
    /// What to do.
    pub decision: RetryDecision,
    /// Points or log records that the receiver refused of a request that it took otherwise.
    pub refused: u64,
    /// Why, for people: the status, what to check, and the first words of the answer. Empty if all is well.
    pub reason: String,
}

/// Hints of the app about the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hints {
    /// The network costs money.
    pub metered: bool,
    /// There is none.
    pub offline: bool,
}

impl Hints {
    /// Says whether the network costs money.
    #[must_use]
    pub fn metered(mut self, metered: bool) -> Self {
        self.metered = metered;
        self
    }

    /// Says whether there is no network.
    #[must_use]
    pub fn offline(mut self, offline: bool) -> Self {
        self.offline = offline;
        self
    }
}

impl Retry {
    /// Sets the bound of the first wait.
    #[must_use]
    pub fn base(mut self, base: Duration) -> Self {
        self.base = base;
        self
    }

    /// Sets the bound that no wait exceeds.
    #[must_use]
    pub fn cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// Sets the attempts until the batch is left for another day.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets whether to post over a network that costs money.
    #[must_use]
    pub fn on_metered(mut self, on_metered: bool) -> Self {
        self.on_metered = on_metered;
        self
    }

    /// No process waits longer than this for a receiver.
    const MAX_WAIT: Duration = Duration::from_secs(3600);

    /// Whether to begin at all: [`RetryDecision::Later`] offline, and on a metered network unless the policy allows it.
    pub fn begin(&self, hints: Hints) -> Option<RetryDecision> {
        (hints.offline || hints.metered && !self.on_metered).then_some(RetryDecision::Later)
    }

    /// What to do after an attempt, by all of its answer. Pure: the same arguments give the same answer.
    ///
    /// - `attempt`: how many attempts for this request failed before this one, from 0.
    /// - `path`: that of the request, as [`Batch::requests`](super::Batch::requests) gives it.
    /// - `random`: 64 uniform bits.
    ///
    /// ```
    /// use selvedge::sync::{Response, Retry, RetryDecision};
    /// let page = Response::new(200).content_type("text/html").body(b"<html>Welcome to the hotel</html>");
    /// let judged = Retry::default().judge(0, "/v1/metrics", &page, 0);
    /// assert_eq!(judged.decision, RetryDecision::Later);
    /// assert!(judged.reason.starts_with("status 200, and no answer of a receiver of OTLP"), "{}", judged.reason);
    /// ```
    pub fn judge(&self, attempt: u32, path: &str, answer: &Response<'_>, random: u64) -> Judgement {
        let decision = self.next(attempt, answer.status, answer.retry_after, random);
        let later = |reason| Judgement { decision: RetryDecision::Later, refused: 0, reason };
        match decision {
            RetryDecision::Accepted => match response::receipt(path, answer) {
                Ok(partial) => {
                    let (refused, reason) = partial.map_or_else(Default::default, |p| (p.refused, p.message));
                    Judgement { decision, refused, reason }
                }
                Err(error) => later(error.message().into()),
            },
            RetryDecision::Drop if !answer.is_of_receiver() => later(answer.foreign()),
            _ => Judgement { decision, refused: 0, reason: answer.explained() },
        }
    }

    /// The decision after an attempt, by its status alone: [`judge`](Retry::judge) also looks at the body, without which a
    /// page of a hotel passes for an answer. Pure: the same arguments give the same answer.
    ///
    /// - `attempt`: how many attempts for this request failed before this one, from 0.
    /// - `status`: the HTTP status; 0 if no answer came (refused, reset, timed out).
    /// - `retry_after`: the header of that name, if there was one.
    /// - `random`: 64 uniform bits.
    pub fn next(&self, attempt: u32, status: u16, retry_after: Option<Duration>, random: u64) -> RetryDecision {
        match meaning(status) {
            Meaning::Taken => RetryDecision::Accepted,
            Meaning::Passing if attempt.saturating_add(1) >= self.attempts => RetryDecision::Later,
            Meaning::Passing if status != 0 && retry_after.is_some_and(|asked| asked > Self::MAX_WAIT) => {
                RetryDecision::Later
            }
            Meaning::Passing => RetryDecision::Wait(self.wait(attempt, retry_after, random)),
            Meaning::Owner => RetryDecision::Later,
            Meaning::TooLarge => RetryDecision::Split,
            Meaning::Content => RetryDecision::Drop,
        }
    }

    /// Under a `Retry-After` the jitter comes on top of it and stays within the base: everyone else got the same one.
    fn wait(&self, attempt: u32, retry_after: Option<Duration>, random: u64) -> Duration {
        let share = random as f64 / u64::MAX as f64;
        match retry_after {
            Some(asked) => asked.saturating_add(self.base.mul_f64(share)),
            None => {
                self.base.saturating_mul(1u32.checked_shl(attempt).unwrap_or(u32::MAX)).min(self.cap).mul_f64(share)
            }
        }
    }
}

/// Reads a `Retry-After` header: seconds, or an HTTP date (`Wed, 21 Oct 2015 07:28:00 GMT`) held against `now`, in
/// seconds since 1970. `None` for what is neither; zero for a date that has passed.
pub fn retry_after(header: &str, now: u64) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    Some(Duration::from_secs(http_date(header)?.saturating_sub(now)))
}

/// RFC 9110, 5.6.7: the IMF-fixdate, which is the only form that may be sent.
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let [_weekday, day, month, year, time, "GMT"] = words[..] else { return None };
    let day: u64 = day.parse().ok().filter(|d| (1..=31).contains(d))?;
    let month = MONTHS.iter().position(|m| *m == month)? as u64 + 1;
    let year: u64 = year.parse().ok().filter(|y| (1970..=9999).contains(y))?;
    let mut clock = time.split(':').map(|part| part.parse::<u64>().ok().filter(|n| *n <= 60));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    // Days from the civil date, with years that begin in March, so that the leap day is their last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    const TO_1970: u64 = 719_468;
    Some((days - TO_1970) * 86_400 + hour * 3600 + minute * 60 + second)
}
