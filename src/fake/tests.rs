use std::time::{Duration, Instant};

use super::Fake;
use crate::engine::{
    Ask, Call, Cancel, Embed, Event, Events, Finish, Generate, Grammar, Message, Prompt, Step, Tensors,
};
use crate::{Code, DType, Tensor};

/// The texts of the pieces, and the answer.
fn pieces(events: Events) -> (Vec<String>, crate::Answer) {
    let mut events = events;
    let texts = events.by_ref().map(|event| match event.unwrap() {
        Event::Text(piece) => piece.text,
        other => panic!("expected text, got {other:?}"),
    });
    (texts.collect(), events.answer().unwrap())
}

fn generate(reply: &str, request: Generate) -> (Vec<String>, crate::Answer) {
    pieces(Fake::text(reply).build().generate(request).unwrap())
}

#[test]
fn words_come_one_by_one_and_make_the_whole_text() {
    let (texts, answer) = generate(" so\tit  goes\n", Generate::text("and then"));
    assert_eq!(texts, [" so", "\tit", "  goes", "\n"]);
    assert_eq!(answer.text, " so\tit  goes\n");
    assert_eq!(answer.finish, Finish::EndOfText);
    assert_eq!((answer.usage.input_tokens, answer.usage.output_tokens), (2, 4));
    assert!(answer.tokens.iter().all(|t| t.logprob.is_none()));
    assert_eq!(generate("", Generate::text("")).0, Vec::<String>::new());
}

#[test]
fn equal_words_have_equal_ids() {
    let answer = generate("a b a b c", Generate::text("").logprobs(true)).1;
    let ids: Vec<u32> = answer.tokens.iter().map(|t| t.id).collect();
    // The first word has no space before it.
    assert_eq!(ids[1], ids[3]);
    assert_ne!(ids[0], ids[2]);
    assert_ne!(ids[1], ids[4]);
    assert!(answer.tokens.iter().all(|t| t.logprob == Some(0.0)));
}

#[test]
fn a_grammar_is_refused_and_not_ignored() {
    let error = Fake::text("b").build().run(Generate::text("").grammar(Grammar::regex("a"))).unwrap_err();
    assert_eq!(error.code(), Code::Unsupported);
}

#[test]
fn max_tokens_and_context_end_the_text() {
    let short = generate("a b c d", Generate::text("").max_tokens(2)).1;
    assert_eq!((&*short.text, short.finish), ("a b", Finish::Length));
    let exact = generate("a b", Generate::text("").max_tokens(2)).1;
    assert_eq!((&*exact.text, exact.finish), ("a b", Finish::Length));

    let fake = Fake::text("a b c d").context_tokens(5).build();
    let full = fake.run(Generate::text("x y z")).unwrap();
    assert_eq!((&*full.text, full.finish), ("a b", Finish::ContextFull));
    let error = fake.run(Generate::text("1 2 3 4 5 6")).unwrap_err();
    assert_eq!(error.code(), Code::ContextFull);
    assert_eq!(error.message(), "prompt: expected at most the context's 5 tokens, got 6");
    let chat = fake.run(Generate::chat([Message::system("1 2"), Message::user("3")])).unwrap();
    assert_eq!(chat.usage.input_tokens, 3);
    assert_eq!(fake.run(Generate::new(Prompt::Tokens(vec![7; 4]))).unwrap().usage.input_tokens, 4);
}

#[test]
fn stop_texts_span_pieces_and_never_show() {
    let stop = |stops: &[&str]| generate("one two three four", Generate::text("").stop(stops.iter().copied()));
    let (texts, answer) = stop(&["o thr"]);
    assert_eq!(texts, ["one", " tw"]);
    assert_eq!((&*answer.text, answer.finish), ("one tw", Finish::Stop("o thr".into())));
    assert_eq!((answer.tokens.len(), answer.usage.output_tokens), (2, 3));

    // Held back, but no stop text came of it.
    let (texts, answer) = stop(&["two thx"]);
    assert_eq!(texts, ["one", " ", "two three", " four"]);
    assert_eq!((answer.tokens.len(), answer.finish), (4, Finish::EndOfText));

    // Held back when the text ends.
    assert_eq!(stop(&["four five"]).0, ["one", " two", " three", " ", "four"]);
    // The one that begins first wins.
    assert_eq!(stop(&["three", "wo t"]).1.finish, Finish::Stop("wo t".into()));
    assert_eq!(stop(&["one"]).1.text, "");
    assert_eq!(generate("ä öx ö", Generate::text("").stop(["öö"])).1.text, "ä öx ö");
}

#[test]
fn prompt_slices_come_before_the_first_event() {
    let mut run =
        Fake::text("a").prompt_slices(2).build().start(Generate::text("1 2 3 4").into(), Call::new()).unwrap();
    for done in [2, 4] {
        let Step::Working(progress) = run.step().unwrap() else { panic!("expected Working") };
        assert_eq!((progress.done, progress.total), (done, Some(4)));
    }
    assert!(matches!(run.step().unwrap(), Step::Event(_)));
    assert!(matches!(run.step().unwrap(), Step::Done(_)));
    assert_eq!(run.step().unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn a_fake_fails_in_the_step_it_was_told() {
    let fake = Fake::text("a b c").fail(2, Code::Busy).build();
    let mut events = fake.generate(Generate::text("")).unwrap();
    assert!(events.next().unwrap().is_ok() && events.next().unwrap().is_ok());
    let error = events.next().unwrap().unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::Busy, "the fake 'fake' was told to fail in step 2"));
    let last = Fake::echo(DType::U8).fail(0, Code::Backend).build();
    let x = Tensor::new(&[1], vec![1u8]).unwrap();
    assert_eq!(last.run(Tensors::from([("x", x)])).unwrap_err().code(), Code::Backend);
}

#[test]
fn floats_drift_from_the_call_on() {
    for (dtype, one, drifted) in [
        (DType::F32, 1.0f32.to_le_bytes().to_vec(), 1.5f32.to_le_bytes().to_vec()),
        (DType::F64, 1.0f64.to_le_bytes().to_vec(), 1.5f64.to_le_bytes().to_vec()),
        (DType::F16, vec![0x00, 0x3c], vec![0x00, 0x3e]),
        (DType::BF16, vec![0x80, 0x3f], vec![0xc0, 0x3f]),
        (DType::I16, vec![1, 0], vec![1, 0]),
    ] {
        let fake = Fake::echo(dtype).drift(2, 0.5).build();
        let x = Tensor::copy_from(dtype, Default::default(), &one).unwrap();
        let call = || fake.run(Tensors::from([("x", x.clone())])).unwrap();
        let bytes: Vec<Vec<u8>> = (0..4).map(|_| call().output("y").unwrap().bytes().unwrap().to_vec()).collect();
        assert_eq!(bytes, [one.clone(), one, drifted.clone(), drifted], "{dtype}");
    }
}

#[test]
fn embeddings_depend_on_the_text_alone() {
    let fake = Fake::embedding(8).build();
    let e = fake.embed(["a cat", "a dog", "a cat"]).unwrap();
    assert_eq!((&**e.shape(), fake.spec().embedding_size), (&[3, 8][..], Some(8)));
    let rows: Vec<&[f32]> = e.as_slice::<f32>().unwrap().chunks(8).collect();
    assert_eq!(rows[0], rows[2]);
    assert_ne!(rows[0], rows[1]);
    let length = |row: &[f32]| row.iter().map(|v| v * v).sum::<f32>().sqrt();
    assert!((length(rows[1]) - 1.0).abs() < 1e-6);
    let raw = fake.run(Embed::new(["a dog"]).normalize(false)).unwrap();
    let raw = raw.output(Embed::OUTPUT).unwrap().as_slice::<f32>().unwrap().to_vec();
    assert!(raw.iter().all(|v| (-1.0..1.0).contains(v)) && (length(&raw) - 1.0).abs() > 1e-3);
    assert_eq!(fake.embed::<String>([]).unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn a_function_must_give_every_output() {
    let fake = Fake::tensors(vec![], Fake::echo(DType::F32).spec.outputs, |_| Ok(vec![])).name("mute").build();
    let error = fake.run(Tensors::default()).unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::Backend, "the fake 'mute': expected 1 outputs, got 0"));
}

#[test]
fn cancel_and_deadline_interrupt_a_step() {
    let fake = Fake::text("a b").delay(Duration::from_secs(600)).build();
    let began = Instant::now();
    let late = fake.run_with(Generate::text(""), Call::new().timeout(Duration::from_millis(20)));
    assert_eq!(late.unwrap_err().code(), Code::DeadlineExceeded);
    let cancel = Cancel::new();
    let call = Call::new().cancel(&cancel);
    std::thread::scope(|scope| {
        let run = scope.spawn(|| fake.run_with(Generate::text(""), call));
        std::thread::sleep(Duration::from_millis(20));
        cancel.cancel();
        assert_eq!(run.join().unwrap().unwrap_err().code(), Code::Cancelled);
    });
    // The wait that was cut short is ten minutes.
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[test]
fn the_name_is_the_model_and_its_digest() {
    let fake = Fake::text("").name("rain").build();
    assert_eq!(fake.spec().provenance.model, "rain");
    // printf rain | sha256sum
    let digest = "319b44c570a417ff3444896cd4aa77f052b6781773fc2f9aa1f1180ac745005c";
    assert_eq!(fake.spec().provenance.digest.to_string(), digest);
}

#[cfg(feature = "text")]
mod chats {
    use super::super::*;
    use crate::engine::{Answer, Ask, Event, Generate, Message, Step, Tool, ToolChoice};

    const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\
        {% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}";
    const REPLY: &str = "It may\nrain.</think>\n\nLet me see.\n<tool_call>[{\"name\": \"weather\", \"arguments\": {\"city\": \
        \"Bergen\"}}, {\"name\": \"storm\", \"arguments\": {}}]</tool_call>";

    fn engine() -> Arc<dyn Engine> {
        Fake::text(REPLY).template(CHATML).unwrap().build()
    }

    fn weather() -> Tool {
        Tool::new(
            "weather",
            "The weather in a city.",
            r#"{"type": "object", "properties": {"city": {"type": "string"}}}"#,
        )
    }

    fn ask() -> Generate {
        Generate::chat([Message::user("Umbrella?")]).tools([weather()])
    }

    #[test]
    fn calls_and_reasoning_are_parts_of_an_answer() {
        let answer = engine().run(ask().separate_reasoning(true)).unwrap();
        assert_eq!((&*answer.reasoning, &*answer.text), ("It may\nrain.", "Let me see.\n"));
        let [call] = &*answer.tool_calls else { panic!("{answer:?}") };
        assert_eq!((&*call.name, &*call.arguments), ("weather", "{\"city\": \"Bergen\"}"));
        let [malformed] = &*answer.malformed_calls else { panic!("{answer:?}") };
        assert!(malformed.reason.contains("'storm'") && malformed.text.contains("\"storm\""), "{malformed:?}");
        // Unparted, the reasoning is text; without tools, all of it is.
        assert_eq!(engine().run(ask()).unwrap().text, "It may\nrain.</think>\n\nLet me see.\n");
        let plain = engine().run(Generate::chat([Message::user("Umbrella?")])).unwrap();
        assert_eq!((&*plain.text, plain.tool_calls.len()), (REPLY, 0));
        let none = engine().run(ask().tool_choice(ToolChoice::None)).unwrap();
        assert_eq!((&*none.text, none.tool_calls.len()), (REPLY, 0));
    }

    #[test]
    fn the_events_of_a_run_are_its_answer() {
        let mut run = engine().start(ask().separate_reasoning(true).into(), Call::new()).unwrap();
        let (mut made, mut pieces) =
            (Answer::new(crate::Finish::EndOfText, Default::default(), Arc::new(provenance("a".into()))), 0);
        let answer = loop {
            match run.step().unwrap() {
                Step::Event(event) => {
                    pieces += usize::from(matches!(event, Event::CallPiece(_)));
                    made.add(&event);
                }
                Step::Done(answer) => break answer,
                Step::Working(_) => {}
            }
        };
        assert_eq!((&made.text, &made.reasoning, &made.tokens), (&answer.text, &answer.reasoning, &answer.tokens));
        assert_eq!((&made.tool_calls, &made.malformed_calls), (&answer.tool_calls, &answer.malformed_calls));
        assert!(pieces > 1, "the arguments come in pieces");
        assert_eq!(answer.tokens.len() as u64, answer.usage.output_tokens);
    }

    #[test]
    fn a_result_goes_back_into_the_chat() {
        let first = engine().run(ask()).unwrap();
        let called = Message::assistant(&*first.text).tool_calls(first.tool_calls.clone());
        let result = Message::tool(&*first.tool_calls[0].id, "rain");
        let chat = [Message::user("Umbrella?"), called, result];
        let second = engine().run(Generate::chat(chat).tools([weather()])).unwrap();
        assert!(second.usage.input_tokens > first.usage.input_tokens);
        // Another conversation, other ids.
        assert_ne!(second.tool_calls[0].id, first.tool_calls[0].id);
        assert_eq!(engine().run(ask()).unwrap().tool_calls, first.tool_calls);
    }

    #[test]
    fn a_call_that_is_cut_is_malformed() {
        let answer = engine().run(ask().separate_reasoning(true).max_tokens(8)).unwrap();
        assert_eq!(
            (answer.finish, answer.tool_calls.len(), answer.malformed_calls.len()),
            (crate::Finish::Length, 0, 1)
        );
        let stopped = engine().run(ask().separate_reasoning(true).stop(["Bergen"])).unwrap();
        assert_eq!(stopped.malformed_calls.len(), 1, "{stopped:?}");
    }

    #[test]
    fn what_a_fake_cannot_do_it_refuses() {
        let code = |engine: Arc<dyn Engine>, request: Generate| engine.run(request).unwrap_err().code();
        assert_eq!(code(engine(), ask().tool_choice(ToolChoice::Required)), Code::Unsupported);
        assert_eq!(code(Fake::text("a").build(), ask()), Code::Unsupported);
        assert_eq!(
            code(Fake::text("a").build(), Generate::chat([Message::user("a")]).thinking(true)),
            Code::Unsupported
        );
        assert_eq!(Fake::text("a").template("{% if %}").err().unwrap().code(), Code::Unsupported);
    }
}
