//! Compilation of a form, within bounds.

use llguidance::TokenParser;
use llguidance::api::TopLevelGrammar;
use serde_json::Value;

use super::matcher::Matcher;
use super::vocabulary::Vocabulary;
use super::{MAX_SOURCE, gbnf, lark, refused, said, schema};
use crate::engine::Grammar;
use crate::{Result, threads};

/// More than the deepest form takes. What nests in a form, or leads from one part of it to another, is counted before.
pub(super) const STACK: usize = 128 << 20;

impl Vocabulary {
    /// A matcher for a text of the form.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a form that is wrong, too large, or more than an answer can be held to; of a schema it names the
    /// keyword and the place. `OutOfMemory` if the system refuses the thread that compiles.
    pub(crate) fn matcher(&self, grammar: &Grammar) -> Result<Matcher> {
        let (what, source) = match grammar {
            Grammar::JsonSchema(source) => ("JSON Schema", source),
            Grammar::Regex(source) => ("regex", source),
            Grammar::Lark(source) => ("Lark grammar", source),
            Grammar::Gbnf(source) => ("GBNF grammar", source),
        };
        if source.len() > MAX_SOURCE {
            return Err(refused(what, format_args!("expected at most {MAX_SOURCE} bytes, got {}", source.len())));
        }
        // The caller's stack may be small, and is not for a stranger's form to use up.
        threads::on_stack("selvedge-grammar", STACK, || match grammar {
            Grammar::JsonSchema(source) => self.of_schema(source),
            Grammar::Regex(source) => {
                lark::check_nesting(what, source)?;
                self.compiled(what, TopLevelGrammar::from_regex(source))
            }
            Grammar::Lark(source) => {
                lark::check(source)?;
                self.compiled(what, TopLevelGrammar::from_lark(source.clone()))
            }
            Grammar::Gbnf(source) => self.compiled(what, TopLevelGrammar::from_lark(gbnf::to_lark(source)?)),
        })
    }

    fn of_schema(&self, source: &str) -> Result<Matcher> {
        let value: Value = serde_json::from_str(source)
            .map_err(|error| refused("JSON Schema", format_args!("expected JSON, got: {error}")))?;
        let prepared = schema::prepare(value)?;
        let parser = self.parser(TopLevelGrammar::from_json_schema(schema::with_options(prepared.clone())));
        match parser {
            Ok(parser) => Ok(Matcher::new(llguidance::Matcher::new(Ok(parser)))),
            Err(why) => {
                let compile = |schema: Value| {
                    let compiled = TopLevelGrammar::from_json_schema(schema::with_options(schema));
                    self.parser(compiled).err()
                };
                Err(schema::located(&prepared, why, compile))
            }
        }
    }

    pub(super) fn compiled(&self, what: &str, grammar: TopLevelGrammar) -> Result<Matcher> {
        let parser = self.parser(grammar).map_err(|why| refused(what, why))?;
        Ok(Matcher::new(llguidance::Matcher::new(Ok(parser))))
    }

    /// What the crate makes of a grammar, or why it makes nothing. A warning of it says that something is left out.
    pub(super) fn parser(&self, grammar: TopLevelGrammar) -> std::result::Result<TokenParser, String> {
        let made = threads::contained(|| self.factory.create_parser(grammar));
        let mut parser = made.map_err(|panic| format!("it cannot be compiled: {panic}"))?.map_err(said)?;
        match parser.grammar_warnings().into_iter().next() {
            Some(warning) => Err(warning),
            None => Ok(parser),
        }
    }
}
