//! A telemetry folder with something to post, and the calls of `selvedge/sync.h` on it.

use std::path::Path;
use std::{ptr, slice};

use selvedge::sync::{Outbox, OutboxOptions};
use selvedge::telemetry::{AlertRecord, Limits, ModelInfo, ModelSlot, Outcome, Record, Telemetry, Window};
use serde_json::Value;

use super::*;

/// A folder in which `windows` windows of a model and one alert wait, and whose install id is drawn.
pub(super) fn folder(windows: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let telemetry = Telemetry::open(folder.path(), Limits::default());
    let info = ModelInfo { slot: ModelSlot(1), name: "rain".into(), backend: "tract".into(), ..ModelInfo::default() };
    telemetry.seal(&Record::Model(info)).unwrap();
    for i in 0..windows {
        let now = telemetry.now();
        let window = Window {
            model_slot: ModelSlot(1),
            rows: 30 + i,
            opened: now,
            closed: now,
            outcomes: vec![(Outcome::answered(1), 30 + i)],
            // Class 7 is of too few rows to leave by default.
            classes: vec![(3, 27 + i), (7, 3)],
            ..Window::default()
        };
        telemetry.seal(&Record::Window(window)).unwrap();
    }
    let alert = AlertRecord { model_slot: ModelSlot(1), severity: 1, raised: true, ..AlertRecord::default() };
    telemetry.seal(&Record::Alert(alert)).unwrap();
    Outbox::open(&telemetry, folder.path(), OutboxOptions::new("test")).unwrap().reset_install_id().unwrap();
    folder
}

/// The same folder once more.
pub(super) fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.path().join(file.file_name())).unwrap();
    }
    to
}

/// An open telemetry and its outbox.
pub(super) struct Post {
    pub(super) telemetry: *mut selvedge_telemetry,
    pub(super) outbox: *mut selvedge_outbox,
}

pub(super) fn options() -> selvedge_outbox_options {
    init!(selvedge_outbox_options { app: text("test"), interval_ms: 1 })
}

/// Opens the telemetry of a folder, which keeps what it is told.
pub(super) fn telemetry(folder: &Path) -> *mut selvedge_telemetry {
    let (path, mut out, mut status) = (folder.to_str().unwrap(), ptr::null_mut(), ptr::null_mut());
    let (at, len) = (path.as_ptr().cast(), path.len());
    // SAFETY: the path lives during the call.
    call(|err| unsafe { selvedge_telemetry_open(at, len, ptr::null(), &raw mut out, err) }).unwrap();
    // SAFETY: `status` may be written.
    call(|err| unsafe { selvedge_telemetry_status_json(out, &raw mut status, err) }).unwrap();
    let status: Value = serde_json::from_str(&buffer(status)).unwrap();
    assert_eq!(status["mode"], "durable", "{status}");
    out
}

pub(super) fn open(
    telemetry: *const selvedge_telemetry,
    folder: &Path,
    options: &selvedge_outbox_options,
) -> Result<*mut selvedge_outbox, (i32, String)> {
    let (path, mut out) = (folder.to_str().unwrap(), ptr::without_provenance_mut(0x5eed));
    // SAFETY: path and options live during the call.
    let opened = call(|err| unsafe {
        selvedge_outbox_open(telemetry, path.as_ptr().cast(), path.len(), options, &raw mut out, err)
    });
    assert_eq!(out.is_null(), opened.is_err());
    opened.map(|()| out)
}

impl Post {
    pub(super) fn open(folder: &Path, options: &selvedge_outbox_options) -> Self {
        let telemetry = telemetry(folder);
        Self { telemetry, outbox: open(telemetry, folder, options).unwrap() }
    }

    pub(super) fn next(&self, max_bytes: usize) -> Option<*mut selvedge_batch> {
        let mut out = ptr::without_provenance_mut(0x5eed);
        // SAFETY: `out` may be written.
        call(|err| unsafe { selvedge_outbox_next_batch(self.outbox, max_bytes, &raw mut out, err) }).unwrap();
        (!out.is_null()).then_some(out)
    }

    pub(super) fn ack(&self, batch: *const selvedge_batch) -> Result<(), (i32, String)> {
        // SAFETY: there is nothing to write.
        call(|err| unsafe { selvedge_outbox_ack(self.outbox, batch, err) })
    }

    pub(super) fn refuse(&self, batch: *const selvedge_batch, refused: u64) -> Result<(), (i32, String)> {
        // SAFETY: there is nothing to write.
        call(|err| unsafe { selvedge_outbox_refuse(self.outbox, batch, refused, err) })
    }

    pub(super) fn split(&self, batch: *const selvedge_batch) -> Result<i32, (i32, String)> {
        let mut split = 5;
        // SAFETY: `split` may be written.
        call(|err| unsafe { selvedge_outbox_split(self.outbox, batch, &raw mut split, err) }).map(|()| split)
    }

    pub(super) fn bisect(&self, batch: *const selvedge_batch) -> Result<i32, (i32, String)> {
        let mut split = 5;
        // SAFETY: `split` may be written.
        call(|err| unsafe { selvedge_outbox_bisect(self.outbox, batch, &raw mut split, err) }).map(|()| split)
    }

    pub(super) fn status(&self) -> Value {
        let mut out = ptr::null_mut();
        // SAFETY: `out` may be written.
        call(|err| unsafe { selvedge_outbox_status_json(self.outbox, &raw mut out, err) }).unwrap();
        serde_json::from_str(&buffer(out)).unwrap()
    }

    pub(super) fn close(self) {
        assert_eq!(selvedge_outbox_free(self.outbox), SELVEDGE_OK);
        assert_eq!(selvedge_telemetry_free(self.telemetry), SELVEDGE_OK);
    }
}

/// A request as it goes over the wire.
#[derive(Debug, PartialEq)]
pub(super) struct Sent {
    pub(super) path: String,
    pub(super) content_type: String,
    pub(super) content_encoding: String,
    pub(super) body: Vec<u8>,
}

pub(super) fn requests(batch: *const selvedge_batch) -> Vec<Sent> {
    let mut count = usize::MAX;
    // SAFETY: `count` may be written.
    call(|err| unsafe { selvedge_batch_request_count(batch, &raw mut count, err) }).unwrap();
    (0..count).map(|i| sent(&request(batch, i).unwrap())).collect()
}

pub(super) fn request(batch: *const selvedge_batch, index: usize) -> Result<selvedge_http_request, (i32, String)> {
    let mut request = init!(selvedge_http_request { body_len: 5 });
    // SAFETY: the request may be written.
    call(|err| unsafe { selvedge_batch_request(batch, index, &raw mut request, err) })
        .inspect_err(|_| assert_eq!(request.body_len, 0))?;
    Ok(request)
}

fn sent(request: &selvedge_http_request) -> Sent {
    // SAFETY: the pointers live as long as the batch.
    let body = unsafe { slice::from_raw_parts(request.body.cast::<u8>(), request.body_len) }.to_vec();
    Sent {
        path: given(request.path),
        content_type: given(request.content_type),
        content_encoding: given(request.content_encoding),
        body,
    }
}

/// A text that was given out, and the NUL behind it.
pub(super) fn given(text: selvedge_text) -> String {
    // SAFETY: what is given out lives, and ends with a NUL.
    let found = unsafe { CStr::from_ptr(text.data) }.to_str().unwrap();
    assert_eq!(found.len(), text.len);
    found.to_owned()
}

pub(super) fn described(batch: *const selvedge_batch) -> Value {
    let mut out = ptr::null_mut();
    // SAFETY: `out` may be written.
    call(|err| unsafe { selvedge_batch_json(batch, &raw mut out, err) }).unwrap();
    serde_json::from_str(&buffer(out)).unwrap()
}

/// The text of a buffer, which is freed.
pub(super) fn buffer(buffer: *mut selvedge_buffer) -> String {
    let mut len = usize::MAX;
    // SAFETY: `len` may be written; the bytes live until the buffer is freed, and end with a NUL.
    let text =
        unsafe { CStr::from_ptr(selvedge_buffer_data(buffer, &raw mut len).cast()) }.to_str().unwrap().to_owned();
    assert_eq!(text.len(), len);
    assert_eq!(selvedge_buffer_free(buffer), SELVEDGE_OK);
    text
}
