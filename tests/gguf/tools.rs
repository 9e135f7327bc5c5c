//! Calls of tools through a real model: SmolLM2-135M, whose template knows none and which would rather talk.

use selvedge::{Answer, Ask, Code, Event, Finish, Generate, Message, Tool, ToolChoice};

use crate::code;
use crate::generate::shared;

const WEATHER: &str = r#"{"type": "object", "properties": {"city": {"type": "string", "maxLength": 20},
    "days": {"type": "integer", "minimum": 1, "maximum": 14}}, "required": ["city", "days"]}"#;
const CLOCK: &str = r#"{"type": "object", "properties": {"zone": {"enum": ["UTC", "CET"]}}, "required": ["zone"]}"#;

fn tools() -> [Tool; 2] {
    [Tool::new("weather", "The weather in a city.", WEATHER), Tool::new("clock", "The time in a zone.", CLOCK)]
}

fn ask(choice: ToolChoice) -> Generate {
    let question = Message::user("What will the weather be like in Bergen in the next 3 days?");
    Generate::chat([question]).tools(tools()).tool_choice(choice).max_tokens(160)
}

#[track_caller]
fn all_are_valid(answer: &Answer) {
    assert!(!answer.tool_calls.is_empty(), "{answer:?}");
    for call in &answer.tool_calls {
        let schema = match &*call.name {
            "weather" => WEATHER,
            "clock" => CLOCK,
            other => panic!("no tool is named {other}"),
        };
        let validator = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
        let arguments = serde_json::from_str(&call.arguments).unwrap_or_else(|e| panic!("{call:?}: {e}"));
        assert!(validator.is_valid(&arguments), "{call:?}");
    }
    assert_eq!(answer.text.trim(), "", "{answer:?}");
}

#[test]
fn a_required_call_is_valid_greedy_and_drawn() {
    let Some(engine) = shared() else { return };
    for request in [ask(ToolChoice::Required), ask(ToolChoice::Required).temperature(1.2).seed(3)] {
        let answer = engine.run(request).unwrap();
        all_are_valid(&answer);
        // Only a limit may leave one unfinished.
        assert!(answer.malformed_calls.is_empty() || answer.finish == Finish::Length, "{answer:?}");
    }
}

#[test]
fn a_tool_by_name_is_called_once() {
    let Some(engine) = shared() else { return };
    for name in ["clock", "weather"] {
        let answer = engine.run(ask(ToolChoice::Named(name.into()))).unwrap();
        all_are_valid(&answer);
        assert_eq!((answer.tool_calls.len(), &*answer.tool_calls[0].name), (1, name));
        assert_eq!((answer.finish, answer.malformed_calls.len()), (Finish::EndOfText, 0));
    }
}

#[test]
fn a_call_comes_in_pieces_and_its_result_goes_back() {
    let Some(engine) = shared() else { return };
    let mut events = engine.generate(ask(ToolChoice::Named("weather".into()))).unwrap();
    let (mut arguments, mut pieces, mut tokens) = (String::new(), 0, 0);
    for event in events.by_ref() {
        let event = event.unwrap();
        tokens += event.tokens().len();
        if let Event::CallPiece(piece) = event {
            arguments += &piece.arguments;
            pieces += 1;
        }
    }
    let answer = events.answer().unwrap();
    let [call] = &*answer.tool_calls else { panic!("{answer:?}") };
    assert_eq!((&arguments, tokens), (&call.arguments, answer.tokens.len()));
    assert!(pieces > 3, "{pieces} pieces");
    let chat = [
        Message::user("What will the weather be like in Bergen in the next 3 days?"),
        Message::assistant("").tool_calls([call.clone()]),
        Message::tool(&*call.id, "It will rain for three days."),
    ];
    let second = engine.run(Generate::chat(chat).tools(tools()).max_tokens(40)).unwrap();
    assert!(second.usage.input_tokens > answer.usage.input_tokens && !second.tokens.is_empty());
}

#[test]
fn what_the_template_has_no_place_for_is_refused() {
    let Some(engine) = shared() else { return };
    assert_eq!(code(engine.run(ask(ToolChoice::Auto).thinking(true))), Code::Unsupported);
    assert_eq!(code(engine.run(ask(ToolChoice::Named("storm".into())))), Code::InvalidArgument);
    let schema = r#"{"type": "object", "properties": {"a": {"not": {"type": "null"}}}}"#;
    let held = Generate::chat([Message::user("a")]).tools([Tool::new("f", "", schema)]);
    let error = engine.run(held.tool_choice(ToolChoice::Required)).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.to_string().contains("'f'"), "{error}");
}

#[test]
fn an_answer_goes_on_where_it_was_left() {
    let Some(engine) = shared() else { return };
    let chat = [Message::user("Name the capital of France."), Message::assistant("The capital of France is")];
    let answer = engine.run(Generate::chat(chat).continue_last(true).max_tokens(4)).unwrap();
    assert!(answer.text.contains("Paris"), "{}", answer.text);
}
