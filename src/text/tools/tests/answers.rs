//! Answers that models give, well formed and not, cut in every way.

use super::super::format::known;
use super::super::reader::{Reader, Terms};
use super::{Read, formats, json, read_in_all_ways, terms};

/// Reads an answer in the format of a template that mentions this.
#[track_caller]
fn answer(mark: &str, text: &str) -> Read {
    read_in_all_ways(|| Reader::new(terms(known(mark))), text)
}

#[track_caller]
fn in_format(name: &str, text: &str) -> Read {
    let format = formats().into_iter().find(|(own, _)| *own == name).expect(name).1;
    read_in_all_ways(|| Reader::new(terms(format.clone())), text)
}

const BERGEN: &str = r#"{"city": "Bergen"}"#;

#[test]
fn text_around_calls_is_text() {
    let text = "Let me look.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Bergen\"}}\n</tool_call>\nThere.";
    let read = answer("<tool_call>", text);
    assert_eq!((&*read.text, read.called()), ("Let me look.\nThere.", vec![("weather", BERGEN)]));
    let read = answer("<tool_call>", "No < tool here, <tool_cal nor <tool_");
    assert_eq!((&*read.text, read.calls.len(), read.malformed.len()), ("No < tool here, <tool_cal nor <tool_", 0, 0));
}

/// Models write more blanks than their templates, fewer, other keys, or forget what closes a call.
#[test]
fn near_misses_are_calls() {
    let calls = [
        ("<tool_call>", "<tool_call>{\"name\":\"weather\",\"arguments\":{\"city\": \"Bergen\"}}</tool_call>"),
        ("<tool_call>", "<tool_call>\n\n  {\"arguments\": {\"city\": \"Bergen\"}, \"name\": \"weather\"}"),
        ("<tool_call>", "<tool_call>[{\"name\": \"weather\", \"parameters\": {\"city\": \"Bergen\"}}]</tool_call>"),
        (
            "<tool_call>",
            "<tool_call>{\"name\": \"weather\", \"arguments\": \"{\\\"city\\\": \\\"Bergen\\\"}\"}</tool_call>",
        ),
        (
            "[TOOL_CALLS]",
            "[TOOL_CALLS] [{\"name\": \"weather\", \"arguments\": {\"city\": \"Bergen\"}, \"id\": \"abc123xyz\"}]",
        ),
        (
            "<|python_tag|>",
            "{\"type\": \"function\", \"function\": {\"name\": \"weather\", \"arguments\": {\"city\":\"Bergen\"}}}",
        ),
        ("<|python_tag|>", "\n{\"name\": \"weather\", \"parameters\": {\"city\": \"Bergen\"}}"),
        ("<|python_tag|>", "[{\"name\": \"weather\", \"arguments\": {\"city\": \"Bergen\"}}]"),
        ("<function=", "<function=weather>{\"city\": \"Bergen\"}</function>"),
        ("<|tool_call_start|>", "<|tool_call_start|>[weather(city=\"Bergen\")]<|tool_call_end|>"),
        ("<|tool_call_start|>", "<|tool_call_start|>[ weather( city = 'Bergen', ) ]"),
    ];
    for (mark, text) in calls {
        let read = answer(mark, text);
        let [call] = &*read.calls else { panic!("{text}: {read:?}") };
        assert_eq!((&*call.name, json(&call.arguments)), ("weather", json(BERGEN)), "{text}");
        assert_eq!((read.text.trim(), read.malformed.len()), ("", 0), "{text}: {read:?}");
    }
    assert_eq!(answer("[TOOL_CALLS]", calls[4].1).calls[0].id, "abc123xyz");
    let read = in_format(
        "qwen 3 coder",
        "<tool_call><function=clock><parameter=n>7</parameter><parameter=city>a\nb</parameter></function></tool_call>",
    );
    assert_eq!(read.called(), [("clock", r#"{"n": 7, "city": "a\nb"}"#)]);
    let read = in_format("qwen 3 coder", "<tool_call>\n<function=clock>\n</function>\n</tool_call>");
    assert_eq!(read.called(), [("clock", "{}")]);
    let read = in_format("mistral 11", "[TOOL_CALLS]clock[ARGS]{}[TOOL_CALLS]weather[ARGS]{\"city\": \"Bergen\"}");
    assert_eq!(read.called(), [("clock", "{}"), ("weather", BERGEN)]);
    let read = in_format("functionary 3.2", "all\nLook: >>>weather\n{\"city\": \"Bergen\"}>>>clock\n{}");
    assert_eq!((&*read.text, read.called()), ("Look: ", vec![("weather", BERGEN), ("clock", "{}")]));
    let read = in_format("gemma 4", "<|tool_call>call:weather{city:<|\"|>a}b<|\"|>,n:[1,{x:true}]}<tool_call|>");
    assert_eq!(json(&read.calls[0].arguments), json(r#"{"city": "a}b", "n": [1, {"x": true}]}"#));
}

/// What is wrong is a part of the answer by itself, with all of its text.
#[test]
fn malformed_calls_are_given_back() {
    let cases = [
        ("<tool_call>{\"name\": \"weather\", \"arguments\": {\"city\": \"Ber", "ends"),
        ("<tool_call>", "ends"),
        ("<tool_call>{\"name\": \"storm\", \"arguments\": {}}</tool_call>", "'storm'"),
        ("<tool_call>{\"name\": \"weather\", \"arguments\": [1]}</tool_call>", "object"),
        ("<tool_call>{\"name\": \"weather\", \"arguments\": {city: 1}}</tool_call>", "JSON"),
        ("<tool_call>{\"name\": \"weather\", \"arguments\": {\"n\": 1]}}</tool_call>", "JSON"),
        ("<tool_call>{\"arguments\": {}}</tool_call>", "name"),
        ("<tool_call>weather</tool_call>", "object"),
    ];
    for (text, reason) in cases {
        let read = answer("<tool_call>", text);
        let [call] = &*read.malformed else { panic!("{text}: {read:?}") };
        assert_eq!((&*call.text, &*read.text, read.calls.len()), (text, "", 0), "{read:?}");
        assert!(call.reason.contains(reason), "{text}: {}", call.reason);
    }
    // What follows is read, and counted on.
    let text = "a<tool_call>{\"name\": 1}</tool_call>b<tool_call>{\"name\": \"clock\", \"arguments\": {}}</tool_call>c";
    let read = answer("<tool_call>", text);
    assert_eq!((&*read.text, read.called(), read.malformed[0].index), ("abc", vec![("clock", "{}")], 0));
    assert_eq!(read.pieces.keys().collect::<Vec<_>>(), [&1]);
    let read = in_format("mistral 11", "[TOOL_CALLS]storm[ARGS]{}");
    assert_eq!((&*read.malformed[0].text, &*read.text), ("[TOOL_CALLS]storm", "[ARGS]{}"));
    let read = in_format("deepseek v3.1", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>{\"city\"");
    assert_eq!(read.malformed.len(), 1);
}

/// Without a mark, only an object that names a tool is a call.
#[test]
fn plain_json_is_text_unless_it_calls() {
    for text in [
        "{\"name\": \"Ann\", \"age\": 3}",
        "{\"name\": \"Ann\"}",
        "{\"a\": {\"name\": \"weather\"}}",
        "[1, 2]",
        "{}",
        "{\"na",
    ] {
        let read = answer("<|python_tag|>", text);
        assert_eq!((&*read.text, read.calls.len(), read.malformed.len()), (text, 0, 0), "{read:?}");
    }
    let read = answer("<|python_tag|>", "{\"name\": \"weather\", \"parameters\": {\"ci");
    assert_eq!((read.malformed.len(), &*read.text), (1, ""));
    let read = answer(
        "<|python_tag|>",
        "{\"name\": \"clock\", \"parameters\": {}}; {\"name\": \"clock\", \"parameters\": {}}",
    );
    assert_eq!(read.called(), [("clock", "{}"), ("clock", "{}")]);
}

#[test]
fn ids_are_made_of_the_conversation_and_the_place() {
    let text = "<tool_call>{\"name\": \"clock\"}</tool_call><tool_call>{\"name\": \"clock\"}</tool_call>";
    let read = answer("<tool_call>", text);
    let ids: Vec<&str> = read.calls.iter().map(|call| &*call.id).collect();
    assert!(ids.iter().all(|id| id.len() == 9 && id.chars().all(|c| c.is_ascii_alphanumeric())), "{ids:?}");
    assert_ne!(ids[0], ids[1]);
    let other = read_in_all_ways(|| Reader::new(Terms { seed: 1, ..terms(known("<tool_call>")) }), text);
    assert_ne!(other.calls[0].id, ids[0]);
}

fn thinking(separate: bool, is_thinking: bool, with_tools: bool, text: &str) -> (String, String, usize) {
    let terms = || {
        let mut terms = Terms { separate, is_thinking, ..terms(known("<tool_call>")) };
        if !with_tools {
            terms.format = None;
        }
        terms
    };
    let read = read_in_all_ways(|| Reader::new(terms()), text);
    (read.text, read.reasoning, read.calls.len())
}

#[test]
fn reasoning_is_parted_where_that_is_asked_for() {
    let own = |text: &str, reasoning: &str, calls| (text.to_owned(), reasoning.to_owned(), calls);
    for tools in [true, false] {
        assert_eq!(thinking(true, false, tools, "<think>\nHm.\n</think>\n\nYes."), own("Yes.", "Hm.\n", 0));
        // The prompt may have begun it.
        assert_eq!(thinking(true, true, tools, "\nHm.</think>Yes."), own("Yes.", "Hm.", 0));
        assert_eq!(thinking(true, true, tools, "Hm. <b> and no end"), own("", "Hm. <b> and no end", 0));
        assert_eq!(thinking(true, false, tools, "<think></think>Yes"), own("Yes", "", 0));
        assert_eq!(thinking(true, false, tools, "Yes. <thin"), own("Yes. <thin", "", 0));
    }
    // A call that is only thought of is none; and unparted, not a character is missing.
    let call = "<tool_call>{\"name\": \"clock\"}</tool_call>";
    let text = format!("<think> {call} </think> {call}");
    assert_eq!(thinking(true, false, true, &text), own("", &format!("{call} "), 1));
    assert_eq!(thinking(false, false, true, &text), own(&format!("<think> {call} </think> "), "", 1));
    assert_eq!(thinking(false, true, true, "a </think> b"), own("a </think> b", "", 0));
}

/// Marks may be tokens that are no text by themselves.
#[test]
fn the_names_of_marks_are_known() {
    let reader = Reader::new(terms(known("[TOOL_CALLS]")));
    assert!(reader.is_mark("[TOOL_CALLS]") && reader.is_mark("</think>") && !reader.is_mark("<|im_end|>"));
    assert!(!Reader::plain().is_mark("[TOOL_CALLS]"));
}
