//! Canonical bytes of a request: the same bytes exactly if the requests are the same question.
//!
//! ```text
//! request    1 count (name tensor)… wanted | 2 generate | 3 count text… normalize | 4 prompt count text… adapters
//!            | 5 text count text…
//! tensor     dtype rank dim… (bytes | text…)    as many as dtype and dimensions say; inputs sorted by name
//! wanted     0 | 1 count text…                  in the order asked for
//! generate   prompt option(max_tokens) count stop… sampling logprobs grammar adapters
//!            count (id bias)… top_logprobs chat
//! adapters   count (name scale)…
//! chat       count (name description parameters)… choice count (title text)… 0 | 1 thinking
//!            count (name value)… continue_last separate_reasoning
//! choice     0 auto | 1 none | 2 required | 3 name
//! grammar    0 | 1 text json_schema | 2 text regex | 3 text lark | 4 text gbnf
//! prompt     1 text | 2 count message… | 3 count id…
//! message    role text, 0 | 1 reasoning, count (id name arguments)… 0 | 1 id
//! role       1 system | 2 user | 3 assistant | 4 text | 5 tool
//! sampling   the fields in their order, floats by bits; option(seed), none where greedy
//! option     0 | 1 value
//! text       length UTF-8
//! ```
//!
//! Tags, dtypes, ranks and booleans are one byte, counts, lengths and dimensions eight, ids and numbers of 32 bits four,
//! all little-endian. Every part says how long it is before it comes, so that no request's bytes begin another's.

use crate::Result;
use crate::digest::Hasher;
use crate::engine::{
    Call, Document, Embed, Generate, Grammar, Message, Prompt, Request, Rerank, Role, Sampling, Score, Tensors, Tool,
    ToolCall, ToolChoice,
};
use crate::{DType, Digest, Tensor};

/// Bytes hashed between two looks at the call: a few milliseconds of work.
const SLICE: usize = 8 << 20;

/// Whether the same request to the same model gives the same answer.
pub(super) fn reproducible(request: &Request) -> bool {
    match request {
        Request::Tensors(_) | Request::Embed(_) | Request::Score(_) | Request::Rerank(_) => true,
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
        Request::Score(Score { prompt: before, continuations, adapters }) => {
            to.put(&[4])?;
            prompt(before, to)?;
            texts(continuations, to)?;
            scaled(adapters, to)
        }
        Request::Rerank(Rerank { query, documents }) => {
            to.put(&[5])?;
            text(query, to)?;
            texts(documents, to)
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
    match tensor.dtype() {
        DType::String => tensor.as_strings()?.iter().try_for_each(|string| text(string, to)),
        _ => to.put(tensor.bytes()?),
    }
}

fn generate(request: &Generate, to: &mut impl Sink) -> Result<()> {
    let Generate {
        prompt,
        max_tokens,
        stop,
        sampling,
        logprobs,
        grammar,
        tools,
        tool_choice,
        documents,
        thinking,
        variables,
        continue_last,
        separate_reasoning,
        adapters,
        logit_bias,
        top_logprobs,
    } = request;
    self::prompt(prompt, to)?;
    option(*max_tokens, to)?;
    texts(stop, to)?;
    sampled(sampling, to)?;
    to.put(&[u8::from(*logprobs)])?;
    form(grammar.as_ref(), to)?;
    scaled(adapters, to)?;
    count(logit_bias.len(), to)?;
    for (token, bias) in logit_bias {
        to.put(&token.to_le_bytes())?;
        to.put(&bias.to_bits().to_le_bytes())?;
    }
    to.put(&top_logprobs.to_le_bytes())?;
    callable(tools, tool_choice, to)?;
    count(documents.len(), to)?;
    for Document { title, text: content } in documents {
        text(title, to)?;
        text(content, to)?;
    }
    match thinking {
        None => to.put(&[0])?,
        Some(thinking) => to.put(&[1, u8::from(*thinking)])?,
    }
    count(variables.len(), to)?;
    for (name, value) in variables {
        text(name, to)?;
        text(value, to)?;
    }
    to.put(&[u8::from(*continue_last), u8::from(*separate_reasoning)])
}

fn prompt(prompt: &Prompt, to: &mut impl Sink) -> Result<()> {
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
    Ok(())
}

fn callable(tools: &[Tool], choice: &ToolChoice, to: &mut impl Sink) -> Result<()> {
    count(tools.len(), to)?;
    for Tool { name, description, parameters } in tools {
        [name, description, parameters].into_iter().try_for_each(|part| text(part, to))?;
    }
    to.put(&[choice.number()])?;
    match choice {
        ToolChoice::Named(name) => text(name, to),
        ToolChoice::Auto | ToolChoice::None | ToolChoice::Required => Ok(()),
    }
}

fn scaled(adapters: &[(String, f32)], to: &mut impl Sink) -> Result<()> {
    count(adapters.len(), to)?;
    adapters.iter().try_for_each(|(name, scale)| {
        text(name, to)?;
        to.put(&scale.to_bits().to_le_bytes())
    })
}

fn form(grammar: Option<&Grammar>, to: &mut impl Sink) -> Result<()> {
    let (tag, source) = match grammar {
        None => return to.put(&[0]),
        Some(Grammar::JsonSchema(source)) => (1, source),
        Some(Grammar::Regex(source)) => (2, source),
        Some(Grammar::Lark(source)) => (3, source),
        Some(Grammar::Gbnf(source)) => (4, source),
    };
    to.put(&[tag])?;
    text(source, to)
}

fn message(message: &Message, to: &mut impl Sink) -> Result<()> {
    let Message { role, content, reasoning, tool_calls, tool_call_id } = message;
    match role {
        Role::Tool => to.put(&[5])?,
        Role::System => to.put(&[1])?,
        Role::User => to.put(&[2])?,
        Role::Assistant => to.put(&[3])?,
        Role::Other(name) => {
            to.put(&[4])?;
            text(name, to)?;
        }
    }
    text(content, to)?;
    optional(reasoning.as_deref(), to)?;
    count(tool_calls.len(), to)?;
    for ToolCall { id, name, arguments } in tool_calls {
        [id, name, arguments].into_iter().try_for_each(|part| text(part, to))?;
    }
    optional(tool_call_id.as_deref(), to)
}

fn optional(one: Option<&str>, to: &mut impl Sink) -> Result<()> {
    match one {
        None => to.put(&[0]),
        Some(one) => {
            to.put(&[1])?;
            text(one, to)
        }
    }
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
