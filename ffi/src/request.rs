//! Requests: the header's structs become those of the contract.

#![expect(unsafe_code, reason = "follows the pointers in the caller's structs")]

use std::ffi::c_char;
use std::time::Duration;

use selvedge::{
    Call, DType, Embed, Error, Generate, Grammar, Message, Priority, Prompt, Result, Role, Shape, Tensor, Tensors,
};

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
pub(crate) unsafe fn generate(place: *const selvedge_generate) -> Result<Generate> {
    // SAFETY: the caller vouches for it, here and below.
    let g = unsafe { memory::read(place) }?;
    check_flags("selvedge_generate.flags", g.flags, SELVEDGE_GENERATE_SEEDED | SELVEDGE_GENERATE_LOGPROBS)?;
    check_flags("selvedge_generate.reserved", g.reserved, 0)?;
    check_flags("selvedge_generate.grammar_flags", g.grammar_flags, 0)?;
    // SAFETY: as above.
    let prompt = unsafe { prompt_of(&g) }?;
    let mut request = Generate::new(prompt).logprobs(g.flags & SELVEDGE_GENERATE_LOGPROBS != 0);
    // SAFETY: as above.
    request.stop = unsafe { texts("selvedge_generate.stop", g.stop, g.stop_count, memory::text) }?;
    // SAFETY: as above.
    request.grammar = unsafe { grammar_of(&g) }?;
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
/// The pointers are as the header asks.
unsafe fn grammar_of(g: &selvedge_generate) -> Result<Option<Grammar>> {
    // SAFETY: the caller vouches for it.
    let form = unsafe { text("selvedge_generate.grammar", g.grammar) }?;
    Ok(Some(match (g.grammar_kind, form) {
        (SELVEDGE_GRAMMAR_NONE, "") => return Ok(None),
        (SELVEDGE_GRAMMAR_NONE, _) => {
            return Err(invalid("selvedge_generate.grammar_kind: expected that of the grammar, got none".into()));
        }
        (SELVEDGE_GRAMMAR_JSON_SCHEMA, _) => Grammar::json_schema(form),
        (SELVEDGE_GRAMMAR_REGEX, _) => Grammar::regex(form),
        (SELVEDGE_GRAMMAR_LARK, _) => Grammar::lark(form),
        (SELVEDGE_GRAMMAR_GBNF, _) => Grammar::gbnf(form),
        (other, _) => return Err(unknown("selvedge_grammar_kind", other)),
    }))
}

/// The prompt of a request, of which nothing else counts.
///
/// # Safety
///
/// As of [`generate`].
pub(crate) unsafe fn prompt(place: *const selvedge_generate) -> Result<Prompt> {
    // SAFETY: the caller vouches for it.
    unsafe { prompt_of(&memory::read(place)?) }
}

/// # Safety
///
/// The pointers are as the header asks.
unsafe fn prompt_of(g: &selvedge_generate) -> Result<Prompt> {
    // SAFETY: the caller vouches for it, here and below.
    let messages = unsafe { memory::read_array("selvedge_generate.messages", g.messages, g.message_count) }?;
    // SAFETY: as above.
    let tokens = unsafe { memory::read_values("selvedge_generate.tokens", g.tokens, g.token_count) }?;
    match (g.prompt.data.is_null() && g.prompt.len == 0, messages.is_empty(), tokens.is_empty()) {
        // SAFETY: as above.
        (false, true, true) => Ok(Prompt::Text(unsafe { text("selvedge_generate.prompt", g.prompt) }?.into())),
        // SAFETY: as above.
        (true, false, true) => Ok(Prompt::Chat(messages.iter().map(|m| unsafe { message(m) }).collect::<Result<_>>()?)),
        (true, true, false) => Ok(Prompt::Tokens(tokens)),
        (true, true, true) => {
            Err(invalid("selvedge_generate: expected a prompt, messages or tokens, got none of them".into()))
        }
        _ => Err(invalid("selvedge_generate: expected one of prompt, messages and tokens, got more".into())),
    }
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
unsafe fn tensor(t: &selvedge_tensor, loan: Option<&Loan>) -> Result<(String, Tensor)> {
    // SAFETY: the caller vouches for it, here and below.
    let name = unsafe { memory::name("selvedge_tensor.name", t.name, t.name_len) }?;
    check_flags("selvedge_tensor.flags", t.flags, 0)?;
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
    let tensor = dtype(t.dtype).and_then(|dtype| match dtype {
        // SAFETY: as above.
        DType::String => unsafe { strings(t, &dims) },
        // SAFETY: as above.
        _ => unsafe { elements(t, dtype, &dims, loan) },
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
