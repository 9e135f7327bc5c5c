//! Engines with manners that no real one has.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use selvedge::{
    Answer, Call, Code, Digest, Engine, Error, Event, Finish, Message, Piece, PrefixCache, Prefixes, Prompt,
    Provenance, Request, Result, Run, Spec, Step, Tensor, Tokenizer, Usage,
};

/// Keeps its inputs for a while after its run has ended, as a worker that is slow to clean up.
pub(crate) struct Slow {
    spec: Spec,
    pub(crate) hold: Duration,
    pub(crate) released: Arc<AtomicBool>,
}

impl Slow {
    pub(crate) fn new(hold: Duration) -> Self {
        Self { spec: spec(), hold, released: Arc::default() }
    }
}

impl Engine for Slow {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn start(&self, request: Request, _: Call) -> Result<Box<dyn Run>> {
        let (hold, released) = (self.hold, self.released.clone());
        std::thread::spawn(move || {
            std::thread::sleep(hold);
            // Before the drop: when the call returns, this has been done.
            released.store(true, Ordering::SeqCst);
            drop(request);
        });
        Ok(Box::new(Done(Some(Answer::new(Finish::Complete, Usage::default(), self.spec.provenance.clone())))))
    }
}

struct Done(Option<Answer>);

impl Run for Done {
    fn step(&mut self) -> Result<Step> {
        Ok(Step::Done(self.0.take().expect("stepped once")))
    }
}

/// Says a word after a while, and hears no cancel.
pub(crate) struct Deaf(pub(crate) Spec, pub(crate) Duration);

impl Deaf {
    pub(crate) fn new(step: Duration) -> Self {
        Self(spec(), step)
    }
}

impl Engine for Deaf {
    fn spec(&self) -> &Spec {
        &self.0
    }

    fn start(&self, _: Request, _: Call) -> Result<Box<dyn Run>> {
        Ok(Box::new(DeafRun(self.1)))
    }
}

struct DeafRun(Duration);

impl Run for DeafRun {
    fn step(&mut self) -> Result<Step> {
        std::thread::sleep(self.0);
        Ok(Step::Event(Event::Text(Piece::new("what?", vec![]))))
    }
}

/// Panics at the place it is given.
pub(crate) struct Panics {
    spec: Spec,
    at: &'static str,
}

impl Panics {
    pub(crate) fn at(at: &'static str) -> Arc<dyn Engine> {
        Arc::new(Self { spec: spec(), at })
    }
}

impl Engine for Panics {
    fn spec(&self) -> &Spec {
        assert_ne!(self.at, "spec", "panics at will");
        &self.spec
    }

    fn start(&self, request: Request, _: Call) -> Result<Box<dyn Run>> {
        assert_ne!(self.at, "start", "panics at will");
        Ok(Box::new(PanicRun { at: self.at, _request: request }))
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        assert_ne!(self.at, "engine drop", "panics at will");
    }
}

struct PanicRun {
    at: &'static str,
    _request: Request,
}

impl Run for PanicRun {
    fn step(&mut self) -> Result<Step> {
        match self.at {
            // A payload that panics again as it is dropped.
            "payload" => std::panic::panic_any(Nasty),
            _ => panic!("panics at will"),
        }
    }
}

impl Drop for PanicRun {
    fn drop(&mut self) {
        // Not while unwinding: that would end the process, whatever the library does.
        if self.at == "run drop" && !std::thread::panicking() {
            panic!("panics at will");
        }
    }
}

struct Nasty;

impl Drop for Nasty {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("panics at will");
        }
    }
}

/// Gives string tensors, whatever is asked.
pub(crate) struct Strings(pub(crate) Spec);

impl Strings {
    pub(crate) fn new() -> Self {
        Self(spec())
    }
}

impl Engine for Strings {
    fn spec(&self) -> &Spec {
        &self.0
    }

    fn start(&self, _: Request, _: Call) -> Result<Box<dyn Run>> {
        let mut answer = Answer::new(Finish::Complete, Usage::default(), self.0.provenance.clone());
        answer.outputs = vec![
            ("words".into(), Tensor::strings(&[2], vec!["warp".into(), "a\0b".into()])?),
            ("number".into(), Tensor::scalar(7i64)),
        ];
        Ok(Box::new(Done(Some(answer))))
    }
}

/// Takes whatever is asked, and remembers it; says what it was given to say. Its prefix cache is a file's name.
pub(crate) struct Takes {
    spec: Spec,
    events: Vec<Event>,
    answer: Answer,
    /// The last request.
    pub(crate) last: Mutex<Option<Request>>,
}

impl Takes {
    pub(crate) fn new() -> Self {
        Self::saying(Vec::new(), |_| {})
    }

    /// Brings these events, and then an answer that `fill` completes.
    pub(crate) fn saying(events: Vec<Event>, fill: impl FnOnce(&mut Answer)) -> Self {
        let spec = spec();
        let mut answer = Answer::new(Finish::EndOfText, Usage::default(), spec.provenance.clone());
        fill(&mut answer);
        Self { spec, events, answer, last: Mutex::default() }
    }
}

impl Engine for Takes {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn start(&self, request: Request, _: Call) -> Result<Box<dyn Run>> {
        *self.last.lock().unwrap() = Some(request);
        let mut steps: Vec<Step> = self.events.iter().cloned().map(Step::Event).collect();
        steps.push(Step::Done(self.answer.clone()));
        Ok(Box::new(Steps(steps.into_iter())))
    }

    fn prefix_cache(&self) -> Option<&dyn PrefixCache> {
        Some(self)
    }
}

impl PrefixCache for Takes {
    fn save(&self, path: &Path) -> Result<Prefixes> {
        Ok(Prefixes::new(1, 2, path.as_os_str().len() as u64))
    }

    fn restore(&self, path: &Path) -> Result<Prefixes> {
        Ok(Prefixes::new(3, 4, path.as_os_str().len() as u64))
    }
}

struct Steps(std::vec::IntoIter<Step>);

impl Run for Steps {
    fn step(&mut self) -> Result<Step> {
        Ok(self.0.next().expect("stepped to its end"))
    }
}

fn spec() -> Spec {
    Spec::new(Provenance::new("odd", Digest::default(), "fake", "test"))
}

/// Has a tokenizer whose tokens are bytes, and answers nothing.
pub(crate) struct Spells(Spec);

impl Spells {
    pub(crate) fn new() -> Self {
        Self(spec())
    }
}

impl Engine for Spells {
    fn spec(&self) -> &Spec {
        &self.0
    }

    fn start(&self, _: Request, _: Call) -> Result<Box<dyn Run>> {
        Err(Error::new(Code::Unsupported, "it only spells"))
    }

    fn tokenizer(&self) -> Option<&dyn Tokenizer> {
        Some(self)
    }
}

impl Tokenizer for Spells {
    fn tokenize(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        match prompt {
            Prompt::Text(text) => Ok(text.bytes().map(u32::from).collect()),
            Prompt::Chat(messages) => self.tokenize(&Prompt::Text(self.render(messages)?)),
            Prompt::Tokens(tokens) => self.detokenize(tokens).map(|_| tokens.clone()),
            _ => Err(Error::new(Code::Unsupported, "it only spells")),
        }
    }

    fn detokenize(&self, tokens: &[u32]) -> Result<String> {
        let byte = |id: &u32| {
            u8::try_from(*id)
                .map_err(|_| Error::new(Code::InvalidArgument, format!("token {id}: expected at most 255")))
        };
        let bytes = tokens.iter().map(byte).collect::<Result<Vec<_>>>()?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn render(&self, messages: &[Message]) -> Result<String> {
        Ok(messages.iter().map(|m| format!("{}: {}\n", m.role.name(), m.content)).collect())
    }
}
