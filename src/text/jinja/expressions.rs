//! The values of expressions.

use std::rc::Rc;

use super::arguments::{Given, int};
use super::attributes::{attribute, subscript};
use super::format::percent;
use super::functions::{self, FUNCTIONS, insert};
use super::operators::{binary, compare, unary};
use super::sequences::{iterate, slice};
use super::syntax::{Arguments, Binary, Expr, Filter, Step, Unary};
use super::text::string;
use super::value::{Callable, Scope, Value};
use super::write::write;
use super::{Renderer, Res, fail, filters_of_lists, methods, tests_of_values};

impl Renderer<'_> {
    pub(super) fn value(&self, expr: &Expr, scope: &Rc<Scope>) -> Res<Value> {
        self.budget.pay(1)?;
        match expr {
            Expr::None => Ok(Value::None),
            Expr::Bool(b) => Ok(Value::Bool(*b)),
            Expr::Int(i) => Ok(Value::Int(*i)),
            Expr::Float(f) => Ok(Value::Float(*f)),
            Expr::Text(text) => Ok(Value::Text(text.clone())),
            Expr::Name(name) => {
                self.budget.pay_chars(name.len())?;
                Ok(self.name(name, scope))
            }
            _ => self.deeper(|| self.compound(expr, scope)),
        }
    }

    fn name(&self, name: &str, scope: &Scope) -> Value {
        scope.get(name).unwrap_or_else(|| match FUNCTIONS.iter().find(|function| **function == name) {
            Some(function) => Value::Callable(Rc::new(Callable::Function(function))),
            None => Value::undefined(format!("'{name}' is undefined")),
        })
    }

    fn compound(&self, expr: &Expr, scope: &Rc<Scope>) -> Res<Value> {
        match expr {
            Expr::List(items) => Value::list(self.values(items, scope)?),
            Expr::Tuple(items) => Value::tuple(self.values(items, scope)?),
            Expr::Dict(pairs) => self.dict(pairs, scope),
            Expr::Unary(signs, value) => self.signed(signs, self.value(value, scope)?),
            Expr::Binary(first, rest) => self.chain(first, rest, scope),
            Expr::Concat(parts) => self.concat(parts, scope),
            Expr::Compare(first, rest) => {
                let mut left = self.value(first, scope)?;
                for (sign, right) in rest {
                    let right = self.value(right, scope)?;
                    if !compare(*sign, &left, &right, &self.budget)? {
                        return Ok(Value::Bool(false));
                    }
                    left = right;
                }
                Ok(Value::Bool(true))
            }
            Expr::And(all) => self.first_that(all, false, scope),
            Expr::Or(all) => self.first_that(all, true, scope),
            Expr::If(values, otherwise) => {
                for (condition, value) in values {
                    if self.value(condition, scope)?.is_true() {
                        return self.value(value, scope);
                    }
                }
                match otherwise {
                    Some(value) => self.value(value, scope),
                    None => Ok(Value::undefined("an 'if' without an 'else' did not hold")),
                }
            }
            Expr::Postfix(value, steps) => {
                let mut value = self.value(value, scope)?;
                for step in steps {
                    value = self.step(value, step, scope)?;
                }
                Ok(value)
            }
            simple => self.value(simple, scope),
        }
    }

    fn values(&self, all: &[Expr], scope: &Rc<Scope>) -> Res<Vec<Value>> {
        all.iter().map(|expr| self.value(expr, scope)).collect()
    }

    fn dict(&self, pairs: &[(Expr, Expr)], scope: &Rc<Scope>) -> Res<Value> {
        let mut entries = Vec::new();
        for (key, value) in pairs {
            let (key, value) = (self.value(key, scope)?, self.value(value, scope)?);
            insert(&mut entries, key, value, &self.budget)?;
        }
        Value::dict(entries)
    }

    fn signed(&self, signs: &[Unary], mut value: Value) -> Res<Value> {
        for sign in signs.iter().rev() {
            self.budget.pay(1)?;
            value = match sign {
                Unary::Not => Value::Bool(!value.is_true()),
                sign => unary(*sign, &value)?,
            };
        }
        Ok(value)
    }

    fn chain(&self, first: &Expr, rest: &[(Binary, Expr)], scope: &Rc<Scope>) -> Res<Value> {
        let mut left = self.value(first, scope)?;
        for (sign, right) in rest {
            let right = self.value(right, scope)?;
            left = match (&left, sign) {
                (Value::Text(format), Binary::Remainder) => percent(format, &right, &self.budget)?,
                _ => binary(*sign, &left, &right, &self.budget)?,
            };
        }
        Ok(left)
    }

    fn concat(&self, parts: &[Expr], scope: &Rc<Scope>) -> Res<Value> {
        let mut text = Vec::new();
        for part in parts {
            write(&self.value(part, scope)?, &mut text, &self.budget)?;
        }
        Ok(Value::Text(text.into()))
    }

    /// The first value that is true, or is not; else the last.
    fn first_that(&self, all: &[Expr], wanted: bool, scope: &Rc<Scope>) -> Res<Value> {
        let mut last = Value::None;
        for expr in all {
            last = self.value(expr, scope)?;
            if last.is_true() == wanted {
                break;
            }
        }
        Ok(last)
    }

    pub(super) fn step(&self, value: Value, step: &Step, scope: &Rc<Scope>) -> Res<Value> {
        self.budget.pay(1)?;
        match step {
            Step::Attribute(name) => attribute(&value, name, &self.budget),
            Step::Item(key) => subscript(&value, &self.value(key, scope)?, &self.budget),
            Step::Slice(parts) => {
                let mut bounds = [None, None, None];
                for (bound, part) in bounds.iter_mut().zip(parts.iter()) {
                    *bound = match part.as_ref().map(|part| self.value(part, scope)).transpose()? {
                        None | Some(Value::None) => None,
                        Some(value) => Some(int(&value, "a slice")?),
                    };
                }
                slice(&value, &bounds, &self.budget)
            }
            Step::Call(arguments) => self.call(&value, self.given(arguments, scope)?),
            Step::Filter(filter) => self.filtered(value, filter, scope),
            Step::Test { name, arguments, negated } => {
                let holds = tests_of_values::call(name, &value, self.given(arguments, scope)?, &self.budget)?;
                Ok(Value::Bool(holds != *negated))
            }
        }
    }

    pub(super) fn filtered(&self, value: Value, filter: &Filter, scope: &Rc<Scope>) -> Res<Value> {
        filters_of_lists::call(&filter.name, &value, self.given(&filter.arguments, scope)?, &self.budget)
    }

    pub(super) fn given(&self, arguments: &Arguments, scope: &Rc<Scope>) -> Res<Given> {
        let mut positional = self.values(&arguments.positional, scope)?;
        let mut named = Vec::new();
        for (name, value) in &arguments.named {
            named.push((name.clone(), self.value(value, scope)?));
        }
        if let Some(list) = &arguments.list {
            positional.extend(iterate(&self.value(list, scope)?, &self.budget)?);
        }
        if let Some(dict) = &arguments.dict {
            let Value::Dict(dict) = self.value(dict, scope)? else { return fail("'**' needs a dict") };
            self.budget.pay(dict.entries.len())?;
            for (key, value) in &dict.entries {
                match key {
                    Value::Text(name) => named.push((string(name).into(), value.clone())),
                    other => return fail(format!("'**': a name must be no {}", other.kind())),
                }
            }
        }
        Ok(Given::new(positional, named))
    }

    pub(super) fn call(&self, value: &Value, mut given: Given) -> Res<Value> {
        match value.defined()? {
            Value::Callable(callable) => match &**callable {
                Callable::Function("namespace") => {
                    let namespace = functions::namespace(given, &self.budget)?;
                    self.namespaces.borrow_mut().push(namespace.clone());
                    Ok(Value::Namespace(namespace))
                }
                Callable::Function(name) => functions::call(name, given, self.clock, &self.budget),
                Callable::Method(value, name) => methods::call(value, name, given, &self.budget),
                Callable::Macro(called, scope) => self.call_macro(called, scope, given),
                Callable::Joiner(separator, used) => {
                    given.end("joiner")?;
                    Ok(if used.replace(true) { Value::Text(separator.clone()) } else { Value::text("") })
                }
            },
            Value::Loop(this) => {
                let items = given.needed("iterable")?;
                let Some((again, scope)) = &this.recursion else {
                    return fail("only a loop marked 'recursive' can be called");
                };
                let mut out = Vec::new();
                self.deeper(|| self.iterations(again, &items, this.depth + 1, scope, &mut out))?;
                Ok(Value::Text(out.into()))
            }
            other => fail(format!("a {} cannot be called", other.kind())),
        }
    }
}
