//! Answers: tensors that C may read for as long as it keeps the handle.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::ffi::c_char;
use std::sync::{Arc, OnceLock};

use selvedge::layer::deployment::Arm;
use selvedge::{Answer, Code, DType, Error, Finish, Result};

use crate::abi::*;
use crate::handle::{self, Tag, object};
use crate::memory::{Out, OutStruct, OutText, both};
use crate::text::Text;
use crate::texts::Texts;
use crate::{guard, json};

/// The number of output tensors.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_answer_output_count(
    answer: *const selvedge_answer,
    count: *mut usize,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (count, err) = unsafe { (Out::zeroed("count", count), Out::optional(err)) };
    guard::give(count, err, || handle::read::<AnswerObject, _>(answer, |object| object.answer.outputs.len()))
}

/// Describes an output.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_answer_output(
    answer: *const selvedge_answer,
    index: usize,
    tensor: *mut selvedge_tensor,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (tensor, err) = unsafe { (OutStruct::zeroed(tensor), Out::optional(err)) };
    guard::give(tensor, err, || handle::read::<AnswerObject, _>(answer, |object| object.output(index))?)
}

/// The answer as JSON.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_answer_json(
    answer: *const selvedge_answer,
    json: *mut *const c_char,
    len: *mut usize,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (json, err) = unsafe { (OutText::zeroed("json", json, len), Out::optional(err)) };
    guard::give(json, err, || {
        let object = handle::resolve::<AnswerObject>(answer)?;
        Ok(object.json.get_or_init(|| json::answer(&object.answer).as_str().into()).raw())
    })
}

/// The version of a deployment, and the arm of it, that gave the answer.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_answer_version(
    answer: *const selvedge_answer,
    version: *mut *const c_char,
    len: *mut usize,
    arm: *mut i32,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (version, arm, err) =
        unsafe { (OutText::zeroed("version", version, len), Out::zeroed("arm", arm), Out::optional(err)) };
    guard::give(both(version, arm), err, || {
        let object = handle::resolve::<AnswerObject>(answer)?;
        let none = || Error::new(Code::NotFound, "version: no deployment is on the route of the answer");
        let (version, arm) = object.version.as_ref().ok_or_else(none)?;
        Ok((version.raw(), *arm))
    })
}

/// Frees an answer.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_answer_free(answer: *mut selvedge_answer) -> selvedge_status {
    guard::status(|| handle::retire::<AnswerObject>(answer).map(drop))
}

/// The answer of a handle.
pub(crate) fn resolve(answer: *const selvedge_answer) -> Result<Arc<AnswerObject>> {
    handle::resolve(answer)
}

fn number(arm: Arm) -> i32 {
    match arm {
        Arm::Current => SELVEDGE_ARM_CURRENT,
        Arm::Canary => SELVEDGE_ARM_CANARY,
        _ => SELVEDGE_ARM_OTHER,
    }
}

/// The header's number of a reason.
pub(crate) fn finish(finish: &Finish) -> i32 {
    let number = i32::from(finish.number());
    if number <= SELVEDGE_FINISH_CONTEXT_FULL { number } else { SELVEDGE_FINISH_OTHER }
}

/// An answer behind its handle.
pub(crate) struct AnswerObject {
    answer: Answer,
    /// What of each output C reads otherwise than Rust.
    ports: Vec<Port>,
    /// The version and arm of the first deployment on its route.
    version: Option<(Text, i32)>,
    /// Made when first asked for.
    json: OnceLock<Text>,
}

struct Port {
    name: Text,
    dims: Vec<i64>,
    /// The elements of a string tensor.
    strings: Option<Texts>,
}

impl From<Answer> for AnswerObject {
    fn from(answer: Answer) -> Self {
        let ports = answer.outputs.iter().map(|(name, tensor)| Port {
            name: name.as_str().into(),
            // A shape's product is at most isize::MAX, and so is each dimension.
            dims: tensor.shape().iter().map(|d| *d as i64).collect(),
            // Asked only where there are any: a refusal is an error with its words, and costs more than the rest of this.
            strings: match tensor.dtype() {
                DType::String => tensor.as_strings().ok().map(Texts::new),
                _ => None,
            },
        });
        let version = Arm::of(&answer.provenance).map(|(version, arm)| (version.into(), number(arm)));
        Self { ports: ports.collect(), version, answer, json: OnceLock::new() }
    }
}

impl AnswerObject {
    pub(crate) fn answer(&self) -> &Answer {
        &self.answer
    }

    fn output(&self, index: usize) -> Result<selvedge_tensor> {
        let (Some((_, tensor)), Some(port)) = (self.answer.outputs.get(index), self.ports.get(index)) else {
            let have = self.answer.outputs.len();
            return Err(Error::new(Code::NotFound, format!("output {index}: the answer has {have} outputs")));
        };
        let (data, byte_len) = match &port.strings {
            Some(texts) => (texts.array().as_ptr().cast(), size_of_val(texts.array())),
            None => (tensor.bytes()?.as_ptr().cast(), tensor.bytes()?.len()),
        };
        let (name, name_len) = port.name.raw();
        Ok(selvedge_tensor {
            struct_size: 0,
            name,
            name_len,
            dims: port.dims.as_ptr(),
            rank: port.dims.len(),
            data,
            byte_len,
            dtype: tensor.dtype() as i32,
            flags: 0,
        })
    }
}

object!(AnswerObject, selvedge_answer, Tag::Answer);
