//! `value.name` and `value[key]`, in the order in which Jinja2 looks.

use std::rc::Rc;

use super::methods;
use super::sequences::item;
use super::syntax::Name;
use super::text::{Text, string};
use super::value::{Callable, Loop, Value};
use super::{Budget, Res};

/// `value.name`: a method before an item.
pub(super) fn attribute(value: &Value, name: &Name, budget: &Budget) -> Res<Value> {
    budget.pay_chars(name.len())?;
    if let Some(found) = own(value.defined()?, name) {
        return Ok(found);
    }
    let found = item(value, &Value::Text(Text::own(name)), budget)?;
    Ok(found.unwrap_or_else(|| missing(value, name)))
}

/// `value[key]`: an item before a method.
pub(super) fn subscript(value: &Value, key: &Value, budget: &Budget) -> Res<Value> {
    if let Some(found) = item(value.defined()?, key, budget)? {
        return Ok(found);
    }
    match key {
        Value::Text(text) => {
            let name: Name = string(text).into();
            Ok(own(value, &name).unwrap_or_else(|| missing(value, &name)))
        }
        key => Ok(Value::undefined(format!("a {} has no such element, of type {}", value.kind(), key.kind()))),
    }
}

/// `a.b.0` of the argument `attribute` of filters.
pub(super) fn path(value: &Value, path: &Value, budget: &Budget) -> Res<Value> {
    let Value::Text(text) = path else { return subscript(value, path, budget) };
    let mut found = value.clone();
    for part in text.split(|c| c.get() == '.') {
        let number = string(part).parse().ok().filter(|_| part.iter().all(|c| c.get().is_ascii_digit()));
        let key = number.map_or_else(|| Value::Text(part.into()), Value::Int);
        found = subscript(&found, &key, budget)?;
    }
    Ok(found)
}

fn missing(value: &Value, name: &str) -> Value {
    Value::undefined(format!("a {} has no attribute '{name}'", value.kind()))
}

fn own(value: &Value, name: &Name) -> Option<Value> {
    match value {
        Value::Namespace(namespace) => namespace.get(name),
        Value::Loop(this) => of_loop(this, name),
        _ => None,
    }
    .or_else(|| {
        methods::has(value, name).then(|| Value::Callable(Rc::new(Callable::Method(value.clone(), name.clone()))))
    })
}

fn of_loop(this: &Loop, name: &str) -> Option<Value> {
    let (at, len) = (this.index.get(), this.items.len());
    let int = |i: usize| Value::Int(i64::try_from(i).unwrap_or(i64::MAX));
    Some(match name {
        "index" => int(at + 1),
        "index0" => int(at),
        "revindex" => int(len - at),
        "revindex0" => int(len - at - 1),
        "first" => Value::Bool(at == 0),
        "last" => Value::Bool(at + 1 == len),
        "length" => int(len),
        "depth" => int(this.depth + 1),
        "depth0" => int(this.depth),
        "previtem" => match at.checked_sub(1) {
            Some(before) => this.items[before].clone(),
            None => Value::undefined("there is no previous item"),
        },
        "nextitem" => this.items.get(at + 1).cloned().unwrap_or_else(|| Value::undefined("there is no next item")),
        _ => return None,
    })
}
