//! Several runs at a time: beside the server with as many slots, and beside the same runs one after another.

use std::path::Path;
use std::time::Instant;

use selvedge::Engine;

use crate::asking::{Timed, engine, prompt};
use crate::figures::{Ratios, load, median, rounds};
use crate::server::Server;

const CALLERS: usize = 4;
const CONTEXT: u32 = 2048;

/// All tokens per second of four callers, over the server's with four slots.
pub(crate) fn beside_the_server(path: &Path, threads: u32) {
    const ROUNDS: usize = 5;
    const PROMPT: usize = 32;
    const NEW_TOKENS: u32 = 128;
    let name = format!("four_callers_{threads}t_over_server");
    let Some(mut server) = Server::start(path, threads, CALLERS as u32, CONTEXT) else { return Server::missing(&name) };
    let engine = engine(path, threads, CONTEXT, CALLERS as u32);
    let (mut ratios, mut speeds) = (Ratios::default(), Vec::new());
    for round in 0..=rounds(ROUNDS) {
        let prompts = prompts(&*engine, &format!("round {round}"), PROMPT);
        let ours = || at_once(&*engine, &prompts, NEW_TOKENS).0;
        let (ours, served) = if round % 2 == 0 {
            let ours = ours();
            (ours, server.ask(&prompts, NEW_TOKENS))
        } else {
            let served = server.ask(&prompts, NEW_TOKENS);
            (ours(), served)
        };
        if round > 0 {
            ratios.speed(ours, served.whole);
            speeds.push(served.tokens as f64 / ours);
        }
    }
    println!("four callers, {threads} threads: {:.1} tok/s in all, load {}", median(&mut speeds), load());
    ratios.at_least(&name, 1.0);
}

/// Four runs that generate, over the same one after another. Their tokens must be the same.
pub(crate) fn beside_one_after_another(path: &Path, threads: u32, bar: f64) {
    const ROUNDS: usize = 7;
    const PROMPT: usize = 12;
    const NEW_TOKENS: u32 = 64;
    let engine = engine(path, threads, CONTEXT, CALLERS as u32);
    let mut ratios = Ratios::default();
    for round in 0..=rounds(ROUNDS) {
        // So short that nothing of it is reused, and the same for both.
        let prompts = prompts(&*engine, &format!("round {round}"), PROMPT);
        let in_turn = || {
            let begin = Instant::now();
            let all = prompts.iter().map(|prompt| Timed::continuation(&*engine, prompt, NEW_TOKENS).tokens());
            let all = all.collect::<Vec<_>>();
            (begin.elapsed().as_secs_f64(), all)
        };
        let at_once = || at_once(&*engine, &prompts, NEW_TOKENS);
        let (at_once, in_turn) = if round % 2 == 0 {
            let at_once = at_once();
            (at_once, in_turn())
        } else {
            let in_turn = in_turn();
            (at_once(), in_turn)
        };
        assert_eq!(at_once.1, in_turn.1, "what is computed together must change nothing");
        if round > 0 {
            ratios.speed(at_once.0, in_turn.0);
        }
    }
    println!("batch, {threads} threads: load {}", load());
    ratios.at_least(&format!("four_runs_{threads}t_over_one_after_another"), bar);
}

fn prompts(engine: &dyn Engine, begin: &str, len: usize) -> Vec<Vec<u32>> {
    (0..CALLERS).map(|caller| prompt(engine, &format!("Caller {caller} of {begin}"), len)).collect()
}

/// Seconds until all callers, each on a thread of its own, have their answers; and the answers' tokens.
fn at_once(engine: &dyn Engine, prompts: &[Vec<u32>], new_tokens: u32) -> (f64, Vec<Vec<u32>>) {
    let begin = Instant::now();
    let tokens = std::thread::scope(|scope| {
        let mut callers = Vec::new();
        for prompt in prompts {
            callers.push(scope.spawn(|| Timed::continuation(engine, prompt, new_tokens).tokens()));
        }
        callers.into_iter().map(|caller| caller.join().expect("an answer")).collect()
    });
    (begin.elapsed().as_secs_f64(), tokens)
}
