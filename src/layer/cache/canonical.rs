//! Canonical bytes of a request: the same bytes exactly if the requests are the same question.
//!
//! ```text
//! request    1 count (name tensor)… wanted | 2 generate | 3 count text… normalize
//! tensor     dtype rank dim… (bytes | text…)    as many as dtype and dimensions say; inputs sorted by name
//! wanted     0 | 1 count text…                  in the order asked for
//! generate   prompt option(max_tokens) count stop… sampling logprobs
//! prompt     1 text | 2 count (role text)… | 3 count id…
//! role       1 system | 2 user | 3 assistant | 4 text
//! sampling   the fields in their order, floats by bits; option(seed), none where greedy
//! option     0 | 1 value
//! text       length UTF-8
//! ```
//!
//! Tags, dtypes, ranks and booleans are one byte, counts, lengths and dimensions eight, ids and numbers of 32 bits four,
//! all little-endian. Every part says how long it is before it comes, so that no request's bytes begin another's.

use crate::Result;
use crate::digest::Hasher;
use crate::engine::{Call, Embed, Generate, Message, Prompt, Request, Role, Sampling, Tensors};
use crate::{Digest, Tensor};

/// Bytes hashed between two looks at the call: a few milliseconds of work.
const SLICE: usize = 8 << 20;

/// Whether the same request to the same model gives the same answer.
pub(super) fn reproducible(request: &Request) -> bool {
    match request {
        Request::Tensors(_) | Request::Embed(_) => true,
        Request::Generate(generate) => greedy(&generate.sampling) || generate.sampling.seed.is_some(),
    }
}

fn greedy(sampling: &Sampling) -> bool {
    sampling.temperature == 0.0
}

/// The key of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    digest: Digest,
}

impl Key {
    /// The key of a request to the model of this digest.
    ///
    /// # Errors
    ///
    /// `Cancelled` or `DeadlineExceeded` if the call ends meanwhile, which takes an input of many megabytes.
    pub(super) fn of(request: &Request, model: &Digest, call: &Call) -> Result<Self> {
        let mut hashed = Hashed { hasher: Hasher::default(), call };
        hashed.put(&model.0)?;
        write(request, &mut hashed)?;
        Ok(Self { digest: hashed.hasher.digest() })
    }
}

/// Where canonical bytes go.
pub(super) trait Sink {
    fn put(&mut self, bytes: &[u8]) -> Result<()>;
}

struct Hashed<'a> {
    hasher: Hasher,
    call: &'a Call,
}

impl Sink for Hashed<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        for (i, slice) in bytes.chunks(SLICE).enumerate() {
            if i > 0 {
                self.call.check()?;
            }
            self.hasher.update(slice);
        }
        Ok(())
    }
}

/// Writes a request. Structs are taken apart by every field: a new one must not be forgotten.
pub(super) fn write(request: &Request, to: &mut impl Sink) -> Result<()> {
    match request {
        Request::Tensors(request) => {
            to.put(&[1])?;
            tensors(request, to)
        }
        Request::Generate(request) => {
            to.put(&[2])?;
            generate(request, to)
        }
        Request::Embed(Embed { texts: all, normalize }) => {
            to.put(&[3])?;
            texts(all, to)?;
            to.put(&[u8::from(*normalize)])
        }
    }
}

fn tensors(Tensors { inputs, outputs }: &Tensors, to: &mut impl Sink) -> Result<()> {
    count(inputs.len(), to)?;
    match &**inputs {
        [(name, only)] => {
            text(name, to)?;
            tensor(only, to)?;
        }
        _ => {
            let mut sorted: Vec<&(String, Tensor)> = inputs.iter().collect();
            sorted.sort_by_key(|(name, _)| name);
            for (name, one) in sorted {
                text(name, to)?;
                tensor(one, to)?;
            }
        }
    }
    match outputs {
        None => to.put(&[0]),
        Some(names) => {
            to.put(&[1])?;
            texts(names, to)
        }
    }
}

fn tensor(tensor: &Tensor, to: &mut impl Sink) -> Result<()> {
    // A rank is at most 64, and a dtype's number is its byte.
    to.put(&[tensor.dtype() as u8, tensor.shape().rank() as u8])?;
    tensor.shape().iter().try_for_each(|dim| count(*dim, to))?;
    match tensor.as_strings() {
        Ok(strings) => strings.iter().try_for_each(|string| text(string, to)),
        Err(_) => to.put(tensor.bytes()?),
    }
}

fn generate(request: &Generate, to: &mut impl Sink) -> Result<()> {
    let Generate { prompt, max_tokens, stop, sampling, logprobs } = request;
    match prompt {
        Prompt::Text(prompt) => {
            to.put(&[1])?;
            text(prompt, to)?;
        }
        Prompt::Chat(messages) => {
            to.put(&[2])?;
            count(messages.len(), to)?;
            messages.iter().try_for_each(|one| message(one, to))?;
        }
        Prompt::Tokens(tokens) => {
            to.put(&[3])?;
            count(tokens.len(), to)?;
            tokens.iter().try_for_each(|token| to.put(&token.to_le_bytes()))?;
        }
    }
    option(*max_tokens, to)?;
    texts(stop, to)?;
    sampled(sampling, to)?;
    to.put(&[u8::from(*logprobs)])
}

fn message(Message { role, content }: &Message, to: &mut impl Sink) -> Result<()> {
    match role {
        Role::System => to.put(&[1])?,
        Role::User => to.put(&[2])?,
        Role::Assistant => to.put(&[3])?,
        Role::Other(name) => {
            to.put(&[4])?;
            text(name, to)?;
        }
    }
    text(content, to)
}

fn sampled(sampling: &Sampling, to: &mut impl Sink) -> Result<()> {
    let Sampling {
        repeat_penalty,
        frequency_penalty,
        presence_penalty,
        penalty_last_n,
        top_k,
        top_p,
        min_p,
        temperature,
        seed,
    } = *sampling;
    for number in [
        repeat_penalty.to_bits(),
        frequency_penalty.to_bits(),
        presence_penalty.to_bits(),
        penalty_last_n,
        top_k,
        top_p.to_bits(),
        min_p.to_bits(),
        temperature.to_bits(),
    ] {
        to.put(&number.to_le_bytes())?;
    }
    option(seed.filter(|_| !greedy(sampling)), to)
}

fn option(number: Option<u32>, to: &mut impl Sink) -> Result<()> {
    match number {
        None => to.put(&[0]),
        Some(number) => {
            to.put(&[1])?;
            to.put(&number.to_le_bytes())
        }
    }
}

fn texts(texts: &[String], to: &mut impl Sink) -> Result<()> {
    count(texts.len(), to)?;
    texts.iter().try_for_each(|one| text(one, to))
}

fn text(text: &str, to: &mut impl Sink) -> Result<()> {
    count(text.len(), to)?;
    to.put(text.as_bytes())
}

fn count(count: usize, to: &mut impl Sink) -> Result<()> {
    to.put(&(count as u64).to_le_bytes())
}
