//! Tokens to the tree of a template.

use std::sync::Arc;

use super::grammar::Parser;
use super::lexer::{Token, TokenKind};
use super::syntax::{Expr, Filter, For, Macro, Name, Node, Statement, Step, Target};
use super::{Fault, Res, fail};

pub(super) fn parse(tokens: Vec<Token>) -> Res<Vec<Node>> {
    let mut parser = Parser::new(tokens);
    let nodes = parser.body(&[])?;
    Ok(nodes)
}

impl Parser {
    /// Up to one of the tags `ends`, whose name is taken and whose rest is not; without any, up to the end.
    fn body(&mut self, ends: &[&str]) -> Res<Vec<Node>> {
        self.deeper(|parser| {
            let mut nodes = Vec::new();
            loop {
                let line = parser.line();
                let statement = match parser.next() {
                    None if ends.is_empty() => return Ok(nodes),
                    None => return parser.never_closed(),
                    Some(TokenKind::Data(text)) => Statement::Text(text),
                    Some(TokenKind::ExpressionBegin) => {
                        let value = parser.tuple(false, Self::expression)?;
                        parser.token(&TokenKind::ExpressionEnd, "'}}'")?;
                        Statement::Output(value)
                    }
                    Some(TokenKind::BlockBegin) if ends.iter().any(|end| parser.is_name(end)) => return Ok(nodes),
                    Some(TokenKind::BlockBegin) => parser.block()?,
                    Some(_) => return parser.fail("expected a tag"),
                };
                nodes.push(Node { line, statement });
            }
        })
    }

    fn never_closed<T>(&self) -> Res<T> {
        match self.open.last() {
            Some((name, line)) => fail(format!("line {line}: '{name}' is never closed")),
            None => fail("the template ends inside a block"),
        }
    }

    /// The rest of an opening tag, and all up to the closing one of the name.
    fn rest(&mut self, end: &str) -> Res<Vec<Node>> {
        self.skip_operator(":");
        self.block_end()?;
        let body = self.body(&[end])?;
        self.keyword(end)?;
        Ok(body)
    }

    fn block_end(&mut self) -> Res<()> {
        self.token(&TokenKind::BlockEnd, "'%}'")
    }

    fn block(&mut self) -> Res<Statement> {
        let line = self.line();
        let name = self.name()?;
        self.open.push((name.clone(), line));
        let statement = match &*name {
            "for" => self.for_block()?,
            "if" => self.if_block()?,
            "set" => self.set()?,
            "macro" => self.macro_block()?,
            "call" => self.call_block()?,
            "filter" => {
                let filters = self.filters(true)?;
                Statement::Filter(filters, self.rest("endfilter")?)
            }
            "with" => self.with()?,
            // It marks what a model wrote, for training.
            "generation" => Statement::Scope(self.rest("endgeneration")?),
            "autoescape" => {
                self.expression()?;
                Statement::Scope(self.rest("endautoescape")?)
            }
            "block" => self.named_block()?,
            "break" => Statement::Break,
            "continue" => Statement::Continue,
            "include" | "import" | "from" | "extends" => {
                while !matches!(self.peek(), None | Some(TokenKind::BlockEnd)) {
                    self.next();
                }
                Statement::Missing(name)
            }
            _ => return Err(self.unknown(&name).at(line)),
        };
        self.block_end()?;
        self.open.pop();
        Ok(statement)
    }

    fn unknown(&self, name: &str) -> Fault {
        let open = self.open.iter().rev().nth(1).map_or(String::new(), |(open, _)| format!(" inside '{open}'"));
        Fault::Failed(format!("unknown tag '{name}'{open}"))
    }

    fn for_block(&mut self) -> Res<Statement> {
        let target = self.target()?;
        self.keyword("in")?;
        let items = self.tuple(false, Self::unconditional)?;
        let condition = if self.skip_name("if") { Some(self.expression()?) } else { None };
        let recursive = self.skip_name("recursive");
        self.skip_operator(":");
        self.block_end()?;
        let body = self.body(&["endfor", "else"])?;
        let otherwise = if self.skip_name("else") { self.rest("endfor")? } else { self.end("endfor")? };
        Ok(Statement::For(Arc::new(For { target, items, condition, recursive, body, otherwise })))
    }

    fn end(&mut self, name: &str) -> Res<Vec<Node>> {
        self.keyword(name)?;
        Ok(Vec::new())
    }

    fn if_block(&mut self) -> Res<Statement> {
        let mut branches = Vec::new();
        loop {
            let condition = self.tuple(false, Self::unconditional)?;
            self.skip_operator(":");
            self.block_end()?;
            branches.push((condition, self.body(&["elif", "else", "endif"])?));
            if self.skip_name("elif") {
                continue;
            }
            let otherwise = if self.skip_name("else") { self.rest("endif")? } else { self.end("endif")? };
            return Ok(Statement::If(branches, otherwise));
        }
    }

    fn set(&mut self) -> Res<Statement> {
        let target = self.target()?;
        if self.skip_operator("=") {
            return Ok(Statement::Set(target, self.tuple(false, Self::expression)?));
        }
        let filters = self.filters(false)?;
        Ok(Statement::SetBlock(target, filters, self.rest("endset")?))
    }

    /// Filters with `|` between them, and before the first unless it stands `inline`.
    fn filters(&mut self, inline: bool) -> Res<Vec<Filter>> {
        let mut filters = Vec::new();
        if inline {
            filters.push(self.filter()?);
        }
        while self.skip_operator("|") {
            filters.push(self.filter()?);
        }
        Ok(filters)
    }

    fn parameters(&mut self) -> Res<Vec<(Name, Option<Expr>)>> {
        let mut parameters = Vec::new();
        self.operator("(")?;
        while !self.skip_operator(")") {
            if !parameters.is_empty() {
                self.operator(",")?;
            }
            let name = self.name()?;
            let default = if self.skip_operator("=") { Some(self.expression()?) } else { None };
            parameters.push((name, default));
        }
        Ok(parameters)
    }

    fn macro_block(&mut self) -> Res<Statement> {
        let name = self.name()?;
        let parameters = self.parameters()?;
        let body = self.rest("endmacro")?;
        Ok(Statement::Macro(Arc::new(Macro { name, parameters, body })))
    }

    fn call_block(&mut self) -> Res<Statement> {
        let parameters = if self.is_operator("(") { self.parameters()? } else { Vec::new() };
        let call = self.expression()?;
        if !matches!(&call, Expr::Postfix(_, steps) if matches!(steps.last(), Some(Step::Call(_)))) {
            return self.fail("'call' needs a call");
        }
        let body = self.rest("endcall")?;
        Ok(Statement::Call(call, Arc::new(Macro { name: "caller".into(), parameters, body })))
    }

    fn with(&mut self) -> Res<Statement> {
        let mut values: Vec<(Target, Expr)> = Vec::new();
        while !matches!(self.peek(), None | Some(TokenKind::BlockEnd)) {
            if !values.is_empty() {
                self.operator(",")?;
            }
            // Not `target`, which would take the commas.
            let name = self.name()?;
            self.operator("=")?;
            values.push((Target::Name(name), self.expression()?));
        }
        Ok(Statement::With(values, self.rest("endwith")?))
    }

    fn named_block(&mut self) -> Res<Statement> {
        let name = self.name()?;
        self.skip_name("scoped");
        self.skip_name("required");
        let body = self.rest("endblock")?;
        self.skip_name(&name);
        Ok(Statement::Scope(body))
    }
}
