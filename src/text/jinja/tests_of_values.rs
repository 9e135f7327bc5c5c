//! Tests of values: what may follow `is`.

use super::arguments::{Given, int};
use super::equality::{equal, number};
use super::operators::{compare, contains};
use super::syntax::Comparison;
use super::value::{ListKind, Value};
use super::write::text_of;
use super::{Budget, Res, fail, filters, methods};

pub(super) fn call(name: &str, value: &Value, mut given: Given, budget: &Budget) -> Res<bool> {
    let comparison = match name {
        "eq" | "==" | "equalto" => Some(Comparison::Equal),
        "ne" | "!=" => Some(Comparison::NotEqual),
        "lt" | "<" | "lessthan" => Some(Comparison::Less),
        "le" | "<=" => Some(Comparison::LessOrEqual),
        "gt" | ">" | "greaterthan" => Some(Comparison::Greater),
        "ge" | ">=" => Some(Comparison::GreaterOrEqual),
        _ => None,
    };
    if let Some(comparison) = comparison {
        let other = given.needed("other")?;
        given.end(name)?;
        return compare(comparison, value, &other, budget);
    }
    let result = match name {
        "defined" => !value.is_undefined(),
        "undefined" => value.is_undefined(),
        "none" => matches!(value, Value::None),
        "boolean" => matches!(value, Value::Bool(_)),
        "true" => matches!(value, Value::Bool(true)),
        "false" => matches!(value, Value::Bool(false)),
        "integer" => matches!(value, Value::Int(_)),
        "float" => matches!(value, Value::Float(_)),
        "number" => number(value).is_some(),
        "string" => matches!(value, Value::Text(_)),
        "mapping" => matches!(value, Value::Dict(_)),
        "sequence" => match value {
            Value::Text(_) | Value::Dict(_) | Value::Undefined(_) => true,
            Value::List(list) => matches!(list.kind, ListKind::List | ListKind::Tuple),
            _ => false,
        },
        "iterable" => {
            matches!(value, Value::Text(_) | Value::List(_) | Value::Dict(_) | Value::Undefined(_) | Value::Loop(_))
        }
        "callable" => matches!(value, Value::Callable(_) | Value::Undefined(_) | Value::Loop(_)),
        "escaped" => false,
        "odd" | "even" => match number(value.defined()?) {
            _ if value.as_int().is_some() => (int(value, name)?.rem_euclid(2) == 1) == (name == "odd"),
            Some(f) => f.rem_euclid(2.0) == if name == "odd" { 1.0 } else { 0.0 },
            None => return fail(format!("{name}: expected a number, got {}", value.kind())),
        },
        "divisibleby" => {
            let by = int(&given.needed("num")?, "num")?;
            match int(value, name)?.checked_rem(by) {
                Some(rest) => rest == 0,
                None if by == -1 => true,
                None => return fail("division by zero"),
            }
        }
        "lower" | "upper" => {
            let text = Value::Text(text_of(value, budget)?);
            let name = if name == "lower" { "islower" } else { "isupper" };
            methods::call(&text, name, Given::default(), budget)?.is_true()
        }
        "in" => {
            let container = given.needed("seq")?;
            contains(&container, value, budget)?
        }
        "sameas" => {
            let other = given.needed("other")?;
            value.kind() == other.kind() && equal(value, &other, budget)?
        }
        "filter" => value.as_text().is_some_and(|name| filters::FILTERS.iter().any(|filter| name.is(filter))),
        "test" => value.as_text().is_some_and(|name| TESTS.iter().any(|test| name.is(test))),
        _ => return fail(format!("there is no test '{name}'")),
    };
    given.end(name)?;
    Ok(result)
}

pub(super) const TESTS: &[&str] = &[
    "!=",
    "<",
    "<=",
    "==",
    ">",
    ">=",
    "boolean",
    "callable",
    "defined",
    "divisibleby",
    "eq",
    "equalto",
    "escaped",
    "even",
    "false",
    "filter",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sameas",
    "sequence",
    "string",
    "test",
    "true",
    "undefined",
    "upper",
];
