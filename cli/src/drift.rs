//! `selvedge drift`: rows of now against rows of then, feature by feature.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use selvedge::drift::{
    Bins, FalseAlarm, FeatureDrift, FeatureSource, Judge, Persistence, Policy, Profile, RowDependence, Verdict,
    WindowCounts,
};
use selvedge::report::Comparison;
use serde_json::{Value, json};

use crate::profile::{block, io_error, is_npy};
use crate::{DRIFT, Outcome, file, print};

/// Says whether the rows of a table are still like those of another one: each feature's χ² test, p and PSI.
///
/// Both tables are CSV with a header, or NPY of shape [rows, columns]; the reference may be a profile that `selvedge
/// profile` wrote. Columns are found by name, in any order. Exits with 0 where there is no drift and with 3 where there
/// is.
#[derive(Args)]
pub(crate) struct Drift {
    /// What was: the training data, or a profile of it.
    reference: PathBuf,
    /// What is: the rows to compare with it.
    window: PathBuf,
    /// Compares these columns only.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    columns: Vec<String>,
    /// Those of the columns that are categories though they look like numbers.
    #[arg(long, value_delimiter = ',', value_name = "NAMES", requires = "columns")]
    category: Vec<String>,
    /// The most bins per numeric column.
    #[arg(long, default_value_t = 16)]
    bins: usize,
    /// How rows depend on those before them: not at all, as estimated from the reference, or over so many rows.
    #[arg(long, default_value = "none", value_name = "none|estimate|ROWS", value_parser = block)]
    block: RowDependence,
    /// The probability that any feature is called drifted where none is.
    #[arg(long, default_value_t = 0.001, value_name = "P", value_parser = level)]
    level: f64,
    /// Writes a page with the distributions side by side.
    #[arg(long, value_name = "FILE.html")]
    page: Option<PathBuf>,
    /// Prints the comparison as JSON.
    #[arg(long)]
    json: bool,
}

type Failure = Box<dyn std::error::Error>;

fn level(text: &str) -> Result<f64, String> {
    let level = text.parse().ok().filter(|level| (1e-12..=0.1).contains(level));
    level.ok_or_else(|| "expected a probability of 1e-12 to 0.1".into())
}

impl Drift {
    pub(crate) fn run(&self) -> Outcome {
        if let Some(name) = self.category.iter().find(|name| !self.columns.contains(name)) {
            return Err(format!("--category: expected one of --columns {:?}, got '{name}'", self.columns).into());
        }
        let profile = Arc::new(self.reference(self.block)?);
        let window = counts_of(&profile, &self.window)?;
        if window.rows == 0 {
            return Err(format!("{}: expected rows to compare, got none", self.window.display()).into());
        }
        let verdict = self.judge(&profile, &window)?;
        let drifted = verdict.features.iter().filter(|f| f.finding.is_some()).count();
        if let Some(page) = &self.page {
            let names = [&self.reference, &self.window].map(|path| name_of(path));
            let html = Comparison::new(&profile, &window, &verdict).named(&names[0], &names[1]).html();
            file::replace(page, html.as_bytes())?;
        }
        let mut out = io::BufWriter::new(io::stdout().lock());
        if self.json {
            writeln!(out, "{}", self.in_json(&profile, &window, &verdict))?;
        } else {
            self.in_words(&mut out, &profile, &window, &verdict)?;
        }
        out.flush()?;
        if drifted == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        self.note_dependence(&profile, drifted)?;
        Ok(ExitCode::from(DRIFT))
    }

    fn reference(&self, block: RowDependence) -> Result<Profile, Failure> {
        let mut magic = Vec::new();
        let read = || File::open(&self.reference).map_err(|e| io_error(&self.reference, &e));
        read()?.take(4).read_to_end(&mut magic)?;
        if magic == b"SVDP" {
            let mut profile = Profile::decode(&std::fs::read(&self.reference)?).map_err(|e| self.of_reference(e))?;
            if let Some(absent) = self.columns.iter().find(|name| !profile.features.iter().any(|f| f.name == **name)) {
                let names: Vec<&str> = profile.features.iter().map(|f| &*f.name).collect();
                return Err(format!("--columns: expected some of {names:?}, got '{absent}'").into());
            }
            profile.features.retain(|f| self.columns.is_empty() || self.columns.contains(&f.name));
            // Rows of a table bring no answers and no embedding.
            profile.features.retain(|f| f.source == FeatureSource::Input);
            profile.embedding = None;
            return Ok(profile);
        }
        let is_npy = is_npy(&self.reference)?;
        let mut fit = Profile::fit().bins(self.bins).block(block);
        // Of columns that are named, the library must be told which are categories.
        let words = if is_npy || self.columns.is_empty() { Vec::new() } else { self.words() };
        for name in &self.columns {
            let is_category = self.category.contains(name) || words.contains(name);
            fit = if is_category { fit.category(name) } else { fit.number(name) };
        }
        let fitted = if is_npy { fit.of_npy(|| read().map(BufReader::new)) } else { fit.of_csv(read) };
        Ok(fitted.map_err(|e| self.of_reference(e))?)
    }

    /// The columns of the reference that hold no numbers; none where it cannot be read, which is told later.
    fn words(&self) -> Vec<String> {
        let all = Profile::fit().of_csv(|| File::open(&self.reference).map_err(|e| io_error(&self.reference, &e)));
        let features = all.map(|profile| profile.features).unwrap_or_default();
        let words = features.into_iter().filter(|f| matches!(f.bins, Bins::Categories(_)));
        words.map(|feature| feature.name).collect()
    }

    fn of_reference(&self, e: selvedge::Error) -> selvedge::Error {
        e.during(format!("reading {}", self.reference.display()))
    }

    /// A window alone decides, at the level that was asked for.
    fn judge(&self, profile: &Arc<Profile>, window: &WindowCounts) -> Result<Verdict, Failure> {
        let once = FalseAlarm::windows(1.0 / self.level);
        let policy = Policy::new(window.rows, once).persistence(Persistence::new(1, 1)?);
        Ok(Judge::new(profile.clone(), policy)?.judge(window)?)
    }

    fn in_words(
        &self,
        out: &mut dyn Write,
        profile: &Profile,
        window: &WindowCounts,
        verdict: &Verdict,
    ) -> io::Result<()> {
        let mut features: Vec<(&FeatureDrift, &Vec<u64>)> = verdict.features.iter().zip(&window.features).collect();
        features.sort_by(|(a, _), (b, _)| a.ln_p.total_cmp(&b.ln_p));
        let mut rows = vec![["feature", "rows", "χ²", "df", "p", "PSI", "verdict"].map(String::from)];
        rows.extend(features.into_iter().map(|(drift, counts)| {
            [
                print::line(&drift.name, 40),
                print::thousands(present(counts)),
                format!("{:.1}", drift.chi2),
                drift.df.to_string(),
                probability(drift.ln_p),
                format!("{:.3}", drift.psi),
                drift.finding.map_or("no drift", |f| f.name()).into(),
            ]
        }));
        print::table(out, &rows, [false, true, true, true, true, true, false])?;
        let drifted = verdict.features.iter().filter(|f| f.finding.is_some()).count();
        let (then, now) = (print::thousands(profile.rows), print::thousands(verdict.rows));
        let found = if drifted > 0 { format!("drift in {drifted}") } else { "no drift in any".into() };
        writeln!(
            out,
            "{found} of {} features: {now} rows against {then}, at a level of {} for all of them together",
            verdict.features.len(),
            self.level
        )?;
        match &self.page {
            Some(page) => writeln!(out, "{}: the distributions side by side", page.display()),
            None => Ok(()),
        }
    }

    fn in_json(&self, profile: &Profile, window: &WindowCounts, verdict: &Verdict) -> Value {
        let feature = |(drift, counts): (&FeatureDrift, &Vec<u64>)| {
            json!({
                "name": drift.name, "rows": present(counts), "chi2": drift.chi2, "df": drift.df, "p": drift.p,
                "ln_p": if drift.ln_p.is_finite() { json!(drift.ln_p) } else { json!(drift.ln_p.to_string()) },
                "psi": drift.psi, "ks": drift.ks, "js": drift.js, "hellinger": drift.hellinger,
                "wasserstein": drift.wasserstein, "missing": drift.missing, "new_category": drift.new_category,
                "out_of_range": drift.out_of_range, "finding": drift.finding.map(|f| f.name().replace(' ', "_")),
            })
        };
        let features: Vec<Value> = verdict.features.iter().zip(&window.features).map(feature).collect();
        json!({
            "drift": verdict.features.iter().any(|f| f.finding.is_some()), "level": self.level,
            "reference": { "file": self.reference.display().to_string(), "rows": profile.rows, "block": profile.block },
            "window": { "file": self.window.display().to_string(), "rows": verdict.rows },
            "features": features, "page": self.page.as_ref().map(|page| page.display().to_string()),
        })
    }

    /// Rows that depend on each other look like drift to a test that takes them as independent.
    fn note_dependence(&self, profile: &Profile, drifted: usize) -> Result<(), Failure> {
        if self.block != RowDependence::Independent || profile.block > 1 || profile.learned {
            return Ok(());
        }
        let Ok(dependent) = self.reference(RowDependence::Estimate) else { return Ok(()) };
        if dependent.block <= 1 {
            return Ok(());
        }
        let dependent = Arc::new(dependent);
        let verdict = self.judge(&dependent, &counts_of(&dependent, &self.window)?)?;
        let still = verdict.features.iter().filter(|f| f.finding.is_some()).count();
        if still < drifted {
            eprintln!(
                "note: if the rows of {} are in the order of time, they depend on each other over about {} rows, and with \
                 --block estimate {still} of {drifted} remain",
                self.reference.display(),
                dependent.block
            );
        }
        Ok(())
    }
}

/// The counts of a table's rows in a profile's bins.
fn counts_of(profile: &Profile, path: &Path) -> Result<WindowCounts, Failure> {
    let counts = match is_npy(path)? {
        true => counts_of_npy(profile, path),
        false => WindowCounts::of_csv(profile, File::open(path)?, None).map_err(Failure::from),
    };
    counts.map_err(|e| format!("{}: {e}", path.display()).into())
}

fn counts_of_npy(profile: &Profile, path: &Path) -> Result<WindowCounts, Failure> {
    let crate::arrays::Arrays::One(tensor) = crate::arrays::read(path)? else {
        return Err("expected one array".into());
    };
    let width = match tensor.shape()[..] {
        [_] => 1,
        [_, width] => width,
        _ => return Err(format!("expected an array of [rows, columns], got {}", tensor.shape()).into()),
    };
    let numbers: Vec<f32> = crate::check::numbers(&tensor)?.into_iter().map(|n| n as f32).collect();
    let rows: Vec<&[f32]> = numbers.chunks(width.max(1)).collect();
    Ok(WindowCounts::of_rows(profile, &rows)?)
}

/// Rows of a feature that have a value.
fn present(counts: &[u64]) -> u64 {
    counts.split_last().map_or(0, |(_, values)| values.iter().sum())
}

/// A probability by its natural logarithm, also where it is too small for a number.
fn probability(ln_p: f64) -> String {
    let zeros = ln_p / std::f64::consts::LN_10;
    match zeros {
        large if large > -2.0 => format!("{:.2}", ln_p.exp()),
        known if known > -300.0 => format!("{:.1e}", ln_p.exp()),
        none if !none.is_finite() => "0".into(),
        _ => format!("1e{:.0}", zeros.ceil()),
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
