//! Requests: the header's structs become those of the contract.

#![expect(unsafe_code, reason = "follows the pointers in the caller's structs")]

use std::ffi::c_char;
use std::time::Duration;

use selvedge::{Call, DType, Embed, Error, Priority, Rerank, Result, Shape, Tensor, Tensors};

use crate::abi::*;
use crate::cancel;
use crate::loan::Loan;
use crate::memory::{self, invalid};

/// # Safety
///
/// As of [`memory::read_optional`].
pub(crate) unsafe fn call(place: *const selvedge_call) -> Result<Call> {
    // SAFETY: the caller vouches for it.
    let Some(c) = (unsafe { memory::read_optional(place) })? else { return Ok(Call::new()) };
    check_flags("selvedge_call.flags", c.flags, 0)?;
    let mut call = Call::new().id(c.id).priority(match c.priority {
        SELVEDGE_PRIORITY_BACKGROUND => Priority::Background,
        SELVEDGE_PRIORITY_NORMAL => Priority::Normal,
        SELVEDGE_PRIORITY_INTERACTIVE => Priority::Interactive,
        other => return Err(unknown("selvedge_priority", other)),
    });
    if c.timeout_ms > 0 {
        call = call.timeout(Duration::from_millis(c.timeout_ms));
    }
    call.cancel = cancel::optional(c.cancel)?;
    Ok(call)
}

/// # Safety
///
/// As of [`memory::read`], the pointers within are as the header asks, and the data of the inputs stays as it is until
/// `loan` has been dropped. Without one it is copied.
pub(crate) unsafe fn tensors(place: *const selvedge_tensors, loan: Option<&Loan>) -> Result<Tensors> {
    // SAFETY: the caller vouches for it, here and below.
    let t = unsafe { memory::read(place) }?;
    // SAFETY: as above.
    let inputs = unsafe { memory::read_array("selvedge_tensors.inputs", t.inputs, t.input_count) }?;
    // SAFETY: as above.
    let inputs = inputs.iter().map(|input| unsafe { tensor(input, loan) }).collect::<Result<Vec<_>>>()?;
    let mut request = Tensors::new(inputs);
    if !t.outputs.is_null() || t.output_count > 0 {
        // SAFETY: as above.
        let names = unsafe { texts("selvedge_tensors.outputs", t.outputs, t.output_count, memory::name) };
        request.outputs = Some(names?);
    }
    Ok(request)
}

/// # Safety
///
/// As of [`memory::read`], and the pointers within are as the header asks.
pub(crate) unsafe fn embed(place: *const selvedge_embed) -> Result<Embed> {
    // SAFETY: the caller vouches for it, here and below.
    let e = unsafe { memory::read(place) }?;
    check_flags("selvedge_embed.flags", e.flags, SELVEDGE_EMBED_RAW)?;
    check_flags("selvedge_embed.reserved", e.reserved, 0)?;
    // SAFETY: as above.
    let texts = unsafe { texts("selvedge_embed.texts", e.texts, e.text_count, memory::text) }?;
    Ok(Embed::new(texts).normalize(e.flags & SELVEDGE_EMBED_RAW == 0))
}

/// # Safety
///
/// As of [`memory::read`], and the pointers within are as the header asks.
pub(crate) unsafe fn rerank(place: *const selvedge_rerank) -> Result<Rerank> {
    // SAFETY: the caller vouches for it, here and below.
    let r = unsafe { memory::read(place) }?;
    // SAFETY: as above.
    let query = unsafe { text("selvedge_rerank.query", r.query) }?;
    // SAFETY: as above.
    let documents = unsafe { texts("selvedge_rerank.documents", r.documents, r.document_count, memory::text) }?;
    let request = Rerank::new(query, documents);
    request.check()?;
    Ok(request)
}

/// # Safety
///
/// The pointers are as the header asks, and the data stays as it is until `loan` has been dropped.
unsafe fn tensor(t: &selvedge_tensor, loan: Option<&Loan>) -> Result<(String, Tensor)> {
    // SAFETY: the caller vouches for it, here and below.
    let name = unsafe { memory::name("selvedge_tensor.name", t.name, t.name_len) }?;
    check_flags("selvedge_tensor.flags", t.flags, 0)?;
    if t.rank > Shape::MAX_RANK {
        let message = format!("input '{name}': expected a rank of at most {}, got {}", Shape::MAX_RANK, t.rank);
        return Err(invalid(message));
    }
    // SAFETY: as above.
    let given = unsafe { memory::borrow_values("selvedge_tensor.dims", t.dims, t.rank) }?;
    let mut dims = [0; Shape::MAX_RANK];
    for (dim, given) in dims.iter_mut().zip(given.iter()) {
        *dim = usize::try_from(*given)
            .map_err(|_| invalid(format!("input '{name}': expected dimensions of at least 0, got {given}")))?;
    }
    let dims = &dims[..t.rank];
    // SAFETY: as above.
    let tensor = dtype(t.dtype).and_then(|dtype| match dtype {
        // SAFETY: as above.
        DType::String => unsafe { strings(t, dims) },
        // SAFETY: as above.
        _ => unsafe { elements(t, dtype, dims, loan) },
    });
    Ok((name.into(), tensor.map_err(|e| e.during(format!("reading input '{name}'")))?))
}

/// The elements of a tensor, lent or copied. Their length is compared with the shape's before a byte of them is read.
///
/// # Safety
///
/// As of [`tensor`].
unsafe fn elements(t: &selvedge_tensor, dtype: DType, dims: &[usize], loan: Option<&Loan>) -> Result<Tensor> {
    // SAFETY: the caller vouches for it, here and below.
    let data = unsafe { memory::bytes("selvedge_tensor.data", t.data.cast(), t.byte_len) }?;
    let shape = Shape::new(dims)?;
    let tensor = match loan {
        // SAFETY: as above.
        Some(loan) => unsafe { loan.tensor(dtype, shape, data) }?,
        None => Tensor::copy_from(dtype, shape, data)?,
    };
    if dtype == DType::Bool && data.iter().any(|b| *b > 1) {
        return Err(invalid("bool: expected bytes of 0 and 1, got another".into()));
    }
    Ok(tensor)
}

/// The elements of a string tensor, copied. Their number is compared with the shape's before one is read.
///
/// # Safety
///
/// As of [`tensor`].
unsafe fn strings(t: &selvedge_tensor, dims: &[usize]) -> Result<Tensor> {
    let shape = Shape::new(dims)?;
    if shape.elements().checked_mul(size_of::<selvedge_text>()) != Some(t.byte_len) {
        let (count, each) = (shape.elements(), size_of::<selvedge_text>());
        return Err(invalid(format!(
            "string{shape}: expected {count} selvedge_text of {each} bytes, got {} bytes",
            t.byte_len
        )));
    }
    // SAFETY: the caller vouches for it.
    let texts = unsafe { memory::read_texts("selvedge_tensor.data", t.data.cast(), shape.elements()) }?;
    Tensor::strings(dims, texts)
}

/// The dtype of a number of the header.
pub(crate) fn dtype(number: i32) -> Result<DType> {
    DType::ALL.into_iter().find(|d| *d as i32 == number).ok_or_else(|| unknown("selvedge_dtype", number))
}

/// # Safety
///
/// As of [`memory::read_values`], and each is as `read` asks.
pub(crate) unsafe fn texts<'a>(
    name: &str,
    place: *const selvedge_text,
    count: usize,
    read: unsafe fn(&str, *const c_char, usize) -> Result<&'a str>,
) -> Result<Vec<String>> {
    // SAFETY: the caller vouches for it.
    let texts = unsafe { memory::read_values(name, place, count) }?;
    // SAFETY: as above.
    texts.into_iter().map(|t| unsafe { read(name, t.data, t.len) }.map(String::from)).collect()
}

/// # Safety
///
/// As of [`memory::text`].
pub(crate) unsafe fn text<'a>(name: &str, text: selvedge_text) -> Result<&'a str> {
    // SAFETY: the caller vouches for it.
    unsafe { memory::text(name, text.data, text.len) }
}

pub(crate) fn check_flags(name: &str, flags: u32, known: u32) -> Result<()> {
    match flags & !known {
        0 => Ok(()),
        extra => Err(invalid(format!("{name}: the bits {extra:#x} have no meaning in this version of the library"))),
    }
}

pub(crate) fn unknown(name: &str, value: i32) -> Error {
    invalid(format!("{name}: {value} has no meaning in this version of the library"))
}
