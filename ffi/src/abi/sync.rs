//! Types and numbers of `selvedge/sync.h`.

use std::ffi::c_void;

use super::base::{selvedge_pair, selvedge_text};

handles! { selvedge_outbox selvedge_batch }

numbers! {
    SELVEDGE_ENCODING_DEFAULT = 0;
    SELVEDGE_ENCODING_IDENTITY = 1;
    SELVEDGE_ENCODING_GZIP = 2;
    SELVEDGE_ENCODING_ZSTD = 3;
    SELVEDGE_DECISION_NONE = 0;
    SELVEDGE_DECISION_ACCEPTED = 1;
    SELVEDGE_DECISION_WAIT = 2;
    SELVEDGE_DECISION_LATER = 3;
    SELVEDGE_DECISION_SPLIT = 4;
    SELVEDGE_DECISION_DROP = 5;
}

pub const SELVEDGE_OUTBOX_EXACT_COUNTS: u32 = 1;
pub const SELVEDGE_OUTBOX_ANY_COUNT: u32 = 2;
pub const SELVEDGE_RETRY_ON_METERED: u32 = 1;
pub const SELVEDGE_NETWORK_OFFLINE: u32 = 1;
pub const SELVEDGE_NETWORK_METERED: u32 = 2;

structs! {
    selvedge_outbox_options {
        struct_size: usize,
        app: selvedge_text,
        app_version: selvedge_text,
        attributes: *const selvedge_pair,
        attribute_count: usize,
        interval_ms: u64,
        min_count: u64,
        epsilon: f64,
        encoding: i32,
        flags: u32,
    }
    selvedge_http_request {
        struct_size: usize,
        path: selvedge_text,
        content_type: selvedge_text,
        content_encoding: selvedge_text,
        body: *const c_void,
        body_len: usize,
    }
    selvedge_http_response {
        struct_size: usize,
        status: u32,
        reserved: u32,
        content_type: selvedge_text,
        retry_after: selvedge_text,
        body: *const c_void,
        body_len: usize,
    }
    selvedge_retry {
        struct_size: usize,
        attempts: u32,
        flags: u32,
        base_ms: u64,
        cap_ms: u64,
    }
    selvedge_judgement {
        struct_size: usize,
        decision: i32,
        reserved: u32,
        wait_ms: u64,
        refused: u64,
        reason: selvedge_text,
    }
}
