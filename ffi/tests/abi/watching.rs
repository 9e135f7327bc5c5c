//! What the tests of telemetry, profiles and monitors share: buffers, tables, watched engines.

use std::ffi::c_void;
use std::path::Path;

use serde_json::Value;

use super::*;

/// The bytes that a call puts into a buffer.
#[track_caller]
pub(crate) fn bytes_of(
    give: impl FnOnce(*mut *mut selvedge_buffer, *mut *mut selvedge_error) -> selvedge_status,
) -> Vec<u8> {
    let (mut out, mut len) = (ptr::without_provenance_mut(0x5eed), usize::MAX);
    call(|err| give(&raw mut out, err)).unwrap();
    // SAFETY: `len` may be written, and the bytes live as long as the buffer.
    let bytes = unsafe {
        let data = selvedge_buffer_data(out, &raw mut len).cast::<u8>();
        assert!(data.addr().is_multiple_of(8), "aligned for any dtype");
        assert_eq!(*data.add(len), 0, "a NUL behind them");
        std::slice::from_raw_parts(data, len).to_vec()
    };
    assert_eq!(selvedge_buffer_free(out), SELVEDGE_OK);
    assert_eq!(selvedge_buffer_free(out), BAD_HANDLE);
    // SAFETY: `len` may be written.
    unsafe { selvedge_buffer_data(out, &raw mut len) };
    assert_eq!(len, 0, "a buffer that was freed");
    bytes
}

#[track_caller]
pub(crate) fn json_of(
    give: impl FnOnce(*mut *mut selvedge_buffer, *mut *mut selvedge_error) -> selvedge_status,
) -> Value {
    serde_json::from_slice(&bytes_of(give)).expect("JSON")
}

/// A value as it is read: its text is exact, and the reader of numbers is off by a last digit now and then.
pub(crate) fn parsed(value: &Value) -> Value {
    serde_json::from_str(&value.to_string()).expect("JSON")
}

/// The call must fail and leave its place NULL.
#[track_caller]
pub(crate) fn refused_with<T>(
    code: Code,
    give: impl FnOnce(*mut *mut T, *mut *mut selvedge_error) -> selvedge_status,
) -> String {
    let mut out = ptr::without_provenance_mut(0x5eed);
    let message = refused(code, |err| give(&raw mut out, err));
    assert!(out.is_null());
    message
}

pub(crate) fn open_telemetry(folder: &Path) -> *mut selvedge_telemetry {
    let limits = init!(selvedge_limits { durability: SELVEDGE_DURABILITY_PROCESS });
    let folder = folder.to_str().unwrap();
    let mut out = ptr::null_mut();
    // SAFETY: the pointers live during the call.
    call(|err| unsafe { selvedge_telemetry_open(folder.as_ptr().cast(), folder.len(), &limits, &raw mut out, err) })
        .unwrap();
    out
}

pub(crate) fn status_json(telemetry: *const selvedge_telemetry) -> Value {
    // SAFETY: the places may be written.
    json_of(|out, err| unsafe { selvedge_telemetry_status_json(telemetry, out, err) })
}

/// A column of elements that lie one after the other.
pub(crate) fn column<T>(name: &'static str, dtype: i32, data: &[T]) -> selvedge_column {
    init!(selvedge_column { name: text(name), data: data.as_ptr().cast(), dtype: dtype })
}

pub(crate) fn rows_of(columns: &[selvedge_column], count: usize) -> selvedge_rows {
    init!(selvedge_rows { columns: columns.as_ptr(), column_count: columns.len(), row_count: count })
}

pub(crate) fn fit(rows: &selvedge_rows, with: Option<&selvedge_fit>) -> Result<*mut selvedge_profile, (i32, String)> {
    let mut out = ptr::without_provenance_mut(0x5eed);
    let with = with.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the rows live during the call.
    let result = call(|err| unsafe { selvedge_profile_fit(rows, with, &raw mut out, err) });
    assert_eq!(result.is_err(), out.is_null());
    result.map(|()| out)
}

pub(crate) fn encoded(profile: *const selvedge_profile) -> Vec<u8> {
    // SAFETY: the places may be written.
    bytes_of(|out, err| unsafe { selvedge_profile_encode(profile, out, err) })
}

/// A monitor with its engine, and what it was made of, which is closed at once.
pub(crate) struct Watching {
    pub(crate) monitor: *mut selvedge_monitor,
    pub(crate) engine: *mut selvedge_engine,
}

pub(crate) fn watch(
    engine: *mut selvedge_engine,
    telemetry: *mut selvedge_telemetry,
    options: &selvedge_monitor_options,
) -> Result<Watching, (i32, String)> {
    let (mut monitor, mut watched) = (ptr::without_provenance_mut(0x5eed), ptr::null_mut());
    // SAFETY: the options live during the call.
    let result = call(|err| unsafe { selvedge_monitor_new(engine, telemetry, options, &raw mut monitor, err) });
    assert_eq!(result.is_err(), monitor.is_null());
    result?;
    // SAFETY: the place may be written.
    call(|err| unsafe { selvedge_monitor_engine(monitor, &raw mut watched, err) }).unwrap();
    Ok(Watching { monitor, engine: watched })
}

impl Watching {
    /// Sends one row of numbers through.
    pub(crate) fn ask(&self, input: &str, row: &[f32], id: u64) {
        let dims = [1, row.len() as i64];
        let inputs = [super::tensors::floats(input, &dims, row)];
        let answer = super::tensors::run(self.engine, &inputs, Some(&init!(selvedge_call { id: id }))).unwrap();
        assert_eq!(selvedge_answer_free(answer), SELVEDGE_OK);
    }

    pub(crate) fn report(&self) -> Value {
        // SAFETY: the places may be written.
        json_of(|out, err| unsafe { selvedge_monitor_report_json(self.monitor, out, err) })
    }

    pub(crate) fn close_window(&self) {
        // SAFETY: the place may be written.
        call(|err| unsafe { selvedge_monitor_close_window(self.monitor, err) }).unwrap();
    }

    pub(crate) fn next_alert(&self) -> Option<Told> {
        next_alert(self.monitor)
    }

    pub(crate) fn feedback(&self, id: u64, label: i32, value: u32) -> Result<i32, (i32, String)> {
        let mut verdict = 77;
        // SAFETY: the places may be written.
        let result =
            call(|err| unsafe { selvedge_monitor_feedback(self.monitor, id, label, value, &raw mut verdict, err) });
        assert_eq!(result.is_err(), verdict == SELVEDGE_VERDICT_NONE);
        result.map(|()| verdict)
    }

    pub(crate) fn free(self) {
        assert_eq!(selvedge_monitor_free(self.monitor), SELVEDGE_OK);
        assert_eq!(selvedge_monitor_free(self.monitor), BAD_HANDLE);
        assert_eq!(selvedge_engine_close(self.engine), SELVEDGE_OK);
    }
}

/// An alert as it was told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) event: i32,
    pub(crate) severity: i32,
    pub(crate) action: i32,
    pub(crate) since: u64,
    pub(crate) at: u64,
    pub(crate) kind: String,
    pub(crate) feature: String,
    pub(crate) evidence: String,
}

impl Told {
    pub(crate) fn of(alert: &selvedge_alert) -> Self {
        assert_eq!((alert.struct_size, alert.reserved), (size_of::<selvedge_alert>(), 0));
        let copied = |t: selvedge_text| {
            // SAFETY: the text lives, and a NUL follows it.
            let text = unsafe { CStr::from_ptr(t.data) }.to_str().unwrap();
            assert_eq!(text.len(), t.len);
            text.to_owned()
        };
        Self {
            event: alert.event,
            severity: alert.severity,
            action: alert.action,
            since: alert.since,
            at: alert.at,
            kind: copied(alert.kind),
            feature: copied(alert.feature),
            evidence: copied(alert.evidence),
        }
    }
}

pub(crate) fn next_alert(monitor: *mut selvedge_monitor) -> Option<Told> {
    let mut alert = init!(selvedge_alert { event: 9, since: 9 });
    // SAFETY: the alert may be written.
    call(|err| unsafe { selvedge_monitor_next_alert(monitor, &raw mut alert, err) }).unwrap();
    if alert.event != SELVEDGE_ALERT_NONE {
        return Some(Told::of(&alert));
    }
    assert_eq!((alert.severity, alert.action, alert.since, alert.at), (0, 0, 0, 0));
    assert!(alert.kind.data.is_null() && alert.feature.data.is_null() && alert.evidence.data.is_null());
    None
}

/// Takes a pointer to something as `user_data`.
pub(crate) fn user_data<T>(of: &T) -> *mut c_void {
    ptr::from_ref(of).cast_mut().cast()
}
