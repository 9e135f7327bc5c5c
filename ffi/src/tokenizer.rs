//! Tokenizers of engines: texts to tokens and back, and conversations as the model reads them.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use selvedge::{Code, Engine, Error, Prompt, Result, Tokenizer};

use crate::abi::*;
use crate::buffer::Buffer;
use crate::memory::{self, Out, invalid};
use crate::{engine, generate, guard, handle};

/// The tokens of a prompt.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_engine_tokenize(
    engine: *const selvedge_engine,
    request: *const selvedge_generate,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let engine = engine::of(engine)?;
        // SAFETY: as above.
        let prompt = unsafe { generate::prompt(request) }?;
        let tokens = tokenizer(&*engine)?.tokenize(&prompt)?;
        let bytes: Vec<u8> = tokens.into_iter().flat_map(u32::to_ne_bytes).collect();
        handle::publish(Buffer::from(&*bytes))
    })
}

/// The text of tokens.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_engine_detokenize(
    engine: *const selvedge_engine,
    tokens: *const u32,
    token_count: usize,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let engine = engine::of(engine)?;
        // SAFETY: as above.
        let tokens = unsafe { memory::read_values("tokens", tokens, token_count) }?;
        handle::publish(Buffer::from(&*tokenizer(&*engine)?.detokenize(&tokens)?))
    })
}

/// A conversation as the model reads it.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_engine_render(
    engine: *const selvedge_engine,
    request: *const selvedge_generate,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let engine = engine::of(engine)?;
        // SAFETY: as above.
        let Prompt::Chat(messages) = (unsafe { generate::prompt(request) })? else {
            return Err(invalid("selvedge_generate: expected messages, got a prompt of another kind".into()));
        };
        handle::publish(Buffer::from(&*tokenizer(&*engine)?.render(&messages)?))
    })
}

fn tokenizer(engine: &dyn Engine) -> Result<&dyn Tokenizer> {
    engine.tokenizer().ok_or_else(|| {
        let model = &engine.spec().provenance.model;
        Error::new(Code::Unsupported, format!("'{model}' has no tokenizer: expected an engine of text"))
    })
}
