//! Numbers and texts as they stand in the page.

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
