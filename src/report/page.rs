//! The page of a story: HTML that stands alone.

use std::fmt::Write;

use super::chart::{Bars, Lines};
use super::feature::{distribution, grid, measures, probability};
use super::html::{card, cards, escaped, head, milliseconds, share, short, thousands};
use super::rollout;
use super::story::{Model, Seen, Story};
use crate::drift::FeatureProfile;
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
    let mut html = head("Selvedge report", "Is the model still right?");
    let last = story.models.iter().flat_map(|m| &m.windows).map(|s| s.window.closed).max_by_key(|s| (s.epoch, s.seq));
    let until = last.map(|stamp| story.when(&stamp)).unwrap_or_default();
    let _ = writeln!(
        html,
        "<p class=\"soft\">Until {until} · {} records, {} {} of the app</p>",
        story.records,
        story.boots,
        if story.boots == 1 { "start" } else { "starts" }
    );
    rollout::versions(&mut html, story);
    rollout::steps(&mut html, story);
    rollout::crashes(&mut html, story);
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
        html.push_str("latest window <span class=\"key bad\"></span>beyond chance</p>\n");
        html.push_str(&grid(profile.features.len()));
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
    let mut row = vec![
        card("standing alerts", standing.to_string(), if standing > 0 { "bad-text" } else { "good-text" }),
        card("rows seen", thousands(model.rows()), ""),
        card("windows", thousands(model.windows.len() as u64), ""),
        card("requests", thousands(requests), ""),
        card("failed", share(failed, requests), if failed > 0 { "bad-text" } else { "" }),
        card("p50", ms(0.5), ""),
        card("p95", ms(0.95), ""),
        card("p99", ms(0.99), ""),
    ];
    // By twos, so that the rows are even.
    if read > 0 || written > 0 {
        row.push(card("tokens read", thousands(read), ""));
        row.push(card("tokens written", thousands(written), ""));
    }
    if let Some(right) = model.accuracy() {
        row.push(card("right, by labels", format!("{:.1} %", right.value * 100.0), ""));
        row.push(card("labels", thousands(right.of), ""));
    }
    html.push_str(&cards(&row));
    accuracies(html, model);
    latencies(html, story, model);
}

/// What the latest window lets expect, with and without labels.
fn accuracies(html: &mut String, model: &Model) {
    let Some(plain) = model.estimated_accuracy() else { return };
    let [value, low, high] = [plain.value, plain.low, plain.high].map(|share| share * 100.0);
    let _ = write!(
        html,
        "<p>Accuracy to expect of the latest window: by its confidences (CBPE) {value:.1} % of {} ({low:.1} to {high:.1})",
        thousands(plain.of)
    );
    if let Some(adjusted) = model.adjusted_accuracy() {
        let _ = write!(html, "; adjusted by labels, which come late: {adjusted}");
    }
    html.push_str(".</p>\n");
}

/// Latency over the windows, where there are several.
fn latencies(html: &mut String, story: &Story, model: &Model) {
    if model.windows.len() < 2 {
        return;
    }
    let of_windows = |q: f64| -> Vec<f64> {
        model.windows.iter().map(|s| s.window.latency.quantile(q).unwrap_or(0.0) / 1000.0).collect()
    };
    let when = |w: usize| model.windows.get(w).map(|s| story.when(&s.window.closed)).unwrap_or_default();
    let series = [("ref", of_windows(0.5)), ("now", of_windows(0.95))];
    let chart = Lines { label: "latency per window", series: &series, height: &milliseconds, when: &when }.draw();
    let _ = writeln!(
        html,
        "<div class=\"card alone\"><span class=\"soft\">latency per window: <span class=\"key now\"></span>p95 \
         <span class=\"key ref\"></span>p50</span>{chart}</div>"
    );
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
    let when = |w: usize| judged.get(w).map(|s| story.when(&s.window.closed)).unwrap_or_default();
    let p = |zeros: f64| format!("p {}", probability(-zeros * std::f64::consts::LN_10));
    let bars = Bars {
        label: &format!(
            "{}: evidence per window, in the latest {}",
            feature.name,
            p(zeros.last().copied().unwrap_or(0.0))
        ),
        numbers: &zeros,
        line: ZEROS,
        height: &|zeros| if zeros > 0.0 { format!("1e-{zeros:.0}") } else { "p 1".into() },
        named: &|w| format!("{}: {}, PSI {:.3}", when(w), p(zeros[w]), psi[w]),
        when: &when,
    };
    html.push_str(&bars.draw());
    html.push_str(&distribution(feature, seen.window.features.get(i).map_or(&[], |c| c), "latest window"));
    let _ = writeln!(html, "<p class=\"soft\">{}</p></div>", measures(drift));
}

fn alerts(html: &mut String, story: &Story) {
    html.push_str("<h2>Alerts</h2>\n");
    if story.alerts.is_empty() {
        html.push_str("<p>None.</p>\n");
    }
    classes(html, story);
    for alert in story.alerts.iter().rev().take(MAX_ALERTS) {
        of_alert(html, story, alert);
    }
    if story.alerts.len() > MAX_ALERTS {
        let _ = writeln!(html, "<p class=\"soft\">And {} before these.</p>", story.alerts.len() - MAX_ALERTS);
    }
}

/// How many rows each class of alert is about.
fn classes(html: &mut String, story: &Story) {
    let classes = |model: &'_ Model| story.classes(model.info.slot).cloned().collect::<Vec<_>>();
    if story.models.iter().all(|model| classes(model).is_empty()) {
        return;
    }
    html.push_str("<div class=\"scroll\"><table><tr><th>model</th><th>class of alert</th><th>raised</th>");
    html.push_str("<th>standing</th><th>rows</th><th>of all</th></tr>\n");
    for model in &story.models {
        for class in classes(model) {
            let code = escaped(&class.code.name().replace('_', " "));
            let [raised, standing, rows] = [class.raised, class.standing, class.rows].map(thousands);
            let (name, of_all) = (escaped(&model.info.name), share(class.rows, model.rows()));
            let _ = writeln!(
                html,
                "<tr><td>{name}</td><td>{code}</td><td>{raised}</td><td>{standing}</td><td>{rows}</td><td>{of_all}</td></tr>"
            );
        }
    }
    html.push_str("</table></div>\n");
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
