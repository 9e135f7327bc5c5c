//! Equality and order of values, as in Python.

use std::cmp::Ordering;

use super::value::{List, ListKind, Value};
use super::{Budget, Res, fail};

/// `==`
pub(super) fn equal(left: &Value, right: &Value, budget: &Budget) -> Res<bool> {
    budget.pay(1)?;
    match (left, right) {
        (Value::Undefined(_), Value::Undefined(_)) | (Value::None, Value::None) => Ok(true),
        (Value::Text(a), Value::Text(b)) => {
            budget.pay_chars(if a.len() == b.len() { a.len() } else { 0 })?;
            Ok(a == b)
        }
        (Value::List(a), Value::List(b)) => {
            if a.kind != b.kind || a.items.len() != b.items.len() {
                return Ok(false);
            }
            all(a.items.iter().zip(&b.items), |(a, b)| equal(a, b, budget))
        }
        (Value::Dict(a), Value::Dict(b)) => {
            if a.entries.len() != b.entries.len() {
                return Ok(false);
            }
            all(a.entries.iter(), |(key, value)| match lookup(&b.entries, key, budget)? {
                Some(other) => equal(value, other, budget),
                None => Ok(false),
            })
        }
        (Value::Namespace(a), Value::Namespace(b)) => Ok(std::rc::Rc::ptr_eq(a, b)),
        (Value::Callable(a), Value::Callable(b)) => Ok(std::rc::Rc::ptr_eq(a, b)),
        (Value::Loop(a), Value::Loop(b)) => Ok(std::rc::Rc::ptr_eq(a, b)),
        _ => Ok(match (left.as_int(), right.as_int()) {
            (Some(a), Some(b)) => a == b,
            _ => matches!((number(left), number(right)), (Some(a), Some(b)) if a == b),
        }),
    }
}

fn all<T>(items: impl Iterator<Item = T>, test: impl Fn(T) -> Res<bool>) -> Res<bool> {
    for item in items {
        if !test(item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The value of a key in entries.
pub(super) fn lookup<'e>(entries: &'e [(Value, Value)], key: &Value, budget: &Budget) -> Res<Option<&'e Value>> {
    budget.pay(entries.len() / 8)?;
    for (own, value) in entries {
        let same = match (own, key) {
            (Value::Text(a), Value::Text(b)) if a.len() != b.len() => false,
            _ => equal(own, key, budget)?,
        };
        if same {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// None for numbers that have no order.
pub(super) fn ordering(left: &Value, right: &Value, budget: &Budget) -> Res<Option<Ordering>> {
    budget.pay(1)?;
    match (left.defined()?, right.defined()?) {
        (Value::Text(a), Value::Text(b)) => {
            budget.pay_chars(a.len().min(b.len()))?;
            Ok(Some(a.cmp(b)))
        }
        (Value::List(a), Value::List(b)) if a.kind == b.kind && is_sequence(a) => {
            for (a, b) in a.items.iter().zip(&b.items) {
                if !equal(a, b, budget)? {
                    return ordering(a, b, budget);
                }
            }
            Ok(Some(a.items.len().cmp(&b.items.len())))
        }
        (left, right) => match (left.as_int(), right.as_int(), number(left), number(right)) {
            (Some(a), Some(b), _, _) => Ok(Some(a.cmp(&b))),
            (_, _, Some(a), Some(b)) => Ok(a.partial_cmp(&b)),
            _ => fail(format!("{} and {} cannot be compared", left.kind(), right.kind())),
        },
    }
}

pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Float(f) => Some(*f),
        value => value.as_int().map(|i| i as f64),
    }
}

pub(super) fn is_sequence(list: &List) -> bool {
    matches!(list.kind, ListKind::List | ListKind::Tuple)
}
