//! Answers and tools that are meant to break something.

use std::time::{Duration, Instant};

use super::super::reader::{Reader, Terms};
use super::{Read, formats, json, read, terms};
use crate::Code;
use crate::engine::{Generate, Message, Tool, ToolCall, ToolChoice};
use crate::text::tests::chance::Chance;

/// In parts of a character each, as the longest answers come.
fn in_characters(reader: Reader, text: &str) -> Read {
    let parts: Vec<&str> = text.char_indices().map(|(i, c)| &text[i..i + c.len_utf8()]).collect();
    read(reader, &parts)
}

#[test]
fn endless_answers_are_read_to_their_end() {
    const N: usize = 100_000;
    let bodies = [
        "{".repeat(N),
        "[".repeat(N),
        "{\"a\":".repeat(N),
        format!("{{\"name\": \"weather\", \"arguments\": {}{}}}", "{\"a\":".repeat(N), "}".repeat(N)),
        format!("{{\"name\": \"weather\", \"arguments\": {{\"city\": \"{}\"}}}}", "x".repeat(N)),
        format!("weather({}", "[".repeat(N)),
        format!("weather(city={}{})", "[".repeat(N), "]".repeat(N)),
        format!("weather{{city:{}{}}}", "[".repeat(N), "]".repeat(N)),
        format!("weather>\n<parameter=city>\n{}", "y".repeat(N)),
        "<tool_call>".repeat(N / 11),
        "<tool_call>{}".repeat(N / 13),
        "<think>".repeat(N / 7),
        "</think>".repeat(N / 8),
        " \n".repeat(N / 2),
        "<".repeat(N),
        "w".repeat(N),
        "\\\"".repeat(N / 2),
    ];
    let mut longest = Duration::ZERO;
    for (name, format) in formats() {
        for (i, body) in bodies.iter().enumerate() {
            let text = [&*format.open, &format.begin, body].concat();
            let reader = || Reader::new(Terms { separate: true, ..terms(format.clone()) });
            let begun = Instant::now();
            read(reader(), &[&text]);
            longest = longest.max(begun.elapsed());
            let end = text.char_indices().nth(4000).map_or(text.len(), |(at, _)| at);
            let whole = read(reader(), &[&text[..end]]);
            let mut parts = in_characters(reader(), &text[..end]);
            parts.tokens = whole.tokens;
            assert!(parts == whole, "{name}, body {i}");
        }
    }
    println!("the longest took {longest:?}");
}

/// A piece of a character each, as many as fit the longest contexts.
#[test]
fn long_calls_come_in_as_many_pieces_as_they_like() {
    for (name, format) in formats() {
        let call = ToolCall::new("call00001", "weather", format!("{{\"city\":\"{}\"}}", "y".repeat(100_000)));
        let begun = Instant::now();
        let read = in_characters(Reader::new(terms(format.clone())), &format.write(std::slice::from_ref(&call)));
        println!("{name}: {:?}", begun.elapsed());
        assert_eq!(json(&read.calls[0].arguments), json(&call.arguments), "{name}");
    }
}

/// Whatever is written, nothing is lost: it is read the same in any parts, and what is a call is one.
#[test]
fn answers_with_faults_are_read_the_same_in_any_parts() {
    let mut chance = Chance(5);
    let pool: Vec<char> = "{}[]()\"'<>|:,= \n\\aé/_1".chars().collect();
    let (mut whole_calls, mut malformed) = (0, 0);
    for (name, format) in formats() {
        let calls = [
            ToolCall::new("call00001", "weather", "{\"city\":\"Bergen, née 'B'\",\"n\":[1,{\"a\":null}]}"),
            ToolCall::new("call00002", "clock", "{}"),
        ];
        let text = format!("<think>so {{</think>Well. {}", format.write(&calls));
        for _ in 0..150 {
            let mut chars: Vec<char> = text.chars().collect();
            for _ in 0..chance.below(4) {
                let at = chance.below(chars.len().max(1));
                if chars.len() < 2 {
                    break;
                }
                match chance.below(4) {
                    0 => drop(chars.remove(at)),
                    1 => chars.insert(at, pool[chance.below(pool.len())]),
                    2 => chars[at] = pool[chance.below(pool.len())],
                    _ => chars.truncate(at.max(1)),
                }
            }
            let text: String = chars.into_iter().collect();
            let separate = chance.below(2) == 0;
            let reader = || Reader::new(Terms { separate, ..terms(format.clone()) });
            let whole = read(reader(), &[&text]);
            let mut parts = in_characters(reader(), &text);
            parts.tokens = whole.tokens;
            assert_eq!(parts, whole, "{name}: {text:?}");
            for call in &whole.calls {
                assert!(json(&call.arguments).is_object(), "{name}: {text:?}: {call:?}");
                assert!(matches!(&*call.name, "weather" | "clock"));
            }
            whole_calls += whole.calls.len();
            malformed += whole.malformed.len();
        }
    }
    println!("{whole_calls} calls and {malformed} malformed ones");
    assert!(whole_calls > 1000 && malformed > 300, "{whole_calls} calls, {malformed} malformed");
}

fn tool(name: &str, parameters: &str) -> Tool {
    Tool::new(name, "", parameters)
}

#[test]
fn wrong_tools_are_refused_by_name() {
    let ask = |tools: Vec<Tool>| Generate::chat([Message::user("Hello.")]).tools(tools);
    let deep = ["{\"a\":".repeat(100_000), "1".into(), "}".repeat(100_000)].concat();
    let many = || (0..1001).map(|i| tool(&format!("f{i}"), "{}")).collect();
    let wrong: Vec<(Generate, &str)> = vec![
        (ask(vec![tool("", "{}")]), "name"),
        (ask(vec![tool("a b", "{}")]), "'a b'"),
        (ask(vec![tool("naïve", "{}")]), "naïve"),
        (ask(vec![tool(&"a".repeat(129), "{}")]), "128"),
        (ask(vec![tool("f", "{}"), tool("f", "{}")]), "again"),
        (ask(vec![tool("f", "")]), "'f'"),
        (ask(vec![tool("f", "[]")]), "object"),
        (ask(vec![tool("f", "{\"a\":")]), "JSON"),
        (ask(vec![tool("f", &deep)]), "JSON"),
        (ask(vec![tool("f", &format!("{{\"a\": \"{}\"}}", "x".repeat(2 << 20)))]), "bytes"),
        (ask(many()), "1000"),
        (ask(vec![]).tool_choice(ToolChoice::Required), "got none"),
        (ask(vec![tool("f", "{}")]).tool_choice(ToolChoice::Named("g".into())), "'g'"),
        (Generate::text("a").tools([tool("f", "{}")]), "chat"),
        (Generate::text("a").separate_reasoning(true), "chat"),
        (ask(vec![tool("f", "{}")]).grammar(crate::Grammar::regex("a")), "grammar"),
        (ask(vec![]).continue_last(true), "continue_last"),
        (ask(vec![]).variable("a", "{"), "'a'"),
    ];
    for (request, word) in wrong {
        let error = request.check().unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
        assert!(error.message().contains(word), "expected '{word}' in: {error}");
    }
    let call = |arguments| Message::assistant("").tool_calls([ToolCall::new("id", "f", arguments)]);
    let chats = [
        vec![Message::tool("id", "1")],
        vec![call("{}"), Message::tool("other", "1")],
        vec![call("[]")],
        vec![call("{")],
        vec![Message::user("a").tool_calls([ToolCall::new("id", "f", "{}")])],
        vec![Message::new(crate::Role::Tool, "1")],
    ];
    for chat in chats {
        let error = Generate::chat(chat.clone()).check().unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{chat:?}: {error}");
    }
    assert!(Generate::chat([call("{}"), Message::tool("id", "1")]).check().is_ok());
}
