//! Templates as jinja2 renders them, set up as Hugging Face does: `tests/tools/render_templates.py` wrote what is right.

use std::path::Path;

use serde::Deserialize;

use super::super::Template;
use super::super::jinja::{Clock, Text, Value};
use crate::Code;

/// 2024-02-29 13:05:09, as in the script.
const NOW: Clock = Clock { seconds: 1_709_211_909, micros: 0, offset: 0 };

/// JSON with keys in their order.
#[derive(Clone, Debug)]
enum Json {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Json>),
    Dict(Vec<(String, Json)>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Json;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }
            fn visit_bool<E>(self, b: bool) -> Result<Json, E> {
                Ok(Json::Bool(b))
            }
            fn visit_i64<E>(self, i: i64) -> Result<Json, E> {
                Ok(Json::Int(i))
            }
            fn visit_u64<E>(self, i: u64) -> Result<Json, E> {
                Ok(Json::Int(i as i64))
            }
            fn visit_f64<E>(self, f: f64) -> Result<Json, E> {
                Ok(Json::Float(f))
            }
            fn visit_str<E>(self, text: &str) -> Result<Json, E> {
                Ok(Json::Text(text.to_owned()))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = seq.next_element()? {
                    list.push(item);
                }
                Ok(Json::List(list))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
                let mut dict = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    dict.push(entry);
                }
                Ok(Json::Dict(dict))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Json {
    fn value(&self) -> Value {
        match self {
            Json::Null => Value::None,
            Json::Bool(b) => Value::Bool(*b),
            Json::Int(i) => Value::Int(*i),
            Json::Float(f) => Value::Float(*f),
            Json::Text(text) => Value::Text(Text::foreign(text)),
            Json::List(list) => Value::list(list.iter().map(Json::value).collect()).unwrap(),
            Json::Dict(dict) => {
                Value::dict(dict.iter().map(|(key, value)| (Value::text(key), value.value())).collect()).unwrap()
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Expected {
    Text(String),
    Refused {
        refused: String,
    },
    /// `null`.
    Fails(#[expect(dead_code, reason = "its type says what is read")] Option<()>),
}

/// What is wrong with a rendering, if anything.
fn mismatch(source: &str, chat: &Json, expected: &Expected) -> Option<String> {
    let Json::Dict(variables) = chat else { panic!("variables are no dict") };
    let names = |name: &str| -> &'static str { String::leak(name.to_owned()) };
    let variables = variables.iter().map(|(name, value)| (names(name), value)).collect::<Vec<_>>();
    let got = Template::new(source, [], []).and_then(|template| {
        let values = || Ok(variables.iter().map(|(name, value)| (*name, value.value())).collect());
        template.text(1 << 20, values, &|| NOW)
    });
    let got = got.map(|chars| chars.into_iter().map(|c| c.get()).collect::<String>());
    match (expected, got) {
        (Expected::Text(expected), Ok(got)) if *expected == got => None,
        (Expected::Text(expected), Ok(got)) => {
            let same = expected.chars().zip(got.chars()).take_while(|(a, b)| a == b).count();
            let part = |text: &str| text.chars().skip(same.saturating_sub(30)).take(90).collect::<String>();
            Some(format!("expected … {:?}\n       got … {:?}", part(expected), part(&got)))
        }
        (Expected::Text(expected), Err(error)) => {
            Some(format!("expected {:?}\n  got {error}", expected.chars().take(60).collect::<String>()))
        }
        (Expected::Refused { refused }, Err(error))
            if error.code() == Code::InvalidArgument && error.message().contains(refused) =>
        {
            None
        }
        (Expected::Fails(_), Err(error)) if error.code() == Code::Unsupported => None,
        (Expected::Refused { refused }, got) => Some(format!("expected the refusal {refused:?}, got {got:?}")),
        (Expected::Fails(_), got) => Some(format!("expected a failure, got {got:?}")),
    }
}

/// Filters, tests, methods, operators, statements and white space, one by one.
#[test]
fn the_language_is_that_of_jinja2_and_python() {
    #[derive(Deserialize)]
    struct Snippets {
        variables: Json,
        templates: Vec<Snippet>,
    }
    #[derive(Deserialize)]
    struct Snippet {
        source: String,
        expected: Expected,
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/templates/snippets.json");
    let all: Snippets = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(all.templates.len() > 200);
    let wrong: Vec<String> = all
        .templates
        .iter()
        .filter_map(|t| Some(format!("{}\n  {}", t.source, mismatch(&t.source, &all.variables, &t.expected)?)))
        .collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// The templates of real models and some of our own, each with ten conversations, with tools and without.
#[test]
fn whole_templates_render_as_in_hugging_face() {
    #[derive(Deserialize)]
    struct Whole {
        chats: Vec<Json>,
        templates: Vec<OfModel>,
    }
    #[derive(Deserialize)]
    struct OfModel {
        name: String,
        source: String,
        expected: Vec<Expected>,
    }
    let Some(corpus) = std::env::var_os("SELVEDGE_CORPUS") else {
        eprintln!("skipped: SELVEDGE_CORPUS names no folder");
        return;
    };
    let path = Path::new(&corpus).join("chat-templates.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: {} is not there", path.display());
        return;
    };
    let all: Whole = serde_json::from_str(&text).unwrap();
    assert!(all.chats.len() == 20 && all.templates.len() > 60);
    let mut wrong = Vec::new();
    let mut rendered = 0;
    for template in &all.templates {
        for (i, (chat, expected)) in all.chats.iter().zip(&template.expected).enumerate() {
            rendered += usize::from(matches!(expected, Expected::Text(_)));
            if let Some(why) = mismatch(&template.source, chat, expected) {
                wrong.push(format!("{} chat {i}: {why}", template.name));
            }
        }
    }
    assert!(rendered > all.templates.len() * 10, "only {rendered} renderings");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
