//! `selvedge pack`: the large weights of an ONNX model as blocks.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use selvedge::backend::inspect;
use selvedge::pack::{PackProgress, PackReport, Packing, Scheme, pack};
use selvedge::{Backend, Options};
use serde_json::json;

use crate::check::{self, Difference};
use crate::{NO, Outcome, arrays, print};

/// Makes an ONNX model smaller: its large weights become blocks of 4 or 8 bits, or half precision.
///
/// The result is a folder with a graph (model.onnx) and a weight file (weights.gguf), which `selvedge` and the library
/// open like a model file. Blocks are for MatMul, Gemm, Gather, LSTM, GRU and RNN; 8 bits and half precision for Conv, too.
/// What would lose too much stays as it is, and the report says why.
#[derive(Args)]
#[command(group = clap::ArgGroup::new("scheme").required(true))]
pub(crate) struct Pack {
    /// The ONNX model, or a folder with a model.onnx in it.
    model: PathBuf,
    /// The folder to make.
    #[arg(short, long, value_name = "FOLDER")]
    output: PathBuf,
    /// 4 bits per weight, in blocks of 32 (Q4_0); 8 bits for the last matrices, as far as --bits goes.
    #[arg(long, group = "scheme")]
    int4: bool,
    /// 8 bits per weight, in blocks of 32 (Q8_0).
    #[arg(long, group = "scheme")]
    int8: bool,
    /// Half precision.
    #[arg(long, group = "scheme")]
    f16: bool,
    /// Packs only what a pattern matches: the name of a tensor, or name or operator of a node that reads it. `*` is any
    /// text and `?` any one character. Can be given several times.
    #[arg(long, value_name = "PATTERN")]
    only: Vec<String>,
    /// Leaves what a pattern matches as it is.
    #[arg(long, value_name = "PATTERN")]
    keep: Vec<String>,
    /// Packs what a pattern matches in the next finer form: 8 bits for --int4, half precision for --int8.
    #[arg(long, value_name = "PATTERN")]
    finer: Vec<String>,
    /// With --int4: how many bits a weight may take on average. 4.5 is all in 4 bits, 8.5 all matrices in 8
    /// [default: 6.25].
    #[arg(long, value_name = "BITS", conflicts_with_all = ["int8", "f16"], value_parser = bits)]
    bits: Option<f64>,
    /// Leaves tensors of fewer elements as they are.
    #[arg(long, value_name = "ELEMENTS", default_value_t = Packing::DEFAULT_MIN_ELEMENTS)]
    min_elements: u64,
    /// Replaces a packed model in the folder.
    #[arg(long)]
    overwrite: bool,
    /// Runs both models on the arrays of this file, named as the model's inputs, and compares their outputs.
    #[arg(long, value_name = "NPZ")]
    check: Option<PathBuf>,
    /// How far an output may be from the original's, as ‖a − b‖ ÷ ‖a‖; what is beyond is said, and the exit code is 1.
    #[arg(long, requires = "check", value_name = "SHARE", default_value_t = 0.15, value_parser = share)]
    tolerance: f64,
    /// The backend that runs them: `tract`, `rten` or `ort`.
    #[arg(long, requires = "check", value_parser = backend)]
    backend: Option<Backend>,
    /// Prints the report as JSON.
    #[arg(long)]
    json: bool,
}

fn bits(text: &str) -> Result<f64, String> {
    let least = Packing::MIN_MEAN_BITS;
    let bits = text.parse().ok().filter(|bits| *bits >= least);
    bits.ok_or_else(|| format!("expected {least} bits per weight or more"))
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share: &f64| *share >= 0.0);
    share.ok_or_else(|| format!("expected a number from 0, got '{text}'"))
}

fn backend(name: &str) -> Result<Backend, String> {
    [Backend::Tract, Backend::Rten, Backend::Ort]
        .into_iter()
        .find(|backend| backend.name() == name)
        .ok_or_else(|| format!("expected tract, rten or ort, got '{name}'"))
}

impl Pack {
    pub(crate) fn run(&self) -> Outcome {
        let scheme = match (self.int4, self.int8) {
            (true, _) => Scheme::Int4,
            (_, true) => Scheme::Int8,
            _ => Scheme::F16,
        };
        let mut packing = Packing::new(scheme).min_elements(self.min_elements).overwrite(self.overwrite);
        packing.only.clone_from(&self.only);
        packing.keep.clone_from(&self.keep);
        packing.finer.clone_from(&self.finer);
        packing.mean_bits = self.bits.unwrap_or(packing.mean_bits);
        // Before the work, so that a mistake is known early.
        let inputs = self.check.as_deref().map(arrays::npz).transpose()?;
        if let Some(inputs) = &inputs {
            check::expect(&inspect(&self.model, &Options::new())?.inputs, inputs)?;
        }
        let bar = bar();
        let report = pack(&self.model, &self.output, &packing, |progress| show_progress(&bar, progress))?;
        bar.finish_and_clear();
        let mut out = std::io::stdout().lock();
        if !self.json {
            self.in_words(&mut out, &report)?;
        }
        let differences = inputs.map(|inputs| {
            let mut options = Options::new().search_python();
            options.backend = self.backend;
            check::compare(&self.model, &self.output, &options, &inputs)
        });
        // The report is reported whatever comes of the comparison: the folder is there.
        let compared = differences.as_ref().and_then(|differences| differences.as_deref().ok());
        match (self.json, compared) {
            (true, compared) => writeln!(out, "{}", self.in_json(&report, compared))?,
            (false, Some(differences)) => differences_in_words(&mut out, differences)?,
            (false, None) => {}
        }
        let is_much = compared.is_some_and(|differences| self.warn_of_changes(differences));
        differences.transpose().map_err(|e| format!("{} was made, and not compared: {e:#}", self.output.display()))?;
        Ok(if is_much { ExitCode::from(NO) } else { ExitCode::SUCCESS })
    }

    /// Whether an output is beyond the tolerance; it is said, too.
    fn warn_of_changes(&self, differences: &[Difference]) -> bool {
        let beyond: Vec<_> = differences.iter().filter(|d| d.is_beyond(self.tolerance)).collect();
        for d in &beyond {
            let (output, error, tolerance) = (print::line(&d.output, 60), percent(d.error), percent(self.tolerance));
            eprintln!("warning: output '{output}' changed much: by {error}, beyond {tolerance}");
        }
        !beyond.is_empty()
    }

    fn in_words(&self, out: &mut dyn Write, report: &PackReport) -> Result<(), Box<dyn Error>> {
        for pattern in &report.unmatched {
            eprintln!("warning: '{}' matches no tensor, and no node that reads one", print::line(pattern, 60));
        }
        let mut rows = vec![["tensor", "shape", "blocks", "before", "after", "worst", "relative"].map(String::from)];
        rows.extend(report.packed.iter().map(|tensor| {
            [
                print::line(&tensor.name, 60),
                format!("{:?}", tensor.dims),
                tensor.format.into(),
                print::bytes(tensor.before),
                print::bytes(tensor.after),
                percent(tensor.worst_error),
                percent(tensor.relative_error),
            ]
        }));
        print::table(out, &rows, [false, false, false, true, true, true, true])?;
        // Biases and the like are of no interest.
        let large: Vec<_> = report.kept.iter().filter(|tensor| tensor.bytes >= 4096).collect();
        if !large.is_empty() {
            writeln!(out, "kept:")?;
            let row = |t: &&selvedge::pack::KeptTensor| {
                [print::line(&t.name, 60), print::bytes(t.bytes), print::line(&t.reason, 120)]
            };
            print::table(out, &large.iter().map(row).collect::<Vec<_>>(), [false, true, false])?;
        }
        let small = report.kept.len() - large.len();
        if small > 0 {
            writeln!(out, "and {small} of less than 4 KiB")?;
        }
        let share = report.after as f64 / report.before.max(1) as f64;
        let (before, after) = (print::bytes(report.before), print::bytes(report.after));
        let weights = report.packed.iter().map(|t| t.dims.iter().product::<u64>()).sum();
        let (weights, folder) = (print::thousands(weights), self.output.display());
        writeln!(out, "{folder}: {before} -> {after} ({:.1} %), {weights} weights in blocks", share * 100.0)?;
        if report.keeps_most() {
            eprintln!("warning: {}", kept_in_words(report));
        }
        Ok(())
    }
}

/// What of a model is left as it was, and why the largest part of it is.
fn kept_in_words(report: &PackReport) -> String {
    let packed: u64 = report.packed.iter().map(|tensor| tensor.before).sum();
    let left = report.before.saturating_sub(packed) as f64 / report.before.max(1) as f64;
    let kept: u64 = report.kept.iter().map(|tensor| tensor.bytes).sum();
    let why = match report.kept.iter().max_by_key(|tensor| tensor.bytes) {
        // What the list does not have lies elsewhere.
        Some(tensor) if kept >= report.before.saturating_sub(packed) / 2 => {
            format!("'{}' of {}: {}", print::line(&tensor.name, 60), print::bytes(tensor.bytes), tensor.reason)
        }
        _ => "most of that lies in sub-graphs, or is no weights".into(),
    };
    let share = report.after as f64 / report.before.max(1) as f64 * 100.0;
    format!("the model keeps {share:.1} % of its bytes, {:.1} % of them were not packed: {why}", left * 100.0)
}

fn differences_in_words(out: &mut dyn Write, differences: &[Difference]) -> std::io::Result<()> {
    let mut rows = vec![["output", "max absolute", "max relative", "error", "cosine"].map(String::from)];
    rows.extend(differences.iter().map(|d| {
        [
            print::line(&d.output, 60),
            format!("{:.3e}", d.absolute),
            format!("{:.3e}", d.relative),
            percent(d.error),
            format!("{:.6}", d.cosine),
        ]
    }));
    print::table(out, &rows, [false, true, true, true, true])
}

fn percent(share: f64) -> String {
    format!("{:.3} %", share * 100.0)
}

/// A bar on a terminal, and nothing elsewhere.
fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::no_length();
    // The template is a constant of ours; without it the bar has its default look.
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {wide_msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn show_progress(bar: &ProgressBar, progress: PackProgress<'_>) {
    bar.set_length(progress.total);
    bar.set_position(progress.done);
    bar.set_message(progress.tensor.map(|name| print::line(name, 80)).unwrap_or_default());
}

impl Pack {
    fn in_json(&self, report: &PackReport, differences: Option<&[Difference]>) -> serde_json::Value {
        let packed = report.packed.iter().map(|t| {
            json!({
                "name": t.name, "stored": t.stored, "shape": t.dims, "format": t.format, "operators": t.operators,
                "bytes_before": t.before, "bytes_after": t.after, "scale": t.scale,
                "worst_error": t.worst_error, "row_error": t.row_error, "relative_error": t.relative_error,
            })
        });
        let kept = report.kept.iter().map(|t| json!({ "name": t.name, "bytes": t.bytes, "reason": t.reason }));
        let check = differences.map(|differences| {
            let one = |d: &Difference| {
                json!({
                    "output": d.output, "max_absolute": d.absolute, "max_relative": d.relative, "error": d.error,
                    "cosine": d.cosine, "changed_much": d.is_beyond(self.tolerance),
                })
            };
            differences.iter().map(one).collect::<Vec<_>>()
        });
        json!({
            "scheme": report.scheme.name(), "bytes_before": report.before, "bytes_after": report.after,
            "packed": packed.collect::<Vec<_>>(), "kept": kept.collect::<Vec<_>>(), "keeps_most": report.keeps_most(),
            "unmatched": report.unmatched, "check": check,
        })
    }
}
