//! Reading Rust, just enough for the rules.

/// What a use tree names: a path, and the name it gets here.
#[derive(Debug, PartialEq)]
pub(crate) struct Leaf {
    pub(crate) path: String,
    pub(crate) name: String,
}

impl Leaf {
    pub(crate) fn first(&self) -> &str {
        self.path.split("::").next().unwrap_or("")
    }

    /// The same below `module`, whose own name `self` is.
    fn under(self, module: &str) -> Self {
        let name = if self.name == "self" { module.into() } else { self.name };
        let path = if self.path == "self" { module.into() } else { format!("{module}::{}", self.path) };
        Self { path, name }
    }
}

/// The leaves of the use tree, or of the path, that `code` begins with: `a::{b, c::d as e}` is `a::b` and `a::c::d` as `e`.
pub(crate) fn leaves(code: &str) -> Vec<Leaf> {
    let code = code.trim_start();
    if let Some(group) = code.strip_prefix('{') {
        return branches(group).into_iter().flat_map(leaves).collect();
    }
    let end = code.find(|c: char| !is_word(c)).unwrap_or(code.len());
    let (name, rest) = (&code[..end], code[end..].trim_start());
    if name.is_empty() {
        // A glob hides what it brings.
        let glob = || Leaf { path: "*".into(), name: "*".into() };
        return if code.starts_with('*') { vec![glob()] } else { vec![] };
    }
    match rest.strip_prefix("::").map(leaves).filter(|below| !below.is_empty()) {
        Some(below) => below.into_iter().map(|leaf| leaf.under(name)).collect(),
        None => {
            let alias = rest.strip_prefix("as ").map(|alias| alias.split(|c| !is_word(c)).next().unwrap_or(""));
            vec![Leaf { path: name.into(), name: alias.unwrap_or(name).into() }]
        }
    }
}

/// The parts between the commas of a group, up to its closing brace.
fn branches(group: &str) -> Vec<&str> {
    let (mut depth, mut from, mut all) = (0, 0, Vec::new());
    for (i, c) in group.char_indices() {
        match c {
            ',' | '}' if depth == 0 => {
                all.push(&group[from..i]);
                from = i + 1;
                if c == '}' {
                    break;
                }
            }
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    all
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `word` stands as a word of its own.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(i, _)| i).filter(move |i| {
        let after = code[i + word.len()..].chars().next();
        !code[..*i].chars().next_back().is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// The code with blanks for strings, characters and comments, line by line as before.
pub(crate) fn blank_strings_and_comments(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let raw = if is_word(before) { None } else { raw_string(rest) };
        let skipped = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => 1 + quoted(&rest[1..], '"'),
            '\'' => character(rest),
            _ => raw.unwrap_or(0),
        };
        let (gone, kept) = if skipped > 0 { (&rest[..skipped], "") } else { ("", &rest[..c.len_utf8()]) };
        code.extend(gone.chars().map(|c| if c == '\n' { c } else { ' ' }));
        code += kept;
        before = c;
        rest = &rest[gone.len() + kept.len()..];
    }
    code
}

/// Bytes up to and with the closing quote.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return i + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw_string(text: &str) -> Option<usize> {
    let body = text.strip_prefix("br").or(text.strip_prefix("cr")).or(text.strip_prefix('r'))?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let body = body[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(text.len() - body.len() + body.find(&end).map_or(body.len(), |i| i + end.len()))
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut i) = (0, 0);
    while i < text.len() {
        let rest = &text.as_bytes()[i..];
        match (rest.starts_with(b"/*"), rest.starts_with(b"*/")) {
            (true, _) => (depth, i) = (depth + 1, i + 2),
            (_, true) => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    text.len()
}

/// The bytes of a character literal; 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut inside = text[1..].chars();
    match (inside.next(), inside.next()) {
        (Some('\\'), _) => 1 + quoted(&text[1..], '\''),
        (Some(c), Some('\'')) => c.len_utf8() + 2,
        _ => 0,
    }
}

/// The code without the items that exist in tests only.
pub(crate) fn blank_tests(code: &str) -> String {
    let mut code = code.to_string();
    let mut from = 0;
    while let Some(at) = code[from..].find("#[cfg(").map(|i| i + from) {
        let attribute = &code[at..at + code[at..].find(']').unwrap_or(code.len() - at)];
        from = at + 1;
        if words(attribute, "test").next().is_some() && words(attribute, "not").next().is_none() {
            let end = item_end(&code, at);
            blank(&mut code, at, end);
        }
    }
    code
}

/// Where the item that begins at `at` ends: after its semicolon or its closing brace.
pub(crate) fn item_end(code: &str, at: usize) -> usize {
    let mut depth = 0;
    for (i, c) in code[at..].char_indices() {
        match c {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return at + i;
        }
        if depth == 0 && (c == ';' || c == '}') {
            return at + i + 1;
        }
    }
    code.len()
}

pub(crate) fn blank(code: &mut String, from: usize, to: usize) {
    let blank: String =
        code[from..to].chars().map(|c| if c == '\n' { "\n".into() } else { " ".repeat(c.len_utf8()) }).collect();
    code.replace_range(from..to, &blank);
}
