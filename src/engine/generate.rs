//! Text generation: prompt, sampling and limits.

use crate::{Error, Result};

/// A prompt in, text out.
///
/// The defaults are deterministic: greedy, at most 256 tokens.
///
/// ```
/// use selvedge::Generate;
/// let request = Generate::text("The capital of France is").max_tokens(8).stop(["\n"]);
/// assert!(request.check().is_ok());
/// assert!(request.temperature(f32::NAN).check().is_err());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Generate {
    /// The text or chat to continue.
    pub prompt: Prompt,
    /// The most tokens to generate; `None` goes on until the model stops or the context is full.
    pub max_tokens: Option<u32>,
    /// Texts that end the answer. They may span tokens; the answer does not contain them.
    pub stop: Vec<String>,
    /// The choice of the next token.
    pub sampling: Sampling,
    /// Report the log-probability of each token.
    pub logprobs: bool,
}

/// The text or chat to continue.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Prompt {
    /// Plain text, taken as it is. Special tokens written in it are text.
    Text(String),
    /// A conversation, rendered with the model's own chat template.
    Chat(Vec<Message>),
    /// Token ids of the model's vocabulary, taken as they are.
    Tokens(Vec<u32>),
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The speaker.
    pub role: Role,
    /// The text.
    pub content: String,
}

impl Message {
    /// A message of any role.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }

    /// Instructions that hold for the whole conversation.
    pub fn system(content: impl Into<String>) -> Self {
        Self::new(Role::System, content)
    }

    /// A message of the person.
    pub fn user(content: impl Into<String>) -> Self {
        Self::new(Role::User, content)
    }

    /// An earlier answer of the model.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new(Role::Assistant, content)
    }
}

/// The speaker of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// Instructions that hold for the whole conversation.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// Any other name that the model's template knows, such as `tool`.
    Other(String),
}

impl Role {
    /// The name that chat templates use.
    pub fn name(&self) -> &str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Other(name) => name,
        }
    }
}

/// The choice of the next token. The filters apply in the order of the fields.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sampling {
    /// Divides the logits of tokens seen in the last [`Sampling::penalty_last_n`]; 1 = off. Range: > 0.
    pub repeat_penalty: f32,
    /// Subtracted from a seen token's logit once per time it was seen; 0 = off.
    pub frequency_penalty: f32,
    /// Subtracted from a seen token's logit once; 0 = off.
    pub presence_penalty: f32,
    /// The number of tokens that the penalties look back; 0 = none.
    pub penalty_last_n: u32,
    /// Keep the `k` most likely tokens; 0 = all.
    pub top_k: u32,
    /// Keep the smallest set of most likely tokens whose probabilities sum to at least this; 1 = all. Range: (0, 1].
    pub top_p: f32,
    /// Keep tokens at least this fraction as likely as the most likely one; 0 = all. Range: [0, 1].
    pub min_p: f32,
    /// Divides the logits before the draw; 0 = take the most likely token (greedy). Range: ≥ 0.
    pub temperature: f32,
    /// Seed of the draw: the same seed, model, build and request give the same text. `None` draws a seed.
    pub seed: Option<u32>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            repeat_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            penalty_last_n: 64,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            temperature: 0.0,
            seed: None,
        }
    }
}

impl Generate {
    /// The default of [`Generate::max_tokens`].
    pub const DEFAULT_MAX_TOKENS: u32 = 256;

    /// Continues a prompt.
    pub fn new(prompt: Prompt) -> Self {
        Self {
            prompt,
            max_tokens: Some(Self::DEFAULT_MAX_TOKENS),
            stop: Vec::new(),
            sampling: Sampling::default(),
            logprobs: false,
        }
    }

    /// Continues plain text.
    pub fn text(prompt: impl Into<String>) -> Self {
        Self::new(Prompt::Text(prompt.into()))
    }

    /// Answers a conversation.
    pub fn chat(messages: impl IntoIterator<Item = Message>) -> Self {
        Self::new(Prompt::Chat(messages.into_iter().collect()))
    }

    /// Limits the number of tokens; `None` for no limit but the context.
    #[must_use]
    pub fn max_tokens(mut self, max: impl Into<Option<u32>>) -> Self {
        self.max_tokens = max.into();
        self
    }

    /// Ends the answer at any of these texts.
    #[must_use]
    pub fn stop<S: Into<String>>(mut self, stop: impl IntoIterator<Item = S>) -> Self {
        self.stop = stop.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the temperature; 0 is greedy.
    #[must_use]
    pub fn temperature(mut self, temperature: f32) -> Self {
        self.sampling.temperature = temperature;
        self
    }

    /// Keeps the `k` most likely tokens.
    #[must_use]
    pub fn top_k(mut self, k: u32) -> Self {
        self.sampling.top_k = k;
        self
    }

    /// Keeps the most likely tokens up to the probability mass `p`.
    #[must_use]
    pub fn top_p(mut self, p: f32) -> Self {
        self.sampling.top_p = p;
        self
    }

    /// Keeps tokens at least `p` times as likely as the most likely one.
    #[must_use]
    pub fn min_p(mut self, p: f32) -> Self {
        self.sampling.min_p = p;
        self
    }

    /// Divides the logits of tokens seen before by this; 1 is off.
    #[must_use]
    pub fn repeat_penalty(mut self, penalty: f32) -> Self {
        self.sampling.repeat_penalty = penalty;
        self
    }

    /// Lowers a token's logit by this for each time it was seen; 0 is off.
    #[must_use]
    pub fn frequency_penalty(mut self, penalty: f32) -> Self {
        self.sampling.frequency_penalty = penalty;
        self
    }

    /// Lowers a token's logit by this if it was seen; 0 is off.
    #[must_use]
    pub fn presence_penalty(mut self, penalty: f32) -> Self {
        self.sampling.presence_penalty = penalty;
        self
    }

    /// Sets how many tokens back the penalties look.
    #[must_use]
    pub fn penalty_last_n(mut self, n: u32) -> Self {
        self.sampling.penalty_last_n = n;
        self
    }

    /// Seeds the draw.
    #[must_use]
    pub fn seed(mut self, seed: u32) -> Self {
        self.sampling.seed = Some(seed);
        self
    }

    /// Reports the log-probability of each token.
    #[must_use]
    pub fn logprobs(mut self, logprobs: bool) -> Self {
        self.logprobs = logprobs;
        self
    }

    /// Checks every parameter against its range.
    ///
    /// # Errors
    ///
    /// `InvalidArgument`, naming parameter and range.
    pub fn check(&self) -> Result<()> {
        let s = &self.sampling;
        let within = |name: &str, value: f32, range: &str, ok: bool| {
            // A NaN fails every comparison, so `ok` is false for it.
            if ok { Ok(()) } else { Err(Error::invalid(format!("{name}: expected {range}, got {value}"))) }
        };
        within(
            "temperature",
            s.temperature,
            "a finite number >= 0",
            s.temperature >= 0.0 && s.temperature.is_finite(),
        )?;
        within("top_p", s.top_p, "a number in (0, 1]", s.top_p > 0.0 && s.top_p <= 1.0)?;
        within("min_p", s.min_p, "a number in [0, 1]", (0.0..=1.0).contains(&s.min_p))?;
        within(
            "repeat_penalty",
            s.repeat_penalty,
            "a finite number > 0",
            s.repeat_penalty > 0.0 && s.repeat_penalty.is_finite(),
        )?;
        within("frequency_penalty", s.frequency_penalty, "a finite number", s.frequency_penalty.is_finite())?;
        within("presence_penalty", s.presence_penalty, "a finite number", s.presence_penalty.is_finite())?;
        if self.stop.iter().any(String::is_empty) {
            return Err(Error::invalid("stop: expected non-empty texts, got an empty one"));
        }
        if self.max_tokens == Some(0) {
            return Err(Error::invalid("max_tokens: expected at least 1, got 0"));
        }
        match &self.prompt {
            Prompt::Chat(messages) if messages.is_empty() => Err(Error::invalid("chat: expected messages, got none")),
            Prompt::Tokens(tokens) if tokens.is_empty() => Err(Error::invalid("tokens: expected at least 1, got none")),
            _ => Ok(()),
        }
    }
}
