//! Answers in every format, whole and in pieces.

mod answers;
mod calls;
#[cfg(feature = "grammar")]
mod forced;
mod hostile;
mod templates;

use std::collections::HashMap;

use serde_json::Value;

use super::format::{Body, Format, Mark, Varies, known};
use super::reader::{Reader, Terms};
use crate::engine::{Event, MalformedCall, Piece, TokenInfo, ToolCall};

/// What is read out of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
struct Read {
    text: String,
    reasoning: String,
    calls: Vec<ToolCall>,
    malformed: Vec<MalformedCall>,
    /// The arguments of the pieces of each call.
    pieces: HashMap<u32, String>,
    tokens: usize,
}

impl Read {
    fn add(&mut self, event: Event) {
        self.tokens += event.tokens().len();
        match event {
            Event::Text(piece) => self.text += &piece.text,
            Event::Reasoning(piece) => self.reasoning += &piece.text,
            Event::CallPiece(piece) => *self.pieces.entry(piece.index).or_default() += &piece.arguments,
            Event::ToolCall(call) => self.calls.push(call),
            Event::Malformed(call) => self.malformed.push(call),
        }
    }

    /// Names and arguments.
    fn called(&self) -> Vec<(&str, &str)> {
        self.calls.iter().map(|call| (&*call.name, &*call.arguments)).collect()
    }
}

/// Reads an answer that comes in these parts, each of them one token.
fn read(mut reader: Reader, parts: &[&str]) -> Read {
    let mut read = Read::default();
    for (id, part) in (0..).zip(parts) {
        let piece = Piece::new(*part, vec![TokenInfo::new(id, None)]);
        reader.push(piece).into_iter().for_each(|event| read.add(event));
    }
    reader.finish().into_iter().for_each(|event| read.add(event));
    assert_eq!(read.tokens, parts.len(), "each token comes with one event");
    // The pieces of a call are its arguments, in whatever parts they come.
    // Those of what turned out to be none are void.
    read.malformed.iter().for_each(|call| drop(read.pieces.remove(&call.index)));
    let whole = (0..).filter(|index| read.malformed.iter().all(|call| call.index != *index)).zip(&read.calls);
    for (index, call) in whole {
        assert_eq!(read.pieces.get(&index), Some(&call.arguments), "the pieces of call {index}: {read:?}");
    }
    read
}

/// Reads an answer whole, in two parts cut at every place, and character by character: all must be the same.
#[track_caller]
fn read_in_all_ways(reader: impl Fn() -> Reader, text: &str) -> Read {
    let whole = read(reader(), &[text]);
    let same = |other: Read, how: &str| {
        let tokens = whole.tokens;
        assert_eq!(Read { tokens, ..other }, whole, "{text:?} {how}");
    };
    for (cut, _) in text.char_indices().skip(1) {
        same(read(reader(), &[&text[..cut], &text[cut..]]), &format!("cut at {cut}"));
    }
    let chars: Vec<String> = text.chars().map(String::from).collect();
    let chars: Vec<&str> = chars.iter().map(|c| &**c).collect();
    same(read(reader(), &chars), "in characters");
    whole
}

/// Terms with tools by name, all of whose parameters are texts but those named `n`.
fn terms(format: Format) -> Terms {
    let parameters = || HashMap::from([("city".to_owned(), true), ("n".to_owned(), false)]);
    let tools = ["weather", "clock"].map(|name| (name.to_owned(), parameters()));
    Terms {
        format: Some(format),
        tools: tools.into(),
        tags: Some(("<think>".into(), "</think>".into())),
        ..Terms::default()
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// Every kind of body, in the formats that models use.
fn formats() -> Vec<(&'static str, Format)> {
    let format = |open: &str, begin: &str, end: &str, between: &str, close: &str, body: Body| Format {
        open: open.into(),
        begin: begin.into(),
        end: end.into(),
        between: between.into(),
        close: close.into(),
        body,
        text_begin: String::new(),
    };
    let named = |before: &str, varies, after: &str| Body::Named {
        mark: Mark { before: before.into(), varies, after: after.into() },
    };
    let tagged = |name_end: &str, key_begin: &str, key_end: &str, value_end: &str| Body::Tagged {
        name_end: name_end.into(),
        key_begin: key_begin.into(),
        key_end: Mark::fixed(key_end),
        value_end: value_end.into(),
    };
    let bare = Body::Bare { quote: "<|\"|>".into() };
    vec![
        ("hermes", known("<tool_call>")),
        ("smollm", known("")),
        ("granite 3", known("<|tool_call|>")),
        ("mistral 3", known("[TOOL_CALLS]")),
        ("mistral 11", format("", "[TOOL_CALLS]", "", "", "", named("[ARGS]", Varies::Nothing, ""))),
        ("mistral 13", format("", "[TOOL_CALLS]", "", "", "", named("[CALL_ID]", Varies::Id, "[ARGS]"))),
        ("llama 3, plain", known("<|python_tag|>")),
        ("nemotron", known("<TOOLCALL>")),
        ("firefunction", known("functools[")),
        ("functionary 3.1", known("<function=")),
        (
            "functionary 3.2",
            Format { text_begin: "all\n".into(), ..format("", "", "", ">>>", "", named("\n", Varies::Nothing, "")) },
        ),
        (
            "deepseek r1",
            format(
                "<｜tool▁calls▁begin｜>",
                "<｜tool▁call▁begin｜>function<｜tool▁sep｜>",
                "\n```<｜tool▁call▁end｜>",
                "\n",
                "<｜tool▁calls▁end｜>",
                named("\n```json\n", Varies::Nothing, ""),
            ),
        ),
        (
            "deepseek v3.1",
            format(
                "<｜tool▁calls▁begin｜>",
                "<｜tool▁call▁begin｜>",
                "<｜tool▁call▁end｜>",
                "",
                "<｜tool▁calls▁end｜>",
                named("<｜tool▁sep｜>", Varies::Nothing, ""),
            ),
        ),
        (
            "kimi",
            format(
                "<|tool_calls_section_begin|>",
                "<|tool_call_begin|>functions.",
                "<|tool_call_end|>",
                "",
                "<|tool_calls_section_end|>",
                named(":", Varies::Number, "<|tool_call_argument_begin|>"),
            ),
        ),
        (
            "qwen 3 coder",
            format(
                "",
                "<tool_call>\n<function=",
                "</function>\n</tool_call>",
                "\n",
                "",
                tagged(">\n", "<parameter=", ">\n", "\n</parameter>\n"),
            ),
        ),
        (
            "glm",
            format(
                "",
                "<tool_call>",
                "</tool_call>",
                "",
                "",
                tagged("\n", "<arg_key>", "</arg_key>\n<arg_value>", "</arg_value>\n"),
            ),
        ),
        ("gemma 4", format("", "<|tool_call>call:", "<tool_call|>", "", "", bare)),
        ("lfm 2", known("<|tool_call_start|>")),
    ]
}
