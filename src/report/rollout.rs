//! The part of the page about versions: what each answered, the steps of their rollouts, and the crash record.

use std::fmt::Write;

use super::html::{escaped, milliseconds, share, thousands};
use super::stored::CrashedModel;
use super::story::Story;
use super::versions::VersionSummary;
use crate::telemetry::{RolloutFinding, RolloutRecord, WindowArm};

/// Steps of old are many; the last ones tell the story.
const MAX_STEPS: usize = 50;
/// Digits of a digest that tell models apart.
const DIGITS: usize = 12;

/// A table of the versions, where there is more to tell than of one model.
pub(super) fn versions(html: &mut String, story: &Story) {
    let versions = story.versions();
    let has_arms = versions.iter().any(|version| !version.arms.is_empty() || !version.standing.is_empty());
    if versions.len() < 2 && !has_arms {
        return;
    }
    html.push_str("<h2>Versions</h2>\n<div class=\"scroll\"><table class=\"versions\"><tr>");
    for name in ["version", "standing", "rows", "failed", "p50", "p95", "arms", "model", "sha256"] {
        let _ = write!(html, "<th>{name}</th>");
    }
    html.push_str("</tr>\n");
    versions.iter().for_each(|version| of_version(html, version));
    html.push_str("</table></div>\n");
}

fn of_version(html: &mut String, version: &VersionSummary) {
    let digest: String =
        version.digest.map_or("–".into(), |digest| digest.to_string().chars().take(DIGITS).collect());
    let ms = |q: f64| version.latency.quantile(q).map_or("–".into(), |us| milliseconds(us / 1000.0));
    let failed = match version.requests {
        (0, _) => "–".into(),
        (all, failed) => share(failed, all),
    };
    let arm = |arm: &WindowArm| {
        let failed =
            if arm.failed > 0 { format!(" ({} failed)", share(arm.failed, arm.requests)) } else { String::new() };
        format!("{} {}{failed}", arm.arm.name(), thousands(arm.rows))
    };
    let arms: Vec<String> = version.arms.iter().map(arm).collect();
    let cells = [
        escaped(&version.version),
        escaped(&version.standing),
        thousands(version.rows),
        failed,
        ms(0.5),
        ms(0.95),
        if arms.is_empty() { "–".into() } else { arms.join(", ") },
        escaped(&version.name),
        digest,
    ];
    let _ = writeln!(html, "<tr><td>{}</td></tr>", cells.join("</td><td>"));
}

/// The steps of the versions, the latest first.
pub(super) fn steps(html: &mut String, story: &Story) {
    if story.rollouts.is_empty() {
        return;
    }
    html.push_str("<h2>Rollout</h2>\n");
    story.rollouts.iter().rev().take(MAX_STEPS).for_each(|rollout| of_step(html, story, rollout));
    if story.rollouts.len() > MAX_STEPS {
        let _ = writeln!(html, "<p class=\"soft\">And {} before these.</p>", story.rollouts.len() - MAX_STEPS);
    }
}

fn of_step(html: &mut String, story: &Story, rollout: &RolloutRecord) {
    let class = match &*rollout.step {
        "missed" | "rolled_back" | "quarantined" => "alert",
        "promoted" => "alert good",
        _ => "alert over",
    };
    let (version, step) = (escaped(&rollout.version), escaped(&rollout.step.replace('_', " ")));
    let when = story.when(&rollout.stamp);
    let test = rollout.test.as_deref().map(|test| format!(" in the test {}", escaped(test))).unwrap_or_default();
    let verdict = rollout.verdict.as_deref().map(|v| format!("<p class=\"soft\">verdict: {}</p>", escaped(&spoken(v))));
    let _ = writeln!(
        html,
        "<div class=\"card {class}\"><div class=\"head\"><h3>{version}: {step}{test}</h3><span class=\"soft\">{when}</span></div>{}{}</div>",
        verdict.unwrap_or_default(),
        rollout.evidence.iter().map(of_finding).collect::<String>()
    );
}

fn of_finding(finding: &RolloutFinding) -> String {
    let words = if finding.words.is_empty() { String::new() } else { format!(": {}", escaped(&finding.words)) };
    let verdict = escaped(&spoken(&finding.verdict));
    format!("<p class=\"soft\"><strong>{}</strong> ({verdict}){words}</p>", escaped(&finding.name))
}

/// A stable name as words.
fn spoken(name: &str) -> String {
    name.replace('_', " ")
}

/// The models that ended the process.
pub(super) fn crashes(html: &mut String, story: &Story) {
    if story.crashed.is_empty() {
        return;
    }
    html.push_str("<h2>Crash record</h2>\n");
    story.crashed.iter().for_each(|crashed| of_crash(html, crashed));
}

fn of_crash(html: &mut String, crashed: &CrashedModel) {
    let entry = &crashed.entry;
    let digest: String = entry.digest.to_string().chars().take(DIGITS).collect();
    let deaths = entry.deaths.len();
    let class = if crashed.is_quarantined { "alert" } else { "alert over" };
    let standing = if crashed.is_quarantined { "<span class=\"bad-text\">quarantined</span>" } else { "tried again" };
    let app =
        if entry.app_version.is_empty() { String::new() } else { format!(" · app {}", escaped(&entry.app_version)) };
    let _ = writeln!(
        html,
        "<div class=\"card {class}\"><div class=\"head\"><h3>{}</h3><span class=\"soft\">{standing}</span></div>\
         <p class=\"soft\">sha256 {digest} · ended the process {deaths} {}{app}</p>",
        escaped(&entry.model),
        if deaths == 1 { "time" } else { "times" }
    );
    for death in entry.deaths.iter().rev() {
        let _ = writeln!(html, "<p class=\"soft\">{}</p>", escaped(&death.to_string()));
    }
    html.push_str("</div>\n");
}
