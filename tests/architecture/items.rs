//! The items of a module's code: what it defines, what it uses, what it names by a path.
//!
//! All take code without strings, comments and tests.

use crate::rust::{Leaf, blank, is_word, item_end, leaves, words};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Module,
    Type,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Visibility {
    Private,
    /// `pub(crate)` and the like.
    Restricted,
    Public,
}

pub(crate) struct Item {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) visibility: Visibility,
}

/// One leaf of a `use`.
pub(crate) struct Use {
    pub(crate) leaf: Leaf,
    pub(crate) visibility: Visibility,
}

const KEYWORDS: &[(&str, Kind)] = &[
    ("mod", Kind::Module),
    ("struct", Kind::Type),
    ("enum", Kind::Type),
    ("union", Kind::Type),
    ("trait", Kind::Type),
    ("type", Kind::Type),
    ("fn", Kind::Other),
    ("const", Kind::Other),
    ("static", Kind::Other),
    ("macro_rules!", Kind::Other),
];

/// What the module itself defines: not what stands in a body or in a macro.
pub(crate) fn items(code: &str) -> Vec<Item> {
    let top = top_level(code);
    let mut items = Vec::new();
    for (keyword, kind) in KEYWORDS {
        for i in words(&top, keyword) {
            let rest = top[i + keyword.len()..].trim_start();
            let name = ident(rest.strip_prefix("mut ").unwrap_or(rest));
            // `const fn`, and the type `fn(x)`.
            if !name.is_empty() && !["fn", "unsafe", "extern", "async"].contains(&name) {
                items.push(Item { kind: *kind, name: name.into(), visibility: visibility(&top[..i]) });
            }
        }
    }
    items
}

/// How visible is what begins after `before`.
fn visibility(before: &str) -> Visibility {
    let mut before = before.trim_end();
    while let Some(shorter) = ["const", "unsafe", "async", "extern"]
        .iter()
        .find_map(|modifier| before.strip_suffix(modifier).filter(|rest| rest.ends_with(char::is_whitespace)))
    {
        before = shorter.trim_end();
    }
    let last = before.rsplit([';', '}', ']']).next().unwrap_or("").trim();
    match last.strip_prefix("pub") {
        Some("") => Visibility::Public,
        Some(scope) if scope.trim_start().starts_with('(') && scope.ends_with(')') => Visibility::Restricted,
        _ => Visibility::Private,
    }
}

/// The code with blanks for what stands in braces.
fn top_level(code: &str) -> String {
    let mut depth = 0;
    let mut kept = |c: char| {
        depth -= i32::from(c == '}');
        let keep = depth == 0;
        depth += i32::from(c == '{');
        keep || c == '\n'
    };
    code.chars().map(|c| if kept(c) { c.to_string() } else { " ".repeat(c.len_utf8()) }).collect()
}

/// The inline modules, name and body, and the code with `mod name;` in their place.
pub(crate) fn inline_modules(code: &str) -> (String, Vec<(String, String)>) {
    let (mut code, mut modules) = (code.to_string(), Vec::new());
    let starts: Vec<usize> = words(&code, "mod").collect();
    for start in starts {
        let after = code[start + 3..].trim_start();
        let name = ident(after).to_string();
        let open = code.len() - after.len() + name.len();
        let gap = code[open..].len() - code[open..].trim_start().len();
        // One that stands in another is blank by now.
        if name.is_empty() || !code[start..].starts_with("mod") || !code[open + gap..].starts_with('{') {
            continue;
        }
        let end = item_end(&code, open + gap);
        modules.push((name, code[open + gap + 1..end - 1].to_string()));
        blank(&mut code, open + gap, end);
        code.replace_range(open + gap..=open + gap, ";");
    }
    (code, modules)
}

pub(crate) fn uses(code: &str) -> Vec<Use> {
    let statements = use_statements(code).into_iter();
    statements
        .flat_map(|(start, _)| {
            let visibility = visibility(&code[..start]);
            leaves(&code[start + 3..]).into_iter().map(move |leaf| Use { leaf, visibility })
        })
        .collect()
}

/// The code without its `use` and `mod x;` statements.
pub(crate) fn without_uses(code: &str) -> String {
    let mut rest = code.to_string();
    let modules = words(code, "mod").map(|i| (i, item_end(code, i)));
    for (start, end) in use_statements(code).into_iter().chain(modules) {
        blank(&mut rest, start - visibility_len(&code[..start]), end);
    }
    rest
}

/// The bytes of the `pub` or `pub(crate)` that `before` ends with, and of the space behind it.
fn visibility_len(before: &str) -> usize {
    let shown = before.trim_end();
    let shown = shown.strip_suffix(')').and_then(|scope| scope.rsplit_once('(')).map_or(shown, |(shown, _)| shown);
    shown.strip_suffix("pub").filter(|rest| !rest.ends_with(is_word)).map_or(0, |rest| before.len() - rest.len())
}

/// From `use` up to and with the semicolon; `use<'a>` of a return type is none.
fn use_statements(code: &str) -> Vec<(usize, usize)> {
    let is_one = |i: &usize| !leaves(&code[i + 3..]).is_empty();
    let end = |i: usize| code[i..].find(';').map_or(code.len(), |n| i + n + 1);
    words(code, "use").filter(is_one).map(|i| (i, end(i))).collect()
}

/// Every path of two names or more: `a::b::C`.
pub(crate) fn paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut at = 0;
    while let Some(i) = code[at..].find("::").map(|i| i + at) {
        let start =
            code[..i].rfind(|c| !is_word(c)).map_or(0, |n| n + code[n..].chars().next().map_or(1, char::len_utf8));
        let mut path = code[start..i].to_string();
        let mut end = i;
        while let Some(rest) = code[end..].strip_prefix("::") {
            let name = ident(rest);
            if name.is_empty() {
                end += 2;
                break;
            }
            path = path + "::" + name;
            end += 2 + name.len();
        }
        if start < i && path.contains("::") {
            paths.push(path);
        }
        at = end;
    }
    paths
}

fn ident(code: &str) -> &str {
    &code[..code.find(|c| !is_word(c)).unwrap_or(code.len())]
}
