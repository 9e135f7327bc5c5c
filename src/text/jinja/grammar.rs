//! Tokens to expressions.

use super::lexer::{Token, TokenKind};
use super::syntax::{Binary, Comparison, Expr, Name, Step, Unary};
use super::{Fault, MAX_NESTING, Res};

pub(super) struct Parser {
    tokens: Vec<Token>,
    pub(super) at: usize,
    nesting: usize,
    /// The tags that are open, with their lines.
    pub(super) open: Vec<(Name, u32)>,
}

impl Parser {
    pub(super) fn new(tokens: Vec<Token>) -> Self {
        Self { tokens, at: 0, nesting: 0, open: Vec::new() }
    }

    // ---- the stream of tokens

    pub(super) fn peek(&self) -> Option<&TokenKind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    pub(super) fn peek_after(&self) -> Option<&TokenKind> {
        self.tokens.get(self.at + 1).map(|token| &token.kind)
    }

    pub(super) fn next(&mut self) -> Option<TokenKind> {
        let kind = self.peek().cloned();
        self.at += 1;
        kind
    }

    pub(super) fn line(&self) -> u32 {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |token| token.line)
    }

    pub(super) fn fail<T>(&self, message: impl Into<String>) -> Res<T> {
        Err(Fault::Failed(message.into()).at(self.line()))
    }

    pub(super) fn unexpected<T>(&self, expected: &str) -> Res<T> {
        let got = match self.peek() {
            None => "the end of the template".to_owned(),
            Some(TokenKind::Operator(operator)) => format!("'{operator}'"),
            Some(TokenKind::Name(name)) => format!("'{name}'"),
            Some(TokenKind::Int(_) | TokenKind::Float(_)) => "a number".to_owned(),
            Some(TokenKind::Text(_) | TokenKind::Data(_)) => "a text".to_owned(),
            Some(_) => "the begin or end of a tag".to_owned(),
        };
        self.fail(format!("expected {expected}, got {got}"))
    }

    pub(super) fn is_operator(&self, operator: &str) -> bool {
        matches!(self.peek(), Some(TokenKind::Operator(o)) if *o == operator)
    }

    pub(super) fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Some(TokenKind::Name(n)) if **n == *name)
    }

    pub(super) fn skip_operator(&mut self, operator: &str) -> bool {
        let found = self.is_operator(operator);
        self.at += usize::from(found);
        found
    }

    pub(super) fn skip_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        self.at += usize::from(found);
        found
    }

    pub(super) fn operator(&mut self, operator: &str) -> Res<()> {
        if self.skip_operator(operator) { Ok(()) } else { self.unexpected(&format!("'{operator}'")) }
    }

    pub(super) fn keyword(&mut self, name: &str) -> Res<()> {
        if self.skip_name(name) { Ok(()) } else { self.unexpected(&format!("'{name}'")) }
    }

    pub(super) fn token(&mut self, kind: &TokenKind, what: &str) -> Res<()> {
        if self.peek() == Some(kind) {
            self.at += 1;
            return Ok(());
        }
        self.unexpected(what)
    }

    pub(super) fn name(&mut self) -> Res<Name> {
        match self.peek() {
            Some(TokenKind::Name(name)) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            _ => self.unexpected("a name"),
        }
    }

    pub(super) fn deeper<T>(&mut self, f: impl FnOnce(&mut Self) -> Res<T>) -> Res<T> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return self.fail(format!("it nests deeper than {MAX_NESTING} levels"));
        }
        let result = f(self);
        self.nesting -= 1;
        result
    }

    // ---- expressions, from the loosest to the tightest

    pub(super) fn expression(&mut self) -> Res<Expr> {
        self.deeper(Self::conditional)
    }

    /// As `expression`, without `a if b else c` at its outside.
    pub(super) fn unconditional(&mut self) -> Res<Expr> {
        self.deeper(Self::or)
    }

    fn conditional(&mut self) -> Res<Expr> {
        let mut values = Vec::new();
        let mut value = self.or()?;
        while self.skip_name("if") {
            let condition = self.or()?;
            if !self.skip_name("else") {
                if self.is_name("if") {
                    return self.fail("a second 'if' needs an 'else' before it");
                }
                values.push((condition, value));
                return Ok(Expr::If(values, None));
            }
            values.push((condition, value));
            value = self.or()?;
        }
        Ok(if values.is_empty() { value } else { Expr::If(values, Some(Box::new(value))) })
    }

    fn or(&mut self) -> Res<Expr> {
        let first = self.and()?;
        let mut all = vec![first];
        while self.skip_name("or") {
            all.push(self.and()?);
        }
        Ok(if all.len() > 1 { Expr::Or(all) } else { all.remove(0) })
    }

    fn and(&mut self) -> Res<Expr> {
        let first = self.not()?;
        let mut all = vec![first];
        while self.skip_name("and") {
            all.push(self.not()?);
        }
        Ok(if all.len() > 1 { Expr::And(all) } else { all.remove(0) })
    }

    fn not(&mut self) -> Res<Expr> {
        let mut signs = Vec::new();
        while self.skip_name("not") {
            signs.push(Unary::Not);
        }
        let value = self.comparison()?;
        Ok(if signs.is_empty() { value } else { Expr::Unary(signs, Box::new(value)) })
    }

    fn comparison(&mut self) -> Res<Expr> {
        let first = self.sum()?;
        let mut rest = Vec::new();
        while let Some(comparison) = self.comparison_sign() {
            rest.push((comparison, self.sum()?));
        }
        Ok(if rest.is_empty() { first } else { Expr::Compare(Box::new(first), rest) })
    }

    fn comparison_sign(&mut self) -> Option<Comparison> {
        let (comparison, tokens) = match self.peek()? {
            TokenKind::Operator("==") => (Comparison::Equal, 1),
            TokenKind::Operator("!=") => (Comparison::NotEqual, 1),
            TokenKind::Operator("<") => (Comparison::Less, 1),
            TokenKind::Operator("<=") => (Comparison::LessOrEqual, 1),
            TokenKind::Operator(">") => (Comparison::Greater, 1),
            TokenKind::Operator(">=") => (Comparison::GreaterOrEqual, 1),
            TokenKind::Name(name) if &**name == "in" => (Comparison::In, 1),
            TokenKind::Name(name) if &**name == "not" => match self.peek_after() {
                Some(TokenKind::Name(next)) if &**next == "in" => (Comparison::NotIn, 2),
                _ => return None,
            },
            _ => return None,
        };
        self.at += tokens;
        Some(comparison)
    }

    fn chain(&mut self, operators: &[(&str, Binary)], operand: impl Fn(&mut Self) -> Res<Expr>) -> Res<Expr> {
        let first = operand(self)?;
        let mut rest = Vec::new();
        while let Some((_, binary)) = operators.iter().find(|(sign, _)| self.is_operator(sign)) {
            self.at += 1;
            rest.push((*binary, operand(self)?));
        }
        Ok(if rest.is_empty() { first } else { Expr::Binary(Box::new(first), rest) })
    }

    fn sum(&mut self) -> Res<Expr> {
        self.chain(&[("+", Binary::Add), ("-", Binary::Subtract)], Self::concat)
    }

    fn concat(&mut self) -> Res<Expr> {
        let first = self.product()?;
        let mut all = vec![first];
        while self.skip_operator("~") {
            all.push(self.product()?);
        }
        Ok(if all.len() > 1 { Expr::Concat(all) } else { all.remove(0) })
    }

    fn product(&mut self) -> Res<Expr> {
        let operators =
            [("*", Binary::Multiply), ("/", Binary::Divide), ("//", Binary::FloorDivide), ("%", Binary::Remainder)];
        self.chain(&operators, Self::power)
    }

    fn power(&mut self) -> Res<Expr> {
        self.chain(&[("**", Binary::Power)], Self::unary)
    }

    /// Signs, a value, and what follows it. Attributes bind tighter than a sign, filters looser.
    fn unary(&mut self) -> Res<Expr> {
        let mut signs = Vec::new();
        loop {
            if self.skip_operator("-") {
                signs.push(Unary::Minus);
            } else if self.skip_operator("+") {
                signs.push(Unary::Plus);
            } else {
                break;
            }
        }
        let mut value = self.primary()?;
        value = postfix(value, self.attributes()?);
        if !signs.is_empty() {
            value = Expr::Unary(signs, Box::new(value));
        }
        let steps = self.filters_and_tests()?;
        Ok(postfix(value, steps))
    }

    pub(super) fn primary(&mut self) -> Res<Expr> {
        let value = match self.peek() {
            Some(TokenKind::Name(name)) => match &**name {
                "true" | "True" => Expr::Bool(true),
                "false" | "False" => Expr::Bool(false),
                "none" | "None" => Expr::None,
                _ => Expr::Name(name.clone()),
            },
            Some(TokenKind::Text(_)) => return Ok(self.texts()),
            Some(TokenKind::Int(number)) => Expr::Int(*number),
            Some(TokenKind::Float(number)) => Expr::Float(*number),
            Some(TokenKind::Operator("(")) => {
                self.at += 1;
                let value = self.tuple(true, Self::expression)?;
                self.operator(")")?;
                return Ok(value);
            }
            Some(TokenKind::Operator("[")) => {
                self.at += 1;
                return self.items("]", Self::expression).map(Expr::List);
            }
            Some(TokenKind::Operator("{")) => {
                self.at += 1;
                return self.items("}", Self::pair).map(Expr::Dict);
            }
            _ => return self.unexpected("a value"),
        };
        self.at += 1;
        Ok(value)
    }

    /// Texts side by side are one.
    fn texts(&mut self) -> Expr {
        let mut all = Vec::new();
        while let Some(TokenKind::Text(text)) = self.peek() {
            all.extend_from_slice(text);
            self.at += 1;
        }
        Expr::Text(all.into())
    }

    fn pair(&mut self) -> Res<(Expr, Expr)> {
        let key = self.expression()?;
        self.operator(":")?;
        Ok((key, self.expression()?))
    }

    fn items<T>(&mut self, end: &str, item: impl Fn(&mut Self) -> Res<T>) -> Res<Vec<T>> {
        let mut items = Vec::new();
        while !self.skip_operator(end) {
            if !items.is_empty() {
                self.operator(",")?;
                if self.skip_operator(end) {
                    break;
                }
            }
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// One value, or several with commas between. An empty one needs brackets.
    pub(super) fn tuple(&mut self, brackets: bool, item: impl Fn(&mut Self) -> Res<Expr>) -> Res<Expr> {
        let mut items = Vec::new();
        let mut comma = false;
        // `recursive` ends the items of a loop.
        while !(self.tuple_ends() || comma && self.is_name("recursive")) {
            items.push(item(self)?);
            if !self.skip_operator(",") {
                break;
            }
            comma = true;
        }
        match items.pop() {
            Some(only) if !comma => Ok(only),
            None if !brackets => self.unexpected("a value"),
            last => {
                items.extend(last);
                Ok(Expr::Tuple(items))
            }
        }
    }

    fn tuple_ends(&self) -> bool {
        matches!(self.peek(), None | Some(TokenKind::ExpressionEnd | TokenKind::BlockEnd | TokenKind::Operator(")")))
    }
}

pub(super) fn postfix(value: Expr, steps: Vec<Step>) -> Expr {
    if steps.is_empty() { value } else { Expr::Postfix(Box::new(value), steps) }
}
