//! `selvedge watch`: a telemetry folder as it fills, on a terminal.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use clap::Args;
use selvedge::drift::FeatureDrift;
use selvedge::report::{Model, Story};

use crate::Outcome;
use crate::print::{line, table, thousands};
use crate::rollout::{self, Beside};

/// Shows versions, health, drift and alerts of a telemetry folder, again and again, until Ctrl-C.
///
/// The folder is only read, and may be open in an app; records that were posted stay in it for a while. Where the output is no terminal, it is shown once.
#[derive(Args)]
pub(crate) struct Watch {
    /// The telemetry folder.
    folder: PathBuf,
    /// Seconds between two looks.
    #[arg(long, default_value_t = 2.0, value_name = "SECONDS", value_parser = seconds)]
    every: f64,
    /// Show it once.
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    beside: Beside,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds")?;
    if (0.1..=86_400.0).contains(&seconds) { Ok(seconds) } else { Err("expected 0.1 to 86400 seconds".into()) }
}

impl Watch {
    pub(crate) fn run(self) -> Outcome {
        let once = self.once || !io::stdout().is_terminal();
        loop {
            let mut screen = Vec::new();
            if !once {
                // Home, and clear what is below: no flicker, and the scrollback stays.
                screen.extend_from_slice(b"\x1b[H\x1b[2J");
            }
            show(&mut screen, &self.beside.read(&self.folder)?)?;
            let mut out = io::stdout().lock();
            out.write_all(&screen)?;
            out.flush()?;
            drop(out);
            if once {
                return Ok(ExitCode::SUCCESS);
            }
            sleep(Duration::from_secs_f64(self.every));
        }
    }
}

fn show(out: &mut dyn Write, story: &Story) -> io::Result<()> {
    rollout::show(out, story)?;
    if story.models.is_empty() {
        return writeln!(out, "No window was closed yet ({} records).", story.records);
    }
    for model in story.models.iter().rev() {
        of_model(out, story, model)?;
    }
    for (reason, n) in &story.losses {
        writeln!(out, "lost: {} {}", thousands(*n), reason.name())?;
    }
    Ok(())
}

fn of_model(out: &mut dyn Write, story: &Story, model: &Model) -> io::Result<()> {
    let version = model.info.version.as_deref().unwrap_or_default();
    writeln!(out, "{} {}", line(&model.info.name, 60), line(version, 20))?;
    let ((requests, failed), latency) = (model.requests(), model.latency());
    let ms = |q: f64| latency.quantile(q).map_or("–".into(), |us| format!("{:.2} ms", us / 1000.0));
    writeln!(
        out,
        "  {} rows in {} windows · {} requests, {} failed · p50 {} p95 {} p99 {}",
        thousands(model.rows()),
        model.windows.len(),
        thousands(requests),
        thousands(failed),
        ms(0.5),
        ms(0.95),
        ms(0.99)
    )?;
    if let Some(right) = model.accuracy() {
        let [value, low, high] = [right.value, right.low, right.high].map(|share| share * 100.0);
        writeln!(out, "  right {value:.1} % of {} labels ({low:.1} to {high:.1})", thousands(right.of))?;
    }
    if let Some(plain) = model.estimated_accuracy() {
        let [value, low, high] = [plain.value, plain.low, plain.high].map(|share| share * 100.0);
        writeln!(out, "  expected right, by confidence: {value:.1} % of {} ({low:.1} to {high:.1})", plain.of)?;
    }
    if let Some(adjusted) = model.adjusted_accuracy() {
        writeln!(out, "  adjusted by labels: {adjusted}")?;
    }
    if let Some(verdict) = model.windows.iter().rev().find_map(|seen| seen.verdict.as_ref()) {
        let mut rows = vec![["feature", "PSI", "p", "over the windows", ""].map(String::from)];
        rows.extend(verdict.features.iter().enumerate().map(|(i, drift)| of_feature(model, i, drift)));
        table(out, &rows, [false, true, true, false, false])?;
    }
    for alert in story.standing(model.info.slot) {
        let (feature, what) = (alert.feature.as_deref().unwrap_or_default(), alert.code.name().replace('_', " "));
        writeln!(out, "  ALERT {}: {}, since {}", line(feature, 40), line(&what, 40), story.when(&alert.since))?;
    }
    writeln!(out)
}

fn of_feature(model: &Model, i: usize, drift: &FeatureDrift) -> [String; 5] {
    let found = drift.finding.map_or("", |f| f.name());
    let history = model.psi(i);
    let shown = &history[history.len().saturating_sub(32)..];
    let (psi, p) = (format!("{:.3}", drift.psi), format!("{:.0e}", drift.p));
    [line(&drift.name, 32), psi, p, sparkline(shown), found.into()]
}

/// Numbers as a line of bars, from 0 to at least 0.25.
fn sparkline(numbers: &[f64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = numbers.iter().copied().fold(0.25, f64::max);
    numbers.iter().map(|n| BARS[((n / most * 8.0) as usize).min(7)]).collect()
}
