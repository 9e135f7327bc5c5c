//! Statuses of HTTP: what each means for a batch, and what its owner should check. Data, and nothing else.

/// What a status means for a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The receiver has it, if the body is one of a receiver.
    Taken,
    /// It passes by itself.
    Passing,
    /// It stays as it is until somebody mends a setting, here or there.
    Owner,
    /// Less at once would do.
    TooLarge,
    /// The content was read, and refused.
    Content,
}

struct Row {
    first: u16,
    last: u16,
    meaning: Meaning,
    /// What to check, for people.
    check: &'static str,
}

/// The first row that holds a status counts. Only what says that the content was read and refused is `Content`: 415, say,
/// is of the encoding, which is a setting.
const ROWS: [Row; 26] = [
    row(
        0,
        0,
        Meaning::Passing,
        "no answer came: check the network, the host and the port of the endpoint, and its certificate",
    ),
    row(200, 299, Meaning::Taken, ""),
    row(300, 399, Meaning::Owner, "it lies elsewhere: give the address that it redirects to as the endpoint"),
    row(400, 400, Meaning::Content, "it does not take this content"),
    row(
        401,
        401,
        Meaning::Owner,
        "it asks who is there: check the header with the credentials, and whether they have expired",
    ),
    row(402, 402, Meaning::Owner, "it asks for payment: check the account there"),
    row(403, 403, Meaning::Owner, "these credentials may not write there: check their rights"),
    row(
        404,
        404,
        Meaning::Owner,
        "nothing is there: check the path of the endpoint, to which /v1/metrics and /v1/logs are added",
    ),
    row(405, 405, Meaning::Owner, "it takes no POST there: check the path of the endpoint"),
    row(407, 407, Meaning::Owner, "a proxy asks who is there: check its credentials"),
    row(408, 408, Meaning::Passing, "it waited too long for the request: check the network"),
    row(410, 410, Meaning::Owner, "it is gone for good: check the endpoint"),
    row(413, 413, Meaning::TooLarge, "it takes no request of this size"),
    row(
        415,
        415,
        Meaning::Owner,
        "it does not take this encoding: check the compression, and that it takes OTLP in protobuf",
    ),
    row(421, 421, Meaning::Owner, "another host answered: check the endpoint, and any proxy before it"),
    row(422, 422, Meaning::Content, "it does not take this content"),
    row(425, 425, Meaning::Passing, "it asks to come later"),
    row(429, 429, Meaning::Passing, "it asks for fewer requests: check its limits"),
    row(431, 431, Meaning::Owner, "it takes no headers of this size: check the headers"),
    row(451, 451, Meaning::Owner, "it may not answer there: check the endpoint"),
    row(400, 499, Meaning::Owner, "it refuses the request: check the endpoint and the headers"),
    row(501, 501, Meaning::Owner, "it does not know this request: check that it takes OTLP over HTTP"),
    row(502, 504, Meaning::Passing, "it, or a proxy before it, is not available: check that it runs"),
    row(511, 511, Meaning::Owner, "the network asks for a sign-in: sign in there"),
    row(500, 599, Meaning::Owner, "it failed: check its log"),
    row(0, u16::MAX, Meaning::Owner, "it answered outside of HTTP: check the endpoint"),
];

const fn row(first: u16, last: u16, meaning: Meaning, check: &'static str) -> Row {
    Row { first, last, meaning, check }
}

fn row_of(status: u16) -> &'static Row {
    const LAST: &Row = &ROWS[ROWS.len() - 1];
    ROWS.iter().find(|row| (row.first..=row.last).contains(&status)).unwrap_or(LAST)
}

pub(super) fn meaning(status: u16) -> Meaning {
    row_of(status).meaning
}

/// What to check.
pub(super) fn check(status: u16) -> &'static str {
    row_of(status).check
}
