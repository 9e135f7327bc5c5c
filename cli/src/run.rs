//! `selvedge run`: arrays or texts in, arrays out.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use selvedge::{Answer, Ask, Code, DType, Embed, Engine, Kind, Port, Request, Tensor, Tensors};
use serde_json::{Value, json};

use crate::arrays::{self, Arrays};
use crate::check::numbers;
use crate::model::{Model, who};
use crate::{Outcome, file, print};

/// Runs a model once, on arrays of NumPy or on texts, and shows its outputs.
///
/// Of each output: name, type and shape, its first values, and of scores (numbers of one or two dimensions) the highest
/// of each row. With --output all of them are written as arrays.
#[derive(Args)]
pub(crate) struct Run {
    #[command(flatten)]
    model: Model,
    /// Inputs: FILE.npz with arrays named as the model's inputs, NAME=FILE.npy with the one of that name, or FILE.npy
    /// for a model with one input. May be given more than once.
    #[arg(short, long, value_name = "[NAME=]FILE")]
    input: Vec<String>,
    /// A text to make a vector of, for a model that embeds texts. May be given more than once.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["input", "only"])]
    text: Vec<String>,
    /// Computes these outputs only.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    only: Vec<String>,
    /// Writes the outputs to this file as arrays by name, and shows the types and shapes alone.
    #[arg(short, long, value_name = "FILE.npz")]
    output: Option<PathBuf>,
    /// Prints the outputs as JSON: every value of them, in C order, unless they are written to a file.
    #[arg(long)]
    json: bool,
}

/// Values of an output that are shown.
const VALUES: usize = 8;
/// Rows of scores whose highest are shown, and how many these are.
const ROWS: usize = 4;
const TOP: usize = 5;

type Failure = Box<dyn std::error::Error>;

impl Run {
    pub(crate) fn run(&self) -> Outcome {
        // Before the model is loaded, so that a mistake is known early.
        let given = self.input.iter().map(|text| Given::read(text)).collect::<Result<Vec<_>, _>>()?;
        let engine = self.model.open()?;
        let answer = answer(&*engine, self.request(&*engine, given)?)?;
        let written = match &self.output {
            Some(path) => Some((path, file::replace(path, &arrays::to_npz(&answer.outputs)?)?)),
            None => None,
        };
        let mut out = io::BufWriter::new(io::stdout().lock());
        if self.json {
            writeln!(out, "{}", in_json(&*engine, &answer, written.is_none())?)?;
        } else {
            in_words(&mut out, &answer, written.is_none())?;
            if let Some((path, ())) = written {
                writeln!(out, "{}: {} arrays", path.display(), answer.outputs.len())?;
            }
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }

    fn request(&self, engine: &dyn Engine, given: Vec<Given>) -> Result<Request, Failure> {
        let (spec, able) = (engine.spec(), engine.spec().abilities);
        let name = &spec.provenance.model;
        match (able.tensors, able.embed) {
            (_, true) if !self.text.is_empty() => Ok(Embed::new(&self.text).into()),
            (true, _) if self.text.is_empty() => {
                let mut request = Tensors::new(named(&spec.inputs, given)?);
                request.outputs = (!self.only.is_empty()).then(|| self.only.clone());
                Ok(request.into())
            }
            (true, _) => {
                Err(format!("--text: '{name}' takes arrays: expected --input with {}", listed(&spec.inputs)).into())
            }
            (_, true) => Err(format!("'{name}' takes texts: expected --text").into()),
            _ => Err(unsupported(format!("'{name}' writes text, and takes no arrays: see `selvedge chat`")).into()),
        }
    }
}

fn unsupported(why: String) -> selvedge::Error {
    selvedge::Error::new(Code::Unsupported, why)
}

/// An input as it was given.
struct Given {
    name: Option<String>,
    arrays: Arrays,
    text: String,
}

impl Given {
    /// A file of this very name comes first, so that a `=` in a path does no harm.
    fn read(text: &str) -> Result<Self, Failure> {
        let (name, path) = match text.split_once('=') {
            Some((name, path)) if !Path::new(text).exists() => (Some(name.to_owned()), path),
            _ => (None, text),
        };
        let arrays = arrays::read(Path::new(path))?;
        if let (Some(name), Arrays::Named(_)) = (&name, &arrays) {
            return Err(format!("--input: '{name}': expected one array, .npy, got named ones: {path}").into());
        }
        Ok(Self { name, arrays, text: text.into() })
    }
}

/// The inputs by name; an array without a name is the model's only input.
fn named(ports: &[Port], given: Vec<Given>) -> Result<Vec<(String, Tensor)>, Failure> {
    if given.is_empty() && ports.iter().any(|port| !port.optional) {
        return Err(format!("--input: expected {}, got none", listed(ports)).into());
    }
    let mut inputs = Vec::new();
    for given in given {
        match (given.arrays, given.name, ports) {
            (Arrays::Named(arrays), ..) => inputs.extend(arrays),
            (Arrays::One(tensor), Some(name), _) => inputs.push((name, tensor)),
            (Arrays::One(tensor), None, [only]) => inputs.push((only.name.clone(), tensor)),
            (Arrays::One(_), None, several) => {
                let (file, listed) = (given.text, listed(several));
                return Err(format!("--input: expected NAME={file} with the name of an input, {listed}").into());
            }
        }
    }
    Ok(inputs)
}

/// `x: f32[n, 4], mask: bool[n]`.
fn listed(ports: &[Port]) -> String {
    ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The engine's answer; a type that NumPy likes and the model does not comes with the words that change it.
fn answer(engine: &dyn Engine, request: Request) -> Result<Answer, selvedge::Error> {
    let hint = match &request {
        Request::Tensors(tensors) => hint(&engine.spec().inputs, &tensors.inputs),
        _ => None,
    };
    engine.run(request).map_err(|e| match hint {
        Some(hint) if e.code() == Code::InvalidArgument => {
            selvedge::Error::new(e.code(), format!("{e}; in NumPy: {hint}"))
        }
        _ => e,
    })
}

fn hint(ports: &[Port], inputs: &[(String, Tensor)]) -> Option<String> {
    inputs.iter().find_map(|(name, tensor)| {
        let Kind::Tensor { dtype, .. } = &ports.iter().find(|port| port.name == *name)?.kind else { return None };
        let numpy = match dtype {
            DType::F16 => "float16",
            DType::F32 => "float32",
            DType::F64 => "float64",
            DType::I32 => "int32",
            DType::I64 => "int64",
            DType::U8 => "uint8",
            DType::Bool => "bool",
            _ => return None,
        };
        (tensor.dtype() != *dtype).then(|| format!("{name}.astype(\"{numpy}\")"))
    })
}

fn in_words(out: &mut dyn Write, answer: &Answer, values: bool) -> Result<(), Failure> {
    for (name, tensor) in &answer.outputs {
        writeln!(out, "{}: {}{}", print::line(name, 96), tensor.dtype(), tensor.shape())?;
        if values {
            shown(out, tensor)?;
        }
    }
    let (who, usage) = (&answer.provenance, answer.usage);
    writeln!(out, "{} in {:.2} ms", who.runtime, usage.compute.as_secs_f64() * 1e3)?;
    Ok(())
}

fn shown(out: &mut dyn Write, tensor: &Tensor) -> Result<(), Failure> {
    if let Ok(texts) = tensor.as_strings() {
        texts.iter().take(VALUES).try_for_each(|text| writeln!(out, "  {}", print::line(text, 96)))?;
        return Ok(writeln!(out, "  {} texts", texts.len())?);
    }
    let numbers = numbers(tensor)?;
    let first: Vec<String> = numbers.iter().take(VALUES).map(|n| short(*n)).collect();
    let more = if numbers.len() > VALUES { " …" } else { "" };
    writeln!(out, "  {}{more}", first.join(" "))?;
    let strange = numbers.iter().filter(|n| !n.is_finite()).count();
    if strange > 0 {
        writeln!(out, "  {strange} of {} values are not finite", print::thousands(numbers.len() as u64))?;
    }
    let Some(classes) = classes(tensor) else { return Ok(()) };
    for (i, row) in numbers.chunks(classes).take(ROWS).enumerate() {
        let best = top(row).into_iter().map(|(class, score)| format!("{class} ({})", short(score)));
        let of_row = if numbers.len() > classes { format!(" of row {i}") } else { String::new() };
        writeln!(out, "  highest{of_row}: {}", best.collect::<Vec<_>>().join(", "))?;
    }
    let rows = numbers.len() / classes;
    if rows > ROWS {
        writeln!(out, "  and {} more rows", print::thousands((rows - ROWS) as u64))?;
    }
    Ok(())
}

/// How many classes an output has scores of: the last of one or two dimensions, where it holds floats.
fn classes(tensor: &Tensor) -> Option<usize> {
    let is_score = matches!(tensor.dtype(), DType::F16 | DType::BF16 | DType::F32 | DType::F64);
    let last = *tensor.shape().last().filter(|classes| **classes > 1)?;
    (is_score && tensor.shape().rank() <= 2 && tensor.shape().elements() > 0).then_some(last)
}

/// The highest scores of a row, with their places; what is no number comes last.
fn top(row: &[f64]) -> Vec<(usize, f64)> {
    let mut order: Vec<(usize, f64)> = row.iter().copied().enumerate().collect();
    order.sort_by(|(_, a), (_, b)| a.is_nan().cmp(&b.is_nan()).then(b.total_cmp(a)));
    order.truncate(TOP);
    order
}

/// A number with at most six digits.
fn short(n: f64) -> String {
    match n.abs() {
        whole if whole.fract() == 0.0 && whole < 1e7 => format!("{n}"),
        near if (1e-3..1e5).contains(&near) => {
            let digits = 5 - near.log10().floor() as i32;
            format!("{n:.*}", digits.clamp(0, 7) as usize)
        }
        _ => format!("{n:.5e}"),
    }
}

/// Every output with its type and shape, and unless they went to a file, its values: numbers and texts as JSON has them,
/// what it has not, as text.
fn in_json(engine: &dyn Engine, answer: &Answer, values: bool) -> Result<Value, Failure> {
    let mut outputs = Vec::new();
    for (name, tensor) in &answer.outputs {
        let dims: Vec<usize> = tensor.shape().iter().copied().collect();
        let mut output = json!({ "name": name, "type": tensor.dtype().name(), "shape": dims });
        if values {
            output["values"] = in_json_values(tensor)?;
        }
        outputs.push(output);
    }
    let usage = answer.usage;
    Ok(json!({
        "model": who(engine), "outputs": outputs, "finish": answer.finish.name(),
        "prepare_seconds": usage.prepare.as_secs_f64(), "compute_seconds": usage.compute.as_secs_f64(),
        "input_tokens": usage.input_tokens,
    }))
}

fn in_json_values(tensor: &Tensor) -> Result<Value, Failure> {
    Ok(match tensor.dtype() {
        DType::String => json!(tensor.as_strings()?),
        DType::Bool => json!(tensor.as_slice::<bool>()?),
        // Beyond what a float holds.
        DType::I64 => json!(tensor.as_slice::<i64>()?),
        DType::U64 => json!(tensor.as_slice::<u64>()?),
        DType::F32 => tensor.as_slice::<f32>()?.iter().map(|n| number(f64::from(*n), format!("{n:?}"))).collect(),
        DType::F16 | DType::BF16 | DType::F64 => {
            numbers(tensor)?.into_iter().map(|n| number(n, format!("{n:?}"))).collect()
        }
        _ => numbers(tensor)?.into_iter().map(|n| json!(n as i64)).collect(),
    })
}

/// A number by its shortest digits, so that 0.1 of an f32 is 0.1.
fn number(n: f64, digits: String) -> Value {
    if n.is_finite() { digits.parse::<serde_json::Number>().map_or(json!(n), Value::Number) } else { json!(digits) }
}

#[cfg(test)]
mod tests;
