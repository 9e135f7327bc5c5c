//! The face of the library as text, a line for each public item, and the foreign crates that its signatures name.
//!
//! Not seen: what a macro makes beyond its name, and the features that an item needs.

use std::collections::{BTreeMap, BTreeSet};

use crate::items::{Visibility, paths};
use crate::modules::{Crate, Found};
use crate::public;
use crate::rust::{is_word, item_end, words};

/// What is public, in the order of the paths.
pub(crate) struct Face {
    /// A path, and what it is: `fn(&self) -> &str`, `field u64`, `variant`.
    lines: BTreeSet<(String, String)>,
    /// Path → the crates that its signature names.
    crates: BTreeMap<String, BTreeSet<String>>,
}

impl Face {
    pub(crate) fn read(library: &Crate) -> Self {
        let mut face = Self { lines: BTreeSet::new(), crates: BTreeMap::new() };
        let public: Public = public::names(library)
            .into_iter()
            .filter_map(|(defined, paths)| Some((defined, paths.into_iter().next()?)))
            .collect();
        for (module, here) in &library.modules {
            let scope = Scope { library, module, public: &public };
            for (path, signature) in statements(&here.rest).iter().flat_map(|one| scope.lines(one)) {
                face.crates.entry(path.clone()).or_default().extend(scope.crates(&signature));
                face.lines.insert((path, signature));
            }
            for shown in here.uses.iter().filter(|shown| shown.visibility == Visibility::Public) {
                let krate = scope.origin(&shown.leaf.path, MAX_STEPS);
                face.crates.entry(format!("the `pub use` of {}", here.file)).or_default().extend(krate);
            }
        }
        for path in public.into_values() {
            if face.lines.iter().all(|(shown, _)| *shown != path) {
                face.lines.insert((path, "made by a macro".into()));
            }
        }
        face
    }

    pub(crate) fn text(&self) -> String {
        self.lines.iter().map(|(path, signature)| format!("{path}: {signature}\n")).collect()
    }

    /// The paths that name a crate which `allowed` does not have for them, or for the path of a type or module above.
    pub(crate) fn foreign(&self, allowed: &[(&str, &str)]) -> Vec<String> {
        let all = self.crates.iter().flat_map(|(path, crates)| crates.iter().map(move |krate| (path, krate)));
        let may =
            |path: &str, krate: &str| allowed.iter().any(|(name, below)| *name == krate && path.starts_with(below));
        let foreign = all.filter(|(path, krate)| !may(path, krate));
        foreign.map(|(path, krate)| format!("{path}: names the foreign crate {krate}")).collect()
    }
}

/// The lines that only one of two texts has: `-` before those of the first, `+` before those of the second.
pub(crate) fn changes(old: &str, new: &str) -> Vec<String> {
    let (old, new): (BTreeSet<&str>, BTreeSet<&str>) = (old.lines().collect(), new.lines().collect());
    let mut changes: Vec<(&str, char)> = old.difference(&new).map(|line| (*line, '-')).collect();
    changes.extend(new.difference(&old).map(|line| (*line, '+')));
    changes.sort_unstable();
    changes.into_iter().map(|(line, sign)| format!("{sign} {line}")).collect()
}

/// Where an item is defined, and its public path.
type Public = BTreeMap<(String, String), String>;
/// A path and a signature.
type Line = (String, String);

/// Re-exports of re-exports, and so on.
const MAX_STEPS: usize = 16;

/// What names mean in one module.
struct Scope<'a> {
    library: &'a Crate,
    module: &'a str,
    public: &'a Public,
}

impl Scope<'_> {
    fn public(&self, name: &str) -> Option<String> {
        match self.library.resolve(self.module, name) {
            Found::Item(of, name) => self.public.get(&(of, name)).cloned(),
            _ => None,
        }
    }

    fn lines(&self, item: &Statement) -> Vec<Line> {
        if item.head.strip_prefix("impl").is_some_and(|rest| !rest.starts_with(is_word)) {
            return self.of_impl(item);
        }
        let Some((keyword, name)) = item.named(ITEMS) else { return vec![] };
        let Some(path) = self.public(name).filter(|_| item.is_public) else { return vec![] };
        let mut lines = vec![];
        match keyword {
            "enum" => lines.extend(parts(&item.body).into_iter().map(|variant| {
                let shown = first_path(&variant.head);
                (format!("{path}::{shown}"), variant.open() + "variant" + &variant.head[shown.len()..])
            })),
            "trait" => lines.extend(statements(&item.body).iter().filter_map(|one| {
                let (_, name) = one.named(MEMBERS)?;
                let provided = if one.body.is_empty() { "" } else { " { .. }" };
                Some((format!("{path}::{name}"), one.signature(name) + provided))
            })),
            "struct" | "union" => return self.of_struct(item, name, path),
            _ => {}
        }
        lines.push((path, item.signature(name)));
        lines
    }

    fn of_struct(&self, item: &Statement, name: &str, path: String) -> Vec<Line> {
        let tuple = item.head.find('(').filter(|_| item.body.is_empty());
        let fields = tuple.map_or(item.body.as_str(), |at| inside(&item.head[at..]));
        let mut lines = vec![];
        for (i, field) in parts(fields).into_iter().enumerate().filter(|(_, field)| field.is_public) {
            let (name, of) = match field.head.split_once(": ") {
                Some((name, of)) if tuple.is_none() => (name.to_string(), of),
                _ => (i.to_string(), field.head.as_str()),
            };
            lines.push((format!("{path}::{name}"), format!("field {of}")));
        }
        let head = Statement { head: item.head[..tuple.unwrap_or(item.head.len())].into(), ..item.clone() };
        lines.push((path, head.signature(name)));
        lines
    }

    fn of_impl(&self, item: &Statement) -> Vec<Line> {
        let rest = &item.head["impl".len()..];
        let (generics, rest) = rest.split_at(generics_end(rest));
        let rest = rest.trim_start();
        if let Some((shown, subject)) = of_trait(rest) {
            let shown = self.library.resolve(self.module, first_path(shown));
            let is_seen = match shown {
                Found::Item(of, name) => self.public.contains_key(&(of, name)),
                _ => true,
            };
            let path = self.public(first_path(subject)).filter(|_| is_seen);
            return path.map(|path| (path, item.head.clone())).into_iter().collect();
        }
        let Some(path) = self.public(first_path(rest)) else { return vec![] };
        let limits = if generics.contains(':') { format!(" of {}", item.head) } else { String::new() };
        let members = statements(&item.body);
        let shown = members.iter().filter(|one| one.is_public).filter_map(|one| Some((one, one.named(MEMBERS)?.1)));
        shown.map(|(one, name)| (format!("{path}::{name}"), one.signature(name) + &limits)).collect()
    }

    /// The foreign crates that a signature names.
    fn crates(&self, signature: &str) -> BTreeSet<String> {
        let long = paths(signature);
        let short = signature.split(|c: char| !is_word(c) && c != ':').filter(|word| !word.contains(':'));
        let brought = |word: &&str| self.library.modules[self.module].uses.iter().any(|one| one.leaf.name == **word);
        let names = long.iter().map(String::as_str).chain(short.filter(brought));
        names.filter_map(|name| self.origin(name, MAX_STEPS)).collect()
    }

    /// The crate that `path` comes from, unless it is this one.
    fn origin(&self, path: &str, steps: usize) -> Option<String> {
        let steps = steps.checked_sub(1)?;
        match self.library.resolve(self.module, path) {
            Found::Module(_) => None,
            Found::Item(of, name) => {
                let there = &self.library.modules[&of];
                let is_there = there.items.iter().any(|item| item.name == name);
                let brought = there.uses.iter().find(|one| !is_there && one.leaf.name == name)?;
                Scope { module: &of, ..*self }.origin(&brought.leaf.path, steps)
            }
            Found::Outside => {
                let (first, rest) = path.split_once("::").unwrap_or((path, ""));
                let uses = &self.library.modules[self.module].uses;
                match uses.iter().find(|one| one.leaf.name == first && one.leaf.path != first) {
                    Some(brought) => self.origin(&brought.leaf.path, steps),
                    // An associated type of a parameter, or a word of the language.
                    None if rest.is_empty() || first.starts_with(char::is_uppercase) => None,
                    None => Some(first.into()),
                }
            }
        }
    }
}

const ITEMS: &[&str] = &["fn", "struct", "enum", "union", "trait", "type", "const", "static"];
const MEMBERS: &[&str] = &["fn", "type", "const"];

/// An item or a member of one, a variant or a field.
#[derive(Clone)]
struct Statement {
    /// Up to the body or the semicolon, without attributes and `pub`.
    head: String,
    /// What stands in the braces.
    body: String,
    derived: Vec<String>,
    is_open: bool,
    is_public: bool,
}

impl Statement {
    fn read(text: &str) -> Self {
        let (mut text, mut derived, mut is_open) = (text.trim_start(), Vec::new(), false);
        while let Some(rest) = text.strip_prefix('#') {
            let attribute = &rest[..closing(rest)];
            is_open |= attribute == "[non_exhaustive]";
            if attribute.starts_with("[derive(") {
                derived.extend(
                    inside(attribute[7..].trim_end_matches(']')).split(',').map(tidy).filter(|one| !one.is_empty()),
                );
            }
            text = rest[attribute.len()..].trim_start();
        }
        let open = text.char_indices().scan(0, |depth, (i, c)| {
            *depth += i32::from(matches!(c, '(' | '[')) - i32::from(matches!(c, ')' | ']'));
            Some((i, c == '{' && *depth == 0))
        });
        let brace = open.filter(|(_, opens)| *opens).map(|(i, _)| i).next();
        let head = text[..brace.unwrap_or(text.len())].trim_end_matches([';', ',']);
        let is_public = head.starts_with("pub ");
        let mut head = tidy(head.strip_prefix("pub ").unwrap_or(head));
        // A value is no part of the face.
        if ["const ", "static "].iter().any(|keyword| head.starts_with(keyword)) && !head.contains("fn ") {
            head.truncate(head.find(" =").unwrap_or(head.len()));
        }
        let head = head.replace("(mut self", "(self");
        let body = brace.map_or("", |brace| inside(&text[brace..])).into();
        Self { head, body, derived, is_open, is_public }
    }

    /// The keyword among `keywords` and the name after it.
    fn named(&self, keywords: &[&'static str]) -> Option<(&'static str, &str)> {
        keywords.iter().find_map(|keyword| {
            // Modifiers alone stand before it.
            let at = words(&self.head, keyword).next().filter(|at| !self.head[..*at].contains(['(', '<', ':']))?;
            let name = first_path(self.head[at + keyword.len()..].trim_start());
            (!["", "fn", "unsafe", "async"].contains(&name)).then_some((*keyword, name))
        })
    }

    fn signature(&self, name: &str) -> String {
        let at = words(&self.head, name).next().unwrap_or(0);
        let derived = if self.derived.is_empty() { "".into() } else { format!(", derives {}", self.derived.join(" ")) };
        let (before, after) = (self.head[..at].trim_end(), &self.head[at + name.len()..]);
        self.open() + before + after + &derived
    }

    fn open(&self) -> String {
        if self.is_open { "non_exhaustive ".into() } else { String::new() }
    }
}

/// The statements of a module, an `impl` or a trait.
fn statements(code: &str) -> Vec<Statement> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < code.len() {
        let end = item_end(code, at).max(at + 1);
        found.push(Statement::read(&code[at..end]));
        at = end;
    }
    found.retain(|one| !one.head.is_empty());
    found
}

/// The variants or fields between the commas.
fn parts(code: &str) -> Vec<Statement> {
    let (mut depth, mut from, mut found, mut before) = (0, 0, Vec::new(), ' ');
    for (i, c) in code.char_indices().chain([(code.len(), ',')]) {
        depth += i32::from("([{<".contains(c)) - i32::from(")]}>".contains(c) && (before, c) != ('-', '>'));
        if c == ',' && depth == 0 {
            let mut part = Statement::read(&code[from..i]);
            if !part.body.trim().is_empty() {
                part.head = format!("{} {{ {} }}", part.head, tidy(&part.body).trim_end_matches(','));
            }
            found.push(part);
            from = i + 1;
        }
        before = c;
    }
    found.retain(|one| !one.head.is_empty());
    found
}

/// A trait and its subject, in what follows the parameters of an `impl`.
fn of_trait(rest: &str) -> Option<(&str, &str)> {
    let at = words(rest, "for").find(|at| !rest[at + 3..].starts_with('<'))?;
    Some((&rest[..at], rest[at + 3..].trim_start()))
}

/// Where the parameters end that `code` begins with; 0 if it begins with none.
fn generics_end(code: &str) -> usize {
    if code.starts_with('<') { closing(code) } else { 0 }
}

/// Where the brackets end with which `code` begins.
fn closing(code: &str) -> usize {
    let (mut depth, mut before) = (0, ' ');
    for (i, c) in code.char_indices() {
        depth += i32::from("([{<".contains(c)) - i32::from(")]}>".contains(c) && !(c == '>' && "-=".contains(before)));
        if depth == 0 {
            return i + c.len_utf8();
        }
        before = c;
    }
    code.len()
}

/// What stands in the brackets with which `code` begins.
fn inside(code: &str) -> &str {
    let end = code.rfind([')', '}', ']']).filter(|end| *end > 0);
    end.map_or("", |end| &code[1..end])
}

/// The path with which `code` begins.
fn first_path(code: &str) -> &str {
    code[..code.find(|c: char| !is_word(c) && c != ':').unwrap_or(code.len())].trim_end_matches(':')
}

/// The code on one line, spaced as if it fitted there.
fn tidy(code: &str) -> String {
    let mut line = code.split_whitespace().collect::<Vec<_>>().join(" ");
    for (wide, tight) in [("( ", "("), (" )", ")"), (",)", ")"), ("< ", "<"), (",>", ">"), (", >", ">"), (" .", ".")] {
        line = line.replace(wide, tight);
    }
    line
}
