//! Versions, their rollouts and the crash record, as `selvedge report` and `watch` print them; and where they are read from.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use selvedge::crash::CrashRecord;
use selvedge::report::{CrashedModel, Story, VersionSummary};
use selvedge::telemetry::{RolloutRecord, WindowArm};

use crate::print::{line, table, thousands};

/// What is read beside a telemetry folder. It may be open in an app.
#[derive(Args)]
pub(crate) struct Beside {
    /// The store of the model's versions, which is only read.
    #[arg(long, value_name = "FOLDER")]
    store: Option<PathBuf>,
    /// The crash record of the app, which is only read.
    #[arg(long, value_name = "FOLDER")]
    crash_record: Option<PathBuf>,
}

impl Beside {
    /// The story of a telemetry folder, with what stands beside it.
    pub(crate) fn read(&self, folder: &std::path::Path) -> selvedge::Result<Story> {
        let mut story = Story::read(folder)?;
        if let Some(store) = &self.store {
            story = story.with_store(store)?;
        }
        match &self.crash_record {
            Some(folder) => story.with_crash_record(&CrashRecord::new(folder)),
            None => Ok(story),
        }
    }
}

/// Steps that are shown, the last ones.
const MAX_STEPS: usize = 12;

/// Whether there is anything to show.
pub(crate) fn is_empty(story: &Story) -> bool {
    story.versions().is_empty() && story.rollouts.is_empty() && story.crashed.is_empty()
}

pub(crate) fn show(out: &mut dyn Write, story: &Story) -> io::Result<()> {
    let versions = story.versions();
    let tells_more = |version: &VersionSummary| !version.arms.is_empty() || !version.standing.is_empty();
    if versions.len() > 1 || versions.iter().any(tells_more) {
        let mut rows =
            vec![["version", "model", "sha256", "rows", "failed", "p50", "p95", "arms", ""].map(String::from)];
        rows.extend(versions.iter().map(of_version));
        table(out, &rows, [false, false, false, true, true, true, true, false, false])?;
        writeln!(out)?;
    }
    for rollout in story.rollouts.iter().skip(story.rollouts.len().saturating_sub(MAX_STEPS)) {
        of_step(out, story, rollout)?;
    }
    for crashed in &story.crashed {
        of_crash(out, crashed)?;
    }
    if story.rollouts.is_empty() && story.crashed.is_empty() { Ok(()) } else { writeln!(out) }
}

fn of_version(version: &VersionSummary) -> [String; 9] {
    let ms = |q: f64| version.latency.quantile(q).map_or("–".into(), |us| format!("{:.2} ms", us / 1000.0));
    let digest = version.digest.map_or("–".into(), |digest| digest.to_string()[..12].into());
    let failed = match version.requests {
        (0, _) => "–".into(),
        (all, failed) => percent(failed, all),
    };
    let arms: Vec<String> = version.arms.iter().map(of_arm).collect();
    let (name, rows, standing) = (line(&version.name, 32), thousands(version.rows), line(&version.standing, 60));
    [line(&version.version, 20), name, digest, rows, failed, ms(0.5), ms(0.95), arms.join(", "), standing]
}

fn of_arm(arm: &WindowArm) -> String {
    let failed =
        if arm.failed > 0 { format!(" ({} failed)", percent(arm.failed, arm.requests)) } else { String::new() };
    format!("{} {}{failed}", arm.arm.name(), thousands(arm.rows))
}

fn percent(part: u64, all: u64) -> String {
    format!("{:.2} %", part as f64 * 100.0 / all.max(1) as f64)
}

fn of_step(out: &mut dyn Write, story: &Story, rollout: &RolloutRecord) -> io::Result<()> {
    let spoken = |name: &str| line(&name.replace('_', " "), 40);
    let verdict =
        rollout.verdict.as_deref().map(|verdict| format!(", verdict: {}", spoken(verdict))).unwrap_or_default();
    let (when, version) = (story.when(&rollout.stamp), line(&rollout.version, 40));
    let test = rollout.test.as_deref().map(|test| format!(" in the test {}", line(test, 40))).unwrap_or_default();
    writeln!(out, "  {when}  {version}: {}{test}{verdict}", spoken(&rollout.step))?;
    for finding in &rollout.evidence {
        let words = if finding.words.is_empty() { String::new() } else { format!(": {}", line(&finding.words, 200)) };
        writeln!(out, "    {} ({}){words}", line(&finding.name, 40), spoken(&finding.verdict))?;
    }
    Ok(())
}

fn of_crash(out: &mut dyn Write, crashed: &CrashedModel) -> io::Result<()> {
    let entry = &crashed.entry;
    let (name, digest, deaths) = (line(&entry.model, 40), &entry.digest.to_string()[..12], entry.deaths.len());
    let standing = if crashed.is_quarantined { "quarantined" } else { "tried again" };
    writeln!(out, "  CRASHED {name} ({digest}): {deaths} {}, {standing}", if deaths == 1 { "time" } else { "times" })?;
    entry.deaths.iter().try_for_each(|death| writeln!(out, "    {}", line(&death.to_string(), 200)))
}
