//! The language of chat templates: Jinja2 as Hugging Face's `apply_chat_template` sets it up, with Python's values.
//!
//! A template is a program of a stranger. What it may use is bounded: its length and nesting when it is compiled, work
//! and memory (as fuel), nesting and output when it is rendered. Chains (`a + b + …`, `a.b.c`, `elif`) are lists here,
//! so that nothing recurses along one, not even freeing it. Values cannot change once made, except a namespace's.
//!
//! Every character knows whether a person wrote it, whatever the template does with it.

mod arguments;
mod attributes;
mod equality;
mod expressions;
mod filters;
mod filters_of_lists;
mod format;
mod functions;
mod grammar;
mod json;
mod lexer;
mod methods;
mod operators;
mod parser;
mod postfix;
mod sequences;
mod statements;
pub(super) mod strftime;
mod syntax;
mod tests_of_values;
mod text;
mod value;
mod write;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

pub(super) use strftime::Clock;
pub(super) use text::{Char, Text};
pub(super) use value::Value;

use syntax::Node;
use value::{Namespace, Scope};

/// How deep a template may nest blocks, brackets and lists.
const MAX_NESTING: usize = 100;
/// How deep rendering may nest: blocks, expressions and calls of macros, each by one or more.
const MAX_DEPTH: usize = 400;
/// How deep lists and dicts may nest.
const MAX_VALUE_DEPTH: usize = 100;
/// Characters that cost as much fuel as one step.
const CHARS_PER_FUEL: usize = 32;

/// Why a template cannot be compiled or rendered.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fault {
    /// The template called `raise_exception`.
    Refused(String),
    /// It uses what is not there, or wrongly.
    Failed(String),
    OutOfFuel,
    OutputTooLong,
}

type Res<T> = std::result::Result<T, Fault>;

fn fail<T>(message: impl Into<String>) -> Res<T> {
    Err(Fault::Failed(message.into()))
}

impl Fault {
    fn at(self, line: u32) -> Self {
        match self {
            Fault::Failed(message) if !message.starts_with("line ") => Fault::Failed(format!("line {line}: {message}")),
            other => other,
        }
    }
}

/// A compiled template.
pub(super) struct Program {
    nodes: Vec<Node>,
}

impl Drop for Program {
    fn drop(&mut self) {
        syntax::free(std::mem::take(&mut self.nodes));
    }
}

/// What one rendering may use.
pub(super) struct Limits {
    /// Steps, and what [`CHARS_PER_FUEL`] characters cost.
    pub(super) fuel: u64,
    /// Characters of output.
    pub(super) output: usize,
}

impl Program {
    pub(super) fn compile(source: &str) -> Res<Self> {
        Ok(Self { nodes: parser::parse(lexer::tokens(source)?)? })
    }

    /// Renders with `variables`; `clock` is the time that `strftime_now` tells.
    pub(super) fn render(
        &self,
        variables: Vec<(&str, Value)>,
        limits: &Limits,
        clock: &dyn Fn() -> Clock,
    ) -> Res<Vec<Char>> {
        let context = Scope::new(None);
        for (name, value) in variables {
            context.set(name.into(), value);
        }
        let budget = Budget { fuel: Cell::new(limits.fuel), output: limits.output };
        let renderer =
            Renderer { budget, clock, depth: Cell::new(0), kept: RefCell::default(), namespaces: RefCell::default() };
        let mut out = Vec::new();
        let done = renderer.block(&self.nodes, &Scope::new(Some(context)), &mut out);
        renderer.break_circles();
        done.map(|_| out)
    }
}

/// The fuel that is left, and the longest output.
struct Budget {
    fuel: Cell<u64>,
    output: usize,
}

impl Budget {
    fn pay(&self, steps: usize) -> Res<()> {
        match self.fuel.get().checked_sub(steps as u64) {
            Some(left) => {
                self.fuel.set(left);
                Ok(())
            }
            None => Err(Fault::OutOfFuel),
        }
    }

    /// For making or walking so many characters.
    fn pay_chars(&self, chars: usize) -> Res<()> {
        self.pay(1 + chars / CHARS_PER_FUEL)
    }
}

/// One rendering.
struct Renderer<'c> {
    budget: Budget,
    clock: &'c dyn Fn() -> Clock,
    depth: Cell<usize>,
    /// Scopes that a macro holds, which they may hold in turn.
    kept: RefCell<Vec<Rc<Scope>>>,
    /// All namespaces, oldest first: they may hold each other.
    namespaces: RefCell<Vec<Rc<Namespace>>>,
}

impl Renderer<'_> {
    /// Runs `f` one level deeper.
    fn deeper<T>(&self, f: impl FnOnce() -> Res<T>) -> Res<T> {
        let depth = self.depth.get() + 1;
        if depth > MAX_DEPTH {
            return fail(format!("rendering nests deeper than {MAX_DEPTH} levels"));
        }
        self.depth.set(depth);
        let result = f();
        self.depth.set(depth - 1);
        result
    }

    /// Empties what may hold itself, so that all of it is freed, and one after the other.
    fn break_circles(&self) {
        for namespace in self.namespaces.borrow().iter() {
            namespace.clear();
        }
        for scope in self.kept.borrow().iter() {
            scope.clear();
        }
    }
}
