//! JSON as a template sees it: keys in their order, and all of it somebody's text.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::text::jinja::{Fault, Text, Value};

/// The value of a JSON text.
pub(super) fn value(text: &str) -> Result<Value, Fault> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let failed = |error: serde_json::Error| Fault::Failed(format!("expected JSON, got: {error}"));
    let value = Seed.deserialize(&mut deserializer).map_err(failed)?;
    deserializer.end().map_err(failed)?;
    Ok(value)
}

struct Seed;

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::None)
    }

    fn visit_bool<E>(self, b: bool) -> Result<Value, E> {
        Ok(Value::Bool(b))
    }

    fn visit_i64<E>(self, i: i64) -> Result<Value, E> {
        Ok(Value::Int(i))
    }

    fn visit_u64<E>(self, i: u64) -> Result<Value, E> {
        Ok(i64::try_from(i).map_or(Value::Float(i as f64), Value::Int))
    }

    fn visit_f64<E>(self, f: f64) -> Result<Value, E> {
        Ok(Value::Float(f))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(Text::foreign(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Seed)? {
            list.push(item);
        }
        Value::list(list).map_err(said)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut entries: Vec<(Value, Value)> = Vec::new();
        let mut places = std::collections::HashMap::<String, usize>::new();
        while let Some(key) = members.next_key::<String>()? {
            let value = members.next_value_seed(Seed)?;
            // Of a key that comes twice, the last value counts.
            match places.get(&key) {
                Some(&at) => entries[at].1 = value,
                None => {
                    let text = Value::Text(Text::foreign(&key));
                    places.insert(key, entries.len());
                    entries.push((text, value));
                }
            }
        }
        Value::dict(entries).map_err(said)
    }
}

fn said<E: serde::de::Error>(fault: Fault) -> E {
    match fault {
        Fault::Failed(why) => E::custom(why),
        other => E::custom(format!("{other:?}")),
    }
}
