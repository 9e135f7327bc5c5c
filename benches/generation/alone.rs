//! One run at a time: beside a plain loop and the server, and beside a process that wants a core.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::asking::{Timed, engine, prompt, request};
use crate::figures::{Ratios, load, median, processor_time, rounds};
use crate::plain::{Attention, Plain};
use crate::server::Server;

const ROUNDS: usize = 7;
const CONTEXT: u32 = 1024;
const PROMPT: usize = 300;
const NEW_TOKENS: u32 = 64;

/// The rounds of one peer.
#[derive(Default)]
struct Beside {
    prompt: Ratios,
    generation: Ratios,
    first: Ratios,
    processor: Ratios,
}

/// One stream beside the plain loop, with the attention that llama.cpp chooses and with ours, and beside the server.
pub(crate) fn beside_peers(path: &Path, plain: &Plain, threads: u32) {
    let engine = engine(path, threads, CONTEXT, 1);
    let loaded = plain.load(path, threads, CONTEXT);
    let mut server = Server::start(path, threads, 1, CONTEXT);
    let (mut default, mut same, mut served) = (Beside::default(), Beside::default(), Beside::default());
    let mut speeds = [Vec::new(), Vec::new()];
    for round in 0..=rounds(ROUNDS) {
        let prompt = prompt(&*engine, &format!("Round {round}"), PROMPT);
        let mut ours = None;
        let (mut by_default, mut by_same, mut by_server) = (None, None, None);
        for turn in 0..4 {
            match (round + turn) % 4 {
                0 => {
                    let before = processor_time();
                    let answer = Timed::continuation(&*engine, &prompt, NEW_TOKENS);
                    ours = Some((answer, processor_time().zip(before).map(|(after, before)| after - before)));
                }
                1 => by_default = Some(loaded.generate(&prompt, NEW_TOKENS, Attention::Default)),
                2 => by_same = Some(loaded.generate(&prompt, NEW_TOKENS, Attention::Plain)),
                _ => by_server = server.as_mut().map(|s| s.ask(std::slice::from_ref(&prompt), NEW_TOKENS)),
            }
        }
        let (Some((ours, processor)), Some(by_default), Some(by_same)) = (ours, by_default, by_same) else { return };
        // The fused attention rounds in another way, and may choose another token where two are as good.
        assert_eq!(ours.tokens(), by_same.tokens, "both must generate the same tokens");
        assert_eq!(ours.tokens().len(), by_default.tokens.len());
        if round == 0 {
            continue;
        }
        speeds[0].push(PROMPT as f64 / ours.prompt());
        speeds[1].push(f64::from(NEW_TOKENS) / ours.generation());
        for (peer, theirs) in [(&mut default, &by_default), (&mut same, &by_same)] {
            peer.prompt.speed(ours.prompt(), theirs.prompt);
            peer.generation.speed(ours.generation(), theirs.generation);
            if let (Some(ours), Some(theirs)) = (processor, theirs.processor) {
                peer.processor.time(ours, theirs);
            }
        }
        if let Some(theirs) = by_server {
            served.prompt.speed(ours.prompt(), theirs.prompt);
            served.generation.speed(ours.generation(), theirs.generation);
            served.first.time(ours.first, theirs.first);
        }
    }
    let [prompt, generation] = speeds.each_mut().map(|values| median(values));
    let format = format_of(path);
    println!(
        "{format}, {threads} threads: prompt {prompt:.1} tok/s, generation {generation:.1} tok/s, load {}",
        load()
    );
    for (peer, beside) in [("llama_cpp", default), ("llama_cpp_same_attention", same)] {
        beside.prompt.at_least(&format!("prompt_{format}_{threads}t_over_{peer}"), 1.0);
        beside.generation.at_least(&format!("generation_{format}_{threads}t_over_{peer}"), 1.0);
        beside.processor.tell(&format!("processor_time_{format}_{threads}t_over_{peer}"));
    }
    if server.is_none() {
        return Server::missing(&format!("{format}_{threads}t_over_server"));
    }
    served.prompt.at_least(&format!("prompt_{format}_{threads}t_over_server"), 1.0);
    served.generation.at_least(&format!("generation_{format}_{threads}t_over_server"), 1.0);
    served.first.at_most(&format!("first_token_time_{format}_{threads}t_over_server"), 1.0);
}

/// The block format that the file's name says: `q4_1` of `….Q4_1.gguf`.
fn format_of(path: &Path) -> String {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    stem.rsplit('.').next().unwrap_or_default().to_lowercase()
}

/// Speed while another process burns one core, over speed while none does; a few answers of each in turns, since the number of
/// threads is found anew after each change.
pub(crate) fn beside_a_busy_process(path: &Path, threads: u32) {
    const BLOCKS: usize = 5;
    const ANSWERS: usize = 3;
    let engine = engine(path, threads, CONTEXT, 1);
    let mut count = 0;
    let mut speeds = || {
        let (mut prompts, mut generations) = (Vec::new(), Vec::new());
        for _ in 0..ANSWERS {
            count += 1;
            let prompt = prompt(&*engine, &format!("Answer {count}"), PROMPT);
            let timed = Timed::ask(&*engine, request(&prompt, NEW_TOKENS));
            prompts.push(timed.prompt());
            // An answer may end by itself.
            generations.push(timed.generation() / timed.answer.usage.output_tokens as f64);
        }
        [median(&mut prompts), median(&mut generations)]
    };
    speeds();
    let mut ratios = [Ratios::default(), Ratios::default()];
    for _ in 0..rounds(BLOCKS) {
        let quiet = speeds();
        let busy = Busy::start();
        let shared = speeds();
        drop(busy);
        for (ratios, (shared, quiet)) in ratios.iter_mut().zip(shared.into_iter().zip(quiet)) {
            ratios.speed(shared, quiet);
        }
    }
    let [prompt, generation] = ratios;
    println!("busy, {threads} threads: load {}", load());
    prompt.at_least(&format!("prompt_{threads}t_busy_over_quiet"), 0.5);
    generation.at_least(&format!("generation_{threads}t_busy_over_quiet"), 0.5);
}

/// A process that burns one core until it is dropped.
struct Busy(Child);

impl Busy {
    fn start() -> Self {
        let spin = Command::new("sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn();
        Self(spin.expect("a shell"))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
