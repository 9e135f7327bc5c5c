//! Text from a real GGUF model through llama.cpp: SmolLM2-135M (Q4_1).
//!
//! Expected texts come from another build of llama.cpp.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use selvedge::{
    Answer, Ask, Call, Cancel, Code, Embed, Engine, Event, Finish, Generate, Message, Options, Priority, Prompt, Step,
    Tensors, Trim, open,
};

use crate::{code, smollm};

const PROMPT: &str = "The capital of France is";
/// What llama.cpp continues it with, greedily; later words depend on the build.
const CONTINUATION: &str = " Paris.\n\nThe United States has a population of";

/// One engine for most tests: they run at the same time, and must not disturb each other.
pub(crate) fn shared() -> Option<&'static Arc<dyn Engine>> {
    static ENGINE: OnceLock<Option<Arc<dyn Engine>>> = OnceLock::new();
    ENGINE.get_or_init(|| Some(open(smollm()?, Options::new()).expect("SmolLM2 opens"))).as_ref()
}

fn greedy(max: u32) -> Generate {
    Generate::text(PROMPT).max_tokens(max)
}

fn text_of(event: &Event) -> &str {
    let Event::Text(piece) = event else { panic!("expected text, got {event:?}") };
    &piece.text
}

#[test]
fn greedy_text_is_what_llama_says() {
    let Some(engine) = shared() else { return };
    let answer = engine.run(greedy(16)).unwrap();
    assert!(answer.text.starts_with(CONTINUATION), "{:?}", answer.text);
    assert_eq!((answer.finish, answer.tokens.len()), (Finish::Length, 16));
    let usage = answer.usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (5, 16));
    assert!(usage.compute > Duration::ZERO && usage.generate > Duration::ZERO && usage.prepare > Duration::ZERO);
    let provenance = answer.provenance;
    assert_eq!(provenance.digest.to_string(), "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",);
    assert_eq!(provenance.backend, "llama");
    assert!(provenance.runtime.starts_with("llama.cpp "), "{}", provenance.runtime);
}

#[test]
fn a_stream_is_the_answer_in_parts() {
    let Some(engine) = shared() else { return };
    let request = || greedy(24).logprobs(true).stop(["of approx"]);
    let whole = engine.run(request()).unwrap();
    let mut events = engine.generate(request()).unwrap();
    let (mut text, mut tokens) = (String::new(), Vec::new());
    for event in events.by_ref() {
        let Event::Text(piece) = event.unwrap() else { continue };
        text += &piece.text;
        tokens.extend(piece.tokens);
    }
    let streamed = events.answer().unwrap();
    assert_eq!(whole.finish, Finish::Stop("of approx".into()));
    assert_eq!((&text, &tokens), (&whole.text, &whole.tokens));
    assert_eq!((&streamed.text, &streamed.tokens), (&whole.text, &whole.tokens));
}

#[test]
fn a_stop_text_may_span_tokens_and_never_shows() {
    let Some(engine) = shared() else { return };
    // " States" and " has" are tokens of their own.
    let mut events = engine.generate(greedy(32).stop(["nothing like it", "tes ha"])).unwrap();
    let mut text = String::new();
    for event in events.by_ref() {
        text += text_of(&event.unwrap());
        assert!(" Paris.\n\nThe United Sta".starts_with(&text), "{text:?}");
    }
    let answer = events.answer().unwrap();
    assert_eq!((&*answer.text, answer.finish), (" Paris.\n\nThe United Sta", Finish::Stop("tes ha".into())));
}

#[test]
fn the_same_seed_gives_the_same_text() {
    let Some(engine) = shared() else { return };
    let ask = |seed| engine.run(greedy(16).temperature(1.0).seed(seed)).unwrap().text;
    assert_eq!(ask(1), ask(1));
    assert_ne!(ask(1), ask(2));
    // Of one candidate there is one choice: the likeliest.
    let one = engine.run(greedy(16).temperature(1.0).top_k(1)).unwrap();
    assert_eq!(one.text, engine.run(greedy(16)).unwrap().text);
}

#[test]
fn logprobs_are_of_the_model_and_not_of_the_sampling() {
    let Some(engine) = shared() else { return };
    let greedy = engine.run(greedy(8).logprobs(true)).unwrap();
    let logprobs: Vec<f32> = greedy.tokens.iter().map(|t| t.logprob.unwrap()).collect();
    assert!(logprobs.iter().all(|&l| l <= 0.0 && l > -10.0), "{logprobs:?}");
    // The likeliest token, asked for at another temperature: the same number.
    let hot = engine.run(Generate::text(PROMPT).max_tokens(8).temperature(5.0).top_k(1).logprobs(true)).unwrap();
    assert_eq!(greedy.tokens, hot.tokens);
    assert!(engine.run(self::greedy(2)).unwrap().tokens[0].logprob.is_none());
}

#[test]
fn penalties_end_a_repetition() {
    let Some(engine) = shared() else { return };
    let sentence = "The United States has a population of approximately 311 million people.\n\n";
    let mut request = Generate::text(sentence.repeat(2)).max_tokens(6);
    let repeats = |text: &str| ["million", "people", "population", "United"].iter().any(|word| text.contains(word));
    let repeated = engine.run(request.clone()).unwrap().text;
    assert!(repeats(&repeated), "{repeated}");
    request.sampling.presence_penalty = 100.0;
    let penalized = engine.run(request.clone()).unwrap().text;
    assert!(!repeats(&penalized), "{penalized}");
    // Looking nowhere back, they change nothing.
    request.sampling.penalty_last_n = 0;
    assert_eq!(engine.run(request).unwrap().text, repeated);
}

#[test]
fn chat_has_the_models_own_system_message() {
    let Some(engine) = shared() else { return };
    let default = "You are a helpful AI assistant named SmolLM, trained by Hugging Face";
    assert!(engine.spec().metadata["tokenizer.chat_template"].contains(default));
    let ask = |messages: Vec<Message>| engine.run(Generate::chat(messages).max_tokens(12)).unwrap();
    let short = ask(vec![Message::user("Say hello.")]);
    let long = ask(vec![Message::system(default), Message::user("Say hello.")]);
    assert_eq!((short.usage.input_tokens, &short.text), (long.usage.input_tokens, &long.text));
    let other = ask(vec![Message::system("Be brief."), Message::user("Say hello.")]);
    assert!(other.usage.input_tokens < short.usage.input_tokens);
    assert!(short.text.contains("Hello"), "{}", short.text);
}

#[test]
fn special_tokens_in_what_a_person_writes_are_text() {
    let Some(engine) = shared() else { return };
    let input = |prompt: Generate| engine.run(prompt.max_tokens(1)).unwrap().usage.input_tokens;
    let with = |content: &str| input(Generate::chat([Message::user(content)]));
    // As one token each they would add 20.
    assert!(with(&"<|im_end|>".repeat(20)) >= with("") + 60);
    assert!(input(Generate::text("<|im_end|>".repeat(20))) >= 60);
    // And the template's own are tokens: system, its text, user, its text, assistant.
    assert!(with("") < 40, "{}", with(""));
}

#[test]
fn a_context_that_is_full_is_an_error_or_an_end() {
    let Some(path) = smollm() else { return };
    let engine = open(path, Options::new().context_tokens(64)).unwrap();
    assert_eq!(engine.spec().context_tokens, Some(64));
    let answer = engine.run(Generate::text(PROMPT).max_tokens(None)).unwrap();
    assert_eq!(answer.finish, Finish::ContextFull);
    assert_eq!(answer.usage.input_tokens + answer.usage.output_tokens, 64);
    assert_eq!(code(engine.start(Generate::text("word ".repeat(64)).into(), Call::new())), Code::ContextFull);
    assert_eq!(code(engine.start(Generate::text("word ".repeat(1 << 20)).into(), Call::new())), Code::ContextFull);
    // One token of room is enough.
    let tokens = Generate::new(Prompt::Tokens(vec![1; 63])).max_tokens(None);
    assert_eq!(engine.run(tokens).unwrap().usage.output_tokens, 1);
    let tokens = Generate::new(Prompt::Tokens(vec![1; 64]));
    let error = engine.start(tokens.into(), Call::new()).err().unwrap();
    let told = "prompt: expected at most 63 tokens, in a context of 64, got 64";
    assert_eq!((error.code(), error.message()), (Code::ContextFull, told));
}

#[test]
fn what_does_not_fit_is_refused_at_the_start() {
    let Some(engine) = shared() else { return };
    let start = |request: selvedge::Request| code(engine.start(request, Call::new()));
    assert_eq!(start(Generate::new(Prompt::Tokens(vec![1, 49_152])).into()), Code::InvalidArgument);
    assert_eq!(start(Generate::text("").into()), Code::InvalidArgument);
    assert_eq!(start(Generate::chat([]).into()), Code::InvalidArgument);
    assert_eq!(start(greedy(1).temperature(-1.0).into()), Code::InvalidArgument);
    assert_eq!(start(Tensors::default().into()), Code::Unsupported);
    assert_eq!(start(Embed::new(["a"]).into()), Code::Unsupported);
    let spec = engine.spec();
    let abilities = spec.abilities;
    assert!(abilities.generate && abilities.chat && abilities.interrupt && !abilities.embed && !abilities.tensors);
    assert_eq!((spec.context_tokens, spec.embedding_size), (Some(4096), None));
    assert_eq!(spec.metadata["llama.block_count"], "30");
    assert_eq!(spec.metadata["tokenizer.ggml.tokens"], "string[49152]");
}

#[test]
fn a_cancelled_call_ends_wherever_it_is() {
    let Some(engine) = shared() else { return };
    let cancelled = Cancel::new();
    cancelled.cancel();
    assert_eq!(code(engine.start(greedy(8).into(), Call::new().cancel(&cancelled))), Code::Cancelled);

    // Before its first step, and after some.
    let cancel = Cancel::new();
    let mut run = engine.start(greedy(8).into(), Call::new().cancel(&cancel)).unwrap();
    cancel.cancel();
    assert_eq!(code(run.step()), Code::Cancelled);
    assert_eq!(code(run.step()), Code::InvalidArgument);

    let cancel = Cancel::new();
    let mut events = engine.events(greedy(400), Call::new().cancel(&cancel)).unwrap();
    assert!(events.by_ref().take(3).all(|event| event.is_ok()));
    cancel.cancel();
    assert_eq!(code(events.next().unwrap()), Code::Cancelled);
    assert!(events.next().is_none());

    // While its prompt is computed, which takes many seconds, on another thread that waits for a step.
    let cancel = Cancel::new();
    let long = Generate::text("All work and no play makes Jack a dull boy. ".repeat(300));
    let mut events = engine.events(long, Call::new().cancel(&cancel)).unwrap();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| code(events.next().unwrap()));
        std::thread::sleep(Duration::from_millis(300));
        cancel.cancel();
        assert_eq!(waits.join().unwrap(), Code::Cancelled);
    });
}

#[test]
fn a_deadline_ends_a_run() {
    let Some(engine) = shared() else { return };
    assert_eq!(code(engine.start(greedy(8).into(), Call::new().timeout(Duration::ZERO))), Code::DeadlineExceeded);
    let begin = Instant::now();
    let call = Call::new().timeout(Duration::from_millis(400));
    assert_eq!(code(engine.run_with(greedy(4000), call)), Code::DeadlineExceeded);
    assert!(begin.elapsed() >= Duration::from_millis(400));
}

#[test]
fn a_dropped_run_leaves_nothing_behind() {
    let Some(path) = smollm() else { return };
    let engine = open(path, Options::new().parallel(1)).unwrap();
    for steps in 0..4 {
        let mut run = engine.start(greedy(400).into(), Call::new()).unwrap();
        for _ in 0..steps {
            run.step().unwrap();
        }
    }
    // The only place is free again.
    assert!(engine.run(greedy(4)).unwrap().text.starts_with(" Paris"));
    // The engine may go before its runs.
    let mut run = engine.start(greedy(3).into(), Call::new()).unwrap();
    drop(engine);
    let answer = loop {
        if let Step::Done(answer) = run.step().unwrap() {
            break answer;
        }
    };
    assert!(answer.text.starts_with(" Paris"));
}

/// Who else is served, what was computed before, and how many threads there are: nothing of it may change a text.
#[test]
fn runs_at_once_and_one_after_another_give_the_same_text() {
    let Some(path) = smollm() else { return };
    let topics = ["the sea", "old clocks", "tomatoes", "black holes", "violins", "winter roads", "bread", "chess"];
    // Some prompts of several slices, some of one.
    let requests: Vec<Generate> = (0..)
        .zip(topics)
        .map(|(i, topic)| {
            let filler = format!("{topic} are here. ").repeat(i % 3 * 30);
            Generate::text(format!("{filler}{i} things to know about {topic}: first, ")).max_tokens(24)
        })
        .collect();
    let texts = |answers: Vec<Answer>| -> Vec<String> { answers.into_iter().map(|a| a.text).collect() };
    let engine = open(&path, Options::new().threads(1).parallel(1)).unwrap();
    let alone = texts(requests.iter().map(|r| engine.run(r.clone()).unwrap()).collect());
    drop(engine);
    let engine = open(&path, Options::new().threads(2)).unwrap();
    let at_once = || -> Vec<Answer> {
        std::thread::scope(|scope| {
            let runs: Vec<_> = requests.iter().map(|r| scope.spawn(|| engine.run(r.clone()).unwrap())).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        })
    };
    assert_eq!(texts(at_once()), alone);
    // Twice each, so that the second finds the first's prompt computed.
    for (request, alone) in requests.iter().zip(&alone) {
        let answers = [(); 2].map(|()| engine.run(request.clone()).unwrap());
        assert!(answers[1].usage.cached_tokens + 24 > answers[1].usage.input_tokens, "{:?}", answers[1].usage);
        assert!(answers.iter().all(|a| a.text == *alone));
    }
}

/// One thread that holds more runs than are served at once must get through.
#[test]
fn runs_can_be_stepped_in_turn() {
    let Some(path) = smollm() else { return };
    let engine = open(path, Options::new().parallel(2)).unwrap();
    let mut runs: Vec<_> = (0..5).map(|_| Some(engine.start(greedy(6).into(), Call::new()).unwrap())).collect();
    let mut texts = Vec::new();
    while texts.len() < runs.len() {
        for slot in &mut runs {
            let Some(run) = slot else { continue };
            if let Step::Done(answer) = run.step().unwrap() {
                texts.push(answer.text);
                *slot = None;
            }
        }
    }
    assert!(texts.iter().all(|text| *text == texts[0] && text.starts_with(" Paris")));
}

#[test]
fn who_is_more_important_goes_first() {
    let Some(path) = smollm() else { return };
    let engine = open(path, Options::new().parallel(1)).unwrap();
    let mut first = engine.events(greedy(64), Call::new()).unwrap();
    first.next().unwrap().unwrap();
    std::thread::scope(|scope| {
        let ask = |priority| {
            let engine = &engine;
            let run = move || {
                let answer = engine.run_with(greedy(2), Call::new().priority(priority)).unwrap();
                assert!(answer.usage.queued > Duration::ZERO);
                Instant::now()
            };
            let run = scope.spawn(run);
            // It has certainly come before the next one.
            std::thread::sleep(Duration::from_millis(100));
            run
        };
        let (background, interactive) = (ask(Priority::Background), ask(Priority::Interactive));
        drop(first);
        assert!(interactive.join().unwrap() < background.join().unwrap());
    });
}

#[test]
fn the_next_turn_of_a_conversation_goes_on_where_it_was() {
    let Some(path) = smollm() else { return };
    let engine = open(path, Options::new().parallel(2)).unwrap();
    let mut messages = vec![Message::user("Tell me about the sea in two sentences.")];
    let first = engine.run(Generate::chat(messages.clone()).max_tokens(24)).unwrap();
    assert_eq!(first.usage.cached_tokens, 0);
    messages.extend([Message::assistant(first.text), Message::user("And now about mountains.")]);
    let turn = || Generate::chat(messages.clone()).max_tokens(24);
    let second = engine.run(turn()).unwrap();
    assert!(second.usage.cached_tokens >= 32, "{:?}", second.usage);
    // Drawn without a seed the answer need not come again, so all of the conversation counts.
    let drawn = engine.run(turn().temperature(0.7)).unwrap();
    assert!(drawn.usage.cached_tokens > second.usage.cached_tokens, "{:?}", drawn.usage);
    // Trimmed, all is computed anew, to the same text.
    engine.trim(Trim::Caches).unwrap();
    let fresh = engine.run(turn()).unwrap();
    assert_eq!((fresh.usage.cached_tokens, &fresh.text), (0, &second.text));
    let freed = engine.trim(Trim::All).unwrap();
    assert!(freed > 50 << 20, "{freed}");
    assert_eq!(engine.run(turn()).unwrap().text, second.text);
}

/// Runs of more tokens than a share of the context wait for a larger one, and shorter ones go on after them.
#[test]
fn long_and_short_runs_share_the_context() {
    let Some(path) = smollm() else { return };
    let engine = open(path, Options::new().context_tokens(1024).parallel(4)).unwrap();
    let long = Generate::text("word ".repeat(600)).max_tokens(4);
    let expected = (engine.run(greedy(8)).unwrap().text, engine.run(long.clone()).unwrap().text);
    std::thread::scope(|scope| {
        for i in 0..6 {
            let (engine, long, expected) = (&engine, &long, &expected);
            scope.spawn(move || {
                if i % 3 == 1 {
                    assert_eq!(engine.run(long.clone()).unwrap().text, expected.1);
                } else {
                    assert_eq!(engine.run(greedy(8)).unwrap().text, expected.0);
                }
            });
        }
    });
}

#[test]
fn many_sessions_do_not_grow() {
    let Some(path) = smollm() else { return };
    let resident = || {
        let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
        Some(statm.split(' ').nth(1)?.parse::<u64>().ok()? * 4096)
    };
    let engine = open(&path, Options::new().context_tokens(512)).unwrap();
    let session = |i: u32| {
        let mut events = engine.events(Generate::text(format!("{i} and {i} is")).max_tokens(3), Call::new()).unwrap();
        if i.is_multiple_of(3) {
            events.next();
        } else {
            assert!(events.answer().is_ok());
        }
    };
    (0..10).for_each(session);
    let Some(before) = resident() else { return };
    (10..60).for_each(session);
    let after = resident().unwrap();
    // Other tests open models meanwhile; a leak of a context a time would be a hundred times this.
    assert!(after < before + (600 << 20), "{before} -> {after}");
    drop(engine);
}
