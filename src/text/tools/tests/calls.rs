//! True calls of a public benchmark, written in each format and read back.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::super::format::Format;
use super::super::reader::{Parameters, Reader, Terms};
use super::{Read, formats, json, read, read_in_all_ways};
use crate::engine::{Tool, ToolCall};

#[derive(Deserialize)]
pub(super) struct Case {
    pub(super) id: String,
    tools: HashMap<String, Value>,
    calls: Vec<Call>,
}

#[derive(Deserialize)]
struct Call {
    name: String,
    arguments: Value,
}

impl Case {
    pub(super) fn tools(&self) -> Vec<Tool> {
        // There is a template that wants each parameter described.
        let described = |schema: &Value| {
            let mut schema = schema.clone();
            let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
            properties.into_iter().flatten().for_each(|(_, property)| property["description"] = "A value.".into());
            schema.to_string()
        };
        self.tools.iter().map(|(name, schema)| Tool::new(name, "A tool.", described(schema))).collect()
    }

    pub(super) fn first_name(&self) -> &str {
        &self.calls[0].name
    }

    pub(super) fn calls(&self) -> Vec<ToolCall> {
        let ids = (0..).map(|i| format!("call{i:05}"));
        let call = |(id, call): (String, &Call)| ToolCall::new(id, &*call.name, call.arguments.to_string());
        ids.zip(&self.calls).map(call).collect()
    }

    pub(super) fn reader(&self, format: &Format) -> Reader {
        let parameters = |schema: &Value| -> Parameters {
            let properties = schema["properties"].as_object().into_iter().flatten();
            properties.map(|(key, property)| (key.clone(), property["type"] == "string")).collect()
        };
        let tools = self.tools.iter().map(|(name, schema)| (name.clone(), parameters(schema))).collect();
        Reader::new(Terms { format: Some(format.clone()), tools, ..Terms::default() })
    }

    /// Whether exactly the true calls were read, and nothing else.
    pub(super) fn is_read(&self, read: &Read) -> bool {
        let same = |(read, call): (&ToolCall, &Call)| {
            read.name == call.name && same_value(&json(&read.arguments), &call.arguments)
        };
        read.malformed.is_empty()
            && read.text.trim().is_empty()
            && read.calls.len() == self.calls.len()
            && read.calls.iter().zip(&self.calls).all(same)
    }
}

/// As JSON has it: 7 and 7.0 are one number.
fn same_value(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_value(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| same_value(value, other)))
        }
        (one, other) => one == other,
    }
}

pub(super) fn cases() -> Vec<Case> {
    let lines = include_str!("../../../../tests/data/bfcl/calls.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn all_true_calls_are_read_back_in_every_format() {
    let cases = cases();
    let calls: usize = cases.iter().map(|case| case.calls.len()).sum();
    assert_eq!((cases.len(), calls), (649, 1042));
    for (name, format) in formats() {
        for case in &cases {
            let text = format.write(&case.calls());
            let whole = read(case.reader(&format), &[&text]);
            assert!(case.is_read(&whole), "{name}: {}: {text}\n{whole:?}", case.id);
        }
        for case in cases.iter().step_by(40) {
            let text = format.write(&case.calls());
            assert!(case.is_read(&read_in_all_ways(|| case.reader(&format), &text)), "{name}: {}", case.id);
        }
    }
    println!("{calls} calls of {} cases in {} formats: all read back", cases.len(), formats().len());
}

/// What the test above would not see if it compared nothing.
#[test]
fn another_call_is_not_taken_for_the_true_one() {
    let (cases, formats) = (cases(), formats());
    let (_, format) = &formats[0];
    let text = format.write(&cases[0].calls());
    for (from, to) in [("\"base\": 10", "\"base\": 11"), ("\"base\"", "\"bass\""), ("{\"base\"", "[\"base\"")] {
        let other = text.replacen(&from.replace(": ", ":"), &to.replace(": ", ":"), 1);
        assert_ne!(text, other, "{from}");
        assert!(!cases[0].is_read(&read(cases[0].reader(format), &[&other])), "{other}");
    }
    let doubled = [&*text, "\n", &text].concat();
    assert!(!cases[0].is_read(&read(cases[0].reader(format), &[&doubled])));
}
