//! Batches of telemetry, as C posts them.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use selvedge::sync::Batch;
use selvedge::telemetry::Position;
use selvedge::{Code, Error, Result};
use serde_json::{Value, json};

use crate::abi::{
    selvedge_batch, selvedge_buffer, selvedge_error, selvedge_http_request, selvedge_status, selvedge_text,
};
use crate::buffer::Buffer;
use crate::guard;
use crate::handle::{self, Tag, object};
use crate::memory::{Out, OutStruct};
use crate::text::Text;

/// The number of requests to post.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_batch_request_count(
    batch: *const selvedge_batch,
    count: *mut usize,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (count, err) = unsafe { (Out::zeroed("count", count), Out::optional(err)) };
    guard::give(count, err, || handle::read::<BatchObject, _>(batch, |object| object.batch.requests().count()))
}

/// Describes a request.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_batch_request(
    batch: *const selvedge_batch,
    index: usize,
    request: *mut selvedge_http_request,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (request, err) = unsafe { (OutStruct::zeroed(request), Out::optional(err)) };
    guard::give(request, err, || handle::read::<BatchObject, _>(batch, |object| object.request(index))?)
}

/// The batch as JSON.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_batch_json(
    batch: *const selvedge_batch,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let object = handle::resolve::<BatchObject>(batch)?;
        let batch = &object.batch;
        let described = json!({
            "id": batch.id_hex(),
            "records": batch.records,
            "points": batch.points,
            "log_records": batch.log_records,
            "through": position(batch.through),
        });
        handle::publish(Buffer::from(&*described.to_string()))
    })
}

/// Frees a batch.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_batch_free(batch: *mut selvedge_batch) -> selvedge_status {
    guard::status(|| handle::retire::<BatchObject>(batch).map(drop))
}

/// A place in the log as JSON; null before the first record.
pub(crate) fn position(position: Position) -> Value {
    if position == Position::default() {
        return Value::Null;
    }
    json!({ "epoch": position.epoch, "seq": position.seq })
}

/// A batch behind its handle; it owns its bytes.
pub(crate) struct BatchObject {
    pub(crate) batch: Batch,
    /// The path of each request.
    paths: Vec<Text>,
    content_type: Text,
    content_encoding: Text,
}

impl From<Batch> for BatchObject {
    fn from(batch: Batch) -> Self {
        let paths = batch.requests().map(|(path, _)| path.into()).collect();
        let content_encoding = batch.encoding.header().unwrap_or_default().into();
        Self { batch, paths, content_type: Batch::CONTENT_TYPE.into(), content_encoding }
    }
}

impl BatchObject {
    /// The path of a request.
    pub(crate) fn path(&self, index: usize) -> Result<&'static str> {
        Ok(self.part(index)?.0)
    }

    fn part(&self, index: usize) -> Result<(&'static str, &[u8])> {
        self.batch.requests().nth(index).ok_or_else(|| {
            let have = self.batch.requests().count();
            Error::new(Code::NotFound, format!("request {index}: the batch has {have}"))
        })
    }

    fn request(&self, index: usize) -> Result<selvedge_http_request> {
        let (_, body) = self.part(index)?;
        Ok(selvedge_http_request {
            struct_size: 0,
            path: self.paths.get(index).map(given).unwrap_or_default(),
            content_type: given(&self.content_type),
            content_encoding: given(&self.content_encoding),
            body: body.as_ptr().cast(),
            body_len: body.len(),
        })
    }
}

/// A text as C takes it out of a struct.
pub(crate) fn given(text: &Text) -> selvedge_text {
    let (data, len) = text.raw();
    selvedge_text { data, len }
}

object!(BatchObject, selvedge_batch, Tag::Batch);
