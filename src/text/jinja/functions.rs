//! The functions that a template finds: Jinja2's own and those that Hugging Face adds.

use std::cell::Cell;
use std::rc::Rc;

use super::arguments::{Given, int};
use super::equality::lookup;
use super::sequences::iterate;
use super::strftime::{Clock, strftime};
use super::text::{Text, string};
use super::value::{Callable, Namespace, Value};
use super::write::text_of;
use super::{Budget, Fault, Res, fail};

/// As Jinja2's sandbox.
const MAX_RANGE: i64 = 100_000;

pub(super) const FUNCTIONS: &[&str] = &["dict", "joiner", "namespace", "raise_exception", "range", "strftime_now"];

/// `namespace` needs the renderer, which keeps them.
pub(super) fn call(name: &str, mut given: Given, clock: &dyn Fn() -> Clock, budget: &Budget) -> Res<Value> {
    match name {
        "range" => range(given, budget),
        "dict" => {
            let entries = entries(&mut given, budget)?;
            Value::dict(entries)
        }
        "joiner" => {
            let separator = given.next("sep").unwrap_or_else(|| Value::text(", "));
            given.end(name)?;
            Ok(Value::Callable(Rc::new(Callable::Joiner(text_of(&separator, budget)?, Cell::new(false)))))
        }
        "raise_exception" => {
            let message = text_of(&given.needed("message")?, budget)?;
            Err(Fault::Refused(string(&message)))
        }
        "strftime_now" => {
            let format = given.text("format")?;
            given.end(name)?;
            budget.pay_chars(format.len().saturating_mul(8))?;
            Ok(Value::text(&strftime(&string(&format), clock())))
        }
        _ => fail(format!("there is no function '{name}'")),
    }
}

/// The entries of `dict(…)` and `namespace(…)`: of a dict or pairs, then those given by name.
pub(super) fn entries(given: &mut Given, budget: &Budget) -> Res<Vec<(Value, Value)>> {
    let mut entries = Vec::new();
    match given.next("") {
        None => {}
        Some(Value::Dict(dict)) => {
            budget.pay(dict.entries.len())?;
            entries.clone_from(&dict.entries);
        }
        Some(pairs) => {
            for pair in iterate(&pairs, budget)? {
                match &*iterate(&pair, budget)? {
                    [key, value] => insert(&mut entries, key.clone(), value.clone(), budget)?,
                    _ => return fail("dict: expected pairs"),
                }
            }
        }
    }
    for (name, value) in std::mem::take(&mut given.named) {
        insert(&mut entries, Value::Text(Text::own(&name)), value, budget)?;
    }
    Ok(entries)
}

pub(super) fn insert(entries: &mut Vec<(Value, Value)>, key: Value, value: Value, budget: &Budget) -> Res<()> {
    if matches!(key, Value::Dict(_)) || matches!(&key, Value::List(list) if list.kind != super::value::ListKind::Tuple)
    {
        return fail(format!("a dict: a key must be no {}", key.kind()));
    }
    if lookup(entries, &key, budget)?.is_none() {
        entries.push((key, value));
        return Ok(());
    }
    for (own, old) in entries.iter_mut() {
        if super::equality::equal(own, &key, budget)? {
            *old = value;
            break;
        }
    }
    Ok(())
}

pub(super) fn namespace(mut given: Given, budget: &Budget) -> Res<Rc<Namespace>> {
    let entries = entries(&mut given, budget)?;
    budget.pay(4 + entries.len())?;
    let named: Res<Vec<_>> = entries
        .into_iter()
        .map(|(key, value)| match &key {
            Value::Text(name) => Ok((string(name).into(), value)),
            other => fail(format!("namespace: a name must be no {}", other.kind())),
        })
        .collect();
    Ok(Rc::new(Namespace::new(named?)))
}

fn range(mut given: Given, budget: &Budget) -> Res<Value> {
    let first = int(&given.needed("stop")?, "range")?;
    let second = given.next("stop").map(|value| int(&value, "range")).transpose()?;
    let step = given.next("step").map_or(Ok(1), |value| int(&value, "range"))?;
    given.end("range")?;
    let (mut at, stop) = second.map_or((0, first), |stop| (first, stop));
    if step == 0 {
        return fail("range: the step is 0");
    }
    let mut items = Vec::new();
    while if step > 0 { at < stop } else { at > stop } {
        if items.len() as i64 >= MAX_RANGE {
            return fail(format!("range: expected at most {MAX_RANGE} numbers"));
        }
        items.push(Value::Int(at));
        at = at.saturating_add(step);
    }
    budget.pay(items.len())?;
    Value::list(items)
}
