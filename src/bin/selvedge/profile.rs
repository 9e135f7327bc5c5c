//! `selvedge profile`: what a model was made for, from its training data.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use npyz::NpyFile;
use selvedge::drift::{Block, Fit, Row, Value};
use selvedge::layer::probe::{All, Classes, Columns, Probe, look};
use selvedge::{Ask, Digest, Options, Request, Tensor, Tensors, drift, open};
use sha2::{Digest as _, Sha256};

use crate::Outcome;
use crate::print::{bytes, table, thousands};

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
    /// Columns that are categories though they look like numbers.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
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
    block: Block,
}

fn block(text: &str) -> Result<Block, String> {
    match text {
        "none" => Ok(Block::Independent),
        "estimate" => Ok(Block::Estimate),
        rows => rows.parse().map(Block::Rows).map_err(|_| "expected none, estimate or a number of rows".into()),
    }
}

type Failure = Box<dyn std::error::Error>;

impl Profile {
    pub(crate) fn run(self) -> Outcome {
        let data = Data::read(&self.data)?;
        let label = self.label.as_deref().map(|name| data.column(name)).transpose()?;
        let chosen: Vec<usize> = match &self.columns[..] {
            [] => (0..data.names.len()).filter(|i| Some(*i) != label).collect(),
            names => names.iter().map(|name| data.column(name)).collect::<Result<_, _>>()?,
        };
        for name in &self.category {
            data.column(name)?;
        }
        let mut fit = drift::Profile::fit().bins(self.bins).block(self.block);
        if let Some(model) = &self.model {
            fit = fit.model(digest(model)?.0);
        }
        let numeric: Vec<bool> =
            chosen.iter().map(|i| data.is_numeric(*i) && !self.category.contains(&data.names[*i])).collect();
        for (i, is_number) in chosen.iter().zip(&numeric) {
            let name = &data.names[*i];
            fit = if *is_number { fit.number(name) } else { fit.category(name) };
        }
        let answers = match (&self.model, &self.output) {
            (Some(model), Some(output)) => Some(self.answers(model, output, &data, &chosen)?),
            _ => None,
        };
        let profile = fitted(fit, &data, &chosen, &numeric, answers.as_ref(), label)?;
        let encoded = profile.encode();
        let part = self.to.with_added_extension("part");
        fs::write(&part, &encoded)
            .and_then(|()| fs::rename(&part, &self.to))
            .map_err(|e| format!("{}: {e}", self.to.display()))?;
        print(&profile)?;
        println!(
            "{}: {} features, {} rows, {}",
            self.to.display(),
            profile.features.len(),
            thousands(profile.rows),
            bytes(encoded.len() as u64)
        );
        Ok(ExitCode::SUCCESS)
    }

    /// The model's class, confidence and entropy of every row.
    fn answers(&self, model: &Path, output: &str, data: &Data, chosen: &[usize]) -> Result<Answers, Failure> {
        const BATCH: usize = 1024;
        if let Some(i) = chosen.iter().find(|i| !data.is_numeric(**i)) {
            return Err(
                format!("column '{}': expected numbers for the model to answer, got text", data.names[*i]).into()
            );
        }
        let engine = open(model, Options::new())?;
        let input = match (&self.input, &engine.spec().inputs[..]) {
            (Some(name), _) => name.clone(),
            (None, [only]) => only.name.clone(),
            (None, several) => {
                return Err(format!("--input: the model has {} inputs, name the one", several.len()).into());
            }
        };
        let names = chosen.iter().map(|i| &*data.names[*i]);
        let classes = Classes::of(output);
        let classes = if self.softmax { classes.softmax() } else { classes };
        let probe = All::new().and(Columns::of(&*input, names)).and(classes);
        let mut answers = Answers { features: probe.features().split_off(chosen.len()), rows: Vec::new() };
        let bar = indicatif::ProgressBar::new(data.rows as u64);
        for begin in (0..data.rows).step_by(BATCH) {
            let rows = begin..(begin + BATCH).min(data.rows);
            let numbers: Vec<f32> =
                rows.clone().flat_map(|row| chosen.iter().map(move |i| data.cells[*i].number(row))).collect();
            let tensor = Tensor::new(&[rows.len(), chosen.len()], numbers)?;
            let request: Request = Tensors::from([(&*input, tensor)]).only([output]).into();
            let answer = engine.run(request.clone())?;
            let seen = look(&probe, &request, &answer);
            if seen.len() != rows.len() {
                return Err(format!("output '{output}': expected {} rows, got {}", rows.len(), seen.len()).into());
            }
            answers.rows.extend(seen.iter().map(|row| row[chosen.len()..].to_vec()));
            bar.set_position(rows.end as u64);
        }
        bar.finish_and_clear();
        Ok(answers)
    }
}

/// What the model said of each row, as the features of a probe.
struct Answers {
    features: Vec<selvedge::layer::probe::Feature>,
    rows: Vec<Vec<f32>>,
}

fn fitted(
    mut fit: Fit,
    data: &Data,
    chosen: &[usize],
    numeric: &[bool],
    answers: Option<&Answers>,
    label: Option<usize>,
) -> selvedge::Result<drift::Profile> {
    for feature in answers.into_iter().flat_map(|a| &a.features) {
        fit = fit.output(&feature.name, feature.source);
    }
    fit.stream(|sink| {
        (0..data.rows).try_for_each(|row| {
            let mut values: Vec<Value<'_>> =
                chosen.iter().zip(numeric).map(|(i, number)| data.cells[*i].value(row, *number)).collect();
            let answer = answers.map(|a| &a.rows[row]);
            values.extend(answer.into_iter().flatten().map(|v| Value::Number(*v)));
            let mut told = Row::new(&values);
            // The class is the first of the answer's features.
            if let (Some(label), Some([class, ..])) = (label, answer.map(|a| &a[..])) {
                told = told.right(data.cells[label].number(row) == *class);
            }
            sink(&told)
        })
    })
}

/// Columns of equal length.
struct Data {
    names: Vec<String>,
    cells: Vec<Column>,
    rows: usize,
}

/// NaN stands for a cell that is empty.
enum Column {
    Numbers(Vec<f32>),
    Texts(Vec<String>),
}

impl Column {
    fn number(&self, row: usize) -> f32 {
        match self {
            Self::Numbers(numbers) => numbers[row],
            Self::Texts(texts) => texts[row].trim().parse().unwrap_or(f32::NAN),
        }
    }

    fn value(&self, row: usize, as_number: bool) -> Value<'_> {
        match self {
            Self::Texts(texts) if texts[row].trim().is_empty() => Value::Missing,
            Self::Texts(texts) if !as_number => Value::Category(texts[row].trim()),
            _ => Value::Number(self.number(row)),
        }
    }
}

impl Data {
    fn read(path: &Path) -> Result<Self, Failure> {
        let at = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let mut file = File::open(path).map_err(|e| at(&e))?;
        let mut magic = [0; 6];
        let is_npy = file.read_exact(&mut magic).is_ok() && magic == *b"\x93NUMPY";
        let data = if is_npy { Self::npy(path) } else { Self::csv(path) }.map_err(|e| at(&e))?;
        if data.rows == 0 {
            return Err(at(&"expected at least one row, got none").into());
        }
        Ok(data)
    }

    fn csv(path: &Path) -> Result<Self, Failure> {
        let mut reader = csv::Reader::from_path(path)?;
        let names: Vec<String> = reader.headers()?.iter().map(|name| name.trim().to_owned()).collect();
        let mut texts = vec![Vec::new(); names.len()];
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record)? {
            texts.iter_mut().zip(&record).for_each(|(column, cell)| column.push(cell.to_owned()));
        }
        let rows = texts.first().map_or(0, Vec::len);
        Ok(Self { names, cells: texts.into_iter().map(Column::Texts).collect(), rows })
    }

    fn npy(path: &Path) -> Result<Self, Failure> {
        let file = NpyFile::new(io::BufReader::new(File::open(path)?))?;
        let [rows, columns] = match file.shape()[..] {
            [rows, columns] => [usize::try_from(rows)?, usize::try_from(columns)?],
            ref other => return Err(format!("expected an array of shape [rows, columns], got {other:?}").into()),
        };
        let by_column = file.order() == npyz::Order::Fortran;
        let flat: Vec<f32> = match file.try_data::<f32>() {
            Ok(data) => data.collect::<Result<_, _>>()?,
            Err(file) => match file.try_data::<f64>() {
                Ok(data) => data.map(|v| v.map(|v| v as f32)).collect::<Result<_, _>>()?,
                Err(file) => return Err(format!("expected f4 or f8 elements, got {}", file.dtype().descr()).into()),
            },
        };
        let at = |row: usize, column: usize| if by_column { column * rows + row } else { row * columns + column };
        let cells = (0..columns).map(|c| Column::Numbers((0..rows).map(|r| flat[at(r, c)]).collect())).collect();
        Ok(Self { names: (0..columns).map(|c| format!("x{c}")).collect(), cells, rows })
    }

    fn column(&self, name: &str) -> Result<usize, Failure> {
        let found = self.names.iter().position(|n| n == name);
        found.ok_or_else(|| format!("column '{name}': expected one of {:?}", self.names).into())
    }

    fn is_numeric(&self, column: usize) -> bool {
        match &self.cells[column] {
            Column::Numbers(_) => true,
            Column::Texts(texts) => texts.iter().map(|t| t.trim()).all(|t| t.is_empty() || t.parse::<f32>().is_ok()),
        }
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
