//! Turns of a conversation: how much of one the next one computes (SmolLM2-135M, Q4_1, and tiny models).

use std::time::{Duration, Instant};

use selvedge::{Answer, Ask, Call, Engine, Generate, Message, Options, Prompt, Trim, open};

use crate::smollm;
use crate::tiny::{self, tokens};

/// An answer, and the time to its first token.
fn timed(engine: &dyn Engine, request: Generate) -> (Answer, Duration) {
    let begin = Instant::now();
    let mut events = engine.events(request, Call::new()).unwrap();
    events.next().unwrap().unwrap();
    let first = begin.elapsed();
    (events.answer().unwrap(), first)
}

/// An answer is computed again as a prompt before the next turn comes, so that turn computes little more than what is new. Its
/// numbers are those of the whole computed at once.
#[test]
fn an_answer_is_part_of_the_next_prompt_without_being_computed_again() {
    let Some(path) = smollm() else { return };
    let engine = open(path, Options::new().context_tokens(4096).parallel(2)).unwrap();
    let long = "The tide comes in twice a day, and the moon pulls it. ".repeat(60);
    let messages = vec![Message::user(format!("{long} Tell me more of it."))];
    let first = || Generate::chat(messages.clone()).max_tokens(160);
    let answer = engine.run(first()).unwrap();
    assert!(answer.tokens.len() > 100, "{}", answer.tokens.len());
    let new = "Why?";
    let mut next = messages.clone();
    next.extend([Message::assistant(answer.text.clone()), Message::user(new)]);
    let second = || Generate::chat(next.clone()).max_tokens(64).logprobs(true);
    // The engine is idle at some time after the answer; how long that takes is the machine's.
    let mut reused = None;
    for wait in (0..8).map(|i| 1u64 << i) {
        engine.trim(Trim::Caches).unwrap();
        assert_eq!(engine.run(first()).unwrap().text, answer.text);
        std::thread::sleep(Duration::from_millis(400 * wait));
        let (turn, took) = timed(&*engine, second());
        let computed = turn.usage.input_tokens - turn.usage.cached_tokens;
        println!("second turn after {} ms: {computed} of {} tokens, {took:?}", 400 * wait, turn.usage.input_tokens);
        if computed < 48 {
            reused = Some((turn, took));
            break;
        }
    }
    let (reused, soon) = reused.expect("the answer is computed as a prompt in time");
    engine.trim(Trim::Caches).unwrap();
    let (whole, late) = timed(&*engine, second());
    println!("time to the first token: {soon:?}, with all computed {late:?}");
    assert_eq!((whole.usage.cached_tokens, reused.usage.input_tokens), (0, whole.usage.input_tokens));
    assert_eq!((&reused.text, &reused.tokens), (&whole.text, &whole.tokens));
}

/// A conversation that outgrows its share of the context takes its beginning with it into a larger one.
#[test]
fn a_conversation_that_grows_is_not_computed_again() {
    let folder = tempfile::tempdir().unwrap();
    for file in [tiny::llama(2048), tiny::gemma3(2048)] {
        let path = tiny::write(&file, folder.path(), "model.gguf");
        let open = || open(&path, Options::new().context_tokens(2048).parallel(4)).unwrap();
        let (engine, mut prompt) = (open(), tokens(200, 1));
        for turn in 0..6 {
            let request = || Generate::new(Prompt::Tokens(prompt.clone())).max_tokens(30).logprobs(true);
            let answer = engine.run(request()).unwrap();
            // A share is 512 tokens, then 1024, then all.
            let expected = if turn == 0 { 0 } else { (prompt.len() - 220) / 16 * 16 };
            assert_eq!(answer.usage.cached_tokens, expected as u64, "turn {turn}");
            let fresh = open().run(request()).unwrap();
            assert_eq!((fresh.usage.cached_tokens, fresh.tokens), (0, answer.tokens), "turn {turn}");
            prompt.extend(tokens(220, turn + 2));
        }
    }
}
