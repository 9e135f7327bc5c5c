//! The page of a story: HTML that stands alone.

use std::fmt::Write;

use super::chart;
use super::html::{escaped, milliseconds, share, short, thousands};
use super::story::{Model, Seen, Story};
use crate::drift::{Bins, FeatureDrift, FeatureProfile};
use crate::telemetry::AlertRecord;

/// The p below which a bar is marked: 1 in 10,000.
const ZEROS: f64 = 4.0;
/// Bytes of the page up to which features have a card: more than anybody looks at, and less than a browser minds.
const MAX_CARDS: usize = 4 << 20;
/// Cleared alerts and alerts of old are many; the last ones tell the story.
const MAX_ALERTS: usize = 50;

impl Story {
    /// One page of HTML that stands alone: it loads nothing and runs no script.
    #[must_use]
    pub fn html(&self) -> String {
        page(self)
    }
}

fn page(story: &Story) -> String {
    let mut html = String::from("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
    html += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Selvedge report</title>\n<style>\n";
    html += include_str!("style.css");
    html += "</style></head>\n<body>\n<h1>Is the model still right?</h1>\n";
    let last = story.models.iter().flat_map(|m| &m.windows).map(|s| s.window.closed).max_by_key(|s| (s.epoch, s.seq));
    let until = last.map(|stamp| story.when(&stamp)).unwrap_or_default();
    let _ = writeln!(
        html,
        "<p class=\"soft\">Until {until} · {} records, {} {} of the app</p>",
        story.records,
        story.boots,
        if story.boots == 1 { "start" } else { "starts" }
    );
    // The one that answers now comes first.
    story.models.iter().rev().for_each(|model| of_model(&mut html, story, model));
    alerts(&mut html, story);
    losses(&mut html, story);
    html += "<p class=\"soft\">Bars that cross the dashed line have p below 1 in 10,000 in one window. An alert needs that, \
             corrected for the number of features, in several windows; the device decides. PSI is shown, and never \
             decides.</p>\n</body></html>\n";
    html
}

fn of_model(html: &mut String, story: &Story, model: &Model) {
    let info = &model.info;
    let version = info.version.as_deref().map(|v| format!(" {v}")).unwrap_or_default();
    let _ = writeln!(html, "<h2>{}{}</h2>", escaped(&info.name), escaped(&version));
    let digest: String = info.digest.iter().map(|b| format!("{b:02x}")).collect();
    let reference = match &model.profile {
        Some(p) if p.learned => format!("reference learned from its first {} rows", thousands(p.rows)),
        Some(p) => format!("reference of {} rows", thousands(p.rows)),
        None => "no reference".into(),
    };
    let _ = writeln!(html, "<p class=\"soft\">{} · sha256 {digest} · {reference}</p>", escaped(&info.backend));
    health(html, story, model);
    if let Some(profile) = &model.profile {
        html.push_str("<h3>Drift</h3>\n<p class=\"soft\"><span class=\"key ref\"></span>reference <span class=\"key now\"></span>");
        html.push_str("latest window <span class=\"key bad\"></span>beyond chance</p>\n<div class=\"grid wide\">\n");
        let is_judged = model.judged().iter().any(|seen| seen.verdict.is_some());
        for (i, feature) in profile.features.iter().enumerate().filter(|_| is_judged) {
            if html.len() > MAX_CARDS {
                let _ = writeln!(html, "<p class=\"soft\">And {} more features.</p>", profile.features.len() - i);
                break;
            }
            of_feature(html, story, model, i, feature);
        }
        html.push_str("</div>\n");
    }
}

fn health(html: &mut String, story: &Story, model: &Model) {
    let (requests, failed) = model.requests();
    let latency = model.latency();
    let ms = |q: f64| latency.quantile(q).map_or("–".into(), |us| milliseconds(us / 1000.0));
    let standing = story.standing(model.info.slot).len();
    let (read, written) = model.tokens();
    let mut cards = vec![
        ("standing alerts", standing.to_string(), if standing > 0 { "bad-text" } else { "good-text" }),
        ("rows seen", thousands(model.rows()), ""),
        ("windows", thousands(model.windows.len() as u64), ""),
        ("requests", thousands(requests), ""),
        ("failed", share(failed, requests), if failed > 0 { "bad-text" } else { "" }),
        ("p50", ms(0.5), ""),
        ("p95", ms(0.95), ""),
        ("p99", ms(0.99), ""),
    ];
    if read > 0 || written > 0 {
        cards.push(("tokens read", thousands(read), ""));
        cards.push(("tokens written", thousands(written), ""));
    }
    if let Some(right) = model.accuracy() {
        let text = format!("{:.1} %", right.value * 100.0);
        cards.push(("right, by labels", text, ""));
    }
    html.push_str("<div class=\"grid\">\n");
    for (name, number, class) in cards {
        let _ = writeln!(
            html,
            "<div class=\"card\"><span class=\"soft\">{name}</span><b class=\"{class}\">{number}</b></div>"
        );
    }
    html.push_str("</div>\n");
    let of_windows = |q: f64| -> Vec<f64> {
        model.windows.iter().map(|s| s.window.latency.quantile(q).unwrap_or(0.0) / 1000.0).collect()
    };
    if model.windows.len() > 1 {
        let (p50, p95) = (of_windows(0.5), of_windows(0.95));
        let most = p95.iter().copied().fold(0.0, f64::max);
        let _ = writeln!(
            html,
            "<div class=\"card\" style=\"margin:.75rem 0\"><span class=\"soft\">latency per window: <span class=\"key \
             now\"></span>p95 <span class=\"key ref\"></span>p50 · up to {}</span>{}</div>",
            milliseconds(most),
            chart::lines("latency per window", &[("ref", p50), ("now", p95)])
        );
    }
}

fn of_feature(html: &mut String, story: &Story, model: &Model, i: usize, feature: &FeatureProfile) {
    let latest = |seen: &&Seen| seen.verdict.as_ref().is_some_and(|v| v.features.get(i).is_some());
    let Some(seen) = model.judged().iter().rev().find(latest) else { return };
    let Some(drift) = seen.verdict.as_ref().and_then(|v| v.features.get(i)) else { return };
    let finding = drift.finding.map_or_else(String::new, |f| format!("<span class=\"bad-text\">{}</span>", f.name()));
    let name = escaped(&feature.name);
    let _ = writeln!(html, "<div class=\"card\"><div class=\"head\"><h3>{name}</h3>{finding}</div>");
    let (zeros, psi) = (model.zeros(i), model.psi(i));
    let judged: Vec<&Seen> = model.judged().iter().filter(latest).collect();
    let named = |w: usize| {
        let when = judged.get(w).map(|s| story.when(&s.window.closed)).unwrap_or_default();
        format!("{when}: p = 1e-{:.1}, PSI {:.3}", zeros[w], psi[w])
    };
    html.push_str(&chart::bars(&format!("{}: evidence per window", feature.name), &zeros, ZEROS, named));
    let of_bin = |bin: usize| bin_name(&feature.bins, bin);
    let counts = seen.window.features.get(i).map_or(&[][..], |c| c);
    html.push_str(&chart::shares(
        &format!("{}: reference and latest window", feature.name),
        &feature.counts,
        counts,
        of_bin,
    ));
    let _ = writeln!(html, "<p class=\"soft\">{}</p></div>", numbers(drift));
}

fn numbers(drift: &FeatureDrift) -> String {
    let mut numbers = format!("p {:.1e} · PSI {:.3} · KS {:.3} · JS {:.3}", drift.p, drift.psi, drift.ks, drift.js);
    if let Some(w) = drift.wasserstein {
        let _ = write!(numbers, " · Wasserstein {w:.3}");
    }
    for (name, share) in [("missing", drift.missing), ("new", drift.new_category), ("out of range", drift.out_of_range)]
    {
        if share > 0.0 {
            let _ = write!(numbers, " · {name} {:.1} %", share * 100.0);
        }
    }
    numbers
}

fn alerts(html: &mut String, story: &Story) {
    html.push_str("<h2>Alerts</h2>\n");
    if story.alerts.is_empty() {
        html.push_str("<p>None.</p>\n");
    }
    for alert in story.alerts.iter().rev().take(MAX_ALERTS) {
        of_alert(html, story, alert);
    }
    if story.alerts.len() > MAX_ALERTS {
        let _ = writeln!(html, "<p class=\"soft\">And {} before these.</p>", story.alerts.len() - MAX_ALERTS);
    }
}

fn of_alert(html: &mut String, story: &Story, alert: &AlertRecord) {
    let class = if alert.raised { "alert" } else { "alert over" };
    let feature = alert.feature.as_deref().map(|f| format!("{}: ", escaped(f))).unwrap_or_default();
    let what = escaped(&alert.code.name().replace('_', " "));
    let how = if alert.raised { "raised" } else { "cleared" };
    let name = story.models.iter().rev().find(|m| m.info.slot == alert.model_slot).map_or("a model", |m| &m.info.name);
    let evidence = alert.evidence.iter().filter(|(_, n)| *n != 0.0);
    let evidence: Vec<String> =
        evidence.map(|(name, n)| format!("{} {}", escaped(&name.replace('_', " ")), short(*n))).collect();
    let advice = alert.action.as_deref().filter(|_| alert.raised);
    let action = advice.map(|a| format!(" · advice: {}", escaped(&a.replace('_', " ")))).unwrap_or_default();
    let _ = writeln!(
        html,
        "<div class=\"card {class}\"><div class=\"head\"><h3>{feature}{what}</h3><span class=\"soft\">{how} {}</span></div>\
         <p class=\"soft\">{} · {}{action}</p></div>",
        story.when(&alert.stamp),
        escaped(name),
        evidence.join(" · ")
    );
}

fn losses(html: &mut String, story: &Story) {
    html.push_str("<h2>What was lost</h2>\n");
    if story.losses.is_empty() {
        html.push_str("<p>Nothing.</p>\n");
        return;
    }
    html.push_str("<div class=\"scroll\"><table><tr><th>reason</th><th>records</th></tr>\n");
    for (reason, n) in &story.losses {
        let _ =
            writeln!(html, "<tr><td>{}</td><td>{}</td></tr>", escaped(&reason.name().replace('_', " ")), thousands(*n));
    }
    html.push_str("</table></div>\n");
}

fn bin_name(bins: &Bins, bin: usize) -> String {
    let last = bins.len() - 1;
    match bins {
        _ if bin == last => "missing".into(),
        Bins::Numeric { edges, .. } if bin == 0 => format!("up to {}", edges[0]),
        Bins::Numeric { edges, .. } if bin == last - 1 => format!("above {}", edges[edges.len() - 1]),
        Bins::Numeric { edges, discrete: true } => edges[bin].to_string(),
        Bins::Numeric { edges, .. } => format!("{} to {}", edges[bin - 1], edges[bin]),
        Bins::Categories(c) => c.names().get(bin).map_or("other", |name| name).to_string(),
    }
}
