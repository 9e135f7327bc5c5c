//! `selvedge validate`: whether a model file keeps its format's rules.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use selvedge::backend::inspect;
use selvedge::{Code, Error, Options};
use serde_json::json;

use crate::{NO, Outcome, print};

/// Says whether a GGUF, ONNX or safetensors file is valid, and why not.
///
/// Checks what is checked before a runtime sees the file: that every count, offset and length lies within it, that its
/// metadata does not contradict itself, and that the files it needs beside it are there and large enough; of a packed
/// model, that its weights are those that it was packed with. Exits with 0 for a valid file and with 1 for an invalid one.
#[derive(Args)]
pub(crate) struct Validate {
    /// The model file, or the folder of a packed or downloaded model.
    file: PathBuf,
    /// Prints the verdict as JSON.
    #[arg(long)]
    json: bool,
}

impl Validate {
    pub(crate) fn run(&self) -> Outcome {
        let (format, flaw, warnings) = match inspect(&self.file, &Options::new()) {
            Ok(inspection) => (Some(inspection.format.name()), inspection.flaw, inspection.warnings),
            Err(e) if matches!(e.code(), Code::Corrupt | Code::Unsupported) => (None, Some(e), Vec::new()),
            // Not the file's fault.
            Err(e) => return Err(e.into()),
        };
        let mut out = std::io::stdout().lock();
        let file = self.file.display().to_string();
        if self.json {
            let flaw = flaw.as_ref().map(|e| json!({ "code": e.code().name(), "reason": e.to_string() }));
            let valid = flaw.is_none();
            let inspection =
                json!({ "file": file, "valid": valid, "format": format, "flaw": flaw, "warnings": warnings });
            writeln!(out, "{inspection}")?;
        } else {
            writeln!(out, "{}: {}", print::line(&file, usize::MAX), verdict(format, flaw.as_ref()))?;
            warnings.iter().try_for_each(|w| writeln!(out, "  - {}", print::line(w, 1000)))?;
        }
        Ok(if flaw.is_none() { ExitCode::SUCCESS } else { ExitCode::from(NO) })
    }
}

fn verdict(format: Option<&str>, flaw: Option<&Error>) -> String {
    match (format, flaw) {
        (_, Some(e)) => print::line(&format!("invalid: {e:#}"), 1000),
        (Some(format), None) => format!("valid {format}"),
        (None, None) => "valid".into(),
    }
}
