//! Arguments of filters, tests, functions and methods: taken in the order of the parameters, by place or by name.

use super::syntax::Name;
use super::text::Text;
use super::value::Value;
use super::{Res, fail};

#[derive(Default, Clone)]
pub(super) struct Given {
    pub(super) positional: Vec<Value>,
    pub(super) named: Vec<(Name, Value)>,
    taken: usize,
}

impl Given {
    pub(super) fn new(positional: Vec<Value>, named: Vec<(Name, Value)>) -> Self {
        Self { positional, named, taken: 0 }
    }

    /// The next parameter, which is named `name`.
    pub(super) fn next(&mut self, name: &str) -> Option<Value> {
        if let Some(value) = self.positional.get(self.taken) {
            self.taken += 1;
            return Some(value.clone());
        }
        self.named(name)
    }

    /// A parameter that is given by name only.
    pub(super) fn named(&mut self, name: &str) -> Option<Value> {
        let at = self.named.iter().position(|(n, _)| **n == *name)?;
        Some(self.named.remove(at).1)
    }

    /// As `next`, where `None` is as good as nothing.
    pub(super) fn some(&mut self, name: &str) -> Option<Value> {
        self.next(name).filter(|value| !matches!(value, Value::None))
    }

    pub(super) fn needed(&mut self, name: &str) -> Res<Value> {
        match self.next(name) {
            Some(value) => Ok(value),
            None => fail(format!("the argument '{name}' is missing")),
        }
    }

    pub(super) fn text(&mut self, name: &str) -> Res<Text> {
        text(&self.needed(name)?, name)
    }

    pub(super) fn int(&mut self, name: &str, default: i64) -> Res<i64> {
        match self.some(name) {
            None => Ok(default),
            Some(value) => int(&value, name),
        }
    }

    pub(super) fn flag(&mut self, name: &str) -> bool {
        self.next(name).is_some_and(|value| value.is_true())
    }

    /// What is left, by place.
    pub(super) fn rest(&mut self) -> Vec<Value> {
        let rest = self.positional.split_off(self.taken.min(self.positional.len()));
        self.taken = self.positional.len();
        rest
    }

    /// All must have been taken.
    pub(super) fn end(self, what: &str) -> Res<()> {
        if let Some((name, _)) = self.named.first() {
            return fail(format!("{what} has no argument '{name}'"));
        }
        if self.taken < self.positional.len() {
            return fail(format!("{what}: expected at most {} arguments, got {}", self.taken, self.positional.len()));
        }
        Ok(())
    }
}

pub(super) fn text(value: &Value, name: &str) -> Res<Text> {
    match value.defined()? {
        Value::Text(text) => Ok(text.clone()),
        other => fail(format!("{name}: expected a text, got {}", other.kind())),
    }
}

pub(super) fn int(value: &Value, name: &str) -> Res<i64> {
    match value.defined()?.as_int() {
        Some(i) => Ok(i),
        None => fail(format!("{name}: expected a whole number, got {}", value.kind())),
    }
}
