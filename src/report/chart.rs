//! Charts as inline SVG: no script, no colour of their own (the page's classes give it).

use std::fmt::Write;

use super::html::escaped;

const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 72.0;
/// More bars than this are thinner than a pixel on a phone.
const MAX_BARS: usize = 120;

/// One bar per window, and a line to be above of; `named` says of each bar what it stands for.
pub(super) fn bars(label: &str, numbers: &[f64], line: f64, named: impl Fn(usize) -> String) -> String {
    let from = numbers.len().saturating_sub(MAX_BARS);
    let shown = &numbers[from..];
    // A window that is certain beyond doubt must not flatten all others.
    let most = shown.iter().copied().fold(line * 1.5, f64::max).clamp(1e-9, line * 6.0);
    let mut svg = open(label, HEIGHT);
    let step = WIDTH / shown.len().max(1) as f64;
    for (i, number) in shown.iter().enumerate() {
        let height = (number / most).clamp(0.0, 1.0) * HEIGHT;
        let class = if *number > line { "bad" } else { "now" };
        let (x, y, width) = (i as f64 * step, HEIGHT - height.max(1.0), (step * 0.8).max(0.8));
        let _ = write!(
            svg,
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{:.1}"><title>{}</title></rect>"#,
            height.max(1.0),
            escaped(&named(from + i))
        );
    }
    let y = HEIGHT - line / most * HEIGHT;
    let _ = write!(svg, r#"<line class="limit" x1="0" y1="{y:.1}" x2="{WIDTH}" y2="{y:.1}"/>"#);
    svg + "</svg>"
}

/// Two distributions over the same bins, side by side: the reference and the window.
pub(super) fn shares(label: &str, reference: &[u64], window: &[u64], named: impl Fn(usize) -> String) -> String {
    let share = |counts: &[u64]| -> Vec<f64> {
        let all = counts.iter().map(|n| *n as f64).sum::<f64>().max(1.0);
        counts.iter().map(|n| *n as f64 / all).collect()
    };
    let (reference, window) = (share(reference), share(window));
    let most = reference.iter().chain(&window).copied().fold(1e-9, f64::max);
    let mut svg = open(label, HEIGHT);
    let step = WIDTH / reference.len().max(1) as f64;
    for (i, (r, w)) in reference.iter().zip(&window).enumerate() {
        for (class, share, shift) in [("ref", r, 0.05), ("now", w, 0.5)] {
            let height = share / most * HEIGHT;
            let (x, y) = ((i as f64 + shift) * step, HEIGHT - height);
            let _ = write!(
                svg,
                r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{:.1}" height="{height:.1}"><title>{}: {:.1} % → {:.1} %</title></rect>"#,
                step * 0.43,
                escaped(&named(i)),
                r * 100.0,
                w * 100.0
            );
        }
    }
    svg + "</svg>"
}

/// Lines over the windows, from zero; each with its class.
pub(super) fn lines(label: &str, series: &[(&str, Vec<f64>)]) -> String {
    let most = series.iter().flat_map(|(_, numbers)| numbers).copied().fold(1e-9, f64::max);
    let mut svg = open(label, HEIGHT);
    for (class, numbers) in series {
        let step = WIDTH / numbers.len().saturating_sub(1).max(1) as f64;
        let at = |(i, number): (usize, &f64)| format!("{:.1},{:.1}", i as f64 * step, HEIGHT - number / most * HEIGHT);
        let points: Vec<String> = numbers.iter().enumerate().map(at).collect();
        let _ = write!(svg, r#"<polyline class="{class}" points="{}"/>"#, points.join(" "));
    }
    svg + "</svg>"
}

fn open(label: &str, height: f64) -> String {
    format!(
        r#"<svg viewBox="-1 -1 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">"#,
        WIDTH + 2.0,
        height + 2.0,
        escaped(label)
    )
}
