//! Requests for text: the header's structs of prompts, tools and terms become those of the contract.

#![expect(unsafe_code, reason = "follows the pointers in the caller's structs")]

use selvedge::{
    Document, Generate, Grammar, Message, Prompt, Result, Role, Sampling, Score, Tool, ToolCall, ToolChoice,
};

use crate::abi::*;
use crate::memory::{self, invalid};
use crate::options;
use crate::request::{check_flags, text, texts, unknown};

/// The flags of a generation that have a meaning.
const FLAGS: u32 = SELVEDGE_GENERATE_SEEDED
    | SELVEDGE_GENERATE_LOGPROBS
    | SELVEDGE_GENERATE_CONTINUE_LAST
    | SELVEDGE_GENERATE_SEPARATE_REASONING;

/// # Safety
///
/// As of [`memory::read`], and the pointers within are as the header asks.
pub(crate) unsafe fn generate(place: *const selvedge_generate) -> Result<Generate> {
    // SAFETY: the caller vouches for it, here and below.
    let g = unsafe { memory::read(place) }?;
    check_flags("selvedge_generate.flags", g.flags, FLAGS)?;
    check_flags("selvedge_generate.reserved", g.reserved, 0)?;
    check_flags("selvedge_generate.grammar_flags", g.grammar_flags, 0)?;
    check_flags("selvedge_generate.text_flags", g.text_flags, 0)?;
    // SAFETY: as above.
    let prompt = unsafe { prompt_of(&Said::of(&g)) }?;
    let mut request = Generate::new(prompt)
        .logprobs(g.flags & SELVEDGE_GENERATE_LOGPROBS != 0)
        .continue_last(g.flags & SELVEDGE_GENERATE_CONTINUE_LAST != 0)
        .separate_reasoning(g.flags & SELVEDGE_GENERATE_SEPARATE_REASONING != 0)
        .thinking(thinking(g.thinking)?)
        .top_logprobs(g.top_logprobs);
    // SAFETY: as above.
    request.stop = unsafe { texts("selvedge_generate.stop", g.stop, g.stop_count, memory::text) }?;
    // SAFETY: as above.
    request.grammar = unsafe { grammar(&g) }?;
    // SAFETY: as above.
    unsafe { add_chat(&g, &mut request) }?;
    // SAFETY: as above.
    request.adapters = unsafe { adapters("selvedge_generate.adapters", g.adapters, g.adapter_count) }?;
    // SAFETY: as above.
    let biases = unsafe { memory::read_values("selvedge_generate.biases", g.biases, g.bias_count) }?;
    request.logit_bias = biases.into_iter().map(|b| (b.token, b.bias)).collect();
    request.max_tokens = match g.max_tokens {
        0 => request.max_tokens,
        SELVEDGE_MAX_TOKENS_NONE => None,
        max => Some(max),
    };
    add_sampling(&g, &mut request.sampling);
    request.check()?;
    Ok(request)
}

/// # Safety
///
/// As of [`memory::read`], and the pointers within are as the header asks.
pub(crate) unsafe fn score(place: *const selvedge_score) -> Result<Score> {
    // SAFETY: the caller vouches for it, here and below.
    let s = unsafe { memory::read(place) }?;
    let said = Said {
        noun: "selvedge_score",
        prompt: s.prompt,
        messages: (s.messages, s.message_count),
        tokens: (s.tokens, s.token_count),
    };
    // SAFETY: as above.
    let prompt = unsafe { prompt_of(&said) }?;
    let (name, count) = ("selvedge_score.continuations", s.continuation_count);
    // SAFETY: as above.
    let mut request = Score::new(prompt, unsafe { texts(name, s.continuations, count, memory::text) }?);
    // SAFETY: as above.
    request.adapters = unsafe { adapters("selvedge_score.adapters", s.adapters, s.adapter_count) }?;
    request.check()?;
    Ok(request)
}

/// The prompt of a request, of which nothing else counts.
///
/// # Safety
///
/// As of [`generate`].
pub(crate) unsafe fn prompt(place: *const selvedge_generate) -> Result<Prompt> {
    // SAFETY: the caller vouches for it.
    unsafe { prompt_of(&Said::of(&memory::read(place)?)) }
}

/// What a struct says for a prompt.
struct Said {
    /// The struct.
    noun: &'static str,
    prompt: selvedge_text,
    messages: (*const selvedge_message, usize),
    tokens: (*const u32, usize),
}

impl Said {
    fn of(g: &selvedge_generate) -> Self {
        Self {
            noun: "selvedge_generate",
            prompt: g.prompt,
            messages: (g.messages, g.message_count),
            tokens: (g.tokens, g.token_count),
        }
    }
}

/// # Safety
///
/// The pointers are as the header asks.
unsafe fn prompt_of(said: &Said) -> Result<Prompt> {
    let (noun, name) = (said.noun, |field: &str| format!("{}.{field}", said.noun));
    // SAFETY: the caller vouches for it, here and below.
    let messages = unsafe { memory::read_array(&name("messages"), said.messages.0, said.messages.1) }?;
    // SAFETY: as above.
    let tokens = unsafe { memory::read_values(&name("tokens"), said.tokens.0, said.tokens.1) }?;
    match (said.prompt.data.is_null() && said.prompt.len == 0, messages.is_empty(), tokens.is_empty()) {
        // SAFETY: as above.
        (false, true, true) => Ok(Prompt::Text(unsafe { text(&name("prompt"), said.prompt) }?.into())),
        // SAFETY: as above.
        (true, false, true) => Ok(Prompt::Chat(messages.iter().map(|m| unsafe { message(m) }).collect::<Result<_>>()?)),
        (true, true, false) => Ok(Prompt::Tokens(tokens)),
        (true, true, true) => Err(invalid(format!("{noun}: expected a prompt, messages or tokens, got none of them"))),
        _ => Err(invalid(format!("{noun}: expected one of prompt, messages and tokens, got more"))),
    }
}

/// # Safety
///
/// The pointers are as the header asks.
unsafe fn message(m: &selvedge_message) -> Result<Message> {
    // SAFETY: the caller vouches for it, here and below.
    let role = unsafe { memory::name("selvedge_message.role", m.role.data, m.role.len) }?;
    // SAFETY: as above.
    let content = unsafe { text("selvedge_message.content", m.content) }?;
    // SAFETY: as above.
    let id = unsafe { text("selvedge_message.tool_call_id", m.tool_call_id) }?;
    let role = match role {
        "" => return Err(invalid("selvedge_message.role: expected a name, got none".into())),
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        // Without an id it is but a name, as it was to clients before there were tools.
        "tool" if !id.is_empty() => Role::Tool,
        other => Role::Other(other.into()),
    };
    let mut message = Message::new(role, content);
    message.tool_call_id = (!id.is_empty()).then(|| id.into());
    // SAFETY: as above.
    let reasoning = unsafe { text("selvedge_message.reasoning", m.reasoning) }?;
    message.reasoning = (!reasoning.is_empty()).then(|| reasoning.into());
    // SAFETY: as above.
    let calls = unsafe { memory::read_array("selvedge_message.tool_calls", m.tool_calls, m.tool_call_count) }?;
    // SAFETY: as above.
    message.tool_calls = calls.iter().map(|c| unsafe { tool_call(c) }).collect::<Result<_>>()?;
    Ok(message)
}

/// # Safety
///
/// The pointers are as the header asks.
unsafe fn tool_call(c: &selvedge_tool_call) -> Result<ToolCall> {
    // SAFETY: the caller vouches for it, here and below.
    let id = unsafe { text("selvedge_tool_call.id", c.id) }?;
    // SAFETY: as above.
    let name = unsafe { memory::name("selvedge_tool_call.name", c.name.data, c.name.len) }?;
    // SAFETY: as above.
    Ok(ToolCall::new(id, name, unsafe { text("selvedge_tool_call.arguments", c.arguments) }?))
}

/// Adds what only a chat has: tools, documents, and variables of its template.
///
/// # Safety
///
/// The pointers are as the header asks.
unsafe fn add_chat(g: &selvedge_generate, request: &mut Generate) -> Result<()> {
    // SAFETY: the caller vouches for it, here and below.
    let tools = unsafe { memory::read_array("selvedge_generate.tools", g.tools, g.tool_count) }?;
    // SAFETY: as above.
    request.tools = tools.iter().map(|t| unsafe { tool(t) }).collect::<Result<_>>()?;
    // SAFETY: as above.
    let named = unsafe { memory::name("selvedge_generate.tool_name", g.tool_name.data, g.tool_name.len) }?;
    request.tool_choice = choice(g.tool_choice, named)?;
    // SAFETY: as above.
    let documents = unsafe { memory::read_array("selvedge_generate.documents", g.documents, g.document_count) }?;
    // SAFETY: as above.
    request.documents = documents.iter().map(|d| unsafe { document(d) }).collect::<Result<_>>()?;
    // SAFETY: as above.
    request.variables = unsafe { options::pairs("selvedge_generate.variables", g.variables, g.variable_count) }?;
    Ok(())
}

/// # Safety
///
/// The pointers are as the header asks.
unsafe fn tool(t: &selvedge_tool) -> Result<Tool> {
    // SAFETY: the caller vouches for it, here and below.
    let name = unsafe { memory::name("selvedge_tool.name", t.name.data, t.name.len) }?;
    // SAFETY: as above.
    let description = unsafe { text("selvedge_tool.description", t.description) }?;
    // SAFETY: as above.
    Ok(Tool::new(name, description, unsafe { text("selvedge_tool.parameters", t.parameters) }?))
}

fn choice(choice: i32, name: &str) -> Result<ToolChoice> {
    Ok(match (choice, name) {
        (SELVEDGE_TOOL_CHOICE_NAMED, name) => ToolChoice::Named(name.into()),
        (SELVEDGE_TOOL_CHOICE_AUTO, "") => ToolChoice::Auto,
        (SELVEDGE_TOOL_CHOICE_NONE, "") => ToolChoice::None,
        (SELVEDGE_TOOL_CHOICE_REQUIRED, "") => ToolChoice::Required,
        (SELVEDGE_TOOL_CHOICE_AUTO..=SELVEDGE_TOOL_CHOICE_REQUIRED, name) => {
            let message = format!("selvedge_generate.tool_name: expected none with the choice {choice}, got '{name}'");
            return Err(invalid(message));
        }
        (other, _) => return Err(unknown("selvedge_tool_choice", other)),
    })
}

fn thinking(thinking: i32) -> Result<Option<bool>> {
    match thinking {
        SELVEDGE_THINKING_AUTO => Ok(None),
        SELVEDGE_THINKING_ON => Ok(Some(true)),
        SELVEDGE_THINKING_OFF => Ok(Some(false)),
        other => Err(unknown("selvedge_thinking", other)),
    }
}

/// # Safety
///
/// The pointers are as the header asks.
unsafe fn document(d: &selvedge_document) -> Result<Document> {
    // SAFETY: the caller vouches for it, here and below.
    let title = unsafe { text("selvedge_document.title", d.title) }?;
    // SAFETY: as above.
    Ok(Document::new(title, unsafe { text("selvedge_document.text", d.text) }?))
}

/// # Safety
///
/// As of [`memory::read_array`], and the pointers within are as the header asks.
unsafe fn adapters(name: &str, place: *const selvedge_adapter, count: usize) -> Result<Vec<(String, f32)>> {
    // SAFETY: the caller vouches for it, here and below.
    let adapters = unsafe { memory::read_array(name, place, count) }?;
    let adapter = |a: selvedge_adapter| {
        check_flags("selvedge_adapter.flags", a.flags, 0)?;
        // SAFETY: as above.
        let name = unsafe { memory::name("selvedge_adapter.name", a.name.data, a.name.len) }?;
        Ok((name.to_owned(), a.scale))
    };
    adapters.into_iter().map(adapter).collect()
}

/// # Safety
///
/// The pointers are as the header asks.
unsafe fn grammar(g: &selvedge_generate) -> Result<Option<Grammar>> {
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

fn add_sampling(g: &selvedge_generate, s: &mut Sampling) {
    s.seed = (g.flags & SELVEDGE_GENERATE_SEEDED != 0).then_some(g.seed);
    s.temperature = g.temperature;
    s.top_k = g.top_k;
    s.top_p = or(g.top_p, s.top_p);
    s.min_p = g.min_p;
    s.repeat_penalty = or(g.repeat_penalty, s.repeat_penalty);
    s.frequency_penalty = g.frequency_penalty;
    s.presence_penalty = g.presence_penalty;
    s.penalty_last_n = if g.penalty_last_n == 0 { s.penalty_last_n } else { g.penalty_last_n };
}

/// Zero stands for the default, so that a zeroed struct is a good one.
fn or(given: f32, default: f32) -> f32 {
    if given == 0.0 { default } else { given }
}
