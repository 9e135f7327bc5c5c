use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::engine::{Ask, Call, Engine, Request, Run, Spec};
use crate::fake::Fake;

/// A fake whose reply is taken to be of whatever form is asked for.
struct Obedient {
    fake: Arc<dyn Engine>,
    schema: Mutex<Value>,
}

impl Engine for Obedient {
    fn spec(&self) -> &Spec {
        self.fake.spec()
    }

    fn start(&self, request: Request, call: Call) -> Result<Box<dyn Run>> {
        let Request::Generate(mut request) = request else { panic!("{request:?}") };
        let Some(Grammar::JsonSchema(schema)) = request.grammar.take() else { panic!("no schema") };
        *self.schema.lock().unwrap() = serde_json::from_str(&schema).unwrap();
        self.fake.start(request.into(), call)
    }
}

fn says(reply: &str) -> Obedient {
    Obedient { fake: Fake::text(reply).context_tokens(6).build(), schema: Mutex::default() }
}

#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
struct Person {
    name: String,
    home: Option<Home>,
    notes: BTreeMap<String, bool>,
}

#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(tag = "kind")]
enum Home {
    House { floors: u8 },
    Tent,
}

#[test]
fn a_type_asks_for_its_names_and_no_others() {
    let engine = says(r#"{"name":"Ann","home":{"kind":"House","floors":2},"notes":{}}"#);
    let person: Person = engine.generate_as(Generate::text("")).unwrap();
    assert_eq!(person.home, Some(Home::House { floors: 2 }));
    let schema = engine.schema.lock().unwrap();
    assert_eq!(schema["additionalProperties"], json!(false));
    assert_eq!(schema["properties"]["notes"]["additionalProperties"], json!({ "type": "boolean" }));
    let homes = schema["$defs"]["Home"]["oneOf"].as_array().unwrap();
    assert!(homes.len() == 2 && homes.iter().all(|home| home["additionalProperties"] == json!(false)), "{schema}");
}

#[test]
fn parts_of_one_object_stay_open() {
    let mut schema = json!({
        "allOf": [{ "properties": { "a": {} } }, { "properties": { "b": {} } }],
        "properties": { "c": { "properties": { "d": {} } } },
        "default": { "properties": {} },
    });
    let before = schema.clone();
    close(&mut schema);
    assert_eq!(schema["properties"]["c"]["additionalProperties"], json!(false));
    assert_eq!((&schema["allOf"], &schema["default"]), (&before["allOf"], &before["default"]));
    assert_eq!(schema.get("additionalProperties"), None);
}

#[test]
fn a_cut_answer_is_no_value() {
    let asked = |reply: &str, request: Generate| says(reply).generate_as::<Vec<u8>>(request).unwrap_err();
    let error = asked("[1, 2, 3]", Generate::text("").max_tokens(2));
    assert!(error.code() == Code::InvalidArgument && error.message().starts_with("max_tokens:"), "{error}");
    let error = asked("[1, 2, 3]", Generate::text("").stop(["2"]));
    assert!(error.code() == Code::InvalidArgument && error.message().starts_with("stop:"), "{error}");
    let error = asked("[1, 2, 3, 4, 5, 6, 7]", Generate::text("a b"));
    assert_eq!(error.code(), Code::ContextFull, "{error}");
    let error = asked("[1, 2, 300]", Generate::text(""));
    assert!(error.code() == Code::InvalidArgument && error.message().contains("the type refuses"), "{error}");
    let error = asked("[]", Generate::text("").grammar(Grammar::regex("a")));
    assert!(error.code() == Code::InvalidArgument && error.message().starts_with("grammar:"), "{error}");
}
