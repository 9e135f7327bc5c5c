//! Requests: the header's structs become those of the contract.

#![expect(unsafe_code, reason = "follows the pointers in the caller's structs")]

use std::ffi::c_char;
use std::time::Duration;

use selvedge::{
    Backend, Call, Code, DType, Digest, Embed, Error, Generate, Loading, Message, Options, Priority, Prompt, Result,
    Role, Shape, Tensor, Tensors,
};

use crate::abi::*;
use crate::cancel;
use crate::loan::Loan;
use crate::memory::{self, invalid};

/// # Safety
///
/// As of [`memory::read_optional`], and the pointers within are as the header asks.
pub(crate) unsafe fn options(place: *const selvedge_options) -> Result<Options> {
    // SAFETY: the caller vouches for it.
    let Some(o) = (unsafe { memory::read_optional(place) })? else { return Ok(Options::new()) };
    check_flags("selvedge_options.flags", o.flags, 0)?;
    let mut options = Options::new().loading(match o.loading {
        SELVEDGE_LOADING_MAPPED => Loading::Mapped,
        SELVEDGE_LOADING_READ => Loading::Read,
        other => return Err(unknown("selvedge_loading", other)),
    });
    options.backend = match o.backend {
        SELVEDGE_BACKEND_AUTO => None,
        SELVEDGE_BACKEND_LLAMA => Some(Backend::Llama),
        SELVEDGE_BACKEND_ORT => Some(Backend::Ort),
        SELVEDGE_BACKEND_TRACT => Some(Backend::Tract),
        SELVEDGE_BACKEND_TABLE => Some(Backend::Table),
        other => return Err(unknown("selvedge_backend", other)),
    };
    let given = |n: u32| (n > 0).then_some(n);
    options.threads = given(o.threads);
    options.context_tokens = given(o.context_tokens);
    options.parallel = given(o.parallel);
    options.memory_limit = (o.memory_limit > 0).then_some(o.memory_limit);
    if !o.sha256.is_null() {
        let mut digest = Digest::default();
        // SAFETY: the header asks for 32 bytes.
        digest.0.copy_from_slice(unsafe { memory::bytes("selvedge_options.sha256", o.sha256, 32) }?);
        options.digest = Some(digest);
    }
    // SAFETY: the caller vouches for it.
    let library = unsafe { memory::name("selvedge_options.onnxruntime", o.onnxruntime.data, o.onnxruntime.len) }?;
    options.onnxruntime = (!library.is_empty()).then(|| library.into());
    options.cancel = cancel::optional(o.cancel)?;
    Ok(options)
}

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
/// `loan` has been dropped.
pub(crate) unsafe fn tensors(place: *const selvedge_tensors, loan: &Loan) -> Result<Tensors> {
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
pub(crate) unsafe fn generate(place: *const selvedge_generate) -> Result<Generate> {
    // SAFETY: the caller vouches for it, here and below.
    let g = unsafe { memory::read(place) }?;
    check_flags("selvedge_generate.flags", g.flags, SELVEDGE_GENERATE_SEEDED | SELVEDGE_GENERATE_LOGPROBS)?;
    check_flags("selvedge_generate.reserved", g.reserved, 0)?;
    // SAFETY: as above.
    let messages = unsafe { memory::read_array("selvedge_generate.messages", g.messages, g.message_count) }?;
    let prompt = match (g.prompt.data.is_null(), messages.is_empty()) {
        (false, false) => return Err(invalid("selvedge_generate: expected a prompt or messages, got both".into())),
        // SAFETY: as above.
        (false, true) => Prompt::Text(unsafe { text("selvedge_generate.prompt", g.prompt) }?.into()),
        // SAFETY: as above.
        (true, false) => Prompt::Chat(messages.iter().map(|m| unsafe { message(m) }).collect::<Result<_>>()?),
        (true, true) => return Err(invalid("selvedge_generate: expected a prompt or messages, got neither".into())),
    };
    let mut request = Generate::new(prompt).logprobs(g.flags & SELVEDGE_GENERATE_LOGPROBS != 0);
    // SAFETY: as above.
    request.stop = unsafe { texts("selvedge_generate.stop", g.stop, g.stop_count, memory::text) }?;
    request.max_tokens = match g.max_tokens {
        0 => request.max_tokens,
        SELVEDGE_MAX_TOKENS_NONE => None,
        max => Some(max),
    };
    // Zero stands for the default, so that a zeroed struct is a good one.
    let or = |given: f32, default: f32| if given == 0.0 { default } else { given };
    let s = &mut request.sampling;
    s.seed = (g.flags & SELVEDGE_GENERATE_SEEDED != 0).then_some(g.seed);
    s.temperature = g.temperature;
    s.top_k = g.top_k;
    s.top_p = or(g.top_p, s.top_p);
    s.min_p = g.min_p;
    s.repeat_penalty = or(g.repeat_penalty, s.repeat_penalty);
    s.frequency_penalty = g.frequency_penalty;
    s.presence_penalty = g.presence_penalty;
    s.penalty_last_n = if g.penalty_last_n == 0 { s.penalty_last_n } else { g.penalty_last_n };
    request.check()?;
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
/// The pointers are as the header asks, and the data stays as it is until `loan` has been dropped.
unsafe fn tensor(t: &selvedge_tensor, loan: &Loan) -> Result<(String, Tensor)> {
    // SAFETY: the caller vouches for it, here and below.
    let name = unsafe { memory::name("selvedge_tensor.name", t.name, t.name_len) }?;
    check_flags("selvedge_tensor.flags", t.flags, 0)?;
    let dtype = DType::ALL.into_iter().find(|d| *d as i32 == t.dtype).ok_or_else(|| unknown("selvedge_dtype", t.dtype));
    let dtype = dtype.map_err(|e| e.during(format!("reading input '{name}'")))?;
    if dtype == DType::String {
        let message = format!("input '{name}': string tensors do not cross the C ABI yet");
        return Err(Error::new(Code::Unsupported, message));
    }
    if t.rank > Shape::MAX_RANK {
        let message = format!("input '{name}': expected a rank of at most {}, got {}", Shape::MAX_RANK, t.rank);
        return Err(invalid(message));
    }
    // SAFETY: as above.
    let dims = unsafe { memory::read_values("selvedge_tensor.dims", t.dims, t.rank) }?;
    let dims = dims.iter().map(|d| usize::try_from(*d)).collect::<Result<Vec<_>, _>>();
    let dims =
        dims.map_err(|_| invalid(format!("input '{name}': expected dimensions of at least 0, got a negative one")))?;
    // SAFETY: as above.
    let data = unsafe { memory::bytes("selvedge_tensor.data", t.data.cast(), t.byte_len) };
    let tensor = data.and_then(|data| {
        // Its length is compared with the shape's before a byte of it is read.
        // SAFETY: as above.
        let tensor = unsafe { loan.tensor(dtype, Shape::new(&dims)?, data) }?;
        if dtype == DType::Bool && data.iter().any(|b| *b > 1) {
            return Err(invalid("bool: expected bytes of 0 and 1, got another".into()));
        }
        Ok(tensor)
    });
    Ok((name.into(), tensor.map_err(|e| e.during(format!("reading input '{name}'")))?))
}

/// # Safety
///
/// The pointers are as the header asks.
unsafe fn message(m: &selvedge_message) -> Result<Message> {
    // SAFETY: the caller vouches for it.
    let role = unsafe { memory::name("selvedge_message.role", m.role.data, m.role.len) }?;
    // SAFETY: as above.
    let content = unsafe { text("selvedge_message.content", m.content) }?;
    let role = match role {
        "" => return Err(invalid("selvedge_message.role: expected a name, got none".into())),
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        other => Role::Other(other.into()),
    };
    Ok(Message::new(role, content))
}

/// # Safety
///
/// As of [`memory::read_values`], and each is as `read` asks.
unsafe fn texts<'a>(
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
unsafe fn text<'a>(name: &str, text: selvedge_text) -> Result<&'a str> {
    // SAFETY: the caller vouches for it.
    unsafe { memory::text(name, text.data, text.len) }
}

fn check_flags(name: &str, flags: u32, known: u32) -> Result<()> {
    match flags & !known {
        0 => Ok(()),
        extra => Err(invalid(format!("{name}: the bits {extra:#x} have no meaning in this version of the library"))),
    }
}

fn unknown(name: &str, value: i32) -> Error {
    invalid(format!("{name}: {value} has no meaning in this version of the library"))
}
