//! A conversation with a GGUF model, streamed. The model may call a tool of the program's own.
//!
//! Ctrl-C ends the answer, not the program; an empty line ends it. With `--resume` it goes on in the next process.
//!
//! `cargo run --release -p selvedge-examples --features llama --example chat -- model.gguf --resume talk.json`

mod history;
mod talk;
pub(crate) mod tools;

use std::error::Error;
use std::io::{BufRead, IsTerminal, Write, stdin, stdout};
use std::path::PathBuf;

use selvedge::{Engine, Message, Options, open};

use talk::{Interrupt, Style, Talk};

const USAGE: &str =
    "usage: chat MODEL.gguf [--prompt TEXT] [--system TEXT] [--resume FILE] [--context TOKENS] [--max-tokens N] [--seed N] [--stats]
in the conversation: /stats, /convert TEXT (the model must call that tool), an empty line to end";

/// What the command line says.
#[derive(Default)]
struct Terms {
    model: String,
    prompt: Option<String>,
    system: Option<String>,
    resume: Option<PathBuf>,
    context: Option<u32>,
    style: Style,
}

#[allow(dead_code, reason = "the test of this program has a main of its own")]
fn main() -> Result<(), Box<dyn Error>> {
    run(std::env::args().skip(1))
}

/// The whole program.
pub(crate) fn run(args: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let terms = terms(args)?;
    // One conversation may have the whole context.
    let mut options = Options::new().parallel(1);
    options.context_tokens = terms.context;
    let engine = open(&*terms.model, options)?;
    let history = match &terms.resume {
        Some(file) => resume(&*engine, file)?,
        None => Vec::new(),
    };
    let history = match (&terms.system, history.is_empty()) {
        (Some(system), true) => vec![Message::system(system)],
        _ => history,
    };
    let mut talk = Talk::new(&*engine, history, Interrupt::listen()?, terms.style);
    let conversed = match &terms.prompt {
        Some(prompt) => say(&mut talk, prompt, &terms).map_err(Into::into),
        None => converse(&mut talk, &terms),
    };
    if let Some(file) = &terms.resume {
        // What was computed is worth seconds of the next start, and nothing else.
        let saved = engine.prefix_cache().map_or(Ok(Default::default()), |cache| cache.save(&history::prefixes(file)));
        saved.map(drop).unwrap_or_else(|error| eprintln!("  [the next start will be a cold one: {error}]"));
    }
    conversed
}

fn terms(mut args: impl Iterator<Item = String>) -> Result<Terms, Box<dyn Error>> {
    let mut terms = Terms::default();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg}: expected a value\n{USAGE}"));
        match &*arg {
            "--prompt" => terms.prompt = Some(value()?),
            "--system" => terms.system = Some(value()?),
            "--resume" => terms.resume = Some(value()?.into()),
            "--context" => terms.context = Some(value()?.parse()?),
            "--max-tokens" => terms.style.max_tokens = Some(value()?.parse()?),
            "--seed" => terms.style.seed = Some(value()?.parse()?),
            "--stats" => terms.style.shows_stats = true,
            model if terms.model.is_empty() && !model.starts_with('-') => terms.model = arg,
            _ => return Err(format!("{arg}: not expected\n{USAGE}").into()),
        }
    }
    if terms.model.is_empty() { Err(USAGE.into()) } else { Ok(terms) }
}

/// The conversation of an earlier process, and what it has computed. Without the first it begins anew; without the second it
/// is computed again.
fn resume(engine: &dyn Engine, file: &std::path::Path) -> Result<Vec<Message>, Box<dyn Error>> {
    let history = history::load_or_set_aside(file)?;
    let turns = history::exchanges(&history);
    if turns == 0 {
        return Ok(history);
    }
    eprintln!("  [the conversation goes on after {turns} exchanges]");
    let prefixes = history::prefixes(file);
    match engine.prefix_cache().filter(|_| prefixes.exists()).map(|cache| cache.restore(&prefixes)) {
        Some(Ok(restored)) => eprintln!("  [{} tokens of it need not be computed]", restored.tokens),
        Some(Err(error)) => eprintln!("  [a cold start: {error}]"),
        None => eprintln!("  [a cold start: nothing is saved of what was computed]"),
    }
    Ok(history)
}

/// One line after the other. What the engine refuses is told, and the conversation goes on without it.
fn converse(talk: &mut Talk<'_>, terms: &Terms) -> Result<(), Box<dyn Error>> {
    let is_terminal = stdin().is_terminal();
    loop {
        if is_terminal {
            print!("> ");
            stdout().flush()?;
        }
        let mut line = String::new();
        if stdin().lock().read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok(());
        }
        match line.trim() {
            "/stats" => println!("  [{}]", talk.stats()),
            line => say(talk, line, terms).unwrap_or_else(|error| eprintln!("  [not answered: {error}]")),
        }
    }
}

/// Asks, and keeps what was said through a crash of this process.
fn say(talk: &mut Talk<'_>, line: &str, terms: &Terms) -> selvedge::Result<()> {
    match line.strip_prefix('/').and_then(|rest| rest.split_once(' ')) {
        Some((tool, question)) if tools::is_one(tool) => talk.ask(question, Some(tool))?,
        _ => talk.ask(line, None)?,
    }
    if let Some(file) = &terms.resume {
        let saved = history::save(file, talk.history());
        saved.unwrap_or_else(|error| eprintln!("  [{}: not saved: {error}]", file.display()));
    }
    Ok(())
}
