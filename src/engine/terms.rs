//! Terms of a generation: the ranges of its parameters, and what its tools and messages may say.

use std::collections::HashSet;

use serde_json::Value;

use super::{Generate, Message, Prompt, Role, Tool, ToolChoice};
use crate::{Error, Result};

/// The most tools of a request, and bytes of what is said of them all.
const MAX_TOOLS: usize = 1000;
const MAX_BYTES: usize = 1 << 20;
/// The longest name of a tool, in bytes.
const MAX_NAME: usize = 128;

impl Generate {
    /// Checks every parameter against its range. A grammar is checked by the engine, when the request starts.
    ///
    /// # Errors
    ///
    /// `InvalidArgument`, naming parameter and range.
    pub fn check(&self) -> Result<()> {
        let s = &self.sampling;
        let within = |name: &str, value: f32, range: &str, ok: bool| {
            // A NaN fails every comparison, so `ok` is false for it.
            if ok { Ok(()) } else { Err(Error::invalid(format!("{name}: expected {range}, got {value}"))) }
        };
        within(
            "temperature",
            s.temperature,
            "a finite number >= 0",
            s.temperature >= 0.0 && s.temperature.is_finite(),
        )?;
        within("top_p", s.top_p, "a number in (0, 1]", s.top_p > 0.0 && s.top_p <= 1.0)?;
        within("min_p", s.min_p, "a number in [0, 1]", (0.0..=1.0).contains(&s.min_p))?;
        within(
            "repeat_penalty",
            s.repeat_penalty,
            "a finite number > 0",
            s.repeat_penalty > 0.0 && s.repeat_penalty.is_finite(),
        )?;
        within("frequency_penalty", s.frequency_penalty, "a finite number", s.frequency_penalty.is_finite())?;
        within("presence_penalty", s.presence_penalty, "a finite number", s.presence_penalty.is_finite())?;
        if self.stop.iter().any(String::is_empty) {
            return Err(Error::invalid("stop: expected non-empty texts, got an empty one"));
        }
        if self.max_tokens == Some(0) {
            return Err(Error::invalid("max_tokens: expected at least 1, got 0"));
        }
        check_adapters(&self.adapters)?;
        check_bias(&self.logit_bias)?;
        let (top, most) = (self.top_logprobs, Self::MAX_TOP_LOGPROBS);
        if top > most {
            return Err(Error::invalid(format!("top_logprobs: expected at most {most}, got {top}")));
        }
        self.prompt.check()?;
        check_chat(self)
    }
}

impl Prompt {
    pub(super) fn check(&self) -> Result<()> {
        match self {
            Prompt::Chat(messages) if messages.is_empty() => Err(Error::invalid("chat: expected messages, got none")),
            Prompt::Tokens(tokens) if tokens.is_empty() => Err(Error::invalid("tokens: expected at least 1, got none")),
            _ => Ok(()),
        }
    }
}

pub(super) fn check_adapters(adapters: &[(String, f32)]) -> Result<()> {
    for (i, (name, scale)) in adapters.iter().enumerate() {
        // One that changes nothing would be said to have been applied.
        if *scale == 0.0 || !scale.is_finite() {
            return Err(Error::invalid(format!("adapter '{name}': expected a finite scale but 0, got {scale}")));
        }
        if adapters[..i].iter().any(|(other, _)| other == name) {
            return Err(Error::invalid(format!("adapter '{name}' is given twice")));
        }
    }
    Ok(())
}

fn check_bias(bias: &[(u32, f32)]) -> Result<()> {
    let mut tokens: Vec<u32> = bias.iter().map(|(token, _)| *token).collect();
    tokens.sort_unstable();
    if let Some(twice) = tokens.windows(2).find(|two| two[0] == two[1]) {
        return Err(Error::invalid(format!("logit_bias: token {} is given twice", twice[0])));
    }
    match bias.iter().find(|(_, by)| by.is_nan() || *by == f32::INFINITY) {
        Some((token, by)) => Err(Error::invalid(format!(
            "logit_bias of token {token}: expected a finite number or minus infinity, got {by}"
        ))),
        None => Ok(()),
    }
}

/// Checks what a request says of tools, and what the messages of its chat say of calls.
///
/// # Errors
///
/// `InvalidArgument`, naming the tool or the message.
fn check_chat(request: &Generate) -> Result<()> {
    let Prompt::Chat(messages) = &request.prompt else {
        let terms = [
            ("tools", !request.tools.is_empty()),
            ("documents", !request.documents.is_empty()),
            ("thinking", request.thinking.is_some()),
            ("variables", !request.variables.is_empty()),
            ("continue_last", request.continue_last),
            ("separate_reasoning", request.separate_reasoning),
        ];
        return match terms.iter().find(|(_, asked)| *asked) {
            Some((name, _)) => Err(Error::invalid(format!("{name}: expected a chat, got a prompt of another kind"))),
            None => Ok(()),
        };
    };
    check_tools(&request.tools)?;
    check_choice(request)?;
    check_messages(messages)?;
    for (name, value) in &request.variables {
        json(&format!("variable '{name}'"), value)?;
    }
    match messages.last() {
        Some(last) if request.continue_last && (last.role != Role::Assistant || last.content.trim().is_empty()) => {
            Err(Error::invalid("continue_last: expected the last message to be the assistant's, with a text"))
        }
        _ => Ok(()),
    }
}

fn check_tools(tools: &[Tool]) -> Result<()> {
    if tools.len() > MAX_TOOLS {
        return Err(Error::invalid(format!("tools: expected at most {MAX_TOOLS}, got {}", tools.len())));
    }
    let bytes: usize = tools.iter().map(|t| t.name.len() + t.description.len() + t.parameters.len()).sum();
    if bytes > MAX_BYTES {
        return Err(Error::invalid(format!("tools: expected at most {MAX_BYTES} bytes in all, got {bytes}")));
    }
    let mut names = HashSet::new();
    for (i, tool) in tools.iter().enumerate() {
        let name = &*tool.name;
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(is_of_name) {
            let shown: String = name.chars().take(40).collect();
            let what = format!("tool {i}: name: expected 1 to {MAX_NAME} of A-Z a-z 0-9 _ - . and got '{shown}'");
            return Err(Error::invalid(what));
        }
        if !names.insert(name) {
            return Err(Error::invalid(format!("tool '{name}': expected each name once, got it again")));
        }
        if !json(&format!("tool '{name}': parameters"), &tool.parameters)?.is_object() {
            return Err(Error::invalid(format!("tool '{name}': parameters: expected a JSON Schema that is an object")));
        }
    }
    Ok(())
}

fn check_choice(request: &Generate) -> Result<()> {
    match &request.tool_choice {
        ToolChoice::None => return Ok(()),
        ToolChoice::Required if request.tools.is_empty() => {
            return Err(Error::invalid("tool_choice: expected tools to choose from, got none"));
        }
        ToolChoice::Named(name) if !request.tools.iter().any(|tool| tool.name == *name) => {
            return Err(Error::invalid(format!("tool_choice: expected the name of a tool, got '{name}'")));
        }
        _ => {}
    }
    if !request.tools.is_empty() && request.grammar.is_some() {
        return Err(Error::invalid("grammar: expected none beside tools, for the answer may be a call"));
    }
    Ok(())
}

fn check_messages(messages: &[Message]) -> Result<()> {
    let mut ids = HashSet::new();
    for (i, message) in messages.iter().enumerate() {
        if !message.tool_calls.is_empty() && message.role != Role::Assistant {
            return Err(Error::invalid(format!("message {i}: expected calls only of the assistant")));
        }
        for call in &message.tool_calls {
            let what = format!("message {i}: arguments of '{}'", call.name);
            if !json(&what, &call.arguments)?.is_object() {
                return Err(Error::invalid(format!("{what}: expected a JSON object")));
            }
            ids.insert(&*call.id);
        }
        match (&message.role, &message.tool_call_id) {
            (Role::Tool, Some(id)) if ids.contains(&**id) => {}
            (Role::Tool, Some(id)) => {
                return Err(Error::invalid(format!("message {i}: expected the id of an earlier call, got '{id}'")));
            }
            (Role::Tool, None) => {
                return Err(Error::invalid(format!("message {i}: expected the id of the call that it answers")));
            }
            (_, Some(_)) => {
                return Err(Error::invalid(format!("message {i}: expected an id only of a tool's message")));
            }
            (_, None) => {}
        }
    }
    Ok(())
}

fn json(what: &str, text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| Error::invalid(format!("{what}: expected JSON, got: {error}")))
}
