//! Statements: what blocks write.

use std::rc::Rc;
use std::sync::Arc;

use super::arguments::Given;
use super::sequences::iterate;
use super::syntax::{Expr, Filter, For, Macro, Node, Statement, Step, Target};
use super::text::Char;
use super::value::{Callable, Loop, Scope, Value};
use super::write::write;
use super::{Fault, Renderer, Res, fail};

/// Whether the loop around goes on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Flow {
    On,
    Break,
    Continue,
}

impl Renderer<'_> {
    pub(super) fn block(&self, nodes: &[Node], scope: &Rc<Scope>, out: &mut Vec<Char>) -> Res<Flow> {
        self.deeper(|| {
            for node in nodes {
                let flow = self.statement(&node.statement, scope, out).map_err(|fault| fault.at(node.line))?;
                if out.len() > self.budget.output {
                    return Err(Fault::OutputTooLong);
                }
                if flow != Flow::On {
                    return Ok(flow);
                }
            }
            Ok(Flow::On)
        })
    }

    fn statement(&self, statement: &Statement, scope: &Rc<Scope>, out: &mut Vec<Char>) -> Res<Flow> {
        self.budget.pay(1)?;
        match statement {
            Statement::Text(text) => {
                self.budget.pay_chars(text.len())?;
                out.extend_from_slice(text);
            }
            Statement::Output(expr) => write(&self.value(expr, scope)?, out, &self.budget)?,
            Statement::If(branches, otherwise) => {
                for (condition, body) in branches {
                    if self.value(condition, scope)?.is_true() {
                        return self.block(body, scope, out);
                    }
                }
                return self.block(otherwise, scope, out);
            }
            Statement::For(this) => {
                let items = self.value(&this.items, scope)?;
                self.iterations(this, &items, 0, scope, out)?;
            }
            Statement::Set(target, expr) => {
                let value = self.value(expr, scope)?;
                self.assign(target, value, scope)?;
            }
            Statement::SetBlock(target, filters, body) => {
                let text = self.captured(filters, body, scope)?;
                self.assign(target, text, scope)?;
            }
            Statement::Filter(filters, body) => write(&self.captured(filters, body, scope)?, out, &self.budget)?,
            Statement::Macro(this) => scope.set(this.name.clone(), self.closure(this, scope)),
            Statement::Call(call, caller) => self.call_block(call, caller, scope, out)?,
            Statement::With(values, body) => {
                let inner = scope.inside();
                for (target, expr) in values {
                    let value = self.value(expr, scope)?;
                    self.assign(target, value, &inner)?;
                }
                return self.block(body, &inner, out);
            }
            Statement::Scope(body) => return self.block(body, &scope.inside(), out),
            Statement::Break => return Ok(Flow::Break),
            Statement::Continue => return Ok(Flow::Continue),
            Statement::Missing(name) => return fail(format!("'{name}': a chat template has no other templates")),
        }
        Ok(Flow::On)
    }

    fn captured(&self, filters: &[Filter], body: &[Node], scope: &Rc<Scope>) -> Res<Value> {
        let inner = scope.inside();
        let mut text = Vec::new();
        self.block(body, &inner, &mut text)?;
        let mut value = Value::Text(text.into());
        for filter in filters {
            value = self.filtered(value, filter, &inner)?;
        }
        Ok(value)
    }

    /// The rounds of a loop, each with names of its own.
    pub(super) fn iterations(
        &self,
        this: &Arc<For>,
        items: &Value,
        depth: usize,
        scope: &Rc<Scope>,
        out: &mut Vec<Char>,
    ) -> Res<()> {
        let mut items = iterate(items, &self.budget)?;
        if let Some(condition) = &this.condition {
            let mut kept = Vec::new();
            for item in items {
                let inner = scope.inside();
                self.assign(&this.target, item.clone(), &inner)?;
                if self.value(condition, &inner)?.is_true() {
                    kept.push(item);
                }
            }
            items = kept;
        }
        if items.is_empty() {
            return self.block(&this.otherwise, &scope.inside(), out).map(|_| ());
        }
        let recursion = this.recursive.then(|| {
            self.keep(scope);
            (this.clone(), scope.clone())
        });
        let rounds = Rc::new(Loop::new(items, depth, recursion)?);
        for (at, item) in rounds.items.iter().enumerate() {
            self.budget.pay(2)?;
            rounds.index.set(at);
            let inner = scope.inside();
            inner.set("loop".into(), Value::Loop(rounds.clone()));
            self.assign(&this.target, item.clone(), &inner)?;
            if self.block(&this.body, &inner, out)? == Flow::Break {
                break;
            }
        }
        Ok(())
    }

    fn assign(&self, target: &Target, value: Value, scope: &Rc<Scope>) -> Res<()> {
        match target {
            Target::Name(name) => scope.set(name.clone(), value),
            Target::Attribute(name, attribute) => match scope.get(name) {
                Some(Value::Namespace(namespace)) => {
                    self.budget.pay(1 + namespace.len() / 8)?;
                    namespace.set(attribute.clone(), value);
                }
                _ => return fail(format!("'{name}' is no namespace: its attribute cannot be set")),
            },
            Target::Tuple(targets) => {
                let values = iterate(&value, &self.budget)?;
                if values.len() != targets.len() {
                    return fail(format!("expected {} values to unpack, got {}", targets.len(), values.len()));
                }
                for (target, value) in targets.iter().zip(values) {
                    self.assign(target, value, scope)?;
                }
            }
        }
        Ok(())
    }

    /// A macro sees the names around its definition.
    fn closure(&self, this: &Arc<Macro>, scope: &Rc<Scope>) -> Value {
        self.keep(scope);
        Value::Callable(Rc::new(Callable::Macro(this.clone(), scope.clone())))
    }

    fn keep(&self, scope: &Rc<Scope>) {
        let mut kept = self.kept.borrow_mut();
        if !kept.last().is_some_and(|last| Rc::ptr_eq(last, scope)) {
            kept.push(scope.clone());
        }
    }

    fn call_block(&self, call: &Expr, caller: &Arc<Macro>, scope: &Rc<Scope>, out: &mut Vec<Char>) -> Res<()> {
        let Expr::Postfix(value, steps) = call else { return fail("'call' needs a call") };
        let [before @ .., Step::Call(arguments)] = &**steps else { return fail("'call' needs a call") };
        let mut called = self.value(value, scope)?;
        for step in before {
            called = self.step(called, step, scope)?;
        }
        let mut given = self.given(arguments, scope)?;
        given.named.push(("caller".into(), self.closure(caller, scope)));
        write(&self.call(&called, given)?, out, &self.budget)
    }

    pub(super) fn call_macro(&self, called: &Macro, scope: &Rc<Scope>, mut given: Given) -> Res<Value> {
        self.budget.pay(2)?;
        let inner = scope.inside();
        for (name, default) in &called.parameters {
            let value = match (given.next(name), default) {
                (Some(value), _) => value,
                (None, Some(default)) => self.value(default, &inner)?,
                (None, None) => Value::undefined(format!("parameter '{name}' was not provided")),
            };
            inner.set(name.clone(), value);
        }
        if let Some(caller) = given.named("caller") {
            inner.set("caller".into(), caller);
        }
        inner.set("varargs".into(), Value::tuple(given.rest())?);
        let named = given.named.into_iter().map(|(name, value)| (Value::text(&name), value)).collect();
        inner.set("kwargs".into(), Value::dict(named)?);
        let mut out = Vec::new();
        self.block(&called.body, &inner, &mut out)?;
        Ok(Value::Text(out.into()))
    }
}
