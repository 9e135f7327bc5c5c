//! Charts as inline SVG with numbers at their axes: no script, no colour of their own (the page's classes give it).
//!
//! A picture is stretched to the width of its card, which would stretch letters, too: so the numbers of an axis are text
//! beside the picture, placed in per cent of it.

use std::fmt::Write;

use super::html::escaped;

const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 72.0;
/// More bars than this are thinner than a pixel on a phone.
const MAX_BARS: usize = 120;
/// One bar of a single window is a bar, and no wall.
const MAX_BAR_WIDTH: f64 = 24.0;
/// What a letter below an axis takes of its length, on the narrowest card.
const LETTER: f64 = 0.028;

/// Texts so near to an end of an axis begin or end there.
const NEAR_END: f64 = 0.12;

/// A place on an axis, from 0 (left, below) to 1, and what stands there.
pub(super) type Tick = (f64, String);

/// One bar per window, and a line to be above of.
pub(super) struct Bars<'a> {
    pub(super) label: &'a str,
    pub(super) numbers: &'a [f64],
    pub(super) line: f64,
    /// What a height stands for, at the axis.
    pub(super) height: &'a dyn Fn(f64) -> String,
    /// What a bar stands for.
    pub(super) named: &'a dyn Fn(usize) -> String,
    /// When a window was, below the axis.
    pub(super) when: &'a dyn Fn(usize) -> String,
}

impl Bars<'_> {
    pub(super) fn draw(&self) -> String {
        let from = self.numbers.len().saturating_sub(MAX_BARS);
        let (shown, line) = (&self.numbers[from..], self.line);
        // A window that is certain beyond doubt must not flatten all others.
        let most = shown.iter().copied().fold(line * 1.5, f64::max).clamp(1e-9, line * 6.0);
        let mut svg = open(self.label, "img");
        let step = WIDTH / shown.len().max(1) as f64;
        let width = (step * 0.8).clamp(0.8, MAX_BAR_WIDTH);
        for (i, number) in shown.iter().enumerate() {
            let height = ((number / most).clamp(0.0, 1.0) * HEIGHT).max(1.0);
            let class = if *number > line { "bad" } else { "now" };
            let (x, y) = ((i as f64 + 0.5) * step - width / 2.0, HEIGHT - height);
            let named = escaped(&(self.named)(from + i));
            let _ = write!(
                svg,
                r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"><title>{named}</title></rect>"#
            );
        }
        let y = HEIGHT - line / most * HEIGHT;
        let _ = write!(svg, r#"<line class="limit" x1="0" y1="{y:.1}" x2="{WIDTH}" y2="{y:.1}"/></svg>"#);
        let heights = [0.0, line, most].map(|at| (at / most, (self.height)(at)));
        framed(&svg, &heights, &times(from, shown.len(), self.when))
    }
}

/// Two distributions over the same bins, side by side: the reference and the window.
pub(super) struct Shares<'a> {
    pub(super) label: &'a str,
    /// Of each bin: its range or name, its share of the reference, its share of the window.
    pub(super) bins: &'a [(String, f64, f64)],
    pub(super) ticks: &'a [Tick],
}

impl Shares<'_> {
    /// Each bin is a picture of its own to a screen reader, and the whole column of it tells its range under a pointer.
    pub(super) fn draw(&self) -> String {
        let most = self.bins.iter().flat_map(|(_, r, w)| [*r, *w]).fold(1e-9, f64::max);
        let mut svg = open(self.label, "group");
        let step = WIDTH / self.bins.len().max(1) as f64;
        for (i, (name, reference, window)) in self.bins.iter().enumerate() {
            let left = i as f64 * step;
            let text = escaped(&format!("{name}: {} → {}", percent(*reference), percent(*window)));
            let _ = write!(svg, r#"<g role="img" aria-label="{text}"><title>{text}</title>"#);
            let _ = write!(svg, r#"<rect class="column" x="{left:.1}" y="0" width="{step:.1}" height="{HEIGHT}"/>"#);
            for (class, share, shift) in [("ref", reference, 0.05), ("now", window, 0.5)] {
                let (height, width) = (share / most * HEIGHT, step * 0.43);
                let (x, y) = (left + shift * step, HEIGHT - height);
                let _ = write!(
                    svg,
                    r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"/>"#
                );
            }
            svg += "</g>";
        }
        svg += "</svg>";
        let heights = [0.0, 0.5, 1.0].map(|part| (part, percent(most * part)));
        framed(&svg, &heights, self.ticks)
    }
}

/// Lines over the windows, from zero; each with its class.
pub(super) struct Lines<'a> {
    pub(super) label: &'a str,
    pub(super) series: &'a [(&'a str, Vec<f64>)],
    pub(super) height: &'a dyn Fn(f64) -> String,
    pub(super) when: &'a dyn Fn(usize) -> String,
}

impl Lines<'_> {
    pub(super) fn draw(&self) -> String {
        let most = self.series.iter().flat_map(|(_, numbers)| numbers).copied().fold(1e-9, f64::max);
        let mut svg = open(self.label, "img");
        for (class, numbers) in self.series {
            let step = WIDTH / numbers.len().saturating_sub(1).max(1) as f64;
            let at =
                |(i, number): (usize, &f64)| format!("{:.1},{:.1}", i as f64 * step, HEIGHT - number / most * HEIGHT);
            let points: Vec<String> = numbers.iter().enumerate().map(at).collect();
            let _ = write!(svg, r#"<polyline class="{class}" points="{}"/>"#, points.join(" "));
        }
        svg += "</svg>";
        let heights = [0.0, 0.5, 1.0].map(|part| (part, (self.height)(most * part)));
        let windows = self.series.iter().map(|(_, numbers)| numbers.len()).max().unwrap_or(0);
        framed(&svg, &heights, &times(0, windows, self.when))
    }
}

/// A share of all, with the digits that tell something.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        whole if whole.fract() == 0.0 => format!("{whole:.0} %"),
        small if small < 0.1 => format!("{small:.2} %"),
        _ => format!("{percent:.1} %"),
    }
}

/// The first and the last of the windows, without the name of the clock: the page says it at its top.
fn times(from: usize, windows: usize, when: &dyn Fn(usize) -> String) -> Vec<Tick> {
    let when = |w: usize| when(w).trim_end_matches(" UTC").to_owned();
    match windows {
        0 => Vec::new(),
        1 => vec![(0.5, when(from))],
        _ => vec![(0.0, when(from)), (1.0, when(from + windows - 1))],
    }
}

fn open(label: &str, role: &str) -> String {
    format!(
        r#"<svg viewBox="-1 -1 {} {}" preserveAspectRatio="none" role="{role}" aria-label="{}">"#,
        WIDTH + 2.0,
        HEIGHT + 2.0,
        escaped(label)
    )
}

/// A picture, and the numbers of its axes beside it.
fn framed(svg: &str, heights: &[Tick], ticks: &[Tick]) -> String {
    let mut html = String::from(r#"<div class="chart"><div class="heights" aria-hidden="true">"#);
    for (at, text) in heights {
        let _ = write!(html, r#"<span style="bottom:{:.1}%">{}</span>"#, at * 100.0, escaped(text));
    }
    let _ = write!(html, r#"</div>{svg}<div class="ticks" aria-hidden="true">"#);
    for (at, text) in apart(ticks) {
        // What stands at an end stays within the card.
        let place = match at {
            left if left < NEAR_END => r#"class="first""#.into(),
            right if right > 1.0 - NEAR_END => r#"class="last""#.into(),
            _ => format!(r#"style="left:{:.1}%""#, at * 100.0),
        };
        let _ = write!(html, "<span {place}>{}</span>", escaped(text));
    }
    html + "</div></div>"
}

/// The ticks whose texts do not run into each other; the first and the last stay as long as they can.
fn apart(ticks: &[Tick]) -> Vec<(f64, &str)> {
    let extent = |(at, text): (f64, &str)| {
        let width = (text.chars().count() + 1) as f64 * LETTER;
        match at {
            left if left < NEAR_END => (0.0, width),
            right if right > 1.0 - NEAR_END => (1.0 - width, 1.0),
            _ => (at - width / 2.0, at + width / 2.0),
        }
    };
    let mut kept: Vec<(f64, &str)> = Vec::new();
    for (i, (at, text)) in ticks.iter().enumerate() {
        let tick = (*at, &**text);
        let collides = |before: &(f64, &str)| extent(*before).1 > extent(tick).0;
        if i + 1 == ticks.len() {
            while kept.len() > 1 && kept.last().is_some_and(collides) {
                kept.pop();
            }
        }
        if !kept.last().is_some_and(collides) {
            kept.push(tick);
        }
    }
    kept
}
