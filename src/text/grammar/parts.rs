//! Forms of several parts: texts, schemas, and choices among them.

use std::fmt::Write as _;

use llguidance::api::TopLevelGrammar;
use serde_json::Value;

use super::compile::STACK;
use super::matcher::Matcher;
use super::vocabulary::Vocabulary;
use super::{MAX_SOURCE, refused, schema};
use crate::{Result, threads};

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// This text; names of special tokens in it are those.
    Text(String),
    /// JSON of a schema; and what it is the schema of.
    Json(String, String),
    /// Any text up to this one, and it.
    Until(String),
    /// A text of an expression.
    Regex(String),
    /// One of these; any may be empty.
    Choice(Vec<Vec<Part>>),
    /// These, as often as may be.
    Repeat(Vec<Part>),
}

impl Vocabulary {
    /// A matcher for a text of these parts.
    ///
    /// # Errors
    ///
    /// As [`Vocabulary::matcher`].
    pub(crate) fn matcher_of(&self, parts: &[Part]) -> Result<Matcher> {
        threads::on_stack("selvedge-grammar", STACK, || {
            let mut lark = Lark { vocabulary: self, rules: String::new(), count: 0 };
            let start = lark.all(parts)?;
            let source = format!("start: {start}\n{}", lark.rules);
            self.compiled("tools", TopLevelGrammar::from_lark(source))
        })
    }
}

/// Blanks as templates write them, and no others: a small model may write them without end.
fn spaced(mut schema: Value) -> Value {
    if let Some(options) = schema.get_mut("x-guidance").and_then(Value::as_object_mut) {
        options.insert("whitespace_flexible".into(), false.into());
        options.insert("item_separator".into(), ", ".into());
        options.insert("key_separator".into(), ": ".into());
    }
    schema
}

struct Lark<'v> {
    vocabulary: &'v Vocabulary,
    rules: String,
    count: usize,
}

impl Lark<'_> {
    fn all(&mut self, parts: &[Part]) -> Result<String> {
        let parts: Result<Vec<String>> = parts.iter().map(|part| self.part(part)).collect();
        Ok(parts?.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "))
    }

    fn part(&mut self, part: &Part) -> Result<String> {
        Ok(match part {
            Part::Text(text) => self.text(text),
            Part::Json(source, what) => self.json(source, what)?,
            Part::Until(mark) => self.until(mark),
            Part::Regex(expression) => format!("/{}/", expression.replace('/', "\\/")),
            Part::Choice(choices) => {
                let choices: Result<Vec<String>> = choices.iter().map(|choice| self.all(choice)).collect();
                let choices = choices?.into_iter().map(|c| if c.is_empty() { "\"\"".to_owned() } else { c });
                format!("( {} )", choices.collect::<Vec<_>>().join(" | "))
            }
            Part::Repeat(parts) => format!("( {} )*", self.all(parts)?),
        })
    }

    /// Special tokens are no text, and are named by their ids.
    fn text(&self, mut text: &str) -> String {
        let mut parts = Vec::new();
        while !text.is_empty() {
            let special = self.vocabulary.first_special(text);
            let (at, len, _) = special.unwrap_or((text.len(), 0, 0));
            if at > 0 {
                parts.push(Value::from(&text[..at]).to_string());
            }
            parts.extend(special.map(|(_, _, id)| format!("<[{id}]>")));
            text = &text[at + len..];
        }
        parts.join(" ")
    }

    fn until(&mut self, mark: &str) -> String {
        let name = self.name();
        let rule = match self.vocabulary.first_special(mark) {
            None => format!("{name}[suffix={}]: /(?s:.*)/", Value::from(mark)),
            Some(_) => format!("{name}: /(?s:.*)/ {}", self.text(mark)),
        };
        self.rule(&rule);
        name
    }

    fn json(&mut self, source: &str, what: &str) -> Result<String> {
        if self.rules.len() + source.len() > MAX_SOURCE {
            return Err(refused(what, format_args!("expected at most {MAX_SOURCE} bytes of all schemas together")));
        }
        let value: Value =
            serde_json::from_str(source).map_err(|error| refused(what, format_args!("expected JSON, got: {error}")))?;
        let prepared = schema::prepare(value).map_err(|error| error.during(what.to_owned()))?;
        let prepared = spaced(schema::with_options(prepared));
        // The compiler would not say whose schema it is that it refuses.
        if let Err(why) = self.vocabulary.parser(TopLevelGrammar::from_json_schema(prepared.clone())) {
            return Err(refused(what, why));
        }
        let name = self.name();
        self.rule(&format!("{name}: %json {prepared}"));
        Ok(name)
    }

    fn name(&mut self) -> String {
        self.count += 1;
        format!("part_{}", self.count)
    }

    fn rule(&mut self, rule: &str) {
        let _ = writeln!(self.rules, "{rule}");
    }
}
