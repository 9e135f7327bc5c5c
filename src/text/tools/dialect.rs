//! Dialects: what a chat template makes of tools, calls and results, and what is made of them for one that makes nothing.

use std::borrow::Cow;

use serde_json::Value;

use super::derive::{Sentinels, answer, derived};
use super::format::{Format, instruction, is_mentioned, known};
use super::reader::{Reader, Terms};
use crate::engine::{Event, Message, Piece, Role, Tool, ToolCall};

/// What a chat template makes of tools.
#[derive(Clone, Debug, Default)]
pub(in crate::text) struct Dialect {
    pub(in crate::text) format: Format,
    /// Whether arguments are given to it as text, not as a dict.
    pub(in crate::text) as_text: bool,
    /// Whether the format is that of what the template tells the model, as far as it can be known.
    pub(in crate::text) is_known: bool,
    /// Whether a message has one call.
    pub(super) is_single: bool,
    pub(in crate::text) shows_tools: bool,
    shows_calls: bool,
    shows_results: bool,
    shows_system: bool,
}

/// A conversation to be rendered: its messages, with or without tools, and whether arguments are text.
#[derive(Clone, Debug)]
pub(in crate::text) struct Shown<'c> {
    pub(in crate::text) messages: Cow<'c, [Message]>,
    pub(in crate::text) tools: Cow<'c, [Tool]>,
    pub(in crate::text) as_text: bool,
    /// Whether an answer is to follow.
    pub(in crate::text) asks: bool,
}

impl Dialect {
    /// The dialect of a template of this source. `render` is the template; `None` where it fails.
    pub(in crate::text) fn of(source: &str, render: impl Fn(Shown<'_>) -> Option<String>) -> Self {
        let user = || Message::user("Hello.");
        let tools = || Cow::Owned(Sentinels::tools());
        let ask = |messages: Vec<Message>| {
            let messages = messages.into();
            render(Shown { messages, tools: tools(), as_text: false, asks: true })
        };
        let mut dialect = Self {
            shows_tools: ask(vec![user()]).is_some_and(|text| Sentinels::are_in(&text, 1)),
            shows_system: ask(vec![Message::system(Sentinels::CONTENT), user()])
                .is_some_and(|text| text.contains(Sentinels::CONTENT)),
            ..Self::default()
        };
        let told = |messages: Vec<Message>, as_text| {
            render(Shown { messages: messages.into(), tools: tools(), as_text, asks: false })
        };
        let plain = told(vec![user(), Message::assistant(Sentinels::CONTENT)], false);
        let mut writes = false;
        let read = [false, true].into_iter().find_map(|as_text| {
            let plain = plain.as_deref()?;
            let called =
                |count| told(vec![user(), Message::assistant("").tool_calls(Sentinels::calls(count))], as_text);
            // A template may refuse two calls in a message, or pass over the second.
            let (called, most) = match called(2)
                .filter(|text| answer(plain, text).is_some_and(|(answer, _)| Sentinels::are_in(answer, 2)))
            {
                Some(two) => (two, 2),
                None => (called(1)?, 1),
            };
            writes |= answer(plain, &called).is_some_and(|(answer, _)| Sentinels::are_in(answer, 1));
            let (format, answer) = derived(plain, &called)?;
            reads_back(&format, answer, most).then_some((format, as_text, most == 1))
        });
        dialect.shows_calls = read.is_some();
        dialect.is_known = dialect.shows_calls || !writes && (!dialect.shows_tools || is_mentioned(source));
        (dialect.format, dialect.as_text, dialect.is_single) = read.unwrap_or_else(|| (known(source), false, false));
        dialect.shows_results = dialect.shows_calls && {
            let calls = Sentinels::calls(1);
            let result = calls.first().map(|call| Message::tool(&*call.id, Sentinels::RESULT));
            let messages =
                [user(), Message::assistant("").tool_calls(calls)].into_iter().chain(result).collect::<Vec<_>>().into();
            let shown = render(Shown { messages, tools: tools(), as_text: dialect.as_text, asks: true });
            shown.is_some_and(|text| text.contains(Sentinels::RESULT))
        };
        dialect
    }

    #[cfg(test)]
    pub(super) fn shows_calls(&self) -> bool {
        self.shows_calls
    }

    /// The messages as the template can show them: what it does not show is written as text.
    pub(in crate::text) fn adapt<'m>(&self, messages: &'m [Message], tools: &[Tool]) -> Cow<'m, [Message]> {
        if self.shows_calls && self.shows_results && (self.shows_tools || tools.is_empty()) {
            return messages.into();
        }
        let mut adapted: Vec<Message> = Vec::with_capacity(messages.len() + 1);
        for message in messages {
            let mut message = message.clone();
            if !self.shows_calls && !message.tool_calls.is_empty() {
                let calls = std::mem::take(&mut message.tool_calls);
                let content = message.content.trim_end();
                let blank = if content.is_empty() { "" } else { "\n" };
                message.content = [content, blank, &self.format.write(&calls)].concat();
            }
            if !self.shows_results && message.role == Role::Tool {
                let content = format!("<tool_response>\n{}\n</tool_response>", message.content);
                // Most templates want the speakers to take turns.
                match adapted
                    .last_mut()
                    .filter(|last| last.role == Role::User && last.content.ends_with("</tool_response>"))
                {
                    Some(last) => last.content += &format!("\n{content}"),
                    None => adapted.push(Message::user(content)),
                }
                continue;
            }
            adapted.push(message);
        }
        if !self.shows_tools && !tools.is_empty() {
            self.instruct(&mut adapted, tools);
        }
        adapted.into()
    }

    fn instruct(&self, messages: &mut Vec<Message>, tools: &[Tool]) {
        let text = instruction(&self.format, tools);
        let first = if self.shows_system { Role::System } else { Role::User };
        match messages.first_mut() {
            Some(message) if message.role == first => message.content = format!("{text}\n\n{}", message.content),
            _ => messages.insert(0, Message::new(first, text)),
        }
    }
}

/// Whether the first `count` sentinels are read out of an answer with them.
fn reads_back(format: &Format, answer: &str, count: usize) -> bool {
    let tools = Sentinels::tools().into_iter().map(|tool| (tool.name, [("first_key".to_owned(), true)].into()));
    let terms = Terms { format: Some(format.clone()), tools: tools.collect(), ..Terms::default() };
    let mut reader = Reader::new(terms);
    let events = [reader.push(Piece::new(answer, Vec::new())), reader.finish()].concat();
    let wanted = Sentinels::calls(count);
    let same = |(call, wanted): (&ToolCall, &ToolCall)| {
        let value = |text: &str| serde_json::from_str::<Value>(text).ok();
        call.name == wanted.name && value(&call.arguments) == value(&wanted.arguments)
    };
    let mut calls = Vec::new();
    for event in events {
        match event {
            Event::ToolCall(call) => calls.push(call),
            Event::CallPiece(_) => {}
            Event::Text(piece) | Event::Reasoning(piece) if piece.text.trim().is_empty() => {}
            _ => return false,
        }
    }
    calls.len() == wanted.len() && calls.iter().zip(&wanted).all(same)
}
