//! The second turn of a chat.

use std::path::Path;
use std::time::Duration;

use selvedge::{Engine, Generate, Message, Trim};

use crate::asking::{Timed, engine, story};
use crate::figures::{Ratios, load, median, rounds};

const ROUNDS: usize = 5;
const CONTEXT: u32 = 4096;
const HISTORY: usize = 1000;
const NEW_TOKENS: u32 = 48;
/// More than a person takes to ask again, so that what is done meanwhile is done.
const PAUSE: Duration = Duration::from_secs(1);

/// How much sooner the first token of a second turn comes than with all of it computed.
pub(crate) fn bench(path: &Path) {
    let engine = engine(path, 1, CONTEXT, 2);
    let (mut ratios, mut firsts) = (Ratios::default(), Vec::new());
    for round in 0..=rounds(ROUNDS) {
        let history = vec![Message::user(format!("Story {round}. {}Go on with it.", story(HISTORY)))];
        let answer = ask(&*engine, &history).answer;
        let mut next = history;
        next.push(Message::assistant(answer.text));
        next.push(Message::user("And what came then?"));
        std::thread::sleep(PAUSE);
        let kept = ask(&*engine, &next);
        engine.trim(Trim::Caches).expect("forgets");
        let anew = ask(&*engine, &next);
        let (tokens, cached) = (kept.answer.usage.input_tokens, kept.answer.usage.cached_tokens);
        assert!(cached as usize >= HISTORY && anew.answer.usage.cached_tokens == 0, "{cached} of {tokens} kept");
        assert_eq!(kept.tokens(), anew.tokens(), "what is reused must change nothing");
        if round > 0 {
            ratios.speed(kept.first, anew.first);
            firsts.push(kept.first * 1e3);
        }
    }
    println!("second turn: first token after {:.1} ms, load {}", median(&mut firsts), load());
    ratios.at_least("second_turn_over_whole_prompt", 10.0);
}

fn ask(engine: &dyn Engine, messages: &[Message]) -> Timed {
    Timed::ask(engine, Generate::chat(messages.to_vec()).temperature(0.0).max_tokens(NEW_TOKENS))
}
