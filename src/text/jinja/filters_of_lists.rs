//! Jinja2's filters of lists, and the door to all filters.

use std::cmp::Ordering;

use super::arguments::{Given, int, text};
use super::attributes::path;
use super::equality::{equal, ordering};
use super::filters::{self, ended};
use super::methods;
use super::operators::binary;
use super::sequences::iterate;
use super::syntax::Binary;
use super::tests_of_values;
use super::text::{Char, lower, string};
use super::value::{ListKind, Value};
use super::write::write;
use super::{Budget, Res, fail};

pub(super) fn call(name: &str, value: &Value, given: Given, budget: &Budget) -> Res<Value> {
    if let Some(result) = filters::call(name, value, given.clone(), budget) {
        return result;
    }
    match name {
        "list" => ended(given, name, Value::list(iterate(value, budget)?)),
        "first" => ended(given, name, Ok(end_of(value, true, budget)?)),
        "last" => ended(given, name, Ok(end_of(value, false, budget)?)),
        "reverse" => ended(given, name, reversed(value, budget)),
        "items" => match value {
            Value::Undefined(_) => Value::list(Vec::new()),
            Value::Dict(dict) => ended(given, name, methods::items(dict, ListKind::Generator, budget)),
            other => fail(format!("items: expected a dict, got {}", other.kind())),
        },
        "join" => join(value, given, budget),
        "map" => map(value, given, budget),
        "select" => select(value, given, false, true, budget),
        "reject" => select(value, given, false, false, budget),
        "selectattr" => select(value, given, true, true, budget),
        "rejectattr" => select(value, given, true, false, budget),
        "sort" => sort(value, given, budget),
        "dictsort" => dictsort(value, given, budget),
        "unique" => unique(value, given, budget),
        "min" | "max" => extreme(value, given, name == "max", budget),
        "sum" => sum(value, given, budget),
        "batch" => batch(value, given, budget),
        "slice" => slices(value, given, budget),
        "groupby" => groupby(value, given, budget),
        _ => fail(format!("there is no filter '{name}'")),
    }
}

fn end_of(value: &Value, first: bool, budget: &Budget) -> Res<Value> {
    let items = iterate(value, budget)?;
    let item = if first { items.into_iter().next() } else { items.into_iter().next_back() };
    Ok(item.unwrap_or_else(|| Value::undefined("the sequence is empty")))
}

fn reversed(value: &Value, budget: &Budget) -> Res<Value> {
    if let Value::Text(text) = value {
        budget.pay_chars(text.len())?;
        return Ok(Value::Text(text.iter().rev().copied().collect()));
    }
    let mut items = iterate(value, budget)?;
    items.reverse();
    Value::sequence(ListKind::Generator, items)
}

fn at(value: &Value, attribute: Option<&Value>, budget: &Budget) -> Res<Value> {
    attribute.map_or_else(|| Ok(value.clone()), |attribute| path(value, attribute, budget))
}

fn join(value: &Value, mut given: Given, budget: &Budget) -> Res<Value> {
    let mut separator = Vec::new();
    if let Some(given) = given.next("d") {
        write(&given, &mut separator, budget)?;
    }
    let attribute = given.some("attribute");
    given.end("join")?;
    let mut out: Vec<Char> = Vec::new();
    for (i, item) in iterate(value, budget)?.iter().enumerate() {
        if i > 0 {
            budget.pay_chars(separator.len())?;
            out.extend_from_slice(&separator);
        }
        write(&at(item, attribute.as_ref(), budget)?, &mut out, budget)?;
    }
    Ok(Value::Text(out.into()))
}

fn map(value: &Value, mut given: Given, budget: &Budget) -> Res<Value> {
    let items = if value.is_true() { iterate(value, budget)? } else { Vec::new() };
    let by_attribute = given.positional.is_empty().then(|| given.named("attribute")).flatten();
    let mapped: Res<Vec<Value>> = match by_attribute {
        Some(attribute) => {
            let default = given.named("default").filter(|default| !matches!(default, Value::None));
            given.end("map")?;
            let get = |item: &Value| match (path(item, &attribute, budget), &default) {
                (Ok(found), Some(default)) if found.is_undefined() => Ok(default.clone()),
                (found, _) => found,
            };
            items.iter().map(get).collect()
        }
        None => {
            let name = string(&given.text("name")?);
            let arguments = Given::new(given.rest(), given.named);
            items.iter().map(|item| call(&name, item, arguments.clone(), budget)).collect()
        }
    };
    Value::sequence(ListKind::Generator, mapped?)
}

fn select(value: &Value, mut given: Given, by_attribute: bool, wanted: bool, budget: &Budget) -> Res<Value> {
    let attribute = if by_attribute { Some(given.needed("attribute")?) } else { None };
    let test = match given.next("test") {
        Some(name) => Some(string(&text(&name, "test")?)),
        None => None,
    };
    let arguments = Given::new(given.rest(), given.named);
    let mut kept = Vec::new();
    let items = if value.is_true() { iterate(value, budget)? } else { Vec::new() };
    for item in items {
        let tested = at(&item, attribute.as_ref(), budget)?;
        let holds = match &test {
            Some(name) => tests_of_values::call(name, &tested, arguments.clone(), budget)?,
            None => tested.is_true(),
        };
        if holds == wanted {
            kept.push(item);
        }
    }
    Value::sequence(ListKind::Generator, kept)
}

/// What items are compared by; letters of both cases are alike unless asked.
fn key(item: &Value, attribute: Option<&Value>, case_sensitive: bool, budget: &Budget) -> Res<Value> {
    match at(item, attribute, budget)? {
        Value::Text(text) if !case_sensitive => {
            budget.pay_chars(text.len())?;
            Ok(Value::Text(lower(&text).into()))
        }
        other => Ok(other),
    }
}

fn sorted(mut keyed: Vec<(Vec<Value>, Value)>, reverse: bool, budget: &Budget) -> Res<Vec<Value>> {
    let mut failure = None;
    let mut compare = |a: &[Value], b: &[Value]| {
        for (a, b) in a.iter().zip(b) {
            // Lists of keys are compared: what is equal has no need of an order.
            let order = match equal(a, b, budget) {
                Ok(true) => Ok(None),
                Ok(false) => ordering(a, b, budget),
                Err(fault) => Err(fault),
            };
            match order {
                Ok(Some(Ordering::Equal) | None) => {}
                Ok(Some(order)) => return order,
                Err(fault) => {
                    failure.get_or_insert(fault);
                    return Ordering::Equal;
                }
            }
        }
        Ordering::Equal
    };
    keyed.sort_by(|(a, _), (b, _)| if reverse { compare(b, a) } else { compare(a, b) });
    failure.map_or(Ok(()), Err)?;
    Ok(keyed.into_iter().map(|(_, item)| item).collect())
}

fn sort(value: &Value, mut given: Given, budget: &Budget) -> Res<Value> {
    let (reverse, case_sensitive) = (given.flag("reverse"), given.flag("case_sensitive"));
    let attributes: Vec<Option<Value>> = match given.some("attribute") {
        None => vec![None],
        Some(Value::Text(text)) => text.split(|c| c.get() == ',').map(|part| Some(Value::Text(part.into()))).collect(),
        other => vec![other],
    };
    given.end("sort")?;
    let mut keyed = Vec::new();
    for item in iterate(value, budget)? {
        let keys: Res<Vec<Value>> =
            attributes.iter().map(|attribute| key(&item, attribute.as_ref(), case_sensitive, budget)).collect();
        keyed.push((keys?, item));
    }
    Value::list(sorted(keyed, reverse, budget)?)
}

fn dictsort(value: &Value, mut given: Given, budget: &Budget) -> Res<Value> {
    let case_sensitive = given.flag("case_sensitive");
    let place = match given.some("by").map(|by| text(&by, "by")).transpose()? {
        Some(by) if by.is("value") => 1,
        None => 0,
        Some(by) if by.is("key") => 0,
        Some(by) => return fail(format!("dictsort: expected by 'key' or 'value', got '{by}'")),
    };
    let reverse = given.flag("reverse");
    given.end("dictsort")?;
    let Value::Dict(dict) = value.defined()? else { return fail("dictsort: expected a dict") };
    let pairs = iterate(&methods::items(dict, ListKind::List, budget)?, budget)?;
    let mut keyed = Vec::new();
    for pair in pairs {
        let by = key(&pair, Some(&Value::Int(place)), case_sensitive, budget)?;
        keyed.push((vec![by], pair));
    }
    Value::list(sorted(keyed, reverse, budget)?)
}

fn unique(value: &Value, mut given: Given, budget: &Budget) -> Res<Value> {
    let case_sensitive = given.flag("case_sensitive");
    let attribute = given.some("attribute");
    given.end("unique")?;
    let (mut seen, mut kept): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    'items: for item in iterate(value, budget)? {
        let by = key(&item, attribute.as_ref(), case_sensitive, budget)?;
        for other in &seen {
            if equal(other, &by, budget)? {
                continue 'items;
            }
        }
        seen.push(by);
        kept.push(item);
    }
    Value::sequence(ListKind::Generator, kept)
}

fn extreme(value: &Value, mut given: Given, largest: bool, budget: &Budget) -> Res<Value> {
    let case_sensitive = given.flag("case_sensitive");
    let attribute = given.some("attribute");
    given.end("min")?;
    let mut best: Option<(Value, Value)> = None;
    for item in iterate(value, budget)? {
        let by = key(&item, attribute.as_ref(), case_sensitive, budget)?;
        let wanted = if largest { Ordering::Greater } else { Ordering::Less };
        let better = match &best {
            None => true,
            Some((old, _)) => ordering(&by, old, budget)? == Some(wanted),
        };
        if better {
            best = Some((by, item));
        }
    }
    Ok(best.map_or_else(|| Value::undefined("no item, the sequence is empty"), |(_, item)| item))
}

fn sum(value: &Value, mut given: Given, budget: &Budget) -> Res<Value> {
    let attribute = given.some("attribute");
    let mut total = given.next("start").unwrap_or(Value::Int(0));
    given.end("sum")?;
    for item in iterate(value, budget)? {
        let item = at(&item, attribute.as_ref(), budget)?;
        if matches!(item, Value::Text(_)) {
            return fail("sum: texts are joined, not added");
        }
        total = binary(Binary::Add, &total, &item, budget)?;
    }
    Ok(total)
}

fn batch(value: &Value, mut given: Given, budget: &Budget) -> Res<Value> {
    let size = usize::try_from(int(&given.needed("linecount")?, "linecount")?).unwrap_or(0);
    let fill = given.some("fill_with");
    given.end("batch")?;
    if size == 0 {
        return fail("batch: expected a size of at least 1, got 0");
    }
    let mut batches = Vec::new();
    for part in iterate(value, budget)?.chunks(size) {
        let mut part = part.to_vec();
        if let Some(fill) = &fill {
            budget.pay(size)?;
            part.resize(size, fill.clone());
        }
        batches.push(Value::list(part)?);
    }
    Value::sequence(ListKind::Generator, batches)
}

fn slices(value: &Value, mut given: Given, budget: &Budget) -> Res<Value> {
    let count = usize::try_from(int(&given.needed("slices")?, "slices")?).unwrap_or(0);
    let fill = given.some("fill_with");
    given.end("slice")?;
    if count == 0 {
        return fail("slice: expected at least 1 slice, got 0");
    }
    budget.pay(count)?;
    let items = iterate(value, budget)?;
    let (each, more) = (items.len() / count, items.len() % count);
    let mut at = 0;
    let mut slices = Vec::new();
    for i in 0..count {
        let end = at + each + usize::from(i < more);
        let mut part = items[at..end].to_vec();
        at = end;
        if let Some(fill) = fill.as_ref().filter(|_| i >= more) {
            part.push(fill.clone());
        }
        slices.push(Value::list(part)?);
    }
    Value::sequence(ListKind::Generator, slices)
}

fn groupby(value: &Value, mut given: Given, budget: &Budget) -> Res<Value> {
    let attribute = given.needed("attribute")?;
    let default = given.some("default");
    let case_sensitive = given.flag("case_sensitive");
    given.end("groupby")?;
    let mut keyed = Vec::new();
    for item in iterate(value, budget)? {
        let mut by = key(&item, Some(&attribute), case_sensitive, budget)?;
        if let Some(default) = default.as_ref().filter(|_| by.is_undefined()) {
            by = default.clone();
        }
        keyed.push((vec![by.clone()], Value::tuple(vec![by, item])?));
    }
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    for pair in sorted(keyed, false, budget)? {
        let [by, item] = &*iterate(&pair, budget)? else { continue };
        match groups.last_mut() {
            Some((last, items)) if equal(last, by, budget)? => items.push(item.clone()),
            _ => groups.push((by.clone(), vec![item.clone()])),
        }
    }
    let pairs: Res<Vec<Value>> =
        groups.into_iter().map(|(by, items)| Value::tuple(vec![by, Value::list(items)?])).collect();
    Value::list(pairs?)
}
