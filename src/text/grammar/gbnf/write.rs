//! The writer of Lark.

use std::fmt::Write;

use super::{Part, Rules};

/// Rules become `r0`, `r1` …, terminals `T0`, `T1` … by the number of their rule, and `P0`, `P1` … where they are parts of one.
pub(super) fn write(rules: &Rules) -> String {
    let mut writer = Writer { regular: regular(&rules.parts), lines: String::new(), parts: 0 };
    let root = writer.reference(rules.root);
    let _ = writeln!(writer.lines, "start: {root}");
    for (number, part) in rules.parts.iter().enumerate() {
        let name = writer.reference(number);
        let text = if writer.regular[number] { writer.regular_text(part) } else { writer.rule_text(part) };
        let _ = writeln!(writer.lines, "{name}: {text}");
    }
    writer.lines
}

/// Whether each rule never comes back to itself, nor uses one that does.
fn regular(parts: &[Part]) -> Vec<bool> {
    let mut users = vec![Vec::new(); parts.len()];
    let mut waits_for = vec![0usize; parts.len()];
    for (number, part) in parts.iter().enumerate() {
        part.for_each_rule(&mut |used| {
            users[used].push(number);
            waits_for[number] += 1;
        });
    }
    let mut regular = vec![false; parts.len()];
    let mut ready: Vec<usize> = (0..parts.len()).filter(|number| waits_for[*number] == 0).collect();
    while let Some(number) = ready.pop() {
        regular[number] = true;
        for &user in &users[number] {
            waits_for[user] -= 1;
            if waits_for[user] == 0 {
                ready.push(user);
            }
        }
    }
    regular
}

struct Writer {
    regular: Vec<bool>,
    lines: String,
    parts: usize,
}

impl Writer {
    fn reference(&self, rule: usize) -> String {
        if self.regular[rule] { format!("T{rule}") } else { format!("r{rule}") }
    }

    fn is_regular(&self, part: &Part) -> bool {
        let mut all = true;
        part.for_each_rule(&mut |rule| all &= self.regular[rule]);
        all
    }

    /// A part of a terminal.
    fn regular_text(&self, part: &Part) -> String {
        match part {
            Part::Text(text) => quoted(text),
            Part::Class { negated, ranges } => class(*negated, ranges),
            Part::Rule(rule) => self.reference(*rule),
            Part::Sequence(parts) if parts.is_empty() => quoted(""),
            Part::Sequence(parts) => self.joined(parts, " ", Self::regular_text),
            Part::Choice(parts) => self.joined(parts, " | ", Self::regular_text),
            Part::Repeat(part, least, most) => counted(&self.regular_text(part), *least, *most),
        }
    }

    fn joined(&self, parts: &[Part], by: &str, text: impl Fn(&Self, &Part) -> String) -> String {
        format!("({})", parts.iter().map(|part| text(self, part)).collect::<Vec<_>>().join(by))
    }

    /// A part of a rule; what is regular in it becomes a terminal, as much as lies side by side.
    fn rule_text(&mut self, part: &Part) -> String {
        if self.is_regular(part) {
            return self.terminal(std::slice::from_ref(part));
        }
        match part {
            Part::Sequence(parts) => {
                let mut texts = Vec::new();
                let mut rest = &**parts;
                while !rest.is_empty() {
                    let regular = rest.iter().take_while(|part| self.is_regular(part)).count();
                    let taken = regular.max(1);
                    texts.push(if regular > 0 { self.terminal(&rest[..regular]) } else { self.rule_text(&rest[0]) });
                    rest = &rest[taken..];
                }
                format!("({})", texts.join(" "))
            }
            Part::Choice(parts) => {
                let texts: Vec<String> = parts.iter().map(|part| self.rule_text(part)).collect();
                format!("({})", texts.join(" | "))
            }
            Part::Repeat(part, least, most) => counted(&self.rule_text(part), *least, *most),
            Part::Rule(rule) => self.reference(*rule),
            Part::Text(_) | Part::Class { .. } => self.regular_text(part),
        }
    }

    /// A terminal of these parts, by its name.
    fn terminal(&mut self, parts: &[Part]) -> String {
        if let [Part::Rule(rule)] = parts {
            return self.reference(*rule);
        }
        if parts.iter().all(|part| matches!(part, Part::Sequence(parts) if parts.is_empty())) {
            return quoted("");
        }
        let text = self.joined(parts, " ", Self::regular_text);
        let name = format!("P{}", self.parts);
        self.parts += 1;
        let _ = writeln!(self.lines, "{name}: {text}");
        name
    }
}

fn counted(text: &str, least: u32, most: Option<u32>) -> String {
    match (least, most) {
        (_, Some(0)) => quoted(""),
        (0, None) => format!("({text})*"),
        (1, None) => format!("({text})+"),
        (0, Some(1)) => format!("({text})?"),
        (least, None) => format!("({text}){{{least},}}"),
        (least, Some(most)) => format!("({text}){{{least},{most}}}"),
    }
}

/// Lark's texts are those of JSON, without a raw U+007F.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// Every character by its number, so that none means something.
fn class(negated: bool, ranges: &[(char, char)]) -> String {
    let mut text = String::from(if negated { "/[^" } else { "/[" });
    for (first, last) in ranges {
        let _ = write!(text, "\\x{{{:x}}}-\\x{{{:x}}}", u32::from(*first), u32::from(*last));
    }
    text + "]/"
}
