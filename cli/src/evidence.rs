//! `selvedge evidence`: why a model should be retrained, as files for whoever does it.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use selvedge::report::{Evidence as Bundle, Story};
use selvedge::sync::Privacy;

use crate::{NO, Outcome, file};

/// Writes the evidence behind alerts that ask for retraining: reference, windows, counts and tests, and which model.
///
/// Each model has a folder of its own in DIR. No value that a model was fed is in the files, nor any of its answers: a
/// telemetry folder has none. Counts and numbers pass the same rules as what is posted. The telemetry folder is only
/// read, and may be open in an app.
#[derive(Args)]
pub(crate) struct Evidence {
    /// The telemetry folder.
    folder: PathBuf,
    /// The folder to write into.
    #[arg(short, long, value_name = "DIR", default_value = "evidence")]
    output: PathBuf,
    /// The least rows that a count or a number tells of.
    #[arg(long, value_name = "ROWS", default_value_t = Privacy::default().min_count)]
    min_count: u64,
    /// Leave out all that depends on data, as under noise of this privacy budget per count.
    #[arg(long, value_name = "EPSILON")]
    epsilon: Option<f64>,
}

impl Evidence {
    pub(crate) fn run(self) -> Outcome {
        let privacy = Privacy::default().min_count(self.min_count).epsilon(self.epsilon);
        let bundle = Bundle::of(&Story::read(&self.folder)?, privacy)?;
        if bundle.files().is_empty() {
            eprintln!("{}: no alert asks for retraining, so there is nothing to tell", self.folder.display());
            return Ok(ExitCode::from(NO));
        }
        for (path, bytes) in bundle.files() {
            let path = self.output.join(path);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
            }
            file::replace(&path, bytes)?;
            println!("{}", path.display());
        }
        Ok(ExitCode::SUCCESS)
    }
}
