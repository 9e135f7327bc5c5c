//! Types and numbers of `selvedge/monitor.h`.

use std::ffi::c_void;

use super::base::{selvedge_release_fn, selvedge_text};
use super::profile::selvedge_profile;

handles! { selvedge_monitor }

numbers! {
    SELVEDGE_ALERT_NONE = 0;
    SELVEDGE_ALERT_RAISED = 1;
    SELVEDGE_ALERT_CLEARED = 2;
    SELVEDGE_SEVERITY_NONE = 0;
    SELVEDGE_SEVERITY_WARNING = 1;
    SELVEDGE_SEVERITY_CRITICAL = 2;
    SELVEDGE_ACTION_NONE = 0;
    SELVEDGE_ACTION_CHECK_PIPELINE = 1;
    SELVEDGE_ACTION_RETRAIN = 2;
    SELVEDGE_ACTION_ROLL_BACK = 3;
    SELVEDGE_LABEL_CLASS = 1;
    SELVEDGE_LABEL_CORRECT = 2;
    SELVEDGE_VERDICT_NONE = 0;
    SELVEDGE_VERDICT_UNKNOWN = 1;
    SELVEDGE_VERDICT_STEADY = 2;
    SELVEDGE_VERDICT_SUSPECT = 3;
    SELVEDGE_VERDICT_DRIFTED = 4;
}

/// A callback; `None` is NULL.
pub type selvedge_alert_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, alert: *const selvedge_alert)>;

structs! {
    selvedge_alert {
        struct_size: usize,
        event: i32,
        severity: i32,
        action: i32,
        reserved: u32,
        since: u64,
        at: u64,
        kind: selvedge_text,
        feature: selvedge_text,
        evidence: selvedge_text,
    }
    selvedge_history {
        struct_size: usize,
        scores: *const f64,
        at: *const i64,
        labels: *const u8,
        came: *const i64,
        row_count: usize,
        now: i64,
        window: i64,
        curve: i64,
        threshold: f64,
    }
    selvedge_estimate {
        struct_size: usize,
        accuracy: f64,
        ones: f64,
        cbpe_accuracy: f64,
        cbpe_ones: f64,
        in_flight_accuracy: f64,
        in_flight_ones: f64,
        offset: f64,
        rows: u64,
    }
    selvedge_monitor_options {
        struct_size: usize,
        config: selvedge_text,
        profile: *const selvedge_profile,
        on_alert: selvedge_alert_fn,
        user_data: *mut c_void,
        release: selvedge_release_fn,
    }
}
