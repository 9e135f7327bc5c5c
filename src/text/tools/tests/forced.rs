//! Forced calls: whatever tokens are chosen, what comes of them is read as calls that the schemas allow.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::super::forced::forced;
use super::super::format::{Body, Format};
use super::super::reader::{Reader, Terms};
use super::{formats, json, read};
use crate::engine::Tool;
use crate::text::tests::chance::Chance;
use crate::text::{Vocabulary, Words};
use crate::{Code, Digest};

/// A vocabulary with one token for each byte, one that ends, and two names of marks.
fn bytes() -> Arc<Vocabulary> {
    let made = Vocabulary::shared(Digest([9; 32]), || {
        let mut texts: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
        texts.extend(["<|end|>", "[TOOL_CALLS]", "<tool_call|>"].map(|name| name.as_bytes().to_vec()));
        let special = (0..texts.len()).map(|id| id >= 256).collect();
        Words { texts, special, ends: vec![256] }
    });
    made.unwrap()
}

const NAMES: [&str; 3] = ["<|end|>", "[TOOL_CALLS]", "<tool_call|>"];

fn tools() -> Vec<Tool> {
    let weather = r#"{"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 14}, "unit": {"type": "string", "enum": ["C", "F"]}}, "required": ["city", "days"]}"#;
    let clock = r##"{"type": "object", "properties": {"zones": {"type": "array", "items": {"$ref": "#/$defs/zone"}, "maxItems": 2}, "exact": {"type": "boolean"}}, "$defs": {"zone": {"enum": ["UTC", "CET"]}}}"##;
    vec![Tool::new("weather", "", weather), Tool::new("clock", "", clock)]
}

fn reader(format: &Format, tools: &[Tool], is_thinking: bool) -> Reader {
    let parameters = |tool: &Tool| {
        let schema = json(&tool.parameters);
        let properties = schema["properties"].as_object().into_iter().flatten();
        let texts = properties.map(|(key, property)| (key.clone(), property["type"] == "string"));
        (tool.name.clone(), texts.collect::<HashMap<_, _>>())
    };
    Reader::new(Terms {
        format: Some(format.clone()),
        tools: tools.iter().map(parameters).collect(),
        tags: Some(("<think>".into(), "</think>".into())),
        separate: true,
        is_thinking,
        ..Terms::default()
    })
}

/// Goes where chance leads, and to an end if one is to be had: `None` if there is none within 2000 tokens.
fn walk(format: &Format, tools: &[Tool], one: bool, thought: Option<&str>, chance: &mut Chance) -> Option<String> {
    let chosen: Vec<&Tool> = tools.iter().collect();
    let parts = forced(format, &chosen, one, thought).unwrap();
    let mut matcher = bytes().matcher_of(&parts).unwrap();
    let mut closers: Vec<String> = ["\"", "}", "]"].map(str::to_owned).into();
    closers.extend(format.texts().into_iter().filter(|mark| !mark.is_empty()).map(str::to_owned));
    closers.extend(thought.map(str::to_owned));
    let (mut text, mut wish): (Vec<u8>, Vec<u8>) = (Vec::new(), Vec::new());
    for step in 0..2000 {
        if matcher.is_done() || step > 60 && matcher.may_end().unwrap() {
            return Some(String::from_utf8(text).expect("text"));
        }
        let allowed: Vec<u32> = matcher.mask().unwrap().tokens(259).filter(|token| *token != 256).collect();
        assert!(!allowed.is_empty(), "no way on after {:?}", String::from_utf8_lossy(&text));
        if wish.is_empty() && step > 20 && chance.below(3) > 0 {
            wish = closers[chance.below(closers.len())].bytes().rev().collect();
        }
        let wished = wish.pop().map(u32::from).filter(|byte| allowed.contains(byte));
        if wished.is_none() {
            wish.clear();
        }
        let token = wished.unwrap_or_else(|| {
            let short: Vec<u32> =
                allowed.iter().copied().filter(|token| (33..127).contains(token) || *token > 256).collect();
            let list = if short.is_empty() { &allowed } else { &short };
            list[chance.below(list.len())]
        });
        match token {
            256.. => text.extend(NAMES[token as usize - 256].bytes()),
            byte => text.push(byte as u8),
        }
        matcher.accept(token).unwrap();
    }
    None
}

#[test]
fn what_is_forced_is_read_as_calls_that_the_schemas_allow() {
    let tools = tools();
    let schemas: HashMap<&str, _> =
        tools.iter().map(|tool| (&*tool.name, jsonschema::validator_for(&json(&tool.parameters)).unwrap())).collect();
    let mut chance = Chance(3);
    let mut several = 0;
    for (name, format) in formats() {
        if matches!(format.body, Body::Bare { .. } | Body::Python) {
            let error = forced(&format, &[&tools[0]], true, None).unwrap_err();
            assert_eq!(error.code(), Code::Unsupported, "{name}: {error}");
            continue;
        }
        let mut whole = 0;
        for i in 0..12 {
            let (one, thinks) = (i % 2 == 0, i % 4 == 1);
            let Some(text) = walk(&format, &tools, one, thinks.then_some("</think>"), &mut chance) else { continue };
            whole += 1;
            let read = read(reader(&format, &tools, thinks), &[&text]);
            assert!(read.malformed.is_empty() && read.text.trim().is_empty(), "{name}: {text:?}: {read:?}");
            assert!(if one { read.calls.len() == 1 } else { !read.calls.is_empty() }, "{name}: {text:?}: {read:?}");
            several += usize::from(read.calls.len() > 1);
            for call in &read.calls {
                let arguments: Value = json(&call.arguments);
                assert!(schemas[&*call.name].is_valid(&arguments), "{name}: {text:?}: {arguments}");
            }
        }
        assert!(whole > 6, "{name}: only {whole} walks came to an end");
        println!("{name}: {whole} walks to the end");
    }
    assert!(several > 5, "parallel calls: {several}");
}

/// A mark that is a token of its own is that token, and not its letters.
#[test]
fn marks_that_are_tokens_are_those() {
    let (_, format) = formats().into_iter().find(|(name, _)| *name == "mistral 11").unwrap();
    let parts = forced(&format, &[&tools()[0]], true, None).unwrap();
    let mut matcher = bytes().matcher_of(&parts).unwrap();
    assert_eq!(matcher.mask().unwrap().tokens(259).collect::<Vec<_>>(), [257]);
}

#[test]
fn schemas_that_cannot_be_held_to_are_refused_by_tool_and_keyword() {
    let (_, format) = formats().swap_remove(0);
    for (schema, word) in [
        (r#"{"type": "object", "properties": {"a": {"not": {"type": "string"}}}}"#, "not"),
        (r##"{"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}}"##, "none"),
        (r#"{"type": "object", "properties": {"a": {"type": "strange"}}}"#, "strange"),
    ] {
        let tool = Tool::new("f", "", schema);
        let parts = forced(&format, &[&tool], true, None).unwrap();
        let error = bytes().matcher_of(&parts).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
        let text = error.to_string();
        assert!(text.contains("'f'") && text.contains(word), "{text}");
    }
}
