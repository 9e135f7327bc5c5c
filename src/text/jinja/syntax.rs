//! The syntax tree. Chains are lists, so its depth is that of brackets and blocks, which the parser bounds.

use std::sync::Arc;

use super::text::Text;

pub(super) type Name = Arc<str>;

pub(in crate::text) struct Node {
    pub(super) line: u32,
    pub(super) statement: Statement,
}

pub(super) enum Statement {
    Text(Text),
    Output(Expr),
    For(Arc<For>),
    /// Conditions with their bodies, and what is left.
    If(Vec<(Expr, Vec<Node>)>, Vec<Node>),
    Set(Target, Expr),
    SetBlock(Target, Vec<Filter>, Vec<Node>),
    Macro(Arc<Macro>),
    /// A call with the block that the called macro may call.
    Call(Expr, Arc<Macro>),
    Filter(Vec<Filter>, Vec<Node>),
    With(Vec<(Target, Expr)>, Vec<Node>),
    /// A block of its own scope.
    Scope(Vec<Node>),
    Break,
    Continue,
    /// What needs other templates.
    Missing(Name),
}

pub(in crate::text) struct For {
    pub(super) target: Target,
    pub(super) items: Expr,
    pub(super) condition: Option<Expr>,
    pub(super) recursive: bool,
    pub(super) body: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

pub(in crate::text) struct Macro {
    pub(super) name: Name,
    pub(super) parameters: Vec<(Name, Option<Expr>)>,
    pub(super) body: Vec<Node>,
}

pub(in crate::text) enum Target {
    Name(Name),
    Attribute(Name, Name),
    Tuple(Vec<Target>),
}

pub(in crate::text) enum Expr {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Text),
    Name(Name),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    /// The last one applies first.
    Unary(Vec<Unary>, Box<Expr>),
    /// From left to right.
    Binary(Box<Expr>, Vec<(Binary, Expr)>),
    Concat(Vec<Expr>),
    Compare(Box<Expr>, Vec<(Comparison, Expr)>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    /// Conditions with their values, and the value of `else`.
    If(Vec<(Expr, Expr)>, Option<Box<Expr>>),
    Postfix(Box<Expr>, Vec<Step>),
}

/// What follows a value.
pub(super) enum Step {
    Attribute(Name),
    Item(Expr),
    Slice(Box<[Option<Expr>; 3]>),
    Call(Arguments),
    Filter(Filter),
    Test { name: Name, arguments: Arguments, negated: bool },
}

pub(super) struct Filter {
    pub(super) name: Name,
    pub(super) arguments: Arguments,
}

#[derive(Default)]
pub(super) struct Arguments {
    pub(super) positional: Vec<Expr>,
    pub(super) named: Vec<(Name, Expr)>,
    /// `*list`, `**dict`
    pub(super) list: Option<Box<Expr>>,
    pub(super) dict: Option<Box<Expr>>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Unary {
    Not,
    Minus,
    Plus,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
    Power,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}

/// Frees a tree without recursion: one level of brackets is a dozen of values, more than a small stack takes.
pub(super) fn free(nodes: Vec<Node>) {
    let mut left = Left { nodes, exprs: Vec::new() };
    loop {
        if let Some(node) = left.nodes.pop() {
            left.statement(node.statement);
        } else if let Some(expr) = left.exprs.pop() {
            left.expr(expr);
        } else {
            return;
        }
    }
}

struct Left {
    nodes: Vec<Node>,
    exprs: Vec<Expr>,
}

impl Left {
    fn statement(&mut self, statement: Statement) {
        match statement {
            Statement::Output(expr) | Statement::Set(_, expr) => self.exprs.push(expr),
            Statement::For(this) => {
                if let Some(this) = Arc::into_inner(this) {
                    self.exprs.push(this.items);
                    self.exprs.extend(this.condition);
                    self.nodes.extend(this.body);
                    self.nodes.extend(this.otherwise);
                }
            }
            Statement::If(branches, otherwise) => {
                for (condition, body) in branches {
                    self.exprs.push(condition);
                    self.nodes.extend(body);
                }
                self.nodes.extend(otherwise);
            }
            Statement::SetBlock(_, filters, body) | Statement::Filter(filters, body) => {
                filters.into_iter().for_each(|filter| self.arguments(filter.arguments));
                self.nodes.extend(body);
            }
            Statement::Macro(this) => self.called(this),
            Statement::Call(expr, caller) => {
                self.exprs.push(expr);
                self.called(caller);
            }
            Statement::With(values, body) => {
                self.exprs.extend(values.into_iter().map(|(_, expr)| expr));
                self.nodes.extend(body);
            }
            Statement::Scope(body) => self.nodes.extend(body),
            Statement::Text(_) | Statement::Break | Statement::Continue | Statement::Missing(_) => {}
        }
    }

    fn called(&mut self, this: Arc<Macro>) {
        if let Some(this) = Arc::into_inner(this) {
            self.exprs.extend(this.parameters.into_iter().filter_map(|(_, default)| default));
            self.nodes.extend(this.body);
        }
    }

    fn expr(&mut self, expr: Expr) {
        match expr {
            Expr::List(all) | Expr::Tuple(all) | Expr::Concat(all) | Expr::And(all) | Expr::Or(all) => {
                self.exprs.extend(all);
            }
            Expr::Dict(pairs) => self.exprs.extend(pairs.into_iter().flat_map(|(key, value)| [key, value])),
            Expr::Unary(_, value) => self.exprs.push(*value),
            Expr::Binary(first, rest) => {
                self.exprs.push(*first);
                self.exprs.extend(rest.into_iter().map(|(_, expr)| expr));
            }
            Expr::Compare(first, rest) => {
                self.exprs.push(*first);
                self.exprs.extend(rest.into_iter().map(|(_, expr)| expr));
            }
            Expr::If(values, otherwise) => {
                self.exprs.extend(values.into_iter().flat_map(|(condition, value)| [condition, value]));
                self.exprs.extend(otherwise.map(|expr| *expr));
            }
            Expr::Postfix(value, steps) => {
                self.exprs.push(*value);
                steps.into_iter().for_each(|step| self.step(step));
            }
            Expr::None | Expr::Bool(_) | Expr::Int(_) | Expr::Float(_) | Expr::Text(_) | Expr::Name(_) => {}
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Item(expr) => self.exprs.push(expr),
            Step::Slice(parts) => self.exprs.extend(parts.into_iter().flatten()),
            Step::Call(arguments) | Step::Test { arguments, .. } => self.arguments(arguments),
            Step::Filter(filter) => self.arguments(filter.arguments),
            Step::Attribute(_) => {}
        }
    }

    fn arguments(&mut self, arguments: Arguments) {
        self.exprs.extend(arguments.positional);
        self.exprs.extend(arguments.named.into_iter().map(|(_, expr)| expr));
        self.exprs.extend(arguments.list.into_iter().chain(arguments.dict).map(|expr| *expr));
    }
}
