//! Chats: a conversation with its tools and terms as a prompt, and how the answer is to be read.

mod json;
mod place;

use std::borrow::Cow;

use super::jinja::{Char, Fault, Text, Value};
use super::special_tokens::Segment;
use super::template::Template;
use super::time_zone;
use super::tools::{Dialect, Parameters, Reader, Shown, TAGS, Terms};
use crate::engine::{Document, Generate, Message, Prompt, Role, Tool, ToolCall, ToolChoice};
use crate::{Error, Result};

/// Variables that are always there.
const RESERVED: &[&str] =
    &["add_generation_prompt", "bos_token", "documents", "enable_thinking", "eos_token", "messages", "tools"];

/// What templates call the switch of thinking.
const THINKING: &[&str] = &["enable_thinking", "thinking"];

/// A chat that is ready to be asked.
#[derive(Debug)]
pub(crate) struct Chat {
    /// The prompt.
    pub(crate) segments: Vec<Segment>,
    /// What reads the answer.
    pub(crate) reader: Reader,
    /// The form of an answer that must be a call.
    #[cfg(feature = "grammar")]
    pub(crate) form: Option<Vec<super::grammar::Part>>,
}

/// The variables of a rendering besides the conversation.
#[derive(Default)]
struct Extras<'r> {
    documents: &'r [Document],
    thinking: Option<bool>,
    variables: &'r [(String, String)],
}

impl Template {
    /// A checked request for a chat as a prompt that the model's answer follows, in parts: special tokens that the template
    /// wrote are meant as such, those that a message had a part in are text.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if the template refuses the conversation, `Unsupported` if it fails or exceeds its budget, or has no
    /// place for what the request gives it; `OutOfMemory` if the system refuses the thread that renders.
    pub(crate) fn chat(&self, messages: &[Message], request: &Generate) -> Result<Chat> {
        self.check(request)?;
        let tools: &[Tool] = if request.tool_choice == ToolChoice::None { &[] } else { &request.tools };
        let has_calls = messages.iter().any(|message| !message.tool_calls.is_empty() || message.role == Role::Tool);
        let dialect = (!tools.is_empty() || has_calls).then(|| self.dialect());
        if dialect.is_some_and(|dialect| !dialect.is_known) && !tools.is_empty() {
            return Err(Error::unsupported("tools: calls as the model's template has them cannot be read"));
        }
        let shown = Shown {
            messages: dialect.map_or(Cow::Borrowed(messages), |dialect| dialect.adapt(messages, tools)),
            tools: if dialect.is_some_and(|dialect| dialect.shows_tools) { tools.into() } else { Cow::default() },
            as_text: dialect.is_some_and(|dialect| dialect.as_text),
            asks: !request.continue_last,
        };
        let extras =
            Extras { documents: &request.documents, thinking: request.thinking, variables: &request.variables };
        let mut rendered = self.rendered(&shown, &extras)?;
        if request.continue_last {
            cut_after_last(&mut rendered, messages)?;
        }
        let tags = TAGS.iter().find(|(_, close)| self.source.contains(close)).unwrap_or(&TAGS[0]);
        let is_thinking = match messages.last() {
            Some(last) if request.continue_last => last.content.rfind(tags.0) > last.content.rfind(tags.1),
            _ => ends_with_own(&rendered, tags.0),
        };
        let format = dialect.filter(|_| !tools.is_empty()).map(|dialect| dialect.format.clone());
        #[cfg(feature = "grammar")]
        let form = match &format {
            Some(format) => form(format, tools, &request.tool_choice, is_thinking.then_some(tags.1))?,
            None => None,
        };
        let reads = format.is_some() || request.separate_reasoning;
        let reader = Reader::new(Terms {
            format,
            tools: tools.iter().map(|tool| (tool.name.clone(), parameters(tool))).collect(),
            tags: reads.then(|| (tags.0.to_owned(), tags.1.to_owned())),
            separate: request.separate_reasoning,
            is_thinking: reads && is_thinking,
            seed: seed(messages),
        });
        Ok(Chat {
            segments: self.special_tokens.split(&rendered),
            reader,
            #[cfg(feature = "grammar")]
            form,
        })
    }

    /// The conversation as a prompt, in parts.
    ///
    /// # Errors
    ///
    /// As [`Template::chat`].
    pub(crate) fn render(&self, messages: &[Message]) -> Result<Vec<Segment>> {
        Ok(self.chat(messages, &Generate::new(Prompt::Chat(Vec::new())))?.segments)
    }

    /// The prompt of a chat as one text, special tokens and all.
    ///
    /// # Errors
    ///
    /// As [`Template::chat`].
    pub(crate) fn prompt(&self, messages: &[Message]) -> Result<String> {
        Ok(self.render(messages)?.into_iter().map(|segment| segment.text).collect())
    }

    /// What the template would pass over is refused.
    fn check(&self, request: &Generate) -> Result<()> {
        let unused = |name: &str| Error::unsupported(format!("chat: the model's template does not use '{name}'"));
        if !request.documents.is_empty() && !self.mentions("documents") {
            return Err(unused("documents"));
        }
        if request.thinking.is_some() && !THINKING.iter().any(|name| self.mentions(name)) {
            return Err(unused(THINKING[0]));
        }
        for (name, _) in &request.variables {
            if RESERVED.contains(&&**name) {
                return Err(Error::invalid(format!(
                    "variable '{name}': expected one that the request has no field for"
                )));
            }
            if !self.mentions(name) {
                return Err(unused(name));
            }
        }
        Ok(())
    }

    /// Whether a word is in the template.
    fn mentions(&self, word: &str) -> bool {
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !word.is_empty()
            && self.source.match_indices(word).any(|(at, _)| {
                let (before, after) = (&self.source[..at], &self.source[at + word.len()..]);
                !is_part(before.chars().next_back()) && !is_part(after.chars().next())
            })
    }

    pub(super) fn dialect(&self) -> &Dialect {
        self.dialect.get_or_init(|| {
            Dialect::of(&self.source, |shown| {
                let rendered = self.rendered(&shown, &Extras::default()).ok()?;
                Some(rendered.iter().map(|c| c.get()).collect())
            })
        })
    }

    #[cfg(test)]
    pub(super) fn rendered_text(&self, shown: &Shown<'_>) -> Result<String> {
        Ok(self.rendered(shown, &Extras::default())?.iter().map(|c| c.get()).collect())
    }

    /// What the template makes of a conversation.
    fn rendered(&self, shown: &Shown<'_>, extras: &Extras<'_>) -> Result<Vec<Char>> {
        let of_message = |m: &Message| {
            let calls: usize = m.tool_calls.iter().map(|c| c.id.len() + c.name.len() + c.arguments.len()).sum();
            m.content.len() + m.role.name().len() + m.reasoning.as_ref().map_or(0, String::len) + calls
        };
        let of_tool = |tool: &Tool| tool.name.len() + tool.description.len() + tool.parameters.len();
        let contents: usize = shown.messages.iter().map(of_message).sum::<usize>()
            + shown.tools.iter().map(of_tool).sum::<usize>()
            + extras.documents.iter().map(|d| d.title.len() + d.text.len()).sum::<usize>()
            + extras.variables.iter().map(|(_, value)| value.len()).sum::<usize>();
        self.text(contents, || self.variables(shown, extras), &time_zone::now)
    }

    fn variables(&self, shown: &Shown<'_>, extras: &Extras<'_>) -> Res<Vec<(String, Value)>> {
        let messages: Res<_> = (0..shown.messages.len())
            .map(|i| message(&shown.messages[i], &shown.messages[..i], shown.as_text))
            .collect();
        let mut variables = vec![
            ("messages".to_owned(), Value::list(messages?)?),
            ("add_generation_prompt".to_owned(), Value::Bool(shown.asks)),
        ];
        if !shown.tools.is_empty() {
            let tools: Res<_> = shown.tools.iter().map(tool).collect();
            let tools = Value::list(tools?)?;
            // One family has lists of its own, by how the model is to call.
            if self.mentions("xml_tools") {
                variables.push(("xml_tools".to_owned(), tools.clone()));
            }
            variables.push(("tools".to_owned(), tools));
        }
        if !extras.documents.is_empty() {
            let documents: Res<_> = extras.documents.iter().map(document).collect();
            variables.push(("documents".to_owned(), Value::list(documents?)?));
        }
        if let Some(thinking) = extras.thinking {
            let names = THINKING.iter().filter(|name| self.mentions(name));
            variables.extend(names.map(|name| ((*name).to_owned(), Value::Bool(thinking))));
        }
        for (name, value) in extras.variables {
            variables.push((name.clone(), json::value(value)?));
        }
        Ok(variables)
    }
}

type Res<T> = std::result::Result<T, Fault>;

fn foreign(text: &str) -> Value {
    Value::Text(Text::foreign(text))
}

fn dict(entries: Vec<(&str, Value)>) -> Res<Value> {
    Value::dict(entries.into_iter().map(|(key, value)| (Value::text(key), value)).collect())
}

/// The names of roles that every template knows are no one's text; any other may be.
fn message(message: &Message, before: &[Message], as_text: bool) -> Res<Value> {
    let role = match &message.role {
        Role::Other(name) => Text::foreign(name),
        role => Text::own(role.name()),
    };
    let mut entries = vec![("role", Value::Text(role)), ("content", foreign(&message.content))];
    if let Some(reasoning) = &message.reasoning {
        entries.push(("reasoning_content", foreign(reasoning)));
    }
    if !message.tool_calls.is_empty() {
        let calls: Res<_> = message.tool_calls.iter().map(|one| call(one, as_text)).collect();
        entries.push(("tool_calls", Value::list(calls?)?));
    }
    if let Some(id) = &message.tool_call_id {
        entries.push(("tool_call_id", foreign(id)));
        let called = before.iter().rev().flat_map(|message| &message.tool_calls).find(|call| call.id == *id);
        entries.extend(called.map(|call| ("name", foreign(&call.name))));
    }
    dict(entries)
}

fn call(call: &ToolCall, as_text: bool) -> Res<Value> {
    let arguments = if as_text { foreign(&call.arguments) } else { json::value(&call.arguments)? };
    let function = dict(vec![("name", foreign(&call.name)), ("arguments", arguments)])?;
    dict(vec![("id", foreign(&call.id)), ("type", Value::text("function")), ("function", function)])
}

fn tool(tool: &Tool) -> Res<Value> {
    let function = dict(vec![
        ("name", foreign(&tool.name)),
        ("description", foreign(&tool.description)),
        ("parameters", json::value(&tool.parameters)?),
    ])?;
    dict(vec![("type", Value::text("function")), ("function", function)])
}

fn document(document: &Document) -> Res<Value> {
    dict(vec![("title", foreign(&document.title)), ("text", foreign(&document.text))])
}

/// Which parameters of a tool are texts.
fn parameters(tool: &Tool) -> Parameters {
    let schema: serde_json::Value = serde_json::from_str(&tool.parameters).unwrap_or_default();
    let properties = schema.get("properties").and_then(serde_json::Value::as_object);
    let is_text = |property: &serde_json::Value| property.get("type").and_then(|t| t.as_str()) == Some("string");
    properties.into_iter().flatten().map(|(key, property)| (key.clone(), is_text(property))).collect()
}

/// Cuts off what the template wrote after the last message.
fn cut_after_last(rendered: &mut Vec<Char>, messages: &[Message]) -> Result<()> {
    let content: Vec<char> = messages.last().map_or("", |last| &last.content).trim_end().chars().collect();
    let Some(end) = place::last_end(rendered, &content) else {
        return Err(Error::unsupported("continue_last: the model's template does not show the last message as it is"));
    };
    rendered.truncate(end);
    Ok(())
}

/// Whether the template itself ended with this text, blanks aside.
fn ends_with_own(rendered: &[Char], text: &str) -> bool {
    let end = rendered.iter().rposition(|c| !c.get().is_whitespace()).map_or(0, |last| last + 1);
    let count = text.chars().count();
    end >= count && rendered[end - count..end].iter().zip(text.chars()).all(|(c, t)| c.get() == t && !c.is_foreign())
}

/// What the ids of calls are made from: FNV-1a of what was said.
fn seed(messages: &[Message]) -> u64 {
    let texts = messages.iter().flat_map(|m| [m.role.name(), &*m.content]);
    texts
        .flat_map(str::bytes)
        .fold(messages.len() as u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(feature = "grammar")]
fn form(
    format: &super::tools::Format,
    tools: &[Tool],
    choice: &ToolChoice,
    thought: Option<&str>,
) -> Result<Option<Vec<super::grammar::Part>>> {
    let (chosen, one) = match choice {
        ToolChoice::Auto | ToolChoice::None => return Ok(None),
        ToolChoice::Required => (tools.iter().collect(), false),
        ToolChoice::Named(name) => (tools.iter().filter(|tool| tool.name == *name).collect::<Vec<_>>(), true),
    };
    super::tools::forced(format, &chosen, one, thought).map(Some)
}
