//! What a monitor costs a token: of texts that cost nothing themselves, beside the time of a real token.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use selvedge::drift::Profile;
use selvedge::fake::Fake;
use selvedge::layer::monitor::Monitor;
use selvedge::layer::probe::Tokens;
use selvedge::telemetry::{Limits, Telemetry};
use selvedge::{Ask, Engine, Generate};

use crate::asking::{Timed, engine, prompt};
use crate::figures::{median, rounds};

const ROUNDS: usize = 21;
const WORDS: usize = 128;
const TEXTS: usize = 100;

pub(crate) fn bench(path: &Path) {
    let text = Fake::text("well ".repeat(WORDS).trim_end()).build();
    let names = ["prompt_tokens", "answer_tokens", "mean_logprob", "least_logprob"];
    let rows: Vec<[f32; 4]> = (0..2000).map(|i| [i % 50, i % 90, i % 7, i % 11].map(|v| v as f32)).collect();
    let profile = names.iter().fold(Profile::fit(), |fit, name| fit.number(*name)).of_rows(&rows).expect("fits");
    let folder = tempfile::tempdir().expect("a folder");
    let telemetry = Telemetry::open(folder.path(), Limits::default());
    let monitor = Monitor::builder(text.clone(), telemetry, Tokens).profile(profile).build().expect("the profile fits");
    let watched: Arc<dyn Engine> = Arc::new(monitor);
    let time = |engine: &dyn Engine| {
        let begun = Instant::now();
        for _ in 0..TEXTS {
            let answer = engine.run(Generate::text("say").logprobs(true)).expect("a text");
            assert_eq!(answer.usage.output_tokens, WORDS as u64);
        }
        begun.elapsed().as_secs_f64() / (TEXTS * WORDS) as f64
    };
    let differences = |_| time(&*watched) - time(&*text);
    let cost = median(&mut (0..rounds(ROUNDS)).map(differences).collect::<Vec<_>>());
    let engine = engine(path, 1, 1024, 1);
    let real = Timed::continuation(&*engine, &prompt(&*engine, "A token", 32), 64).generation() / 64.0;
    println!("a monitor: {:.1} ns a token, of {:.2} ms", cost * 1e9, real * 1e3);
    println!("RATIO monitor_share_of_a_token {:.6} <=0.005", cost / real);
}
