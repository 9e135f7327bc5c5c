//! Forced calls: the form of an answer that must be calls.

use serde_json::{Map, Value, json};

use super::format::{Body, Format, Mark, Varies};
use crate::engine::Tool;
use crate::text::grammar::Part;
use crate::{Error, Result};

/// Calls of `tools`: one, or as many as the model likes. After reasoning, if the prompt ends within it; `thought` is what
/// ends that.
///
/// # Errors
///
/// `Unsupported` for a format that no form is there for.
pub(in crate::text) fn forced(format: &Format, tools: &[&Tool], one: bool, thought: Option<&str>) -> Result<Vec<Part>> {
    let calls: Result<Vec<_>> = tools.iter().map(|tool| call(format, tool)).collect();
    let call = Part::Choice(calls?);
    let mut parts = Vec::new();
    if let Some(thought) = thought {
        parts.extend([Part::Until(thought.to_owned()), Part::Regex(r"\s*".into())]);
    }
    parts.extend([Part::Text([&*format.open, &format.begin].concat()), call.clone()]);
    if !one {
        let again = [&*format.end, &format.between, &format.begin].concat();
        // Without anything between them, nothing says that another one begins.
        if !again.trim().is_empty() {
            parts.push(Part::Repeat(vec![Part::Text(again), call]));
        }
    }
    parts.push(Part::Text([&*format.end, &format.close].concat().trim_end().to_owned()));
    Ok(parts)
}

fn call(format: &Format, tool: &Tool) -> Result<Vec<Part>> {
    let name = &tool.name;
    let schema = schema_of(tool)?;
    let arguments = || Part::Json(Value::from(schema.clone()).to_string(), format!("tool '{name}': parameters"));
    Ok(match &format.body {
        Body::Object { name: name_key, arguments: key } => {
            let text = format!("{{{}: {}, {}: ", quoted(name_key), quoted(name), quoted(key));
            vec![Part::Text(text), arguments(), Part::Text("}".into())]
        }
        Body::Named { mark } => [vec![Part::Text(name.clone())], of_mark(mark), vec![arguments()]].concat(),
        Body::Tagged { name_end, key_begin, key_end, value_end } => {
            let mut parts = vec![Part::Text([name, &**name_end].concat())];
            parts.extend(tagged(tool, &schema, [key_begin, value_end], key_end));
            parts
        }
        Body::Bare { .. } | Body::Python => {
            return Err(Error::unsupported("tool_choice: calls as this model's template writes them cannot be forced"));
        }
    })
}

/// The schema of the arguments: always an object, and of no other names than its own if it has any.
fn schema_of(tool: &Tool) -> Result<Map<String, Value>> {
    let wrong = |got: String| {
        Error::invalid(format!("tool '{}': parameters: expected a JSON Schema that is an object, got {got}", tool.name))
    };
    let mut schema = match serde_json::from_str(&tool.parameters) {
        Ok(Value::Object(schema)) => schema,
        Ok(other) => return Err(wrong(other.to_string())),
        Err(error) => return Err(wrong(error.to_string())),
    };
    schema.entry("type").or_insert_with(|| json!("object"));
    let keys =
        ["$ref", "additionalProperties", "allOf", "anyOf", "oneOf", "patternProperties", "unevaluatedProperties"];
    if schema.contains_key("properties") && !keys.iter().any(|key| schema.contains_key(*key)) {
        schema.insert("additionalProperties".into(), json!(false));
    }
    Ok(schema)
}

/// Each argument in its marks: those that are required, and others or not, in the order of the schema.
fn tagged(tool: &Tool, schema: &Map<String, Value>, [begin, end]: [&str; 2], key_end: &Mark) -> Vec<Part> {
    let none = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let mut parts = Vec::new();
    for (key, property) in properties {
        let is_text = property.get("type").and_then(Value::as_str) == Some("string");
        let mut argument = vec![Part::Text([begin, key].concat())];
        argument.extend(match key_end.varies {
            // The template's word for the type.
            Varies::Word => vec![
                Part::Text(key_end.before.clone()),
                Part::Regex("[a-z]+".into()),
                Part::Text(key_end.after.clone()),
            ],
            _ => of_mark(key_end),
        });
        let choices: Option<Vec<&str>> =
            property.get("enum").and_then(Value::as_array).map(|list| list.iter().filter_map(Value::as_str).collect());
        argument.extend(match (is_text, choices) {
            (true, Some(choices)) if !choices.is_empty() => {
                let choices = choices.into_iter().map(|choice| vec![Part::Text([choice, end].concat())]).collect();
                vec![Part::Choice(choices)]
            }
            (true, _) => {
                let mark = end.trim();
                let after = &end[end.find(mark).unwrap_or_default() + mark.len()..];
                vec![Part::Until(mark.to_owned()), Part::Text(after.to_owned())]
            }
            _ => {
                let what = format!("tool '{}': parameters: {key}", tool.name);
                vec![Part::Json(with_definitions(property, schema).to_string(), what), Part::Text(end.to_owned())]
            }
        });
        parts.push(match required.contains(&&**key) {
            true => Part::Choice(vec![argument]),
            false => Part::Choice(vec![argument, Vec::new()]),
        });
    }
    parts
}

/// A part of a schema, with what it may refer to.
fn with_definitions(property: &Value, schema: &Map<String, Value>) -> Value {
    let mut property = property.clone();
    for list in ["$defs", "definitions"] {
        if let (Value::Object(property), Some(definitions)) = (&mut property, schema.get(list)) {
            property.entry(list).or_insert_with(|| definitions.clone());
        }
    }
    property
}

fn of_mark(mark: &Mark) -> Vec<Part> {
    let varying = match mark.varies {
        Varies::Nothing => return vec![Part::Text([&*mark.before, &mark.after].concat())],
        Varies::Id => "[a-zA-Z0-9]{9}",
        Varies::Number => "[0-9]{1,3}",
        Varies::Word => "[a-zA-Z0-9_]{1,32}",
    };
    vec![Part::Text(mark.before.clone()), Part::Regex(varying.into()), Part::Text(mark.after.clone())]
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
