//! Retries as data: the policy, what the app knows of its network, what came back, and what to do.

#![expect(unsafe_code, reason = "follows the pointers in the caller's structs")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use selvedge::Result;
use selvedge::sync::{Hints, Judgement, Response, Retry, RetryDecision, retry_after};

use crate::abi::*;
use crate::memory::{self, invalid};
use crate::request::{check_flags, text};

/// The largest number that stands in a response.
const MAX_STATUS: u32 = 999;

/// # Safety
///
/// As of [`memory::read_optional`].
pub(crate) unsafe fn policy(place: *const selvedge_retry) -> Result<Retry> {
    // SAFETY: the caller vouches for it.
    let Some(r) = (unsafe { memory::read_optional(place) })? else { return Ok(Retry::default()) };
    check_flags("selvedge_retry.flags", r.flags, SELVEDGE_RETRY_ON_METERED)?;
    let mut retry = Retry::default().on_metered(r.flags & SELVEDGE_RETRY_ON_METERED != 0);
    if r.attempts > 0 {
        retry.attempts = r.attempts;
    }
    if r.base_ms > 0 {
        retry.base = Duration::from_millis(r.base_ms);
    }
    if r.cap_ms > 0 {
        retry.cap = Duration::from_millis(r.cap_ms);
    }
    Ok(retry)
}

/// What the app knows of its network.
pub(crate) fn hints(network: u32) -> Result<Hints> {
    check_flags("network", network, SELVEDGE_NETWORK_OFFLINE | SELVEDGE_NETWORK_METERED)?;
    let has = |bit| network & bit != 0;
    Ok(Hints::default().offline(has(SELVEDGE_NETWORK_OFFLINE)).metered(has(SELVEDGE_NETWORK_METERED)))
}

/// Whether to begin, with the reason if not.
pub(crate) fn begin(retry: &Retry, hints: Hints) -> (selvedge_judgement, String) {
    let reason = match retry.begin(hints) {
        None => "",
        Some(_) if hints.offline => "there is no network",
        Some(_) => "the network costs, and the policy is not to post over one that does",
    };
    let decision = if reason.is_empty() { SELVEDGE_DECISION_ACCEPTED } else { SELVEDGE_DECISION_LATER };
    (selvedge_judgement { decision, ..Default::default() }, reason.into())
}

/// # Safety
///
/// As of [`memory::read`], and the pointers within are as the header asks; what they point to stays during `'a`.
pub(crate) unsafe fn response<'a>(place: *const selvedge_http_response) -> Result<Response<'a>> {
    // SAFETY: the caller vouches for it, here and below.
    let r = unsafe { memory::read(place) }?;
    check_flags("selvedge_http_response.reserved", r.reserved, 0)?;
    let status = match u16::try_from(r.status) {
        Ok(status) if r.status <= MAX_STATUS => status,
        _ => {
            let message = format!("selvedge_http_response.status: expected at most {MAX_STATUS}, got {}", r.status);
            return Err(invalid(message));
        }
    };
    // SAFETY: as above.
    let content_type = unsafe { text("selvedge_http_response.content_type", r.content_type) }?;
    // SAFETY: as above.
    let after = unsafe { text("selvedge_http_response.retry_after", r.retry_after) }?;
    // SAFETY: as above.
    let body = unsafe { memory::bytes("selvedge_http_response.body", r.body.cast(), r.body_len) }?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    Ok(Response::new(status)
        .content_type((!content_type.is_empty()).then_some(content_type))
        .retry_after(retry_after(after, now))
        .body(body))
}

/// What to do, without the reason.
pub(crate) fn judgement(judged: &Judgement) -> selvedge_judgement {
    let (decision, wait) = match judged.decision {
        RetryDecision::Accepted => (SELVEDGE_DECISION_ACCEPTED, Duration::ZERO),
        RetryDecision::Wait(wait) => (SELVEDGE_DECISION_WAIT, wait),
        RetryDecision::Split => (SELVEDGE_DECISION_SPLIT, Duration::ZERO),
        RetryDecision::Drop => (SELVEDGE_DECISION_DROP, Duration::ZERO),
        // Nothing is lost by what a later version may add.
        _ => (SELVEDGE_DECISION_LATER, Duration::ZERO),
    };
    selvedge_judgement {
        decision,
        wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
        refused: judged.refused,
        ..Default::default()
    }
}
