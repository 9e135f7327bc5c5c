//! Arithmetic and comparisons, as Python does them.

use std::cmp::Ordering;

use super::equality::{equal, is_sequence, lookup, number, ordering};
use super::sequences::{find, iterate};
use super::syntax::{Binary, Comparison, Unary};
use super::text::Text;
use super::value::Value;
use super::{Budget, Res, fail};

pub(super) fn unary(sign: Unary, value: &Value) -> Res<Value> {
    match (sign, value.defined()?) {
        (Unary::Minus, Value::Float(f)) => Ok(Value::Float(-f)),
        (Unary::Plus, Value::Float(f)) => Ok(Value::Float(*f)),
        (sign, value) => match value.as_int() {
            Some(i) if sign == Unary::Plus => Ok(Value::Int(i)),
            Some(i) => whole(i.checked_neg()),
            None => fail(format!("a {} has no sign", value.kind())),
        },
    }
}

fn whole(result: Option<i64>) -> Res<Value> {
    match result {
        Some(i) => Ok(Value::Int(i)),
        None => fail("a whole number is too large"),
    }
}

pub(super) fn binary(sign: Binary, left: &Value, right: &Value, budget: &Budget) -> Res<Value> {
    match (sign, left.defined()?, right) {
        (Binary::Add, Value::Text(a), Value::Text(b)) => {
            budget.pay_chars(a.len() + b.len())?;
            if a.is_markup() || b.is_markup() {
                let both = a.escaped().iter().chain(b.escaped().iter()).copied().collect::<Text>();
                return Ok(Value::Text(both.into_markup()));
            }
            Ok(Value::Text(a.iter().chain(b.iter()).copied().collect()))
        }
        (Binary::Add, Value::List(a), Value::List(b)) if a.kind == b.kind && is_sequence(a) => {
            budget.pay(a.items.len() + b.items.len())?;
            Value::sequence(a.kind, a.items.iter().chain(&b.items).cloned().collect())
        }
        (Binary::Multiply, value @ (Value::Text(_) | Value::List(_)), count)
        | (Binary::Multiply, count, value @ (Value::Text(_) | Value::List(_)))
            if count.as_int().is_some() =>
        {
            repeated(value, count.as_int().unwrap_or(0), budget)
        }
        (_, left, right) => {
            right.defined()?;
            match (left.as_int(), right.as_int()) {
                (Some(a), Some(b)) => integers(sign, a, b),
                _ => match (number(left), number(right)) {
                    (Some(a), Some(b)) => floats(sign, a, b),
                    _ => fail(format!("{sign:?}: expected numbers or texts, got {} and {}", left.kind(), right.kind())),
                },
            }
        }
    }
}

fn repeated(value: &Value, count: i64, budget: &Budget) -> Res<Value> {
    let count = usize::try_from(count).unwrap_or(0);
    match value {
        Value::Text(text) => {
            budget.pay_chars(text.len().saturating_mul(count))?;
            Ok(Value::Text(Text::from(text.repeat(count))))
        }
        Value::List(list) if is_sequence(list) => {
            budget.pay(list.items.len().saturating_mul(count))?;
            Value::sequence(list.kind, list.items.iter().cloned().cycle().take(list.items.len() * count).collect())
        }
        other => fail(format!("a {} cannot be repeated", other.kind())),
    }
}

fn integers(sign: Binary, a: i64, b: i64) -> Res<Value> {
    match sign {
        Binary::Add => whole(a.checked_add(b)),
        Binary::Subtract => whole(a.checked_sub(b)),
        Binary::Multiply => whole(a.checked_mul(b)),
        Binary::Divide if b != 0 => Ok(Value::Float(a as f64 / b as f64)),
        Binary::FloorDivide if b != 0 => whole(a.checked_div_euclid(b).map(|q| {
            // Euclid's rounds away from zero where the divisor is negative.
            if b < 0 && a.checked_rem_euclid(b).unwrap_or(0) != 0 { q - 1 } else { q }
        })),
        Binary::Remainder if b != 0 => {
            let rest = a.checked_rem(b).unwrap_or(0);
            Ok(Value::Int(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }))
        }
        Binary::Power if b >= 0 => whole(u32::try_from(b).ok().and_then(|b| a.checked_pow(b))),
        Binary::Power => floats(sign, a as f64, b as f64),
        _ => fail("division by zero"),
    }
}

fn floats(sign: Binary, a: f64, b: f64) -> Res<Value> {
    let value = match sign {
        Binary::Add => a + b,
        Binary::Subtract => a - b,
        Binary::Multiply => a * b,
        Binary::Power => a.powf(b),
        _ if b == 0.0 => return fail("division by zero"),
        Binary::Divide => a / b,
        Binary::FloorDivide => (a / b).floor(),
        Binary::Remainder => {
            let rest = a % b;
            if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
        }
    };
    Ok(Value::Float(value))
}

pub(super) fn compare(sign: Comparison, left: &Value, right: &Value, budget: &Budget) -> Res<bool> {
    let order = || ordering(left, right, budget);
    Ok(match sign {
        Comparison::Equal => equal(left, right, budget)?,
        Comparison::NotEqual => !equal(left, right, budget)?,
        Comparison::Less => order()? == Some(Ordering::Less),
        Comparison::LessOrEqual => matches!(order()?, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => order()? == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => matches!(order()?, Some(Ordering::Greater | Ordering::Equal)),
        Comparison::In => contains(right, left, budget)?,
        Comparison::NotIn => !contains(right, left, budget)?,
    })
}

/// `item in container`
pub(super) fn contains(container: &Value, item: &Value, budget: &Budget) -> Res<bool> {
    match (container, item) {
        (Value::Text(text), Value::Text(part)) => Ok(find(text, part, budget)?.is_some()),
        (Value::Text(_), other) => fail(format!("'in' a text: expected a text, got {}", other.kind())),
        (Value::Dict(dict), key) => Ok(lookup(&dict.entries, key, budget)?.is_some()),
        (container, item) => {
            for other in iterate(container, budget)? {
                if equal(&other, item, budget)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}
