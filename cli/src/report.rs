//! `selvedge report`: a telemetry folder as one page.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::rollout::{self, Beside};
use crate::{NO, Outcome, file};

/// Writes one HTML page of what a telemetry folder holds: versions and their rollouts, health, drift, alerts and losses.
///
/// The page stands alone: it loads nothing and runs no script. The folder is only read, and may be open in an app. It
/// holds the latest records, whether or not they were posted: how many, the app's limits say.
#[derive(Args)]
pub(crate) struct Report {
    /// The telemetry folder.
    folder: PathBuf,
    /// The file to write.
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,
    #[command(flatten)]
    beside: Beside,
}

impl Report {
    pub(crate) fn run(self) -> Outcome {
        let story = self.beside.read(&self.folder)?;
        if story.models.is_empty() && rollout::is_empty(&story) {
            eprintln!("{}: no window was closed yet, so there is nothing to report", self.folder.display());
            return Ok(ExitCode::from(NO));
        }
        file::replace(&self.output, story.html().as_bytes())?;
        let windows: usize = story.models.iter().map(|m| m.windows.len()).sum();
        println!("{}: {windows} windows of {} models", self.output.display(), story.models.len());
        for model in &story.models {
            if let Some(plain) = model.estimated_accuracy() {
                let (value, name) = (plain.value * 100.0, &model.info.name);
                println!("{name}: expected right, by confidence: {value:.1} % of {}", plain.of);
            }
            if let Some(adjusted) = model.adjusted_accuracy() {
                println!("{}: adjusted by labels: {adjusted}", model.info.name);
            }
            for class in story.classes(model.info.slot) {
                let (code, name) = (class.code.name().replace('_', " "), &model.info.name);
                println!("{name}: {code}: {} rows, {} raised, {} standing", class.rows, class.raised, class.standing);
            }
        }
        let mut out = io::stdout().lock();
        rollout::show(&mut out, &story)?;
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}
