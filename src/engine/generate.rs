//! Text generation: prompt, sampling and limits.

use super::{Document, Grammar, Tool, ToolCall, ToolChoice};

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
    /// The form of the text; `None` for any. An engine without grammars refuses one as `Unsupported`.
    pub grammar: Option<Grammar>,
    /// What the model may call; of a chat only. `Unsupported` where its template's calls cannot be read.
    pub tools: Vec<Tool>,
    /// Whether it calls, and what; of no effect without tools.
    pub tool_choice: ToolChoice,
    /// Documents for the chat template; one without a place for them refuses them as `Unsupported`.
    pub documents: Vec<Document>,
    /// Whether a model that can do either thinks before it answers; `None` leaves it to the template. `Unsupported` where
    /// the template has no such switch.
    pub thinking: Option<bool>,
    /// Further variables of the chat template by name, each a JSON value given as its text. One that the template does not
    /// use is `Unsupported`.
    pub variables: Vec<(String, String)>,
    /// Go on with the last message, the assistant's, instead of beginning a new one.
    pub continue_last: bool,
    /// Part what the model thinks, in a block such as `<think>…</think>`, from its answer.
    pub separate_reasoning: bool,
    /// Adapters of [`Options::adapter`](crate::Options::adapter), by name, each with the scale of its changes; 1 is as it was
    /// trained. An engine without one of the name refuses it.
    pub adapters: Vec<(String, f32)>,
    /// Added to the logits of tokens before anything else is done with them; minus infinity bans a token. What
    /// [`Generate::logprobs`] reports is the model's, without it. A token may be given once.
    pub logit_bias: Vec<(u32, f32)>,
    /// Report the likeliest tokens at each place, so many, in [`Answer::top_logprobs`](super::Answer::top_logprobs); 0 = none.
    /// Range: at most [`Generate::MAX_TOP_LOGPROBS`].
    pub top_logprobs: u32,
}

/// The text or chat to continue.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Prompt {
    /// Plain text, taken as it is. Special tokens written in it are text.
    Text(String),
    /// A conversation, rendered with the model's own chat template.
    ///
    /// Its next turn repeats it with the answer, so an engine may prepare for that once it has nothing else to do: llama.cpp's
    /// computes an answer that must come out the same again (greedy, or with a seed) as a prompt, which the next turn goes on
    /// from. A request that comes meanwhile does not wait for it.
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
    /// What the model thought before it, as [`Answer::reasoning`](super::Answer::reasoning) has it; templates that show it
    /// know it as `reasoning_content`.
    pub reasoning: Option<String>,
    /// The calls that the assistant made in it.
    pub tool_calls: Vec<ToolCall>,
    /// The id of the call that it answers; of [`Role::Tool`] only, and always there.
    pub tool_call_id: Option<String>,
}

impl Message {
    /// A message of any role.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), reasoning: None, tool_calls: Vec::new(), tool_call_id: None }
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

    /// The result of the call of this id.
    ///
    /// ```
    /// use selvedge::{Generate, Message, ToolCall};
    /// let call = ToolCall::new("k3h5x0a1b", "weather", r#"{ "city": "Bergen" }"#);
    /// let result = Message::tool(&*call.id, r#"{ "rain": true }"#);
    /// let chat = [Message::user("Umbrella?"), Message::assistant("").tool_calls([call]), result];
    /// assert!(Generate::chat(chat).check().is_ok());
    /// ```
    pub fn tool(id: impl Into<String>, content: impl Into<String>) -> Self {
        Self { tool_call_id: Some(id.into()), ..Self::new(Role::Tool, content) }
    }

    /// With the calls that the assistant made.
    #[must_use]
    pub fn tool_calls(mut self, calls: impl IntoIterator<Item = ToolCall>) -> Self {
        self.tool_calls = calls.into_iter().collect();
        self
    }

    /// With what the model thought before it.
    #[must_use]
    pub fn reasoning(mut self, reasoning: impl Into<String>) -> Self {
        self.reasoning = Some(reasoning.into());
        self
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
    /// The result of a call.
    Tool,
    /// Any other name that the model's template knows.
    Other(String),
}

impl Role {
    /// The name that chat templates use.
    pub fn name(&self) -> &str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
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

    /// The most of [`Generate::top_logprobs`].
    pub const MAX_TOP_LOGPROBS: u32 = 64;

    /// Continues a prompt.
    pub fn new(prompt: Prompt) -> Self {
        Self {
            prompt,
            max_tokens: Some(Self::DEFAULT_MAX_TOKENS),
            stop: Vec::new(),
            sampling: Sampling::default(),
            logprobs: false,
            grammar: None,
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            documents: Vec::new(),
            thinking: None,
            variables: Vec::new(),
            continue_last: false,
            separate_reasoning: false,
            adapters: Vec::new(),
            logit_bias: Vec::new(),
            top_logprobs: 0,
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

    /// Holds the text to a form.
    #[must_use]
    pub fn grammar(mut self, grammar: impl Into<Option<Grammar>>) -> Self {
        self.grammar = grammar.into();
        self
    }

    /// Gives the model tools to call.
    #[must_use]
    pub fn tools(mut self, tools: impl IntoIterator<Item = Tool>) -> Self {
        self.tools = tools.into_iter().collect();
        self
    }

    /// Says whether it calls, and what.
    #[must_use]
    pub fn tool_choice(mut self, choice: ToolChoice) -> Self {
        self.tool_choice = choice;
        self
    }

    /// Gives the chat template documents.
    #[must_use]
    pub fn documents(mut self, documents: impl IntoIterator<Item = Document>) -> Self {
        self.documents = documents.into_iter().collect();
        self
    }

    /// Has a model that can do either think first, or not.
    #[must_use]
    pub fn thinking(mut self, thinking: impl Into<Option<bool>>) -> Self {
        self.thinking = thinking.into();
        self
    }

    /// Gives the chat template a variable, as JSON text.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, json: impl Into<String>) -> Self {
        self.variables.push((name.into(), json.into()));
        self
    }

    /// Goes on with the last message instead of beginning a new one.
    #[must_use]
    pub fn continue_last(mut self, go_on: bool) -> Self {
        self.continue_last = go_on;
        self
    }

    /// Parts what the model thinks from its answer.
    #[must_use]
    pub fn separate_reasoning(mut self, separate: bool) -> Self {
        self.separate_reasoning = separate;
        self
    }

    /// Adds to the logit of a token. Range: a finite number, or minus infinity.
    #[must_use]
    pub fn bias(mut self, token: u32, bias: f32) -> Self {
        self.logit_bias.push((token, bias));
        self
    }

    /// Never chooses these tokens.
    ///
    /// ```
    /// use selvedge::Generate;
    /// let request = Generate::text("The answer is").ban([12, 13]).bias(14, 2.0).top_logprobs(5);
    /// assert_eq!((request.logit_bias.len(), request.check().is_ok()), (3, true));
    /// ```
    #[must_use]
    pub fn ban(mut self, tokens: impl IntoIterator<Item = u32>) -> Self {
        self.logit_bias.extend(tokens.into_iter().map(|token| (token, f32::NEG_INFINITY)));
        self
    }

    /// Reports the `n` likeliest tokens at each place.
    #[must_use]
    pub fn top_logprobs(mut self, n: u32) -> Self {
        self.top_logprobs = n;
        self
    }

    /// Adds the changes of an adapter, times `scale`. Range: a finite number but 0.
    #[must_use]
    pub fn adapter(mut self, name: impl Into<String>, scale: f32) -> Self {
        self.adapters.push((name.into(), scale));
        self
    }
}
