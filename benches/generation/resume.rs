//! Going on after the process has ended: processes of this benchmark that save what they computed, and that restore it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use selvedge::Trim;

use crate::asking::{Timed, engine, prompt, request};
use crate::figures::{Ratios, load, rounds};

const ROUNDS: usize = 5;
const CONTEXT: u32 = 4096;
const PROMPT: usize = 1000;
/// What is asked after the restart beyond what was saved.
const MORE: usize = 24;
const NEW_TOKENS: u32 = 16;

/// What a process of this benchmark is started for, and the files that it takes.
const STEP: &str = "SELVEDGE_BENCH_RESUME";
const MODEL: &str = "SELVEDGE_BENCH_MODEL";
const FILE: &str = "SELVEDGE_BENCH_FILE";

/// How much sooner the first token comes, restoring included, than with all of the prompt computed.
pub(crate) fn bench(path: &Path) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("prefixes");
    child("save", path, &file);
    let mut ratios = Ratios::default();
    for _ in 0..rounds(ROUNDS) {
        let [restore, resumed, whole] = child("restore", path, &file)[..] else { panic!("three times") };
        println!("resume: {:.1} ms, {:.1} of them restoring; {:.1} ms anew", resumed * 1e3, restore * 1e3, whole * 1e3);
        ratios.speed(resumed, whole);
    }
    println!("resume: load {}", load());
    ratios.at_least("resume_over_whole_prompt", 5.0);
}

fn child(step: &str, model: &Path, file: &Path) -> Vec<f64> {
    let this = std::env::current_exe().expect("this benchmark");
    let out = Command::new(this).env(STEP, step).env(MODEL, model).env(FILE, file).output().expect("starts");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).expect("a text");
    text.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}

/// In a process that was started for a step: takes it.
pub(crate) fn asked() -> bool {
    let (Some(step), Some(model), Some(file)) =
        (std::env::var_os(STEP), std::env::var_os(MODEL), std::env::var_os(FILE))
    else {
        return false;
    };
    let engine = engine(&PathBuf::from(model), 1, CONTEXT, 2);
    let whole = prompt(&*engine, "A story", PROMPT + MORE);
    let cache = engine.prefix_cache().expect("it reuses prefixes");
    let file = PathBuf::from(file);
    if step == "save" {
        Timed::ask(&*engine, request(&whole[..PROMPT], 1));
        assert!(cache.save(&file).expect("saves").tokens as usize >= PROMPT);
        return true;
    }
    let begin = Instant::now();
    cache.restore(&file).expect("restores");
    let restore = begin.elapsed().as_secs_f64();
    let resumed = Timed::ask(&*engine, request(&whole, NEW_TOKENS));
    assert!(resumed.answer.usage.cached_tokens as usize >= PROMPT - MORE, "the prompt must be restored");
    engine.trim(Trim::Caches).expect("forgets");
    let anew = Timed::continuation(&*engine, &whole, NEW_TOKENS);
    assert_eq!(resumed.tokens(), anew.tokens(), "what is restored must change nothing");
    println!("{restore} {} {}", restore + resumed.first, anew.first);
    true
}
