//! Formats: how calls are written.

use std::fmt::Write as _;

use serde_json::Value;

use crate::engine::{Tool, ToolCall};

/// How a model writes calls: `open begin BODY end between begin BODY end … close`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::text) struct Format {
    pub(super) open: String,
    pub(super) begin: String,
    pub(super) end: String,
    pub(super) between: String,
    pub(super) close: String,
    pub(super) body: Body,
    /// What an answer without calls begins with.
    pub(super) text_begin: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// `{"name": "NAME", "arguments": {…}}`, under keys of these names.
    Object { name: String, arguments: String },
    /// `NAME`, a mark, `{…}`.
    Named { mark: Mark },
    /// `NAME`, and then each argument in marks of its own, texts as they are.
    Tagged { name_end: String, key_begin: String, key_end: Mark, value_end: String },
    /// `NAME{key:value}`, texts in quotes of their own.
    Bare { quote: String },
    /// `NAME(key=value)`, as Python has it.
    Python,
}

impl Default for Body {
    fn default() -> Self {
        Self::object("name", "arguments")
    }
}

impl Body {
    pub(super) fn object(name: &str, arguments: &str) -> Self {
        Body::Object { name: name.into(), arguments: arguments.into() }
    }

    pub(super) fn is_object(&self) -> bool {
        matches!(self, Body::Object { .. })
    }
}

/// A mark, in which something may vary from call to call: an id, a number, a type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) before: String,
    pub(super) varies: Varies,
    pub(super) after: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Varies {
    #[default]
    Nothing,
    /// The id of the call.
    Id,
    /// The place of the call, from 0.
    Number,
    /// A word of the template's, such as a type.
    Word,
}

impl Mark {
    pub(super) fn fixed(text: &str) -> Self {
        Self { before: text.into(), ..Self::default() }
    }
}

/// Formats by a mark that a template mentions: mark, open, begin, end, between, close.
const KNOWN: &[(&str, [&str; 5])] = &[
    ("<|tool_call_start|>", ["<|tool_call_start|>[", "", "", ", ", "]<|tool_call_end|>"]),
    ("<|tool_list_start|>", ["<|tool_call_start|>[", "", "", ", ", "]<|tool_call_end|>"]),
    (
        "<|tool_call_begin|>",
        [
            "<|tool_calls_section_begin|>",
            "<|tool_call_begin|>functions.",
            "<|tool_call_end|>",
            "",
            "<|tool_calls_section_end|>",
        ],
    ),
    ("<|tool_call|>", ["<|tool_call|>[", "", "", ", ", "]"]),
    ("<tool_call>", ["", "<tool_call>\n", "\n</tool_call>", "\n", ""]),
    ("<function=", ["", "<function=", "</function>", "", ""]),
    ("[TOOL_CALLS]", ["[TOOL_CALLS][", "", "", ", ", "]"]),
    ("<TOOLCALL>", ["<TOOLCALL>[", "", "", ", ", "]</TOOLCALL>"]),
    ("functools[", [" functools[", "", "", ", ", "]"]),
    ("<|python_tag|>", ["", "", "", "; ", ""]),
    // What models that were trained on no template of their own are asked for.
    ("", ["<tool_call>[", "", "", ", ", "]</tool_call>"]),
];

/// The format that a template mentions without writing calls in it.
pub(in crate::text) fn known(template: &str) -> Format {
    let (mark, marks) = KNOWN.iter().find(|(mark, _)| template.contains(mark)).unwrap_or(&KNOWN[KNOWN.len() - 1]);
    let [open, begin, end, between, close] = marks.map(str::to_owned);
    let body = match *mark {
        "<|tool_call_start|>" | "<|tool_list_start|>" => Body::Python,
        "<|tool_call_begin|>" => Body::Named {
            mark: Mark { before: ":".into(), varies: Varies::Number, after: "<|tool_call_argument_begin|>".into() },
        },
        "<function=" => Body::Named { mark: Mark::fixed(">") },
        "<|python_tag|>" => Body::object("name", "parameters"),
        _ => Body::default(),
    };
    Format { open, begin, end, between, close, body, text_begin: String::new() }
}

/// Whether a template mentions a format of the table.
pub(super) fn is_mentioned(template: &str) -> bool {
    KNOWN.iter().any(|(mark, _)| !mark.is_empty() && template.contains(mark))
}

/// What a model is told of the tools if its template does not tell it.
pub(in crate::text) fn instruction(format: &Format, tools: &[Tool]) -> String {
    let mut text = String::from("You can call these functions. Each is described by a JSON object:\n");
    for tool in tools {
        let quoted = |text: &str| Value::from(text).to_string();
        let (name, description) = (quoted(&tool.name), quoted(&tool.description));
        let _ = writeln!(
            text,
            "{{\"name\": {name}, \"description\": {description}, \"parameters\": {}}}",
            tool.parameters.trim()
        );
    }
    let example = ToolCall::new("call00000", "NAME", "{\"ARGUMENT\": \"VALUE\"}");
    let _ = write!(text, "To call one, answer with nothing but:\n{}", format.write(&[example]));
    text
}

impl Format {
    /// Calls as a model writes them. Arguments that are no JSON object are written as none.
    pub(in crate::text) fn write(&self, calls: &[ToolCall]) -> String {
        let mut text = self.open.clone();
        for (i, call) in calls.iter().enumerate() {
            text += if i > 0 { &self.between } else { "" };
            text += &self.begin;
            self.write_body(call, i, &mut text);
            text += &self.end;
        }
        text + &self.close
    }

    /// Every mark of it.
    pub(super) fn texts(&self) -> Vec<&str> {
        let Self { open, begin, end, between, close, body, text_begin: _ } = self;
        let mut texts = vec![&**open, begin, end, between, close];
        match body {
            Body::Object { .. } | Body::Python => {}
            Body::Named { mark } => texts.extend([&*mark.before, &mark.after]),
            Body::Tagged { name_end, key_begin, key_end, value_end } => {
                texts.extend([&**name_end, key_begin, &key_end.before, &key_end.after, value_end]);
            }
            Body::Bare { quote } => texts.push(quote),
        }
        texts
    }

    fn write_body(&self, call: &ToolCall, index: usize, text: &mut String) {
        let entries = || serde_json::from_str::<serde_json::Map<String, Value>>(&call.arguments).unwrap_or_default();
        match &self.body {
            Body::Object { name, arguments } => {
                let (key, quoted) = (Value::from(&**name), Value::from(&*call.name));
                let _ = write!(text, "{{{key}: {quoted}, {}: {}}}", Value::from(&**arguments), call.arguments);
            }
            Body::Named { mark } => {
                *text += &call.name;
                mark.write(&call.id, index, text);
                *text += &call.arguments;
            }
            Body::Tagged { name_end, key_begin, key_end, value_end } => {
                *text += &call.name;
                *text += name_end;
                for (key, value) in entries() {
                    *text += key_begin;
                    *text += &key;
                    key_end.write(if value.is_string() { "string" } else { "object" }, index, text);
                    *text += &value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    *text += value_end;
                }
            }
            Body::Bare { quote } => {
                *text += &call.name;
                write_bare(&Value::Object(entries()), quote, text);
            }
            Body::Python => {
                *text += &call.name;
                *text += "(";
                for (i, (key, value)) in entries().iter().enumerate() {
                    *text += if i > 0 { ", " } else { "" };
                    *text += key;
                    *text += "=";
                    write_python(value, text);
                }
                *text += ")";
            }
        }
    }
}

impl Mark {
    fn write(&self, id: &str, index: usize, text: &mut String) {
        *text += &self.before;
        match self.varies {
            Varies::Nothing => {}
            Varies::Id | Varies::Word => *text += id,
            Varies::Number => *text += &index.to_string(),
        }
        *text += &self.after;
    }
}

fn write_bare(value: &Value, quote: &str, text: &mut String) {
    match value {
        Value::String(value) => *text += &[quote, value, quote].concat(),
        Value::Array(list) => {
            *text += "[";
            for (i, item) in list.iter().enumerate() {
                *text += if i > 0 { "," } else { "" };
                write_bare(item, quote, text);
            }
            *text += "]";
        }
        Value::Object(map) => {
            *text += "{";
            for (i, (key, value)) in map.iter().enumerate() {
                *text += if i > 0 { "," } else { "" };
                *text += key;
                *text += ":";
                write_bare(value, quote, text);
            }
            *text += "}";
        }
        other => *text += &other.to_string(),
    }
}

fn write_python(value: &Value, text: &mut String) {
    match value {
        Value::Null => *text += "None",
        Value::Bool(true) => *text += "True",
        Value::Bool(false) => *text += "False",
        Value::Array(list) => {
            *text += "[";
            for (i, item) in list.iter().enumerate() {
                *text += if i > 0 { ", " } else { "" };
                write_python(item, text);
            }
            *text += "]";
        }
        Value::Object(map) => {
            *text += "{";
            for (i, (key, value)) in map.iter().enumerate() {
                *text += if i > 0 { ", " } else { "" };
                let _ = write!(text, "{}: ", Value::from(&**key));
                write_python(value, text);
            }
            *text += "}";
        }
        other => *text += &other.to_string(),
    }
}
