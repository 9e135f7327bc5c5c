//! The values of a rendering: Python's, as far as templates see them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::syntax::{For, Macro, Name};
use super::text::Text;
use super::{MAX_VALUE_DEPTH, Res, fail};

#[derive(Clone)]
pub(in crate::text) enum Value {
    /// With what to say when it is used.
    Undefined(Rc<str>),
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Text),
    List(Rc<List>),
    Dict(Rc<Dict>),
    Namespace(Rc<Namespace>),
    Loop(Rc<Loop>),
    Callable(Rc<Callable>),
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(in crate::text) enum ListKind {
    List,
    Tuple,
    /// What Python makes while it is walked: true even if empty, and without a length.
    Generator,
    /// What `dict.keys()` and the like give.
    View(&'static str),
}

pub(in crate::text) struct List {
    pub(super) kind: ListKind,
    pub(super) items: Vec<Value>,
    depth: usize,
}

/// Keys in the order in which they came.
pub(in crate::text) struct Dict {
    pub(super) entries: Vec<(Value, Value)>,
    depth: usize,
}

pub(in crate::text) struct Namespace(RefCell<Vec<(Name, Value)>>);

/// `loop`
pub(in crate::text) struct Loop {
    pub(super) items: Vec<Value>,
    pub(super) index: Cell<usize>,
    pub(super) depth: usize,
    /// What `changed(…)` was last given, as text: a value could hold the loop.
    pub(super) changed: RefCell<Option<Text>>,
    /// What `loop(…)` runs, of a recursive one.
    pub(super) recursion: Option<(Arc<For>, Rc<Scope>)>,
    nesting: usize,
}

impl Loop {
    pub(super) fn new(items: Vec<Value>, depth: usize, recursion: Option<(Arc<For>, Rc<Scope>)>) -> Res<Self> {
        let nesting = self::depth(items.iter())?;
        Ok(Self { items, index: Cell::new(0), depth, changed: RefCell::default(), recursion, nesting })
    }
}

pub(in crate::text) enum Callable {
    Function(&'static str),
    Method(Value, Name),
    Macro(Arc<Macro>, Rc<Scope>),
    Joiner(Text, Cell<bool>),
}

impl Value {
    pub(in crate::text) fn text(text: &str) -> Self {
        Value::Text(Text::own(text))
    }

    pub(in crate::text) fn list(items: Vec<Value>) -> Res<Self> {
        Self::sequence(ListKind::List, items)
    }

    pub(super) fn tuple(items: Vec<Value>) -> Res<Self> {
        Self::sequence(ListKind::Tuple, items)
    }

    pub(super) fn sequence(kind: ListKind, items: Vec<Value>) -> Res<Self> {
        let depth = depth(items.iter())?;
        Ok(Value::List(Rc::new(List { kind, items, depth })))
    }

    /// The keys are different from each other.
    pub(in crate::text) fn dict(entries: Vec<(Value, Value)>) -> Res<Self> {
        let depth = depth(entries.iter().flat_map(|(key, value)| [key, value]))?;
        Ok(Value::Dict(Rc::new(Dict { entries, depth })))
    }

    pub(super) fn undefined(why: impl Into<Rc<str>>) -> Self {
        Value::Undefined(why.into())
    }

    pub(super) fn is_undefined(&self) -> bool {
        matches!(self, Value::Undefined(_))
    }

    pub(super) fn as_text(&self) -> Option<&Text> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_true(&self) -> bool {
        match self {
            Value::Undefined(_) | Value::None => false,
            Value::Bool(b) => *b,
            Value::Int(i) => *i != 0,
            Value::Float(f) => *f != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::List(list) => list.kind == ListKind::Generator || !list.items.is_empty(),
            Value::Dict(dict) => !dict.entries.is_empty(),
            Value::Namespace(_) | Value::Loop(_) | Value::Callable(_) => true,
        }
    }

    /// The name of its Python type.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Undefined(_) => "undefined",
            Value::None => "NoneType",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::Text(_) => "str",
            Value::List(list) => match list.kind {
                ListKind::List => "list",
                ListKind::Tuple => "tuple",
                ListKind::Generator => "generator",
                ListKind::View(name) => name,
            },
            Value::Dict(_) => "dict",
            Value::Namespace(_) => "Namespace",
            Value::Loop(_) => "LoopContext",
            Value::Callable(_) => "function",
        }
    }

    /// Fails as Python does when an undefined value is used.
    pub(super) fn defined(&self) -> Res<&Self> {
        match self {
            Value::Undefined(why) => fail(&**why),
            value => Ok(value),
        }
    }

    /// A whole number; `True` is 1.
    pub(super) fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(i) => Some(*i),
            Value::Bool(b) => Some((*b).into()),
            _ => None,
        }
    }

    fn depth(&self) -> usize {
        match self {
            Value::List(list) => list.depth,
            Value::Dict(dict) => dict.depth,
            Value::Loop(this) => this.nesting,
            // What a bound method holds is freed with it.
            Value::Callable(callable) => match &**callable {
                Callable::Method(value, _) => value.depth() + 1,
                _ => 0,
            },
            _ => 0,
        }
    }
}

/// One more than the deepest of the values.
fn depth<'v>(values: impl Iterator<Item = &'v Value>) -> Res<usize> {
    let depth = values.map(Value::depth).max().unwrap_or(0) + 1;
    if depth > MAX_VALUE_DEPTH {
        return fail(format!("lists and dicts nest deeper than {MAX_VALUE_DEPTH} levels"));
    }
    Ok(depth)
}

impl Namespace {
    pub(super) fn new(entries: Vec<(Name, Value)>) -> Self {
        Self(RefCell::new(entries))
    }

    pub(super) fn get(&self, name: &str) -> Option<Value> {
        self.0.borrow().iter().find(|(n, _)| **n == *name).map(|(_, value)| value.clone())
    }

    pub(super) fn set(&self, name: Name, value: Value) {
        let mut entries = self.0.borrow_mut();
        match entries.iter_mut().find(|(n, _)| *n == name) {
            Some((_, old)) => *old = value,
            None => entries.push((name, value)),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    pub(super) fn clear(&self) {
        let entries = self.0.take();
        drop(entries);
    }
}

/// The names of a block, and the scope around it.
pub(in crate::text) struct Scope {
    names: RefCell<HashMap<Name, Value>>,
    around: Option<Rc<Scope>>,
}

impl Scope {
    pub(super) fn new(around: Option<Rc<Scope>>) -> Rc<Self> {
        Rc::new(Self { names: RefCell::default(), around })
    }

    pub(super) fn inside(self: &Rc<Self>) -> Rc<Self> {
        Self::new(Some(self.clone()))
    }

    pub(super) fn get(&self, name: &str) -> Option<Value> {
        let mut scope = Some(self);
        while let Some(this) = scope {
            if let Some(value) = this.names.borrow().get(name) {
                return Some(value.clone());
            }
            scope = this.around.as_deref();
        }
        None
    }

    pub(super) fn set(&self, name: Name, value: Value) {
        self.names.borrow_mut().insert(name, value);
    }

    pub(super) fn clear(&self) {
        let names = self.names.take();
        drop(names);
    }
}
