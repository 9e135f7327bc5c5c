//! The states within a call.

use serde::de::IgnoredAny;
use serde_json::Value;

use super::super::format::{Body, Format, Mark, Varies};
use super::super::literal;
use super::super::scan::{Member, ObjectScan, Quotes, Scan};
use super::marks::{self, Found};
use super::{Reader, State};

/// The longest name of a tool or an argument, or what varies in a mark, in bytes.
const MAX_NAME: usize = 256;
/// The shortest id of a model's own that is taken. Shorter ones count calls, and come again in every answer.
const MIN_ID: usize = 6;

const UNFINISHED: &str = "expected a whole call, but the answer ends in it";

impl Reader {
    pub(super) fn in_call(&mut self, last: bool) -> bool {
        let state = std::mem::replace(&mut self.state, State::Begin);
        match state {
            State::Begin => self.begin(last),
            State::Object { scan, is_plain, sent } => self.object(scan, is_plain, sent, last),
            State::Named { name } => self.named(name, last),
            State::Arguments { name, scan, start, sent } => self.arguments(name, scan, start, sent, last),
            State::Tagged { name, json, searched } => self.tagged(name, json, searched, last),
            State::Literal { name, scan, start } => self.literal(name, scan, start, last),
            State::Bad { reason, searched } => self.bad(reason, searched, last),
            other => self.to(other),
        }
    }

    fn format(&self) -> Format {
        self.terms.format.clone().unwrap_or_default()
    }

    /// Waits for more in `state`, or gives up where there is no more.
    fn wait(&mut self, state: State, last: bool) -> bool {
        if last {
            self.at = self.pending.len();
            return self.refuse(UNFINISHED);
        }
        self.state = state;
        false
    }

    fn refuse(&mut self, reason: impl Into<String>) -> bool {
        self.to(State::Bad { reason: reason.into(), searched: self.at })
    }

    fn begin(&mut self, last: bool) -> bool {
        let is_object = self.terms.format.as_ref().is_some_and(|format| format.body.is_object());
        let rest = self.rest();
        let word = rest.trim_start_matches(|c: char| c.is_whitespace() || is_object && c == '[');
        self.at = self.pending.len() - word.len();
        let word = self.rest();
        if word.is_empty() {
            return self.wait(State::Begin, last);
        }
        // The mark of all calls may be followed by that of each.
        match marks::loose(word, &self.marks.each) {
            Found::Yes(len) if len > 0 => {
                self.at += len;
                return self.to(State::Begin);
            }
            Found::Part if !last => return self.wait(State::Begin, last),
            _ => {}
        }
        if is_object {
            if !word.starts_with('{') {
                return self.refuse("expected a JSON object");
            }
            return self.to(State::Object { scan: ObjectScan::new(self.at), is_plain: false, sent: 0 });
        }
        let name = marks::name(word);
        if name.len() == word.len() && name.len() <= MAX_NAME {
            return self.wait(State::Begin, last);
        }
        // So many bytes say that it is no tool's, in whatever parts they come.
        let name = name[..name.len().min(MAX_NAME + 1)].to_owned();
        self.at += name.len();
        if !self.terms.tools.contains_key(&name) {
            return self.refuse(unknown(&name));
        }
        self.to(State::Named { name })
    }

    /// Past the name: the mark that stands before the arguments.
    fn named(&mut self, name: String, last: bool) -> bool {
        self.skip_blanks();
        let rest = self.rest();
        let Some(next) = rest.chars().next() else { return self.wait(State::Named { name }, last) };
        let (expected, quotes) = match self.format().body {
            Body::Named { mark } => match self.mark(&mark) {
                _ if next == '{' => ('{', None),
                Found::Yes(len) => {
                    let after = rest[len..].trim_start();
                    if after.is_empty() && rest.len() <= MAX_NAME {
                        return self.wait(State::Named { name }, last);
                    }
                    self.at = self.pending.len() - after.len();
                    ('{', None)
                }
                Found::Part => return self.wait(State::Named { name }, last),
                Found::No => return self.refuse("expected the arguments after the name"),
            },
            Body::Tagged { name_end, .. } => match marks::loose(rest, &name_end) {
                Found::Part => return self.wait(State::Named { name }, last),
                found => {
                    self.at += if let Found::Yes(len) = found { len } else { 0 };
                    return self.to(State::Tagged { name, json: String::new(), searched: 0 });
                }
            },
            Body::Bare { quote } => ('{', Some(Quotes::Mark(quote.chars().collect()))),
            Body::Python | Body::Object { .. } => ('(', Some(Quotes::Python)),
        };
        if !self.rest().starts_with(expected) {
            return self.refuse(format!("expected '{expected}' after the name"));
        }
        let start = self.at;
        self.to(match quotes {
            Some(quotes) => State::Literal { name, scan: Scan::new(quotes), start },
            None => State::Arguments { name, scan: Scan::new(Quotes::Json), start, sent: start },
        })
    }

    /// How much of a mark is there.
    fn mark(&self, mark: &Mark) -> Found {
        let rest = self.rest();
        let before = match marks::loose(rest, &mark.before) {
            Found::Yes(len) => len,
            other => return other,
        };
        if mark.varies == Varies::Nothing {
            return Found::Yes(before);
        }
        let (after, rest) = (mark.after.trim(), &rest[before..]);
        match rest.find(after) {
            Some(at) if at <= MAX_NAME => Found::Yes(before + at + after.len()),
            None if rest.len() <= MAX_NAME => Found::Part,
            _ => Found::No,
        }
    }

    fn arguments(&mut self, name: String, mut scan: Scan, start: usize, sent: usize, last: bool) -> bool {
        let end = self.rest().char_indices().find(|(_, c)| scan.push(*c)).map(|(i, c)| self.at + i + c.len_utf8());
        self.at = end.unwrap_or(self.pending.len());
        let more = self.pending[sent..self.at].to_owned();
        if !more.is_empty() {
            self.show_arguments(&name, &more);
        }
        if end.is_none() {
            let sent = self.at;
            return self.wait(State::Arguments { name, scan, start, sent }, last);
        }
        let arguments = self.pending[start..self.at].to_owned();
        if let Err(error) = serde_json::from_str::<IgnoredAny>(&arguments) {
            return self.refuse(format!("expected JSON arguments, got: {error}"));
        }
        self.called(None, name, arguments)
    }

    fn object(&mut self, mut scan: ObjectScan, is_plain: bool, mut sent: usize, last: bool) -> bool {
        let Body::Object { name: name_key, arguments: arguments_key } = self.format().body else {
            return self.refuse("expected a call of another kind");
        };
        let names = (&*name_key, &*arguments_key);
        let pending = &self.pending;
        let end = pending[self.at..].char_indices().find_map(|(i, c)| {
            let at = self.at + i;
            scan.push(c, at, pending, names).then_some(at + c.len_utf8())
        });
        self.at = end.unwrap_or(self.pending.len());
        let name = scan.member(Member::Name, &self.pending).and_then(|name| serde_json::from_str::<String>(name).ok());
        let is_known = name.as_ref().is_some_and(|name| self.terms.tools.contains_key(name));
        let is_other = scan.has_other || name.is_some() && !is_known;
        if is_plain && (is_other || (end.is_some() || last) && !is_known && !self.has_function(&scan)) {
            self.show(self.call..self.at, false);
            return self.to(State::Text);
        }
        if let (Some(name), true) = (&name, is_known)
            && let Some(range) = scan.arguments(self.at, &self.pending)
        {
            sent = sent.max(range.start);
            if range.end > sent {
                let more = self.pending[sent..range.end].to_owned();
                self.show_arguments(name, &more);
                sent = range.end;
            }
        }
        if end.is_none() {
            return self.wait(State::Object { scan, is_plain, sent }, last);
        }
        match self.read_object(&scan, name) {
            Ok((id, name, arguments)) => {
                if sent == 0 {
                    self.show_arguments(&name, &arguments);
                }
                self.called(id, name, arguments)
            }
            Err(_) if is_plain && !is_known => {
                self.show(self.call..self.at, false);
                self.to(State::Text)
            }
            Err(reason) => self.refuse(reason),
        }
    }

    fn has_function(&self, scan: &ObjectScan) -> bool {
        scan.member(Member::Function, &self.pending).is_some_and(|function| function.starts_with('{'))
    }

    /// The id, name and arguments of a whole object.
    fn read_object(&self, scan: &ObjectScan, name: Option<String>) -> Result<(Option<String>, String, String), String> {
        let object = &self.pending[scan.start..self.at];
        serde_json::from_str::<IgnoredAny>(object).map_err(|error| format!("expected JSON, got: {error}"))?;
        let text = |member| scan.member(member, &self.pending);
        let id = text(Member::Id).and_then(|id| serde_json::from_str::<String>(id).ok());
        let id = id.filter(|id| id.len() >= MIN_ID);
        let (name, arguments) = match (name, text(Member::Function)) {
            (Some(name), _) => (name, text(Member::Arguments).unwrap_or("{}").to_owned()),
            (None, Some(function)) => {
                let function: Value = serde_json::from_str(function).map_err(|error| error.to_string())?;
                let name = function.get("name").and_then(Value::as_str).ok_or("expected the name of a tool")?;
                let arguments = function.get("arguments").or_else(|| function.get("parameters"));
                (name.to_owned(), arguments.map_or_else(|| "{}".to_owned(), Value::to_string))
            }
            (None, None) => return Err("expected the name of a tool".into()),
        };
        if !self.terms.tools.contains_key(&name) {
            return Err(unknown(&name));
        }
        // Some write the arguments as a text that is JSON.
        let arguments = match serde_json::from_str::<String>(&arguments) {
            Ok(text) => text,
            Err(_) if arguments == "null" => "{}".to_owned(),
            Err(_) => arguments,
        };
        match serde_json::from_str::<IgnoredAny>(&arguments) {
            Ok(_) if arguments.trim_start().starts_with('{') => Ok((id, name, arguments)),
            Ok(_) => Err("expected arguments that are a JSON object".into()),
            Err(error) => Err(format!("expected JSON arguments, got: {error}")),
        }
    }

    fn tagged(&mut self, name: String, mut json: String, searched: usize, last: bool) -> bool {
        let Format { end, body: Body::Tagged { key_begin, key_end, value_end, .. }, .. } = self.format() else {
            return self.refuse("expected a call of another kind");
        };
        self.skip_blanks();
        let rest = self.rest();
        let ends = marks::loose(rest, &end);
        match marks::loose(rest, &key_begin) {
            Found::Yes(len) => {
                let argument = self.argument(len, &key_end, &value_end, searched);
                let (key, value, at) = match argument {
                    Ok(Some(argument)) => argument,
                    Ok(None) => {
                        let searched = self.pending.len();
                        return self.wait(State::Tagged { name, json, searched }, last);
                    }
                    Err(reason) => return self.refuse(reason),
                };
                let is_text = self.terms.tools.get(&name).and_then(|parameters| parameters.get(&key)).copied();
                let value = typed(value, is_text);
                let more = format!("{}{}: {value}", if json.is_empty() { "{" } else { ", " }, Value::from(key));
                self.at = at;
                self.show_arguments(&name, &more);
                json += &more;
                self.to(State::Tagged { name, json, searched: 0 })
            }
            found => match ends {
                Found::Yes(_) => {
                    let rest = if json.is_empty() { "{}" } else { "}" };
                    self.show_arguments(&name, rest);
                    json += rest;
                    self.called(None, name, json)
                }
                Found::No if found == Found::No => self.refuse("expected an argument, or the end of the call"),
                _ => self.wait(State::Tagged { name, json, searched: 0 }, last),
            },
        }
    }

    /// The key and value of an argument whose mark is `begin` bytes long, and where it ends; `None` if it does not yet.
    fn argument(
        &self,
        begin: usize,
        key_end: &Mark,
        value_end: &str,
        searched: usize,
    ) -> Result<Option<(String, &str, usize)>, String> {
        let rest = &self.pending[self.at + begin..];
        let mark = key_end.before.trim();
        let (key, after_key) = match rest.find(mark) {
            Some(at) if at <= MAX_NAME => (&rest[..at], at + mark.len()),
            None if rest.len() <= MAX_NAME + mark.len() => return Ok(None),
            _ => return Err("expected the name of an argument".into()),
        };
        let mut value_at = self.at + begin + after_key;
        if key_end.varies != Varies::Nothing {
            let (varying, mark) = (&self.pending[value_at..], key_end.after.trim());
            match varying.find(mark) {
                Some(at) if at <= MAX_NAME => value_at += at + mark.len(),
                None if varying.len() <= MAX_NAME + mark.len() => return Ok(None),
                _ => return Err("expected the value of an argument".into()),
            }
        }
        let mark = value_end.trim();
        let mut from = value_at.max(searched.saturating_sub(mark.len()));
        while !self.pending.is_char_boundary(from) {
            from -= 1;
        }
        let Some(at) = self.pending[from..].find(mark) else { return Ok(None) };
        let value = &self.pending[value_at..from + at];
        // The blanks that belong to the marks.
        let last = if key_end.varies == Varies::Nothing { &key_end.before } else { &key_end.after };
        let value = if last.ends_with('\n') { value.strip_prefix('\n').unwrap_or(value) } else { value };
        let value = if value_end.starts_with('\n') { value.strip_suffix('\n').unwrap_or(value) } else { value };
        // There is a template that writes texts as XML has them where they would not be XML.
        let raw = value.strip_prefix("<![CDATA[").and_then(|value| value.strip_suffix("]]>"));
        Ok(Some((key.trim().to_owned(), raw.unwrap_or(value), from + at + mark.len())))
    }

    fn literal(&mut self, name: String, mut scan: Scan, start: usize, last: bool) -> bool {
        let end = self.rest().char_indices().find(|(_, c)| scan.push(*c)).map(|(i, c)| self.at + i + c.len_utf8());
        self.at = end.unwrap_or(self.pending.len());
        if end.is_none() {
            return self.wait(State::Literal { name, scan, start }, last);
        }
        let text = &self.pending[start..self.at];
        let read = match self.format().body {
            Body::Bare { quote } => literal::bare(text, &quote),
            _ => literal::python(text),
        };
        match read {
            Ok(arguments) => {
                let arguments = arguments.to_string();
                self.show_arguments(&name, &arguments);
                self.called(None, name, arguments)
            }
            Err(reason) => self.refuse(reason),
        }
    }

    /// What is no call goes to the mark that would end it, if there is one.
    fn bad(&mut self, reason: String, searched: usize, last: bool) -> bool {
        let Format { end, close, .. } = self.format();
        let marks = [end.trim(), close.trim()];
        let Some(mark) = marks.into_iter().find(|mark| !mark.is_empty()) else { return self.malformed(reason) };
        let mut from = self.at.max(searched.saturating_sub(mark.len()));
        while !self.pending.is_char_boundary(from) {
            from -= 1;
        }
        match self.pending[from..].find(mark) {
            Some(at) => {
                self.at = from + at + mark.len();
                self.malformed(reason)
            }
            None if last => {
                self.at = self.pending.len();
                self.malformed(reason)
            }
            None => {
                self.state = State::Bad { reason, searched: self.pending.len() };
                false
            }
        }
    }
}

/// The value of an argument that stands in marks, as JSON. A text is taken as it is.
fn typed(text: &str, is_text: Option<bool>) -> Value {
    let read = if is_text == Some(true) { None } else { literal::value(text) };
    read.unwrap_or_else(|| Value::from(text))
}

fn unknown(name: &str) -> String {
    format!("expected the name of a tool, got '{}'", name.chars().take(64).collect::<String>())
}
