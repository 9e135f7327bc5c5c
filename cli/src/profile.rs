//! `selvedge profile`: what a model was made for, from its training data.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use selvedge::drift::{CellValue, FeatureSource, Fit, Row, RowDependence};
use selvedge::layer::probe::{self, All, Classes, Columns, Probe};
use selvedge::{Ask, Code, Digest, Options, Request, Tensor, Tensors, drift, open};
use sha2::{Digest as _, Sha256};

use crate::print::{bytes, table, thousands};
use crate::{Outcome, file};

/// Writes a model's profile: the distribution of its training data, which windows of answers are held against later.
///
/// The data is CSV with a header, or NPY of shape [rows, columns]. A column in which every cell is a number or empty is
/// numeric, any other one categorical. With --output the model answers every row, and the profile also knows its
/// classes, confidence and entropy.
#[derive(Args)]
pub(crate) struct Profile {
    /// The training data, in the order of time if there is one.
    data: PathBuf,
    /// The model: the profile is tied to its SHA-256.
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// The file to write.
    #[arg(short = 'o', long = "to", value_name = "FILE", default_value = "model.profile")]
    to: PathBuf,
    /// The model's columns, in its order; all but the label if not given.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    columns: Vec<String>,
    /// Those of the columns that are categories though they look like numbers.
    #[arg(long, value_delimiter = ',', value_name = "NAMES", requires = "columns")]
    category: Vec<String>,
    /// The column with the class that is right, as a number: it teaches how often the model is right at each confidence.
    #[arg(long, value_name = "NAME", requires = "output")]
    label: Option<String>,
    /// The model's input that takes the columns; its only one if not given.
    #[arg(long, value_name = "NAME", requires = "output")]
    input: Option<String>,
    /// The model's output with class probabilities.
    #[arg(long, value_name = "NAME", requires = "model")]
    output: Option<String>,
    /// The output holds logits.
    #[arg(long, requires = "output")]
    softmax: bool,
    /// The most bins per numeric column.
    #[arg(long, default_value_t = 16)]
    bins: usize,
    /// How rows depend on those before them: not at all, as estimated from the data, or over so many rows.
    #[arg(long, default_value = "none", value_name = "none|estimate|ROWS", value_parser = block)]
    block: RowDependence,
}

pub(crate) fn block(text: &str) -> Result<RowDependence, String> {
    match text {
        "none" => Ok(RowDependence::Independent),
        "estimate" => Ok(RowDependence::Estimate),
        rows => rows.parse().map(RowDependence::Rows).map_err(|_| "expected none, estimate or a number of rows".into()),
    }
}

type Failure = Box<dyn std::error::Error>;

impl Profile {
    pub(crate) fn run(self) -> Outcome {
        if let Some(name) = self.category.iter().find(|name| !self.columns.contains(name)) {
            return Err(format!("--category: expected one of --columns {:?}, got '{name}'", self.columns).into());
        }
        let mut fit = drift::Profile::fit().bins(self.bins).block(self.block);
        if let Some(model) = &self.model {
            fit = fit.model(digest(model)?.0);
        }
        let profile = match (&self.model, &self.output) {
            (Some(model), Some(output)) => self.answered(fit, model, output)?,
            _ => self.alone(fit)?,
        };
        let encoded = profile.encode();
        file::replace(&self.to, &encoded)?;
        print(&profile)?;
        let (features, rows) = (profile.features.len(), thousands(profile.rows));
        println!("{}: {features} features, {rows} rows, {}", self.to.display(), bytes(encoded.len() as u64));
        Ok(ExitCode::SUCCESS)
    }

    /// Of the data as it stands.
    fn alone(&self, mut fit: Fit) -> Result<drift::Profile, Failure> {
        for name in &self.columns {
            fit = if self.category.contains(name) { fit.category(name) } else { fit.number(name) };
        }
        let read = || File::open(&self.data).map_err(|e| io_error(&self.data, &e));
        Ok(if is_npy(&self.data)? { fit.of_npy(|| read().map(BufReader::new))? } else { fit.of_csv(read)? })
    }

    /// Of the data, and of what the model answers to each row.
    fn answered(&self, mut fit: Fit, model: &Path, output: &str) -> Result<drift::Profile, Failure> {
        const BATCH: usize = 1024;
        let numbers = Numbers::read(&self.data)?;
        let label = self.label.as_deref().map(|name| numbers.column(name)).transpose()?;
        let chosen: Vec<usize> = match &self.columns[..] {
            [] => (0..numbers.names.len()).filter(|i| Some(*i) != label).collect(),
            names => names.iter().map(|name| numbers.column(name)).collect::<Result<_, _>>()?,
        };
        let names: Vec<&str> = chosen.iter().map(|i| &*numbers.names[*i]).collect();
        let engine = open(model, Options::new())?;
        let input = match (&self.input, &engine.spec().inputs[..]) {
            (Some(name), _) => name.clone(),
            (None, [only]) => only.name.clone(),
            (None, several) => {
                return Err(format!("--input: the model has {} inputs, name the one", several.len()).into());
            }
        };
        let classes = if self.softmax { Classes::of(output).softmax() } else { Classes::of(output) };
        let probe = All::new().and(Columns::of(&*input, names.iter().copied())).and(classes);
        let features = probe.features();
        let mut rows: Vec<Vec<f32>> = Vec::with_capacity(numbers.rows);
        let bar = indicatif::ProgressBar::new(numbers.rows as u64);
        for begin in (0..numbers.rows).step_by(BATCH) {
            let batch = begin..(begin + BATCH).min(numbers.rows);
            let cells = batch.clone().flat_map(|row| chosen.iter().map(move |column| (row, *column)));
            let cells: Vec<f32> = cells.map(|(row, column)| numbers.cells[column][row]).collect();
            let tensor = Tensor::new(&[batch.len(), chosen.len()], cells)?;
            let request: Request = Tensors::from([(&*input, tensor)]).only([output]).into();
            let answer = engine.run(request.clone())?;
            let seen = probe::rows(&probe, &request, &answer);
            if seen.len() != batch.len() {
                return Err(format!("output '{output}': expected {} rows, got {}", batch.len(), seen.len()).into());
            }
            rows.extend(seen);
            bar.set_position(batch.end as u64);
        }
        bar.finish_and_clear();
        let class = features.iter().position(|f| f.source == FeatureSource::Class);
        for feature in &features {
            let is_category = self.category.contains(&feature.name) && feature.source == FeatureSource::Input;
            fit = if is_category { fit.category(&feature.name) } else { fit.output(&feature.name, feature.source) };
        }
        Ok(fit.stream(|sink| {
            rows.iter().enumerate().try_for_each(|(i, row)| {
                let values: Vec<CellValue<'_>> = row.iter().map(|v| CellValue::Number(*v)).collect();
                match label.zip(class).map(|(label, class)| (numbers.cells[label][i], row[class])) {
                    // A row without a label says nothing of whether the answer was right.
                    Some((label, answer)) if !label.is_nan() => sink(&Row::new(&values).right(label == answer)),
                    _ => sink(&Row::new(&values)),
                }
            })
        })?)
    }
}

pub(crate) fn io_error(path: &Path, e: &io::Error) -> selvedge::Error {
    let code = if e.kind() == io::ErrorKind::NotFound { Code::NotFound } else { Code::Io };
    selvedge::Error::new(code, format!("{}: {e}", path.display()))
}

pub(crate) fn is_npy(path: &Path) -> Result<bool, Failure> {
    let mut magic = Vec::new();
    File::open(path).map_err(|e| io_error(path, &e))?.take(6).read_to_end(&mut magic)?;
    Ok(magic == b"\x93NUMPY")
}

/// A table of numbers for a model to answer, column by column. NaN stands for a cell that holds none.
struct Numbers {
    names: Vec<String>,
    cells: Vec<Vec<f32>>,
    rows: usize,
}

impl Numbers {
    fn read(path: &Path) -> Result<Self, Failure> {
        if is_npy(path)? {
            return Err("--output: expected data in CSV, whose columns have names".into());
        }
        let mut reader = csv::Reader::from_path(path)?;
        let names: Vec<String> = reader.headers()?.iter().map(|name| name.trim().to_owned()).collect();
        let mut cells = vec![Vec::new(); names.len()];
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record)? {
            let numbers = record.iter().map(|cell| cell.trim().parse().unwrap_or(f32::NAN));
            cells.iter_mut().zip(numbers).for_each(|(column, number)| column.push(number));
        }
        let rows = cells.first().map_or(0, Vec::len);
        Ok(Self { names, cells, rows })
    }

    /// A column in which there is a number.
    fn column(&self, name: &str) -> Result<usize, Failure> {
        let found = self.names.iter().position(|n| n == name);
        let column = found.ok_or_else(|| format!("column '{name}': expected one of {:?}", self.names))?;
        if self.cells[column].iter().all(|v| v.is_nan()) {
            return Err(format!("column '{name}': expected numbers for the model to answer, got none").into());
        }
        Ok(column)
    }
}

/// Hashes a file without taking it into memory.
fn digest(path: &Path) -> Result<Digest, Failure> {
    let mut file = File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let (mut hash, mut part) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut part)? {
            0 => return Ok(Digest(hash.finalize().into())),
            n => hash.update(&part[..n]),
        }
    }
}

fn print(profile: &drift::Profile) -> io::Result<()> {
    let mut rows = vec![["feature", "bins", "mean", "from", "to", "missing"].map(String::from)];
    for feature in &profile.features {
        let number = |n: f64| format!("{n:.4}");
        let [mean, min, max] = match &feature.moments {
            Some(m) => [number(m.mean), number(m.min.into()), number(m.max.into())],
            None => [const { String::new() }; 3],
        };
        let missing = feature.counts.last().copied().unwrap_or(0);
        rows.push([feature.name.clone(), feature.bins.len().to_string(), mean, min, max, thousands(missing)]);
    }
    table(&mut io::stdout().lock(), &rows, [false, true, true, true, true, true])
}
