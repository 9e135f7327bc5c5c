//! Answers as types of the app, by the schema of the type.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Answer, Finish, Generate, Grammar};
use crate::{Code, Error, Result};

/// The request, held to JSON of the type.
///
/// # Errors
///
/// `InvalidArgument` for a request that is held to something else.
pub(super) fn asked<T: JsonSchema>(request: Generate) -> Result<Generate> {
    if request.grammar.is_some() {
        return Err(Error::invalid("grammar: expected none beside the schema of the type"));
    }
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value();
    close(&mut schema);
    Ok(request.grammar(Grammar::JsonSchema(schema.to_string())))
}

/// The value that an answer is.
///
/// # Errors
///
/// `ContextFull` or `InvalidArgument` for an answer that was cut, `InvalidArgument` for a value that the schema allows and the type
/// refuses.
pub(super) fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T> {
    match &answer.finish {
        Finish::EndOfText | Finish::Complete => {}
        Finish::ContextFull => {
            return Err(Error::new(
                Code::ContextFull,
                "the answer is cut: expected a context with room for the whole of it",
            ));
        }
        Finish::Length => {
            let tokens = answer.usage.output_tokens;
            let what = format!("max_tokens: expected enough for the whole answer, which is cut after {tokens} tokens");
            return Err(Error::invalid(what));
        }
        Finish::Stop(text) => {
            return Err(Error::invalid(format!("stop: expected no text of the answer, which is cut before '{text}'")));
        }
    }
    let name = std::any::type_name::<T>();
    let refused = |e| Error::invalid(format!("{name}: the type refuses what its schema allows")).because(e);
    serde_json::from_str(&answer.text).map_err(refused)
}

/// Keywords by which an object has more names than its own.
const MORE_NAMES: &[&str] =
    &["$ref", "additionalProperties", "allOf", "anyOf", "oneOf", "patternProperties", "unevaluatedProperties"];

/// Leaves no room for names that the type would pass over: a model likes to fill it.
fn close(schema: &mut Value) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(close),
        Value::Object(keywords) => {
            let has_names = keywords.get("properties").is_some_and(Value::is_object);
            if has_names && !MORE_NAMES.iter().any(|keyword| keywords.contains_key(*keyword)) {
                keywords.insert("additionalProperties".into(), Value::Bool(false));
            }
            for (keyword, value) in keywords {
                match (&**keyword, &mut *value) {
                    // The parts of an object describe the same names as it does.
                    ("allOf", _) => {}
                    ("anyOf" | "oneOf", _) if has_names => {}
                    // Values, and no schemas.
                    ("const" | "default" | "enum" | "examples", _) => {}
                    ("$defs" | "properties" | "patternProperties", Value::Object(names)) => {
                        names.values_mut().for_each(close);
                    }
                    (_, value) => close(value),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
