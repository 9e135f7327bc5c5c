//! Grammars: the form that a generated text must have.

/// The form of a generated text: whatever the model would say, only tokens that the form allows are chosen.
///
/// An answer that ends by itself ([`Finish::EndOfText`](super::Finish::EndOfText)) is of the form, the whole of it. One
/// that a limit, a stop text or a full context ended is the beginning of such a text: its finish reason says so.
///
/// What an engine cannot hold an answer to, it refuses when the request starts: a keyword of a schema, a construct of a
/// grammar. Nothing in a form is ignored.
///
/// ```
/// use selvedge::{Generate, Grammar};
/// let form = Grammar::json_schema(r#"{ "type": "object", "properties": { "age": { "type": "integer", "minimum": 0 } } }"#);
/// let request = Generate::text("Ann is 31 years old. As JSON: ").grammar(form);
/// assert!(request.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Grammar {
    /// JSON that a JSON Schema allows (draft 2020-12, and what earlier drafts have of it), the schema given as its text.
    /// Properties come in the order of the schema. A keyword that no draft knows is a note, as JSON Schema has it. A
    /// number without bounds may have more digits than a machine's number; one with bounds is below 2^63.
    JsonSchema(String),
    /// A text that a regular expression matches as a whole, in the syntax of Rust's crate `regex`, without look-around
    /// and references.
    Regex(String),
    /// A text of a Lark grammar, as the library llguidance reads it: rules, terminals, `%ignore`, special tokens such as
    /// `<|eot|>`. Not taken are what would say how to sample, and texts that are hidden.
    Lark(String),
    /// A text of a GBNF grammar, the notation of llama.cpp; it begins with the rule `root`.
    Gbnf(String),
}

impl Grammar {
    /// JSON that a JSON Schema allows.
    pub fn json_schema(schema: impl Into<String>) -> Self {
        Self::JsonSchema(schema.into())
    }

    /// A text that a regular expression matches as a whole.
    pub fn regex(expression: impl Into<String>) -> Self {
        Self::Regex(expression.into())
    }

    /// A text of a Lark grammar.
    pub fn lark(grammar: impl Into<String>) -> Self {
        Self::Lark(grammar.into())
    }

    /// A text of a GBNF grammar.
    pub fn gbnf(grammar: impl Into<String>) -> Self {
        Self::Gbnf(grammar.into())
    }
}
