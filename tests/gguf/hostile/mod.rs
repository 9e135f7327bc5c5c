//! Requests and files that are made to take up a stack, a heap or an afternoon, as an app would hand them on: each is a typed
//! error within a second of computing and 64 MiB, or is answered: then the model reads what it was given, which takes longer.

mod adapters;
#[path = "../../../src/text/grammar/tests/hostile/lists.rs"]
mod lists;
mod requests;
mod states;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use selvedge::{Ask, Code, Engine, Generate, Grammar, Options, Result, open};

use crate::memory::{CHILD, in_a_child, number_of};
use crate::{smollm, tiny};

/// The most time and KiB of an error, and of an answer. A library with its assertions on, as tests have it, may take longer.
const OF_ERROR: (Duration, u64) = (Duration::from_secs(if cfg!(debug_assertions) { 3 } else { 1 }), 64 << 10);
const OF_ANSWER: (Duration, u64) = (Duration::from_secs(10), 128 << 10);
/// The least number of typed errors.
const MIN_ERRORS: usize = 250;

struct Case {
    name: String,
    hostile: Hostile,
}

enum Hostile {
    /// Asked of a model with a real vocabulary, if there is one.
    Request(Box<Generate>),
    /// The bytes of an adapter.
    Adapter(Vec<u8>),
    /// The bytes of saved prefixes.
    State(Vec<u8>),
}

impl Hostile {
    /// What it may be refused as.
    fn codes(&self) -> &'static [Code] {
        match self {
            Hostile::Request(_) => &[Code::InvalidArgument, Code::Unsupported, Code::ContextFull],
            Hostile::Adapter(_) => &[Code::Corrupt, Code::Unsupported],
            Hostile::State(_) => &[Code::Corrupt, Code::Unsupported, Code::InvalidArgument],
        }
    }
}

struct Hosts {
    folder: tempfile::TempDir,
    real: Arc<dyn Engine>,
    tiny: Arc<dyn Engine>,
}

impl Hosts {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = tiny::write(&tiny::llama(512), folder.path(), "model.gguf");
        let tiny = open(&model, Options::new().context_tokens(512).threads(1)).unwrap();
        let real = smollm().map_or_else(|| tiny.clone(), |path| open(path, Options::new().threads(1)).unwrap());
        let hosts = Self { folder, real, tiny };
        // What is made once: contexts, the trie of the vocabulary, mapped weights.
        for engine in [&hosts.real, &hosts.tiny] {
            let warm = Generate::text("some text").max_tokens(4).grammar(Grammar::regex("[a-z ]+"));
            engine.run(warm).unwrap();
        }
        hosts
    }

    fn meet(&self, hostile: &Hostile) -> Result<()> {
        match hostile {
            Hostile::Request(request) => self.real.run(request.as_ref().clone()).map(drop),
            Hostile::Adapter(bytes) => {
                let adapter = self.written("hostile.lora", bytes);
                let options = Options::new().context_tokens(256).threads(1).adapter("hostile", adapter);
                open(self.folder.path().join("model.gguf"), options).map(drop)
            }
            Hostile::State(bytes) => {
                self.tiny.prefix_cache().unwrap().restore(&self.written("hostile.prefixes", bytes)).map(drop)
            }
        }
    }

    fn written(&self, name: &str, bytes: &[u8]) -> std::path::PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// In a process of its own, so that nobody else's memory counts.
#[test]
fn whatever_is_asked_is_answered_or_refused_within_bounds() {
    if std::env::var_os(CHILD).is_none() {
        return in_a_child("hostile::whatever_is_asked_is_answered_or_refused_within_bounds");
    }
    let hosts = Hosts::new();
    let cases = all(hosts.folder.path());
    let (mut errors, mut answered, mut wrong) = (0, 0, Vec::new());
    let (mut slowest, mut largest) = (Default::default(), Default::default());
    for Case { name, hostile } in &cases {
        // The last of these lines names what has ended the process.
        println!("{name}");
        let before = resident_anew();
        let (begin, computed) = (Instant::now(), computing());
        let met = hosts.meet(hostile);
        let (took, kib) = (computing() - computed, number_of("VmHWM:").saturating_sub(before));
        let (most_time, most_kib) = if met.is_err() { OF_ERROR } else { OF_ANSWER };
        if met.is_err() {
            slowest = (took, begin.elapsed(), &**name).max(slowest);
            largest = (kib, &**name).max(largest);
        }
        if took > most_time || kib > most_kib {
            wrong.push(format!("{name}: {took:?} of computing, {kib} KiB"));
        }
        match met {
            Err(error) if hostile.codes().contains(&error.code()) => errors += 1,
            Err(error) => wrong.push(format!("{name}: {:?} {error}", error.code())),
            Ok(()) => {
                answered += 1;
                wait_until_idle();
            }
        }
    }
    println!(
        "{} cases: {errors} typed errors, {answered} answered; of the errors the slowest {slowest:?}, the largest {largest:?}",
        cases.len()
    );
    let mut names: Vec<&str> = cases.iter().map(|case| &*case.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), cases.len(), "no case comes twice");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(errors >= MIN_ERRORS, "{errors} errors");
    // After all of it, both still serve.
    for engine in [&hosts.real, &hosts.tiny] {
        assert!(engine.run(Generate::text("some text").max_tokens(4)).unwrap().usage.output_tokens > 0);
    }
}

fn all(folder: &Path) -> Vec<Case> {
    let forms = lists::forms().into_iter().map(|form| match form {
        lists::Form::Schema(source) => Grammar::JsonSchema(source),
        lists::Form::Regex(source) => Grammar::Regex(source),
        lists::Form::Lark(source) => Grammar::Lark(source),
        lists::Form::Gbnf(source) => Grammar::Gbnf(source),
    });
    let forms = forms.enumerate().map(|(i, form)| {
        let text: String = format!("{form:?}").chars().take(100).collect();
        let request = Generate::text("some text").max_tokens(4).grammar(form);
        Case { name: format!("form {i}: {text}"), hostile: Hostile::Request(Box::new(request)) }
    });
    let requests = requests::all()
        .into_iter()
        .map(|(name, request)| Case { name: format!("request: {name}"), hostile: Hostile::Request(Box::new(request)) });
    let adapters = adapters::all()
        .into_iter()
        .map(|(name, bytes)| Case { name: format!("adapter: {name}"), hostile: Hostile::Adapter(bytes) });
    let states = states::all(folder)
        .into_iter()
        .map(|(name, bytes)| Case { name: format!("state: {name}"), hostile: Hostile::State(bytes) });
    forms.chain(requests).chain(adapters).chain(states).collect()
}

/// KiB that are in memory now; what is the most in memory counts from now on, where the system allows that.
fn resident_anew() -> u64 {
    match std::fs::write("/proc/self/clear_refs", "5") {
        Ok(()) => number_of("VmRSS:"),
        Err(_) => number_of("VmHWM:"),
    }
}

/// An engine goes on with what the next turn would ask of it, which is not the next case's.
fn wait_until_idle() {
    let mut before = computing();
    loop {
        std::thread::sleep(Duration::from_millis(40));
        let now = computing();
        if now == before {
            return;
        }
        before = now;
    }
}

/// What this process has computed, on all of its threads: others may want the processor as well.
fn computing() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    // In hundredths of a second, of the program and of the system for it.
    let ticks = |field: usize| fields[field].parse::<u64>().unwrap();
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}
