//! A feature's distribution beside its reference, as a part of a card: the picture, the numbers, and what was measured.

use std::fmt::Write;

use super::chart::{Shares, Tick, percent};
use super::html::{columns, escaped, number, short};
use crate::drift::{Bins, FeatureDrift, FeatureProfile};

/// Edges, and values or names, below an axis: more would not fit a phone.
const MAX_EDGES: usize = 4;
const MAX_NAMES: usize = 6;

/// The beginning of a grid of so many features.
pub(super) fn grid(features: usize) -> String {
    format!("<div class=\"grid wide\" style=\"--columns:{}\">\n", columns(features, &[3, 2]))
}

/// The distribution of a window beside the reference's, and a table of the same for those who cannot see or point.
pub(super) fn distribution(feature: &FeatureProfile, window: &[u64], named: &str) -> String {
    // What neither has is no news: the outermost bins and the missing values of most features.
    let filled = |bin: &usize| {
        let inner = matches!(&feature.bins, Bins::Numeric { edges, .. } if (1..edges.len()).contains(bin));
        inner || count(&feature.counts, *bin) > 0 || count(window, *bin) > 0
    };
    let shown: Vec<usize> = (0..feature.bins.len()).filter(filled).collect();
    let (of_reference, of_window) = (shares(&feature.counts), shares(window));
    let bin = |i: &usize| (range(feature, *i), of_reference(*i), of_window(*i));
    let bins: Vec<(String, f64, f64)> = shown.iter().map(bin).collect();
    let label = format!("{}: reference and {named}, {} bins", feature.name, bins.len());
    let mut html = Shares { label: &label, bins: &bins, ticks: &ticks(feature, &shown) }.draw();
    let _ = write!(
        html,
        "<details><summary class=\"soft\">numbers</summary><div class=\"scroll\"><table><tr><th>{}</th>\
         <th>reference</th><th>{named}</th></tr>",
        if matches!(feature.bins, Bins::Numeric { .. }) { "range" } else { "category" }
    );
    for (name, reference, window) in &bins {
        let (reference, window) = (percent(*reference), percent(*window));
        let _ = write!(html, "<tr><td>{}</td><td>{reference}</td><td>{window}</td></tr>", escaped(name));
    }
    html + "</table></div></details>\n"
}

/// What was measured of a feature in one window.
pub(super) fn measures(drift: &FeatureDrift) -> String {
    let mut measures =
        format!("p {} · PSI {:.3} · KS {:.3} · JS {:.3}", probability(drift.ln_p), drift.psi, drift.ks, drift.js);
    if let Some(w) = drift.wasserstein {
        let _ = write!(measures, " · Wasserstein {}", short(w));
    }
    for (name, share) in [("missing", drift.missing), ("new", drift.new_category), ("out of range", drift.out_of_range)]
    {
        if share > 0.0 {
            let _ = write!(measures, " · {name} {}", percent(share));
        }
    }
    measures
}

/// A probability by its natural logarithm, also where it is too small for a number: `0.34`, `1.2e-7`, `4e-1200`.
pub(super) fn probability(ln_p: f64) -> String {
    let zeros = ln_p / std::f64::consts::LN_10;
    match zeros {
        large if large > -2.0 => format!("{:.2}", ln_p.exp()),
        known if known > -300.0 => format!("{:.1e}", ln_p.exp()),
        none if !none.is_finite() => "0".into(),
        _ => format!("{:.0}e{:.0}", 10f64.powf(zeros - zeros.floor()).min(9.0), zeros.floor()),
    }
}

/// The range of a bin in words, or the name of its category.
fn range(feature: &FeatureProfile, bin: usize) -> String {
    let edge = |i: usize| edge(feature, i);
    match &feature.bins {
        Bins::Numeric { .. } if bin == 0 => format!("below {}", edge(0)),
        Bins::Numeric { edges, .. } if bin == edges.len() => format!("above {}", edge(bin - 1)),
        Bins::Numeric { edges, values } if values.is_empty() && bin < edges.len() => {
            format!("{} to {}", edge(bin - 1), edge(bin))
        }
        bins => bins.name(bin),
    }
}

/// An edge of numeric bins, to a hundredth of the bins beside it or finer. In place of the outermost ones, which leave
/// room for rounding, stand the smallest and the largest value of the reference.
fn edge(feature: &FeatureProfile, i: usize) -> String {
    let Bins::Numeric { edges, .. } = &feature.bins else { return String::new() };
    let [low, .., high] = edges[..] else { return String::new() };
    let ends = feature.moments.filter(|m| low <= m.min && m.max <= high);
    let edge = match ends {
        Some(moments) if i == 0 => moments.min.min(edges[1]),
        Some(moments) if i + 1 == edges.len() => moments.max.max(edges[i - 1]),
        _ => edges[i],
    };
    let beside = &edges[i.saturating_sub(1)..(i + 2).min(edges.len())];
    let width = beside.windows(2).map(|bin| f64::from(bin[1]) - f64::from(bin[0])).fold(f64::INFINITY, f64::min);
    let decimals = 2.0 - width.log10().floor();
    number(if (-30.0..=15.0).contains(&decimals) { rounded(edge.into(), decimals) } else { edge.into() })
}

fn rounded(n: f64, decimals: f64) -> f64 {
    let scale = 10f64.powf(decimals);
    let rounded = (n * scale).round() / scale;
    if rounded.is_finite() { rounded } else { n }
}

/// Numbers below the bins that are shown: edges between them, or what stands for a bin in its middle.
fn ticks(feature: &FeatureProfile, shown: &[usize]) -> Vec<Tick> {
    let bins = &feature.bins;
    let width = shown.len().max(1) as f64;
    let place = |bin: usize| shown.iter().position(|b| *b == bin).unwrap_or(0) as f64;
    match bins {
        Bins::Numeric { edges, values } if values.is_empty() => {
            let at = |i: usize| ((place(i.max(1)) + f64::from(u8::from(i > 0))) / width, edge(feature, i));
            // The lowest edge is left of the first inner bin, and every other one right of its own.
            spread(edges.len(), MAX_EDGES).map(at).collect()
        }
        Bins::Numeric { .. } => {
            let inner: Vec<usize> = shown.iter().copied().filter(|bin| (1..bins.len() - 2).contains(bin)).collect();
            spread(inner.len(), MAX_NAMES).map(|i| ((place(inner[i]) + 0.5) / width, bins.name(inner[i]))).collect()
        }
        Bins::Categories(_) => spread(shown.len(), MAX_NAMES)
            .map(|i| ((i as f64 + 0.5) / width, shortened(&bins.name(shown[i]))))
            .collect(),
    }
}

/// At most so many of `n` places, the first and the last among them, at about equal distances.
fn spread(n: usize, most: usize) -> impl Iterator<Item = usize> {
    let few = n.min(most);
    (0..few).map(move |i| if few < 2 { 0 } else { (i * (n - 1) + (few - 1) / 2) / (few - 1) })
}

/// A category's name as it fits below an axis.
fn shortened(name: &str) -> String {
    const MOST: usize = 10;
    if name.chars().count() <= MOST { name.into() } else { name.chars().take(MOST - 1).chain(['…']).collect() }
}

fn count(counts: &[u64], bin: usize) -> u64 {
    counts.get(bin).copied().unwrap_or(0)
}

/// The shares of bins among all.
fn shares(counts: &[u64]) -> impl Fn(usize) -> f64 {
    let all = counts.iter().map(|n| *n as f64).sum::<f64>().max(1.0);
    move |bin| count(counts, bin) as f64 / all
}
