//! Fake: a deterministic engine without a model, for tests of apps and of layers.
//!
//! Enters: a script. Leaves: an [`Engine`]. May import: engine, tensor, digest, text.
//!
//! It keeps the contract that every engine keeps (`tests/engine_contract` holds it to that) and
//! can be told to be slow, to fail or to drift. Nothing in it depends on time or chance.

mod script;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::engine::{Abilities, Call, Embed, Engine, Kind, Port, Provenance, Request, Run, Spec};
use crate::{Code, DType, Digest, Error, Result, Tensor};
use script::{Script, Work};

/// What an engine of tensors computes: one entry per input port in, one tensor per output port out.
type Function = dyn Fn(&[Option<Tensor>]) -> Result<Vec<Tensor>> + Send + Sync;

/// A deterministic engine in the making.
///
/// Its digest is the SHA-256 of its name, so that two fakes of one name are the same "file".
///
/// ```
/// use selvedge::fake::Fake;
/// use selvedge::{Ask, Code, Finish, Generate};
/// let engine = Fake::text("so it goes").build();
/// let answer = engine.run(Generate::text("and then").stop(["t g"]))?;
/// assert_eq!((&*answer.text, answer.finish), ("so i", Finish::Stop("t g".into())));
///
/// let broken = Fake::text("so it goes").fail(1, Code::Backend).build();
/// assert_eq!(broken.run(Generate::text("and then")).unwrap_err().code(), Code::Backend);
/// # Ok::<(), selvedge::Error>(())
/// ```
pub struct Fake {
    serves: Serves,
    spec: Spec,
    delay: Duration,
    fail: Option<(u64, Code)>,
    drift: Option<(u64, f64)>,
    slices: u64,
    #[cfg(feature = "text")]
    template: Option<crate::text::Template>,
}

enum Serves {
    Text(String),
    Tensors(Box<Function>),
    Embeddings,
}

impl Fake {
    /// Answers every prompt, text, chat or tokens, with `reply`.
    ///
    /// A token is a word with the whitespace before it; its id is a hash of it. One step brings one
    /// token. The model is certain: each word has probability 1, so every logprob is 0, and
    /// temperature, filters, penalties and seed are honoured and change nothing. `max_tokens` and
    /// `stop` work as everywhere. The context holds 4096 tokens unless [`Fake::context_tokens`] says
    /// otherwise; a longer prompt is `ContextFull`.
    pub fn text(reply: impl Into<String>) -> Self {
        let mut fake = Self::new(Serves::Text(reply.into()));
        fake.spec.abilities = Abilities { generate: true, chat: true, ..fake.spec.abilities };
        fake.spec.context_tokens = Some(4096);
        fake
    }

    /// Answers tensor requests with `f`, in one step.
    ///
    /// `f` gets one entry per input port, in order, `None` where an optional one was left out, and
    /// gives one tensor per output port; anything else is a `Backend` error.
    ///
    /// ```
    /// use selvedge::fake::Fake;
    /// use selvedge::{Ask, DType, Dim, Port, Tensor, Tensors};
    /// let port = |name| Port::tensor(name, DType::F32, vec![Dim::Symbol("n".into())]);
    /// let double = Fake::tensors(vec![port("x")], vec![port("y")], |inputs| {
    ///     let Some(x) = &inputs[0] else { return Ok(vec![]) };
    ///     let y = x.as_slice::<f32>()?.iter().map(|v| v * 2.0).collect();
    ///     Ok(vec![Tensor::new(x.shape(), y)?])
    /// });
    /// let answer = double.build().run(Tensors::from([("x", Tensor::new(&[2], vec![1.5f32, -3.0])?)]))?;
    /// assert_eq!(answer.output("y")?.as_slice::<f32>()?, [3.0, -6.0]);
    /// # Ok::<(), selvedge::Error>(())
    /// ```
    pub fn tensors<F>(inputs: Vec<Port>, outputs: Vec<Port>, f: F) -> Self
    where
        F: Fn(&[Option<Tensor>]) -> Result<Vec<Tensor>> + Send + Sync + 'static,
    {
        let mut fake = Self::new(Serves::Tensors(Box::new(f)));
        (fake.spec.inputs, fake.spec.outputs) = (inputs, outputs);
        fake.spec.abilities.tensors = true;
        fake
    }

    /// Gives its input `x`, of any shape, back as `y`.
    pub fn echo(dtype: DType) -> Self {
        let port = |name: &str| Port { name: name.into(), kind: Kind::Tensor { dtype, shape: None }, optional: false };
        Self::tensors(vec![port("x")], vec![port("y")], |inputs| Ok(inputs.iter().flatten().cloned().collect()))
    }

    /// Embeds texts: `dims` numbers in [-1, 1) drawn from a hash of the text. One step per text.
    pub fn embedding(dims: u32) -> Self {
        let mut fake = Self::new(Serves::Embeddings);
        fake.spec.abilities.embed = true;
        fake.spec.embedding_size = Some(dims);
        fake
    }

    /// Makes every step take this long; cancel and deadline end the wait.
    #[must_use]
    pub fn delay(mut self, step: Duration) -> Self {
        self.delay = step;
        self
    }

    /// Fails every run in its step number `step`, counted from 0.
    #[must_use]
    pub fn fail(mut self, step: u64, code: Code) -> Self {
        self.fail = Some((step, code));
        self
    }

    /// Adds `offset` to every float of every output from call number `from_call` on, counted from 0
    /// as calls are admitted. Integers and text do not drift.
    #[must_use]
    pub fn drift(mut self, from_call: u64, offset: f64) -> Self {
        self.drift = Some((from_call, offset));
        self
    }

    /// Begins every run with this many `Working` steps.
    #[must_use]
    pub fn prompt_slices(mut self, slices: u64) -> Self {
        self.slices = slices;
        self
    }

    /// Sets the name, and with it the digest; `fake` if it is never called.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.spec = Spec { provenance: Arc::new(provenance(name.into())), ..self.spec };
        self
    }

    /// Sets the context of an engine of text.
    #[must_use]
    pub fn context_tokens(mut self, tokens: u32) -> Self {
        self.spec.context_tokens = Some(tokens);
        self
    }

    /// Gives an engine of text a chat template, in Jinja: chats are rendered with it, and calls and reasoning are read out of the
    /// reply as it writes them. What it says is not held to a grammar, so that a choice of tools that forces a call is
    /// `Unsupported`; without a template, tools are.
    ///
    /// ```
    /// # #[cfg(feature = "text")] {
    /// use selvedge::fake::Fake;
    /// use selvedge::{Ask, Generate, Message, Tool};
    /// let chatml = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}";
    /// let reply = r#"<tool_call>[{"name": "weather", "arguments": {"city": "Bergen"}}]</tool_call>"#;
    /// let engine = Fake::text(reply).template(chatml)?.build();
    /// let weather = Tool::new("weather", "The weather in a city.", r#"{ "type": "object" }"#);
    /// let answer = engine.run(Generate::chat([Message::user("Umbrella?")]).tools([weather]))?;
    /// assert_eq!((&*answer.text, &*answer.tool_calls[0].arguments), ("", r#"{"city": "Bergen"}"#));
    /// # }
    /// # Ok::<(), selvedge::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Unsupported` for a template that cannot be compiled.
    #[cfg(feature = "text")]
    pub fn template(mut self, source: &str) -> Result<Self> {
        self.template = Some(crate::text::Template::new(source, [], [])?);
        Ok(self)
    }

    /// The engine.
    pub fn build(self) -> Arc<dyn Engine> {
        Arc::new(FakeEngine { fake: Arc::new(self), calls: AtomicU64::new(0) })
    }

    fn new(serves: Serves) -> Self {
        let mut spec = Spec::new(provenance("fake".into()));
        spec.abilities.interrupt = true;
        Self {
            serves,
            spec,
            delay: Duration::ZERO,
            fail: None,
            drift: None,
            slices: 0,
            #[cfg(feature = "text")]
            template: None,
        }
    }
}

fn provenance(name: String) -> Provenance {
    let digest = Digest(Sha256::digest(name.as_bytes()).into());
    Provenance::new(name, digest, "fake", concat!("selvedge-fake ", env!("CARGO_PKG_VERSION")))
}

struct FakeEngine {
    fake: Arc<Fake>,
    calls: AtomicU64,
}

impl Engine for FakeEngine {
    fn spec(&self) -> &Spec {
        &self.fake.spec
    }

    fn start(&self, request: Request, call: Call) -> Result<Box<dyn Run>> {
        call.check()?;
        let fake = &self.fake;
        let script = match (&fake.serves, request) {
            (Serves::Text(reply), Request::Generate(request)) => {
                let chat = fake.chat(&request)?;
                Script::of_text(reply, &request, chat, fake.spec.context_tokens, fake.slices)?
            }
            (Serves::Tensors(_), Request::Tensors(request)) => {
                Script::of_work(Work::Tensors(fake.spec.admit(request)?), fake.slices, 0)
            }
            (Serves::Embeddings, Request::Embed(request)) => {
                let texts = checked(&request)?;
                Script::of_work(Work::Embed(request), fake.slices, texts)
            }
            (_, request) => {
                return Err(Error::unsupported(format!(
                    "the fake '{}' serves {}, got {}",
                    fake.spec.provenance.model,
                    fake.serves.name(),
                    kind(&request)
                )));
            }
        };
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let offset = fake.drift.filter(|(from, _)| number >= *from).map(|(_, offset)| offset);
        Ok(Box::new(script::FakeRun::new(fake.clone(), call, script, offset)))
    }
}

impl Serves {
    fn name(&self) -> &'static str {
        match self {
            Serves::Text(_) => "Generate",
            Serves::Tensors(_) => "Tensors",
            Serves::Embeddings => "Embed",
        }
    }
}

fn kind(request: &Request) -> &'static str {
    match request {
        Request::Tensors(_) => "Tensors",
        Request::Generate(_) => "Generate",
        Request::Embed(_) => "Embed",
        Request::Score(_) => "Score",
        Request::Rerank(_) => "Rerank",
    }
}

fn checked(request: &Embed) -> Result<u64> {
    match request.texts.len() {
        0 => Err(Error::invalid("embed: expected at least 1 text, got none")),
        n => Ok(n as u64),
    }
}
