//! `selvedge chat`: a conversation with a text model.

use std::error::Error;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use selvedge::{Call, Cancel, Code, Engine, Event, Finish, Generate, Message, Priority, Usage};
use serde_json::{Value, json};

use crate::model::{Model, who};
use crate::{INTERRUPTED, Outcome, print};

/// Talks with a language model; its answers appear as they come.
///
/// On a terminal it asks for one message after the other. Ctrl-C ends an answer, and a second one the program; /exit,
/// or Ctrl-D, ends it, too. Where standard input is no terminal, all of it is one message, and its answer is all that
/// is written to standard output.
#[derive(Args)]
pub(crate) struct Chat {
    #[command(flatten)]
    model: Model,
    /// Instructions that hold for the whole conversation.
    #[arg(long, value_name = "TEXT", conflicts_with = "plain")]
    system: Option<String>,
    /// The most tokens of an answer.
    #[arg(long, value_name = "N", default_value_t = 512)]
    max_tokens: u32,
    /// How far from its likeliest words the model may go; 0 takes the likeliest each time.
    #[arg(long, value_name = "T", default_value_t = 0.7)]
    temperature: f32,
    /// Draws from the likeliest words whose probabilities sum to this.
    #[arg(long, value_name = "P", default_value_t = 0.9)]
    top_p: f32,
    /// Seeds the draw: the same seed and the same messages give the same answers.
    #[arg(long, value_name = "N")]
    seed: Option<u32>,
    /// Continues a text as it stands, without a chat template: for models that were not taught to converse.
    #[arg(long)]
    plain: bool,
    /// Says after each answer how many tokens it took, and how fast they were, on standard error.
    #[arg(long)]
    stats: bool,
    /// Prints the answer and its numbers as JSON; for a message on standard input.
    #[arg(long)]
    json: bool,
}

impl Chat {
    pub(crate) fn run(&self) -> Outcome {
        let is_interactive = io::stdin().is_terminal();
        if self.json && is_interactive {
            return Err("--json: expected a message on standard input, got a terminal".into());
        }
        // Before the model is loaded, so that a mistake is known early.
        self.request(vec![Message::user("")]).check()?;
        let engine = self.model.open()?;
        able(&*engine, self.plain)?;
        let interrupt = Interrupt::default();
        interrupt.listen(is_interactive)?;
        let mut talk = Talk::new(&*engine, self, interrupt);
        if is_interactive {
            let context = engine.spec().context_tokens.map_or(String::new(), |n| format!(" · {n} tokens of context"));
            let who = &engine.spec().provenance;
            eprintln!("{} · {}{context} · /help", print::line(&who.model, 60), who.runtime);
            return talk.converse(&mut io::stdin().lock(), &mut io::stdout().lock());
        }
        let mut message = String::new();
        io::stdin().lock().read_to_string(&mut message).map_err(|e| format!("standard input: {e}"))?;
        match message.trim_end_matches(['\r', '\n']) {
            "" => Err("standard input: expected a message, got nothing".into()),
            message => talk.once(message, &mut io::stdout().lock()),
        }
    }

    fn request(&self, history: Vec<Message>) -> Generate {
        let request = match (self.plain, history.last()) {
            (true, Some(last)) => Generate::text(&*last.content),
            _ => Generate::chat(history),
        };
        let mut request = request.max_tokens(self.max_tokens).temperature(self.temperature).top_p(self.top_p);
        request.sampling.seed = self.seed;
        request
    }
}

/// Fails where the model cannot converse, and says why.
fn able(engine: &dyn Engine, plain: bool) -> selvedge::Result<()> {
    let (name, able) = (&engine.spec().provenance.model, engine.spec().abilities);
    let cannot = |why: String| Err(selvedge::Error::new(Code::Unsupported, format!("'{name}' cannot chat: {why}")));
    match able {
        _ if able.generate && (able.chat || plain) => Ok(()),
        _ if able.generate => {
            let why = engine.start(Generate::chat([Message::user("Hello")]).into(), Call::new()).err();
            let why = why.map_or_else(|| "it has no chat template".into(), |e| e.message().to_owned());
            cannot(format!("{why}; `--plain` continues a text without a template"))
        }
        _ if able.embed => cannot("it makes vectors of texts: see `selvedge run --text`".into()),
        _ => cannot("it takes tensors, and writes no text: see `selvedge run`".into()),
    }
}

/// What Ctrl-C does: it ends the answer under way, and pressed again, the program.
#[derive(Clone, Default)]
struct Interrupt(Arc<Pressed>);

#[derive(Default)]
struct Pressed {
    /// Since the person last said something.
    times: AtomicU32,
    answer: Mutex<Option<Cancel>>,
}

#[derive(Debug, PartialEq, Eq)]
enum PressEnds {
    Answer,
    Nothing,
    Program,
}

impl Interrupt {
    fn listen(&self, is_interactive: bool) -> Result<(), ctrlc::Error> {
        let interrupt = self.clone();
        ctrlc::set_handler(move || match interrupt.press() {
            PressEnds::Answer => {}
            PressEnds::Nothing if is_interactive => {
                eprint!("\nCtrl-C again, or /exit, ends the conversation\n> ");
            }
            PressEnds::Nothing | PressEnds::Program => std::process::exit(i32::from(INTERRUPTED)),
        })
    }

    fn press(&self) -> PressEnds {
        let before = self.0.times.fetch_add(1, Ordering::Relaxed);
        match (before, &*self.answer()) {
            (1.., _) => PressEnds::Program,
            (0, Some(answer)) => {
                answer.cancel();
                PressEnds::Answer
            }
            (0, None) => PressEnds::Nothing,
        }
    }

    /// The person has said something.
    fn forget(&self) {
        self.0.times.store(0, Ordering::Relaxed);
    }

    /// An answer begins.
    fn begin(&self) -> Cancel {
        let cancel = Cancel::new();
        *self.answer() = Some(cancel.clone());
        cancel
    }

    fn end(&self) {
        *self.answer() = None;
    }

    fn answer(&self) -> std::sync::MutexGuard<'_, Option<Cancel>> {
        self.0.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A conversation so far.
struct Talk<'a> {
    engine: &'a dyn Engine,
    chat: &'a Chat,
    interrupt: Interrupt,
    history: Vec<Message>,
}

/// An answer, and what it took.
#[derive(Default)]
struct Said {
    text: String,
    /// Tokens that came, and the time until the first of them.
    tokens: u64,
    first: Option<Duration>,
    took: Duration,
    /// What the engine tells of a whole answer; of one that was cancelled, nothing.
    whole: Option<(Finish, Usage)>,
}

impl<'a> Talk<'a> {
    fn new(engine: &'a dyn Engine, chat: &'a Chat, interrupt: Interrupt) -> Self {
        let history = chat.system.iter().map(Message::system).collect();
        Self { engine, chat, interrupt, history }
    }

    /// One message after the other, until /exit or the end of the input.
    fn converse(&mut self, input: &mut dyn BufRead, out: &mut dyn Write) -> Outcome {
        loop {
            write!(out, "> ")?;
            out.flush()?;
            let mut line = Vec::new();
            if input.read_until(b'\n', &mut line)? == 0 {
                writeln!(out)?;
                return Ok(ExitCode::SUCCESS);
            }
            self.interrupt.forget();
            match String::from_utf8_lossy(&line).trim() {
                "" => {}
                "/exit" | "/quit" => return Ok(ExitCode::SUCCESS),
                "/clear" => self.history.retain(|message| message.role == selvedge::Role::System),
                "/help" => writeln!(out, "/clear forgets what was said, /exit ends; Ctrl-C ends an answer")?,
                word if word.starts_with('/') => {
                    writeln!(out, "{}: expected /clear, /exit or /help", print::line(word, 40))?
                }
                message => self.turn(message, out)?,
            }
        }
    }

    /// A message and its answer. What the engine refuses is told, and the conversation goes on as if it was not said.
    fn turn(&mut self, message: &str, out: &mut dyn Write) -> io::Result<()> {
        let said = match self.ask(message, &mut |piece| {
            write!(out, "{}", print::lines(piece))?;
            out.flush()
        }) {
            Ok(said) => said,
            Err(Failure::Output(e)) => return Err(e),
            Err(Failure::Engine(e)) => {
                writeln!(out)?;
                let hint = if e.code() == Code::ContextFull { " (/clear begins anew)" } else { "" };
                eprintln!("error: {}{hint}", print::line(&format!("{e:#}"), usize::MAX));
                return Ok(());
            }
        };
        writeln!(out, "{}", if said.whole.is_none() { " …" } else { "" })?;
        self.notes(&said);
        Ok(())
    }

    /// One message, and nothing on the output but its answer.
    fn once(&mut self, message: &str, out: &mut dyn Write) -> Outcome {
        let (is_json, is_terminal) = (self.chat.json, io::stdout().is_terminal());
        let said = self.ask(message, &mut |piece| match (is_json, is_terminal) {
            (true, _) => Ok(()),
            (_, true) => write!(out, "{}", print::lines(piece)).and_then(|()| out.flush()),
            // A pipe gets what the model wrote.
            _ => out.write_all(piece.as_bytes()).and_then(|()| out.flush()),
        });
        let said = said.map_err(|failure| -> Box<dyn Error> {
            match failure {
                Failure::Output(e) => e.into(),
                Failure::Engine(e) => e.into(),
            }
        })?;
        writeln!(out, "{}", if is_json { self.in_json(&said).to_string() } else { String::new() })?;
        self.notes(&said);
        Ok(if said.whole.is_some() { ExitCode::SUCCESS } else { ExitCode::from(INTERRUPTED) })
    }

    fn ask(&mut self, message: &str, show: &mut dyn FnMut(&str) -> io::Result<()>) -> Result<Said, Failure> {
        self.history.push(Message::user(message));
        let request = self.chat.request(self.history.clone());
        let cancel = self.interrupt.begin();
        let said = answer(self.engine, request, &cancel, show);
        self.interrupt.end();
        match &said {
            // What came before a Ctrl-C counts as the answer.
            Ok(said) => self.history.push(Message::assistant(&*said.text)),
            Err(_) => drop(self.history.pop()),
        }
        said
    }

    fn notes(&self, said: &Said) {
        match &said.whole {
            Some((Finish::Length, _)) => eprintln!("note: cut after {} tokens (--max-tokens)", self.chat.max_tokens),
            Some((Finish::ContextFull, _)) => {
                let full = self.engine.spec().context_tokens.unwrap_or_default();
                eprintln!("note: the context of {full} tokens is full (--context)");
            }
            _ => {}
        }
        if self.chat.stats {
            eprintln!("{}", said.stats());
        }
    }

    fn in_json(&self, said: &Said) -> Value {
        let (finish, usage) = match &said.whole {
            Some((finish, usage)) => (finish.name(), Some(usage)),
            None => ("cancelled", None),
        };
        json!({
            "text": said.text, "finish": finish, "model": who(self.engine),
            "input_tokens": usage.map(|u| u.input_tokens), "cached_tokens": usage.map(|u| u.cached_tokens),
            "output_tokens": said.tokens, "prompt_seconds": usage.map(|u| u.compute.as_secs_f64()),
            "generate_seconds": usage.map(|u| u.generate.as_secs_f64()),
            "first_token_seconds": said.first.map(|d| d.as_secs_f64()), "seconds": said.took.as_secs_f64(),
        })
    }
}

enum Failure {
    Engine(selvedge::Error),
    /// Nobody can be shown the answer.
    Output(io::Error),
}

fn answer(
    engine: &dyn Engine,
    request: Generate,
    cancel: &Cancel,
    show: &mut dyn FnMut(&str) -> io::Result<()>,
) -> Result<Said, Failure> {
    let (begun, mut said) = (Instant::now(), Said::default());
    let call = Call::new().cancel(cancel).priority(Priority::Interactive);
    let mut events = selvedge::Ask::events(engine, request, call).map_err(Failure::Engine)?;
    for event in &mut events {
        match event {
            Ok(Event::Text(piece)) => {
                said.first.get_or_insert_with(|| begun.elapsed());
                said.tokens += piece.tokens.len() as u64;
                said.text += &piece.text;
                show(&piece.text).map_err(Failure::Output)?;
            }
            Ok(_) => {}
            Err(e) if e.code() == Code::Cancelled => {
                said.took = begun.elapsed();
                return Ok(said);
            }
            Err(e) => return Err(Failure::Engine(e)),
        }
    }
    let answer = events.answer().map_err(Failure::Engine)?;
    said.took = begun.elapsed();
    said.whole = Some((answer.finish, answer.usage));
    Ok(said)
}

impl Said {
    fn stats(&self) -> String {
        let first = self.first.map_or(String::new(), |d| format!(", the first after {:.0} ms", d.as_secs_f64() * 1e3));
        let Some((finish, usage)) = &self.whole else {
            return format!("[{} tokens out{first}; cancelled]", self.tokens);
        };
        format!(
            "[{} tokens in, {} of them cached, {}; {} out, {}{first}; {}]",
            usage.input_tokens,
            usage.cached_tokens,
            rate(usage.input_tokens.saturating_sub(usage.cached_tokens), usage.compute),
            usage.output_tokens,
            rate(usage.output_tokens, usage.generate),
            finish.name().replace('_', " "),
        )
    }
}

/// Tokens per second, where it took time.
fn rate(tokens: u64, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds > 0.0 { format!("{:.1} tokens/s", tokens as f64 / seconds) } else { "in no time".into() }
}

#[cfg(test)]
mod tests;
