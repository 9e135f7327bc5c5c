//! Postfixes of a value: attributes, items, calls, filters and tests; and what a value is assigned to.

use super::Res;
use super::grammar::{Parser, postfix};
use super::lexer::TokenKind;
use super::syntax::{Arguments, Expr, Filter, Name, Step, Target};

impl Parser {
    /// `.name`, `[…]`, `(…)`
    pub(super) fn attributes(&mut self) -> Res<Vec<Step>> {
        let mut steps = Vec::new();
        loop {
            if self.skip_operator(".") {
                steps.push(self.attribute()?);
            } else if self.skip_operator("[") {
                steps.push(self.deeper(Self::subscript)?);
            } else if self.is_operator("(") {
                steps.push(Step::Call(self.arguments()?));
            } else {
                return Ok(steps);
            }
        }
    }

    fn attribute(&mut self) -> Res<Step> {
        let step = match self.peek() {
            Some(TokenKind::Name(name)) => Step::Attribute(name.clone()),
            Some(TokenKind::Int(number)) => Step::Item(Expr::Int(*number)),
            _ => return self.unexpected("a name or a number"),
        };
        self.at += 1;
        Ok(step)
    }

    fn subscript(&mut self) -> Res<Step> {
        let ends = |parser: &Self| parser.is_operator("]") || parser.is_operator(":");
        let mut parts = [None, None, None];
        let mut colons = 0;
        loop {
            if !ends(self) {
                parts[colons] = Some(self.expression()?);
            }
            if colons == 2 || !self.skip_operator(":") {
                break;
            }
            colons += 1;
        }
        let [first, _, _] = &mut parts;
        let step = match first.take() {
            Some(item) if colons == 0 && self.is_operator(",") => {
                let mut items = vec![item];
                while self.skip_operator(",") {
                    items.push(self.expression()?);
                }
                Step::Item(Expr::Tuple(items))
            }
            Some(item) if colons == 0 => Step::Item(item),
            None if colons == 0 => return self.unexpected("a value"),
            first_part => {
                *first = first_part;
                Step::Slice(Box::new(parts))
            }
        };
        self.operator("]")?;
        Ok(step)
    }

    pub(super) fn arguments(&mut self) -> Res<Arguments> {
        self.operator("(")?;
        let mut arguments = Arguments::default();
        let mut some = false;
        while !self.skip_operator(")") {
            if some {
                self.operator(",")?;
                if self.skip_operator(")") {
                    break;
                }
            }
            some = true;
            self.argument(&mut arguments)?;
        }
        Ok(arguments)
    }

    fn argument(&mut self, arguments: &mut Arguments) -> Res<()> {
        let stars = arguments.list.is_some() || arguments.dict.is_some();
        if self.skip_operator("*") {
            if stars {
                return self.fail("'*' may be given once, before '**'");
            }
            arguments.list = Some(Box::new(self.expression()?));
        } else if self.skip_operator("**") {
            if arguments.dict.is_some() {
                return self.fail("'**' may be given once");
            }
            arguments.dict = Some(Box::new(self.expression()?));
        } else if let (Some(TokenKind::Name(name)), Some(TokenKind::Operator("="))) = (self.peek(), self.peek_after()) {
            let name = name.clone();
            self.at += 2;
            let value = self.expression()?;
            arguments.named.push((name, value));
        } else if stars || !arguments.named.is_empty() {
            return self.fail("arguments without a name come first");
        } else {
            arguments.positional.push(self.expression()?);
        }
        Ok(())
    }

    /// `| filter`, `is test`, `(…)`
    pub(super) fn filters_and_tests(&mut self) -> Res<Vec<Step>> {
        let mut steps = Vec::new();
        loop {
            if self.skip_operator("|") {
                steps.push(Step::Filter(self.filter()?));
            } else if self.skip_name("is") {
                steps.push(self.test()?);
            } else if self.is_operator("(") {
                steps.push(Step::Call(self.arguments()?));
            } else {
                return Ok(steps);
            }
        }
    }

    fn dotted(&mut self) -> Res<Name> {
        let mut name = self.name()?.to_string();
        while self.skip_operator(".") {
            name.push('.');
            name.push_str(&self.name()?);
        }
        Ok(name.into())
    }

    pub(super) fn filter(&mut self) -> Res<Filter> {
        let name = self.dotted()?;
        let arguments = if self.is_operator("(") { self.arguments()? } else { Arguments::default() };
        Ok(Filter { name, arguments })
    }

    fn test(&mut self) -> Res<Step> {
        let negated = self.skip_name("not");
        let name = self.dotted()?;
        let mut arguments = Arguments::default();
        match self.peek() {
            Some(TokenKind::Operator("(")) => arguments = self.arguments()?,
            Some(TokenKind::Name(next)) if matches!(&**next, "else" | "or" | "and") => {}
            Some(TokenKind::Name(next)) if &**next == "is" => return self.fail("'is' cannot follow a test"),
            Some(
                TokenKind::Name(_)
                | TokenKind::Text(_)
                | TokenKind::Int(_)
                | TokenKind::Float(_)
                | TokenKind::Operator("[" | "{"),
            ) => {
                let value = self.primary()?;
                let steps = self.attributes()?;
                arguments.positional.push(postfix(value, steps));
            }
            _ => {}
        }
        Ok(Step::Test { name, arguments, negated })
    }

    /// What a value is assigned to; several with commas between.
    pub(super) fn target(&mut self) -> Res<Target> {
        self.deeper(|parser| {
            let mut targets = Vec::new();
            let mut comma = false;
            loop {
                targets.push(parser.single_target()?);
                if !parser.skip_operator(",") {
                    break;
                }
                comma = true;
                if !matches!(parser.peek(), Some(TokenKind::Name(_) | TokenKind::Operator("("))) || parser.is_name("in")
                {
                    break;
                }
            }
            Ok(if comma { Target::Tuple(targets) } else { targets.remove(0) })
        })
    }

    fn single_target(&mut self) -> Res<Target> {
        if self.skip_operator("(") {
            let target = self.target()?;
            self.operator(")")?;
            return Ok(target);
        }
        let name = self.name()?;
        if matches!(&*name, "true" | "false" | "none" | "True" | "False" | "None") {
            return self.fail(format!("nothing can be assigned to '{name}'"));
        }
        match self.skip_operator(".") {
            true => Ok(Target::Attribute(name, self.name()?)),
            false => Ok(Target::Name(name)),
        }
    }
}
