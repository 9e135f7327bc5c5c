//! The conversation: questions, answers and calls of tools, within the context of the model.

use std::error::Error;
use std::io::{Write, stdout};
use std::sync::{Arc, Mutex, PoisonError};

use selvedge::{
    Ask, Call, Cancel, Code, Engine, Event, Finish, Generate, Message, Prompt, Result, Tool, ToolChoice, Usage,
};

use super::{history, tools};

/// The most tokens of an answer, where nothing else is said.
const MAX_TOKENS: u32 = 512;
/// Answers to one question that may be calls; the one after them is words.
const MAX_CALLS: usize = 3;

/// How the model is to answer, and what is shown of it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Style {
    pub(crate) max_tokens: Option<u32>,
    pub(crate) seed: Option<u32>,
    pub(crate) shows_stats: bool,
}

/// A conversation so far.
pub(crate) struct Talk<'e> {
    engine: &'e dyn Engine,
    history: Vec<Message>,
    interrupt: Interrupt,
    style: Style,
    tools: Vec<Tool>,
    /// Tokens that the tools take of a prompt: guessed, until an answer tells.
    tools_take: usize,
    /// Of the last answer that came to its end.
    usage: Option<Usage>,
}

/// What the model said.
struct Said {
    message: Message,
    is_cancelled: bool,
}

impl<'e> Talk<'e> {
    pub(crate) fn new(engine: &'e dyn Engine, history: Vec<Message>, interrupt: Interrupt, style: Style) -> Self {
        let tools = tools_of(engine);
        let text = Prompt::Text(format!("{tools:?}"));
        let tools_take = engine.tokenizer().and_then(|tokenizer| tokenizer.count(&text).ok()).unwrap_or(0);
        Self { engine, history, interrupt, style, tools, tools_take, usage: None }
    }

    pub(crate) fn history(&self) -> &[Message] {
        &self.history
    }

    /// Asks a question; `tool` must be called for it. If that fails, it is as if nothing was said.
    pub(crate) fn ask(&mut self, question: &str, tool: Option<&str>) -> Result<()> {
        let before = self.history.clone();
        self.history.push(Message::user(question));
        let answered = self.turn(tool);
        if !matches!(answered, Ok(true)) {
            self.history = before;
        }
        answered.map(drop)
    }

    /// Answers the last question, with the results of what the model calls; false if it said nothing.
    fn turn(&mut self, tool: Option<&str>) -> Result<bool> {
        for round in 0.. {
            let choice = match tool {
                Some(tool) if round == 0 => ToolChoice::Named(tool.to_owned()),
                _ if round < MAX_CALLS => ToolChoice::Auto,
                _ => ToolChoice::None,
            };
            let Said { message, is_cancelled } = self.answer(choice)?;
            let (calls, is_empty) = (message.tool_calls.clone(), message.content.is_empty());
            if calls.is_empty() || is_cancelled {
                // A result that Ctrl-C left without an answer stays, and so does the question.
                let says_something = !is_empty || round > 0;
                self.history.extend(says_something.then_some(message));
                return Ok(says_something);
            }
            self.history.push(message);
            for call in &calls {
                let result = tools::call(call);
                println!("  [{}({}): {result}]", call.name, call.arguments);
                self.history.push(Message::tool(&*call.id, result));
            }
        }
        Ok(true)
    }

    fn answer(&mut self, choice: ToolChoice) -> Result<Said> {
        let cancel = self.interrupt.begin();
        let said = self.stream(choice, &cancel);
        self.interrupt.end();
        said
    }

    /// Streams one answer to the terminal; what came before a Ctrl-C counts as the answer.
    fn stream(&mut self, choice: ToolChoice, cancel: &Cancel) -> Result<Said> {
        let (mut events, counted) = self.begin(choice, cancel)?;
        let mut text = String::new();
        for event in &mut events {
            match event {
                Ok(Event::Text(piece)) => {
                    print!("{}", piece.text);
                    let _ = stdout().flush();
                    text += &piece.text;
                }
                Ok(Event::Malformed(call)) => {
                    eprintln!("  [a call that is none: {}]", call.reason);
                    text += &call.text;
                }
                Ok(_) => {}
                Err(error) if error.code() == Code::Cancelled => {
                    println!(" …");
                    return Ok(Said { message: Message::assistant(text), is_cancelled: true });
                }
                Err(error) => return Err(error),
            }
        }
        let answer = events.answer()?;
        if !text.is_empty() {
            println!();
        }
        match answer.finish {
            Finish::ContextFull => eprintln!("  [the context is full: the answer ends here]"),
            Finish::Length => eprintln!("  [the answer is cut after {} tokens]", answer.usage.output_tokens),
            _ => {}
        }
        self.tools_take = (answer.usage.input_tokens as usize).saturating_sub(counted);
        self.usage = Some(answer.usage);
        if self.style.shows_stats {
            println!("  [{}]", self.stats());
        }
        Ok(Said { message: Message::assistant(text).tool_calls(answer.tool_calls), is_cancelled: false })
    }

    /// Begins an answer, once the oldest exchanges have made room for it; with the tokens of the messages.
    fn begin(&mut self, choice: ToolChoice, cancel: &Cancel) -> Result<(selvedge::Events, usize)> {
        let context = self.engine.spec().context_tokens.unwrap_or(u32::MAX);
        let room = self.room() as usize;
        let mut dropped = 0;
        let begun = loop {
            let chat = Prompt::Chat(self.history.clone());
            let counted = self.engine.tokenizer().map_or(Ok(0), |tokenizer| tokenizer.count(&chat))?;
            let fits = counted + self.tools_take + room <= context as usize;
            if !fits && history::drop_oldest(&mut self.history) {
                dropped += 1;
                continue;
            }
            // What does not fit by our count may yet do so by the engine's, which knows.
            match self.engine.events(self.request(chat, choice.clone()), Call::new().cancel(cancel)) {
                Err(error) if error.code() == Code::ContextFull && history::drop_oldest(&mut self.history) => {
                    dropped += 1
                }
                begun => break begun.map(|events| (events, counted)),
            }
        };
        if begun.is_ok() && dropped > 0 {
            let exchanges = if dropped == 1 { "exchange was" } else { "exchanges were" };
            eprintln!("  [the context of {context} tokens is full: the oldest {dropped} {exchanges} dropped]");
        }
        begun
    }

    /// The most tokens of an answer, a quarter of the context at most: what is kept free for it.
    fn room(&self) -> u32 {
        let quarter = self.engine.spec().context_tokens.unwrap_or(u32::MAX) / 4;
        self.style.max_tokens.unwrap_or(MAX_TOKENS).min(quarter)
    }

    fn request(&self, chat: Prompt, choice: ToolChoice) -> Generate {
        let mut request = Generate::new(chat).max_tokens(self.room()).temperature(0.7).top_p(0.9);
        request.sampling.seed = self.style.seed;
        request.tools(self.tools.clone()).tool_choice(choice)
    }

    /// The numbers of the last answer.
    pub(crate) fn stats(&self) -> String {
        let Some(usage) = &self.usage else { return "no answer yet".into() };
        let context = u64::from(self.engine.spec().context_tokens.unwrap_or_default());
        let rate = usage.output_tokens as f64 / usage.generate.as_secs_f64().max(1e-9);
        format!(
            "{} tokens in, {} of them reused; {} out at {rate:.1} tokens/s; {} of {context} tokens of context left",
            usage.input_tokens,
            usage.cached_tokens,
            usage.output_tokens,
            context.saturating_sub(usage.input_tokens + usage.output_tokens),
        )
    }
}

/// The tools, if calls as the model's template has them can be read.
fn tools_of(engine: &dyn Engine) -> Vec<Tool> {
    let request = Generate::chat([Message::user("Hello")]).tools(tools::all());
    match engine.start(request.into(), Call::new()) {
        Err(error) if error.code() == Code::Unsupported => {
            eprintln!("  [no tools: {error}]");
            Vec::new()
        }
        _ => tools::all(),
    }
}

/// Ctrl-C: it ends the answer under way.
pub(crate) struct Interrupt(Arc<Mutex<Option<Cancel>>>);

impl Interrupt {
    pub(crate) fn listen() -> std::result::Result<Self, Box<dyn Error>> {
        let answer = Arc::new(Mutex::new(None::<Cancel>));
        let pressed = answer.clone();
        ctrlc::set_handler(move || match &*pressed.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(answer) => answer.cancel(),
            None => eprintln!("  [an empty line ends the conversation]"),
        })?;
        Ok(Self(answer))
    }

    fn begin(&self) -> Cancel {
        let cancel = Cancel::new();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(cancel.clone());
        cancel
    }

    fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
