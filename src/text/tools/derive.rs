//! Derivation of a format from what a template makes of calls that are known.

use std::ops::Range;

use serde_json::Value;

use super::format::{Body, Format, Mark, Varies};
use super::tags;
use crate::engine::ToolCall;

/// Calls that no template knows, and whose parts are found again in whatever a template makes of them.
pub(in crate::text) struct Sentinels;

const NAMES: [&str; 2] = ["sentinel_one", "sentinel_two"];
/// Nine letters and digits, for there is a template that takes no other; without a common beginning or end.
const IDS: [&str; 2] = ["a1b2c3d4e", "z9y8x7w6v"];
const KEYS: [&str; 2] = ["first_key", "second_key"];
const TEXT: &str = "first_value";
const NUMBER: &str = "12345";

/// The longest beginning of a tag, in bytes.
const MAX_TAG: usize = 40;

impl Sentinels {
    /// A text that stands where calls do in other answers.
    pub(in crate::text) const CONTENT: &'static str = "Sentinel content.";
    pub(in crate::text) const RESULT: &'static str = "Sentinel result.";

    /// The first `count` of two calls.
    pub(in crate::text) fn calls(count: usize) -> Vec<ToolCall> {
        let [first, second] = KEYS;
        let arguments = format!("{{\"{first}\": \"{TEXT}\", \"{second}\": {NUMBER}}}");
        (0..count.min(2)).map(|i| ToolCall::new(IDS[i], NAMES[i], &*arguments)).collect()
    }

    /// The schema of both.
    pub(in crate::text) fn tools() -> Vec<crate::engine::Tool> {
        let [first, second] = KEYS;
        let parameters = format!(
            r#"{{"type": "object", "properties": {{"{first}": {{"type": "string", "description": "A text."}}, "{second}": {{"type": "integer", "description": "A number."}}}}, "required": ["{first}"]}}"#
        );
        NAMES.iter().map(|name| crate::engine::Tool::new(*name, "A tool.", &*parameters)).collect()
    }

    /// Whether a text tells of as many.
    pub(super) fn are_in(text: &str, count: usize) -> bool {
        NAMES[..count].iter().all(|name| text.contains(name))
    }
}

/// The format of calls: of an answer with two where the template writes two, else of one with one.
///
/// `plain` is the conversation with [`Sentinels::CONTENT`] instead of calls. With it comes the answer by itself.
pub(super) fn derived<'t>(plain: &'t str, called: &'t str) -> Option<(Format, &'t str)> {
    let (answer, text_begin) = answer(plain, called)?;
    let text_begin = if tags::mentioned(text_begin) { "" } else { text_begin };
    let (body, first) = body(answer, NAMES[0], 0)?;
    let mut format = Format { body, text_begin: text_begin.to_owned(), ..Format::default() };
    let before = &answer[..first.start];
    let Some((second_body, second)) = self::body(answer, NAMES[1], first.end) else {
        let rest = &answer[first.end..];
        (format.begin, format.end) = (before.to_owned(), rest.to_owned());
        return is_general(&format).then_some((format, answer));
    };
    if let (Body::Named { mark }, Body::Named { mark: other }) = (&mut format.body, &second_body) {
        *mark = varying(&mark.before, &other.before);
    }
    let (middle, rest) = (&answer[first.end..second.start], &answer[second.end..]);
    let begin = whole_tags_at_end(before, common_suffix(before, middle));
    format.open = before[..before.len() - begin.len()].to_owned();
    let middle = &middle[..middle.len() - begin.len()];
    let end = whole_tags_at_begin(&middle[..common_prefix(middle, rest)]);
    format.between = middle[end.len()..].to_owned();
    // What follows the first tag ends the message.
    let close = &rest[end.len()..];
    format.close = close[..close.find('>').map_or(close.len(), |at| at + 1)].to_owned();
    let answer = &answer[..second.end + end.len() + format.close.len()];
    (format.begin, format.end) = (begin.to_owned(), end.to_owned());
    is_general(&format).then_some((format, answer))
}

/// Whether nothing in the marks is of the sentinels themselves.
fn is_general(format: &Format) -> bool {
    format.texts().iter().all(|mark| NAMES.iter().chain(&IDS).all(|own| !mark.contains(own)))
}

/// The answer in a conversation that is otherwise the same, and what a text begins with there.
pub(super) fn answer<'t>(plain: &'t str, called: &'t str) -> Option<(&'t str, &'t str)> {
    // Tags that differ may begin alike, and end so.
    let begin = whole_tags_at_begin(&called[..common_prefix(plain, called)]).len();
    let content = plain.rfind(Sentinels::CONTENT)?;
    let after = &plain[content + Sentinels::CONTENT.len()..];
    let mut end = called.len() - common_suffix(after, &called[begin..]);
    if whole_tags_at_begin(&called[begin..end]).len() < end - begin {
        end += called[end..].find('>').map_or(0, |at| at + 1);
    }
    Some((tags::without_empty(&called[begin..end]), plain.get(begin..content).unwrap_or_default()))
}

/// The body of the call of this name, and where it is.
fn body(text: &str, name: &str, from: usize) -> Option<(Body, Range<usize>)> {
    let at = from + text[from..].find(name)?;
    let after = at + name.len();
    object(text, name, from, at)
        .or_else(|| named(text, at, after))
        .or_else(|| literal(text, at, after))
        .or_else(|| tagged(text, at, after))
}

fn object(text: &str, name: &str, from: usize, at: usize) -> Option<(Body, Range<usize>)> {
    for (start, _) in text[from..at].rmatch_indices('{').take(3) {
        let start = from + start;
        let Some((Value::Object(members), len)) = json_at(&text[start..]) else { continue };
        let is_name = |value: &Value| value.as_str() == Some(name);
        let is_arguments =
            |value: &Value| value.get(KEYS[0]).is_some() || value.as_str().is_some_and(|text| text.contains(KEYS[0]));
        let key = |is: &dyn Fn(&Value) -> bool| members.iter().find(|(_, value)| is(value)).map(|(key, _)| key);
        if let (Some(name), Some(arguments)) = (key(&is_name), key(&is_arguments)) {
            return Some((Body::object(name, arguments), start..start + len));
        }
    }
    None
}

fn named(text: &str, at: usize, after: usize) -> Option<(Body, Range<usize>)> {
    let start = after + text[after..].find('{')?;
    let (value, len) = json_at(&text[start..])?;
    (value.get(KEYS[0])?.as_str()? == TEXT).then_some(())?;
    Some((Body::Named { mark: Mark::fixed(&text[after..start]) }, at..start + len))
}

fn literal(text: &str, at: usize, after: usize) -> Option<(Body, Range<usize>)> {
    let [first, second] = KEYS;
    let rest = &text[after..];
    let end = |last: String| Some(after + rest.find(&last)? + last.len());
    if rest.starts_with(&format!("({first}=")) {
        return Some((Body::Python, at..end(format!("{second}={NUMBER})"))?));
    }
    let quoted = rest.strip_prefix(&format!("{{{first}:"))?;
    let quote = quoted[..quoted.find(TEXT)?].to_owned();
    Some((Body::Bare { quote }, at..end(format!("{second}:{NUMBER}}}"))?))
}

fn tagged(text: &str, at: usize, after: usize) -> Option<(Body, Range<usize>)> {
    let mut places = Vec::new();
    let mut from = after;
    for part in [KEYS[0], TEXT, KEYS[1], NUMBER] {
        let start = from + text[from..].find(part)?;
        places.push((start, start + part.len()));
        from = start + part.len();
    }
    let [key, value, next_key, next_value] = *places else { return None };
    let (to_key, to_next) = (&text[after..key.0], &text[value.1..next_key.0]);
    // Marks that repeat the key are of another kind.
    if to_next.contains(KEYS[0]) {
        return None;
    }
    let key_begin = whole_tags_at_end(to_key, common_suffix(to_key, to_next));
    let name_end = &to_key[..to_key.len() - key_begin.len()];
    let value_end = &to_next[..to_next.len() - key_begin.len()];
    let key_end = varying(&text[key.1..value.0], &text[next_key.1..next_value.0]);
    let rest = &text[next_value.1..];
    let end = [value_end, value_end.trim_end()].into_iter().find(|mark| rest.starts_with(mark))?.len();
    if value_end.trim().is_empty() || key_begin.trim().is_empty() {
        return None;
    }
    let own = str::to_owned;
    let body = Body::Tagged { name_end: own(name_end), key_begin: own(key_begin), key_end, value_end: own(value_end) };
    Some((body, at..next_value.1 + end))
}

/// The JSON value that a text begins with, and its length.
fn json_at(text: &str) -> Option<(Value, usize)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = values.next()?.ok()?;
    Some((value, values.byte_offset()))
}

/// A mark of which two are known.
fn varying(one: &str, other: &str) -> Mark {
    if one == other {
        return Mark::fixed(one);
    }
    let begin = common_prefix(one, other);
    let (first, second) = (&one[begin..], &other[begin..]);
    let end = &first[first.len() - common_suffix(first, second)..];
    // Words that differ may end alike.
    let end = end.trim_start_matches(|c: char| c.is_alphanumeric());
    let varies = match &first[..first.len() - end.len()] {
        id if id == IDS[0] => Varies::Id,
        "0" => Varies::Number,
        _ => Varies::Word,
    };
    Mark { before: one[..begin].to_owned(), varies, after: end.to_owned() }
}

/// The last `len` bytes of a text, without a part of a tag at their beginning.
fn whole_tags_at_end(text: &str, len: usize) -> &str {
    let mut end = &text[text.len() - len..];
    for (open, close) in [('<', '>'), ('[', ']')] {
        while let Some(at) = end.find(close)
            && end.find(open).is_none_or(|begin| begin > at)
        {
            end = &end[at + close.len_utf8()..];
        }
    }
    end
}

/// A text without a part of a tag at its end.
fn whole_tags_at_begin(text: &str) -> &str {
    match text.rfind('<') {
        Some(at) if text.len() - at <= MAX_TAG && !text[at..].contains('>') => &text[..at],
        _ => text,
    }
}

fn common_prefix(one: &str, other: &str) -> usize {
    one.char_indices().zip(other.chars()).find(|((_, a), b)| a != b).map_or(one.len().min(other.len()), |((i, _), _)| i)
}

fn common_suffix(one: &str, other: &str) -> usize {
    one.chars().rev().zip(other.chars().rev()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
}
