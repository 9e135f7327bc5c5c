use std::sync::Arc;

use clap::Parser;
use selvedge::fake::Fake;
use selvedge::{Request, Role, Run, Spec};

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    chat: Chat,
}

fn chat(args: &[&str]) -> Chat {
    Line::parse_from([&["chat", "model"], args].concat()).chat
}

/// What a conversation leaves: its output and its history.
fn converse(engine: &dyn Engine, chat: &Chat, input: &str) -> (String, Vec<Message>) {
    let mut talk = Talk::new(engine, chat, Interrupt::default());
    let mut out = Vec::new();
    talk.converse(&mut input.as_bytes(), &mut out).unwrap();
    (String::from_utf8(out).unwrap(), talk.history)
}

#[test]
fn a_conversation_goes_on_until_it_is_ended() {
    let engine = Fake::text("so it goes").build();
    let (out, history) = converse(&*engine, &chat(&["--system", "be brief"]), "hello\n\n  again \n/exit\nnever\n");
    assert_eq!(out, "> so it goes\n> > so it goes\n> ");
    let said: Vec<(&str, &str)> = history.iter().map(|m| (m.role.name(), &*m.content)).collect();
    let [asked, again] = [("user", "hello"), ("user", "again")];
    let (system, answer) = (("system", "be brief"), ("assistant", "so it goes"));
    assert_eq!(said, [system, asked, answer, again, answer]);
    // The end of the input ends it, too, and a word that is no command is no message.
    let (out, history) = converse(&*engine, &chat(&[]), "one\n/clear\n/nonsense\n/help\n");
    assert!(history.is_empty() && out.contains("/nonsense: expected /clear, /exit or /help"), "{out}");
    let (_, history) = converse(&*engine, &chat(&["--system", "be brief"]), "one\n/clear\n");
    assert_eq!((history.len(), &history[0].role), (1, &Role::System));
}

#[test]
fn what_a_model_writes_does_not_command_the_terminal() {
    let engine = Fake::text("a\n\x1b[2J b").build();
    assert_eq!(converse(&*engine, &chat(&[]), "hello\n").0, "> a\n\\u{1b}[2J b\n> \n");
}

#[test]
fn a_refused_message_is_as_if_not_said() {
    let engine = Fake::text("so it goes").fail(1, Code::Backend).build();
    let (out, history) = converse(&*engine, &chat(&[]), "hello\n/exit\n");
    assert!(history.is_empty() && out.starts_with("> so\n> "), "{out}");
}

#[test]
fn a_message_alone_has_its_answer_alone() {
    let engine = Fake::text("so it goes").build();
    let once = |args: &[&str]| {
        let chat = chat(args);
        let mut out = Vec::new();
        Talk::new(&*engine, &chat, Interrupt::default()).once("hello", &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(once(&[]), "so it goes\n");
    assert_eq!(once(&["--plain"]), "so it goes\n");
    let reported: Value = serde_json::from_str(&once(&["--json", "--max-tokens", "2"])).unwrap();
    assert_eq!(
        (&reported["text"], &reported["finish"], &reported["output_tokens"]),
        (&json!("so it"), &json!("length"), &json!(2))
    );
}

#[test]
fn the_first_ctrl_c_ends_the_answer_and_the_second_the_program() {
    let interrupt = Interrupt::default();
    assert_eq!(interrupt.press(), PressEnds::Nothing);
    assert_eq!(interrupt.press(), PressEnds::Program);
    interrupt.forget();
    let cancel = interrupt.begin();
    assert_eq!(interrupt.press(), PressEnds::Answer);
    assert!(cancel.is_cancelled());
    assert_eq!(interrupt.press(), PressEnds::Program);
    interrupt.forget();
    interrupt.end();
    assert_eq!(interrupt.press(), PressEnds::Nothing);
}

#[test]
fn what_came_before_ctrl_c_counts_as_the_answer() {
    let (engine, chat) = (Fake::text("so it goes").build(), chat(&[]));
    let interrupt = Interrupt::default();
    let mut talk = Talk::new(&*engine, &chat, interrupt.clone());
    let mut pieces = 0;
    let said = talk.ask("hello", &mut |_| {
        pieces += 1;
        if pieces == 2 {
            assert_eq!(interrupt.press(), PressEnds::Answer);
        }
        Ok(())
    });
    let Ok(said) = said else { panic!("cancelled, not failed") };
    assert_eq!((&*said.text, said.tokens, said.whole.is_none()), ("so it", 2, true));
    assert!(said.stats().contains("2 tokens out") && said.stats().contains("cancelled"), "{}", said.stats());
    assert_eq!(talk.history[1], Message::assistant("so it"));
    // The next answer is not cancelled.
    interrupt.forget();
    let said = talk.ask("again", &mut |_| Ok(()));
    assert!(said.is_ok_and(|said| said.whole.is_some()));
}

#[test]
fn parameters_out_of_range_are_told_before_a_model_is_opened() {
    for (args, expected) in [
        (["--max-tokens", "0"], "max_tokens: expected at least 1, got 0"),
        (["--temperature", "NaN"], "temperature: expected a finite number >= 0, got NaN"),
        (["--top-p", "2"], "top_p: expected a number in (0, 1], got 2"),
    ] {
        let refused = chat(&args).request(vec![Message::user("")]).check().unwrap_err();
        assert_eq!(refused.to_string(), expected);
    }
}

/// An engine of text that was not taught to converse.
struct Plain(Arc<dyn Engine>, Spec);

impl Engine for Plain {
    fn spec(&self) -> &Spec {
        &self.1
    }

    fn start(&self, request: Request, call: Call) -> selvedge::Result<Box<dyn Run>> {
        match &request {
            Request::Generate(generate) if matches!(generate.prompt, selvedge::Prompt::Chat(_)) => {
                Err(selvedge::Error::new(Code::Unsupported, "chat: the template does not compile: line 3"))
            }
            _ => self.0.start(request, call),
        }
    }
}

#[test]
fn a_model_that_cannot_converse_says_why() {
    let text = Fake::text("so it goes").build();
    let mut spec = text.spec().clone();
    spec.abilities.chat = false;
    let plain = Plain(text, spec);
    let why = |engine: &dyn Engine| {
        let error = able(engine, false).unwrap_err();
        assert_eq!(error.code(), Code::Unsupported);
        error.to_string()
    };
    let template = why(&plain);
    assert!(template.contains("'fake' cannot chat") && template.contains("line 3; `--plain`"), "{template}");
    assert!(able(&plain, true).is_ok());
    assert_eq!(converse(&plain, &chat(&["--plain"]), "hello\n").0, "> so it goes\n> \n");
    assert!(why(&*Fake::embedding(3).build()).contains("`selvedge run --text`"));
    assert!(why(&*Fake::echo(selvedge::DType::F32).build()).contains("`selvedge run`"));
}
