//! Answers: tensors that C may read for as long as it keeps the handle.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::ffi::c_char;
use std::ptr;
use std::sync::OnceLock;

use selvedge::{Answer, Code, DType, Error, Finish, Result};

use crate::abi::*;
use crate::handle::{self, Object, Table};
use crate::memory::{Out, OutStruct};
use crate::text::Text;
use crate::{guard, json};

/// The number of output tensors.
///
/// # Safety
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_answer_output_count(
    answer: *const selvedge_answer,
    count: *mut usize,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let count = unsafe { Out::zeroed("count", count, 0) };
    let body = || {
        count?.set(handle::resolve::<Answered>(answer)?.answer.outputs.len());
        Ok(())
    };
    // SAFETY: as above.
    unsafe { guard::entry(err, body) }
}

/// Describes an output.
///
/// # Safety
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_answer_output(
    answer: *const selvedge_answer,
    index: usize,
    tensor: *mut selvedge_tensor,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let tensor = unsafe { OutStruct::zeroed(tensor) };
    let body = || {
        let tensor = tensor?;
        tensor.set(&handle::resolve::<Answered>(answer)?.output(index)?);
        Ok(())
    };
    // SAFETY: as above.
    unsafe { guard::entry(err, body) }
}

/// The answer as JSON.
///
/// # Safety
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_answer_json(
    answer: *const selvedge_answer,
    json: *mut *const c_char,
    len: *mut usize,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, len) = unsafe { (Out::zeroed("json", json, ptr::null()), Out::zeroed("len", len, 0)) };
    let body = || {
        let (out, len) = (out?, len?);
        let answered = handle::resolve::<Answered>(answer)?;
        let text = answered.json.get_or_init(|| json::answer(&answered.answer).as_str().into());
        out.set(text.as_ptr());
        len.set(text.len());
        Ok(())
    };
    // SAFETY: as above.
    unsafe { guard::entry(err, body) }
}

/// Frees an answer.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_answer_free(answer: *mut selvedge_answer) -> selvedge_status {
    guard::status(|| handle::retire::<Answered>(answer).map(drop))
}

/// The header's number of a reason.
pub(crate) fn finish(finish: &Finish) -> i32 {
    let number = i32::from(finish.number());
    if number <= SELVEDGE_FINISH_CONTEXT_FULL { number } else { SELVEDGE_FINISH_OTHER }
}

pub(crate) struct Answered {
    answer: Answer,
    /// Name and dimensions of each output, as C reads them.
    ports: Vec<(Text, Vec<i64>)>,
    /// Made when first asked for.
    json: OnceLock<Text>,
}

impl From<Answer> for Answered {
    fn from(answer: Answer) -> Self {
        // A shape's product is at most isize::MAX, and so is each dimension.
        let dims = |shape: &[usize]| shape.iter().map(|d| *d as i64).collect();
        let ports = answer.outputs.iter().map(|(name, t)| (name.as_str().into(), dims(t.shape()))).collect();
        Self { answer, ports, json: OnceLock::new() }
    }
}

impl Answered {
    fn output(&self, index: usize) -> Result<selvedge_tensor> {
        let (Some((name, tensor)), Some((text, dims))) = (self.answer.outputs.get(index), self.ports.get(index)) else {
            let have = self.answer.outputs.len();
            return Err(Error::new(Code::NotFound, format!("output {index}: the answer has {have} outputs")));
        };
        if tensor.dtype() == DType::String {
            let message = format!("output '{name}': string tensors do not cross the C ABI yet");
            return Err(Error::new(Code::Unsupported, message));
        }
        let data = tensor.bytes()?;
        Ok(selvedge_tensor {
            struct_size: 0,
            name: text.as_ptr(),
            name_len: text.len(),
            dims: dims.as_ptr(),
            rank: dims.len(),
            data: data.as_ptr().cast(),
            byte_len: data.len(),
            dtype: tensor.dtype() as i32,
            flags: 0,
        })
    }
}

impl Object for Answered {
    type Handle = selvedge_answer;
    const TAG: usize = 5;
    const NAME: &'static str = "selvedge_answer";

    fn table() -> &'static Table<Self> {
        static TABLE: Table<Answered> = Table::new();
        &TABLE
    }
}
