//! Generation through Selvedge and through a plain llama-cpp-2 loop.

use std::num::NonZeroU32;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_sys_2::{LLAMA_FLASH_ATTN_TYPE_AUTO, LLAMA_FLASH_ATTN_TYPE_DISABLED};
use selvedge::{Ask, Engine, Generate, Options, Prompt, open};

use crate::corpus;
use crate::rounds::{Pair, median};

const NEW_TOKENS: u32 = 64;
const ROUNDS: usize = 7;
const CONTEXT: u32 = 1024;

/// Seconds of the two phases of one generation, and its tokens.
struct Phases {
    prompt: f64,
    generate: f64,
    tokens: Vec<u32>,
}

pub(crate) fn bench() {
    let Some(path) = corpus::path("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf") else { return };
    for threads in [1, 2] {
        compare(&path, threads);
    }
    beside_a_busy_process(&path);
}

fn compare(path: &Path, threads: u32) {
    let engine = open(path, Options::new().threads(threads).context_tokens(CONTEXT).parallel(1)).expect("opens");
    let bare = Bare::open(path, threads);
    // As it comes, and with the attention that Selvedge chooses for it, whose numbers do not depend on the neighbours.
    for (peer, fused) in [("llama_cpp", true), ("llama_cpp_plain_attention", false)] {
        compare_with(&*engine, &bare, threads, peer, fused);
    }
}

fn compare_with(engine: &dyn Engine, bare: &Bare, threads: u32, peer: &str, fused: bool) {
    let (mut ours, mut theirs) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for round in 0..=ROUNDS {
        // A new prompt each round, or the prefix cache would have computed it before.
        let begin = if fused { "Round" } else { "Chapter" };
        let text = format!("{begin} {round} of the story. {}", "Once upon a time there was a mill. ".repeat(30));
        let prompt = bare.tokens(&text);
        let (a, b) = if round % 2 == 0 {
            let a = with_selvedge(engine, &prompt);
            (a, bare.generate(&prompt, fused))
        } else {
            let b = bare.generate(&prompt, fused);
            (with_selvedge(engine, &prompt), b)
        };
        // Fused attention rounds in another way, and so may choose another token where two are as good.
        assert!(fused || a.tokens == b.tokens, "both must generate the same tokens");
        assert_eq!(a.tokens.len(), b.tokens.len());
        if round > 0 {
            ours[0].push(a.prompt / prompt.len() as f64);
            ours[1].push(a.generate / f64::from(NEW_TOKENS));
            theirs[0].push(b.prompt / prompt.len() as f64);
            theirs[1].push(b.generate / f64::from(NEW_TOKENS));
        }
    }
    for (i, phase) in ["prompt", "generation"].into_iter().enumerate() {
        let pair = Pair { ours: median(&mut ours[i]), bare: median(&mut theirs[i]) };
        println!(
            "{phase}, {threads} threads: selvedge {:.1} tok/s, {peer} {:.1} tok/s",
            1.0 / pair.ours,
            1.0 / pair.bare
        );
        pair.at_most(&format!("{phase}_time_{threads}t_over_{peer}"), 1.01);
    }
}

fn with_selvedge(engine: &dyn Engine, prompt: &[u32]) -> Phases {
    let request = Generate::new(Prompt::Tokens(prompt.to_vec())).max_tokens(NEW_TOKENS);
    let answer = engine.run(request).expect("generates");
    assert!(answer.usage.cached_tokens < 8, "the prompt must be computed");
    Phases {
        prompt: answer.usage.compute.as_secs_f64(),
        generate: answer.usage.generate.as_secs_f64(),
        tokens: answer.tokens.iter().map(|t| t.id).collect(),
    }
}

/// The loop that one would write with llama-cpp-2 alone.
struct Bare {
    model: LlamaModel,
    backend: LlamaBackend,
    threads: i32,
}

impl Bare {
    fn open(path: &Path, threads: u32) -> Self {
        let backend = LlamaBackend::init().expect("one at a time");
        let model = LlamaModel::load_from_file(&backend, path, &LlamaModelParams::default()).expect("loads");
        Self { model, backend, threads: threads as i32 }
    }

    fn tokens(&self, text: &str) -> Vec<u32> {
        self.model.vocab().tokenize(text.as_bytes(), true, false).iter().map(|t| t.0 as u32).collect()
    }

    fn generate(&self, prompt: &[u32], fused_attention: bool) -> Phases {
        let attention = if fused_attention { LLAMA_FLASH_ATTN_TYPE_AUTO } else { LLAMA_FLASH_ATTN_TYPE_DISABLED };
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(CONTEXT))
            .with_n_batch(512)
            .with_flash_attention_policy(attention)
            .with_n_threads(self.threads)
            .with_n_threads_batch(self.threads);
        let mut context = self.model.new_context(&self.backend, params).expect("a context");
        let mut batch = LlamaBatch::new(512, 1);
        let mut sampler = LlamaSampler::greedy();
        let start = Instant::now();
        for (n, chunk) in prompt.chunks(512).enumerate() {
            batch.clear();
            for (i, &token) in chunk.iter().enumerate() {
                let at = n * 512 + i;
                let token = llama_cpp_2::token::LlamaToken(token as i32);
                batch.add(token, at as i32, &[0], at + 1 == prompt.len()).expect("fits");
            }
            context.decode(&mut batch).expect("decodes");
        }
        let mut token = sampler.sample(&context, batch.n_tokens() - 1);
        let prompted = Instant::now();
        let mut tokens = vec![token.0 as u32];
        while tokens.len() < NEW_TOKENS as usize {
            batch.clear();
            batch.add(token, (prompt.len() + tokens.len() - 1) as i32, &[0], true).expect("fits");
            context.decode(&mut batch).expect("decodes");
            token = sampler.sample(&context, 0);
            tokens.push(token.0 as u32);
        }
        Phases { prompt: (prompted - start).as_secs_f64(), generate: prompted.elapsed().as_secs_f64(), tokens }
    }
}

/// Generation must not collapse when something else wants a core.
fn beside_a_busy_process(path: &Path) {
    for threads in [1, 2] {
        let engine = open(path, Options::new().threads(threads).context_tokens(CONTEXT).parallel(1)).expect("opens");
        let speeds = |round: usize| {
            let prompt = format!("Round {round}. {}", "Once upon a time there was a mill. ".repeat(30));
            let usage = engine.run(Generate::text(prompt).max_tokens(NEW_TOKENS)).expect("generates").usage;
            let per_second = |tokens: u64, time: Duration| tokens as f64 / time.as_secs_f64();
            [per_second(usage.input_tokens, usage.compute), per_second(usage.output_tokens, usage.generate)]
        };
        speeds(0);
        let quiet: Vec<[f64; 2]> = (1..=5).map(speeds).collect();
        let busy = Busy::start();
        let shared: Vec<[f64; 2]> = (6..=10).map(speeds).collect();
        drop(busy);
        for (i, phase) in ["prompt", "generation"].into_iter().enumerate() {
            let of = |all: &[[f64; 2]]| median(&mut all.iter().map(|speeds| speeds[i]).collect::<Vec<_>>());
            let (quiet, shared) = (of(&quiet), of(&shared));
            println!("{phase}, {threads} threads: {quiet:.1} tok/s quiet, {shared:.1} tok/s beside a busy process");
            println!("RATIO {phase}_speed_{threads}t_busy_over_quiet {:.3} >=0.4", shared / quiet);
        }
    }
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
