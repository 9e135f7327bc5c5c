//! Tools: what a model may call, what it calls, and how the app answers.

/// A function of the app that the model may call.
///
/// The model is told of it by its own chat template; where that knows no tools, in a system message. The app runs what
/// is called and gives the result back in a message of [`Message::tool`](super::Message::tool).
///
/// ```
/// use selvedge::{Generate, Message, Tool, ToolChoice};
/// let weather = Tool::new(
///     "weather",
///     "The weather in a city.",
///     r#"{ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] }"#,
/// );
/// let request = Generate::chat([Message::user("Do I need an umbrella in Bergen?")])
///     .tools([weather])
///     .tool_choice(ToolChoice::Required);
/// assert!(request.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tool {
    /// The name: 1 to 128 ASCII letters, digits, `_`, `-` and `.`; each name once.
    pub name: String,
    /// What it does and when to call it; the model reads this.
    pub description: String,
    /// A JSON Schema of the arguments, an object, given as its text.
    pub parameters: String,
}

impl Tool {
    /// A tool with a JSON Schema of its arguments.
    pub fn new(name: impl Into<String>, description: impl Into<String>, parameters: impl Into<String>) -> Self {
        Self { name: name.into(), description: description.into(), parameters: parameters.into() }
    }
}

/// Whether the model calls a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolChoice {
    /// The model decides; nothing holds its calls to the schemas.
    #[default]
    Auto,
    /// No calls: the model is not told of the tools, and its answer is text.
    None,
    /// At least one call; only tokens of calls that the schemas allow are chosen, after what the model thinks if the prompt
    /// begins that. `Unsupported` for a format without a grammar.
    Required,
    /// One call of the tool of this name, held to its schema.
    Named(String),
}

impl ToolChoice {
    /// The choice's number, as C has it; never changed and never reused.
    ///
    /// ```
    /// use selvedge::ToolChoice;
    /// assert_eq!((ToolChoice::Auto.number(), ToolChoice::Named("weather".into()).number()), (0, 3));
    /// ```
    pub const fn number(&self) -> u8 {
        match self {
            ToolChoice::Auto => 0,
            ToolChoice::None => 1,
            ToolChoice::Required => 2,
            ToolChoice::Named(_) => 3,
        }
    }
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolCall {
    /// What the result refers to: the model's own id, or one of nine letters and digits made of the conversation and the
    /// call's place, so that the same answer has the same ids.
    pub id: String,
    /// The tool, one of the request's.
    pub name: String,
    /// The arguments: a JSON object, as its text. Only where the choice was forced is it held to the tool's schema.
    pub arguments: String,
}

impl ToolCall {
    /// A call, such as one of an earlier answer.
    pub fn new(id: impl Into<String>, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        Self { id: id.into(), name: name.into(), arguments: arguments.into() }
    }
}

/// What began like a call and is none: of no tool of the request, not closed, or no JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MalformedCall {
    /// The place among the calls of the answer, malformed ones included, from 0. Pieces of a call of this index are void.
    pub index: u32,
    /// The text as the model wrote it.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl MalformedCall {
    /// A text that is no call, and why.
    pub fn new(index: u32, text: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { index, text: text.into(), reason: reason.into() }
    }
}

/// A document that the model may draw on, where its chat template has a place for them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Document {
    /// The title.
    pub title: String,
    /// The text.
    pub text: String,
}

impl Document {
    /// A document of a title and a text.
    pub fn new(title: impl Into<String>, text: impl Into<String>) -> Self {
        Self { title: title.into(), text: text.into() }
    }
}
