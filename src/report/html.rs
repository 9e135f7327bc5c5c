//! Frame of every page: its head, its cards, and numbers and texts as they stand in it.

use std::fmt::Write;

/// The beginning of a page, up to its title.
pub(super) fn head(title: &str, question: &str) -> String {
    let mut html = String::from("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
    html += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
    let style = include_str!("style.css");
    let _ = writeln!(html, "<title>{title}</title>\n<style>\n{style}</style></head>\n<body>\n<h1>{question}</h1>");
    html
}

/// A number on a card of its own, with its name and its class.
pub(super) fn card(name: &str, number: String, class: &str) -> String {
    format!("<div class=\"card\"><span class=\"soft\">{name}</span><b class=\"{class}\">{number}</b></div>\n")
}

/// How many of `n` cards stand in a row, so that no row is shorter than the others where that can be.
pub(super) fn columns(n: usize, choice: &[usize]) -> usize {
    choice.iter().copied().find(|columns| n.is_multiple_of(*columns)).unwrap_or(choice[0])
}

/// Cards in even rows, two to a row on a phone.
pub(super) fn cards(cards: &[String]) -> String {
    let columns = columns(cards.len(), &[6, 5, 4, 3]);
    format!("<div class=\"grid cards\" style=\"--columns:{columns}\">\n{}</div>\n", cards.concat())
}

/// A number with its thousands apart: `1,234,567`.
pub(super) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    groups.join(",")
}

/// A time with its unit: `830 µs`, `12.5 ms`.
pub(super) fn milliseconds(ms: f64) -> String {
    if ms < 1.0 { format!("{:.0} µs", ms * 1000.0) } else { format!("{ms:.1} ms") }
}

/// A number of a feature's axis with at most six digits that tell something.
pub(super) fn number(n: f64) -> String {
    let rounded: f64 = format!("{n:.5e}").parse().unwrap_or(n);
    match rounded.abs() {
        // The float below 0 that a lowest edge may be.
        none if none < f64::from(f32::MIN_POSITIVE) => "0".into(),
        huge if huge >= 1e7 => format!("{rounded:e}"),
        tiny if tiny > 0.0 && tiny < 1e-4 => format!("{rounded:e}"),
        _ => rounded.to_string(),
    }
}

/// A number with the digits that tell something.
pub(super) fn short(n: f64) -> String {
    match n.abs() {
        _ if n.fract() == 0.0 && n.abs() < 1e15 => format!("{n:.0}"),
        small if small < 1e-3 => format!("{n:.1e}"),
        _ => format!("{n:.3}"),
    }
}

/// A part of all, in per cent.
pub(super) fn share(part: u64, all: u64) -> String {
    format!("{:.2} %", part as f64 * 100.0 / all.max(1) as f64)
}

/// A text of the telemetry as text of the page.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            c => safe.push(c),
        }
    }
    safe
}
