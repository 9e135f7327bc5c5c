//! `selvedge inspect`: what a model file holds.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use selvedge::backend::{Inspection, MetadataValue, inspect};
use selvedge::{MemoryEstimate, Options, Port, Result};
use serde_json::{Value, json};

use crate::{Outcome, print};

/// Tells what a GGUF, ONNX or safetensors file holds, without loading it.
///
/// Metadata, inputs and outputs, weights by type and what the file would need in memory, then what a person should
/// know about it. Reads the header only, so that a file of many gigabytes is inspected at once; of a packed model the
/// weights, too, whose digest it checks.
#[derive(Args)]
pub(crate) struct Inspect {
    /// The model file, or the folder of a packed or downloaded model.
    file: PathBuf,
    /// Prints JSON: the whole of it, on one line.
    #[arg(long)]
    json: bool,
    /// Lists every weight, too.
    #[arg(long)]
    tensors: bool,
}

/// Characters of a value that the table shows; JSON has all of it.
const SHOWN: usize = 96;

impl Inspect {
    pub(crate) fn run(&self) -> Outcome {
        let inspection = inspect(&self.file, &Options::new())?;
        let mut out = io::BufWriter::new(io::stdout().lock());
        if self.json {
            writeln!(out, "{}", to_json(&inspection))?;
        } else {
            self.print(&mut out, &inspection)?;
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }

    fn print(&self, out: &mut dyn Write, inspection: &Inspection) -> io::Result<()> {
        let (count, parameters) = (inspection.tensors.len(), inspection.parameters());
        writeln!(
            out,
            "{}: {}, {}",
            print::line(&inspection.name, SHOWN),
            inspection.format.name(),
            print::bytes(inspection.bytes)
        )?;
        writeln!(out, "{}, {} parameters", print::tensors(count), print::thousands(parameters))?;
        if !inspection.metadata.is_empty() {
            writeln!(out, "\nMetadata")?;
            let shown = |(key, value): &(String, MetadataValue)| {
                [print::line(key, SHOWN), print::line(&value.to_string(), SHOWN)]
            };
            print::table(out, &inspection.metadata.iter().map(shown).collect::<Vec<_>>(), [false; 2])?;
        }
        ports(out, "Inputs", &inspection.inputs)?;
        ports(out, "Outputs", &inspection.outputs)?;
        if !inspection.opsets.is_empty() {
            let sets =
                inspection.opsets.iter().map(|(domain, version)| format!("{} {version}", print::line(domain, SHOWN)));
            writeln!(out, "\nOperators ({})", sets.collect::<Vec<_>>().join(", "))?;
            writeln!(out, "  {}", print::line(&inspection.operators.join(" "), 10 * SHOWN))?;
        }
        types(out, inspection)?;
        if self.tensors && count > 0 {
            writeln!(out, "\nTensors")?;
            print::table(
                out,
                &inspection.tensors.iter().map(row).collect::<Vec<_>>(),
                [false, false, false, true, false],
            )?;
        }
        memory(out, inspection)?;
        let flaw = inspection.flaw.iter().map(|e| format!("invalid: {e:#}"));
        let warnings: Vec<String> = flaw.chain(inspection.warnings.iter().cloned()).collect();
        if !warnings.is_empty() {
            writeln!(out, "\nWarnings")?;
            warnings.iter().try_for_each(|w| writeln!(out, "  - {}", print::line(w, 10 * SHOWN)))?;
        }
        Ok(())
    }
}

fn ports(out: &mut dyn Write, title: &str, ports: &[Port]) -> io::Result<()> {
    if ports.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    let shown = |port: &Port| {
        let optional = if port.optional { "optional" } else { "" };
        [print::line(&port.name, SHOWN), print::line(&port.kind.to_string(), SHOWN), optional.into()]
    };
    print::table(out, &ports.iter().map(shown).collect::<Vec<_>>(), [false; 3])
}

/// How many tensors and bytes there are of each type, the largest share first.
fn by_type(inspection: &Inspection) -> Vec<(&str, usize, u64)> {
    let mut types: Vec<(&str, usize, u64)> = Vec::new();
    for tensor in &inspection.tensors {
        match types.iter_mut().find(|(name, ..)| *name == tensor.element) {
            Some((_, count, bytes)) => (*count, *bytes) = (*count + 1, bytes.saturating_add(tensor.bytes)),
            None => types.push((&tensor.element, 1, tensor.bytes)),
        }
    }
    types.sort_by_key(|(_, _, bytes)| std::cmp::Reverse(*bytes));
    types
}

fn types(out: &mut dyn Write, inspection: &Inspection) -> io::Result<()> {
    let types = by_type(inspection);
    if types.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nTypes")?;
    let shown = |(name, count, bytes): &(&str, usize, u64)| {
        [print::line(name, SHOWN), print::tensors(*count), print::bytes(*bytes)]
    };
    print::table(out, &types.iter().map(shown).collect::<Vec<_>>(), [false, true, true])
}

fn row(tensor: &selvedge::backend::TensorInfo) -> [String; 5] {
    let location = tensor.location.as_deref().unwrap_or_default();
    let shape = format!("{:?}", tensor.shape);
    [
        print::line(&tensor.name, SHOWN),
        tensor.element.clone(),
        shape,
        print::bytes(tensor.bytes),
        print::line(location, SHOWN),
    ]
}

fn memory(out: &mut dyn Write, inspection: &Inspection) -> io::Result<()> {
    let estimates: Vec<_> = inspection.backends.iter().filter_map(|(b, m)| Some((b, m.as_ref().ok()?))).collect();
    if estimates.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nMemory, estimated")?;
    let shown = |(backend, m): &(&selvedge::Backend, &MemoryEstimate)| {
        let part = |n: u64, of: &str| format!("{} {of}", print::bytes(n));
        let (weights, context, scratch) =
            (part(m.weights, "weights"), part(m.context, "context"), part(m.scratch, "scratch"));
        [backend.name().into(), print::bytes(m.total()), "=".into(), weights, context, scratch]
    };
    let rows: Vec<_> = estimates.iter().map(shown).collect();
    print::table(out, &rows, [false, true, false, true, true, true])
}

/// Numbers and booleans as JSON has them; what it has not, a number that is not finite, as text.
fn metadata(value: &MetadataValue) -> Value {
    match value {
        MetadataValue::Bool(b) => json!(b),
        MetadataValue::Integer(n) => match (u64::try_from(*n), i64::try_from(*n)) {
            (Ok(n), _) => json!(n),
            (_, Ok(n)) => json!(n),
            _ => json!(value.to_string()),
        },
        MetadataValue::Real(x) if x.is_finite() => json!(x),
        other => json!(other.to_string()),
    }
}

/// The whole inspection. Bytes, counts and numbers of the metadata are numbers; a port's `type` is as [`Port`] prints it.
pub(crate) fn to_json(inspection: &Inspection) -> Value {
    let ports = |ports: &[Port]| {
        let port = |p: &Port| json!({ "name": p.name, "type": p.kind.to_string(), "optional": p.optional });
        ports.iter().map(port).collect::<Value>()
    };
    let estimate = |estimate: &Result<MemoryEstimate>| match estimate {
        Ok(m) => json!({ "weights": m.weights, "context": m.context, "scratch": m.scratch, "total": m.total() }),
        Err(e) => json!({ "refused": e.to_string(), "code": e.code().name() }),
    };
    let tensor = |t: &selvedge::backend::TensorInfo| {
        let mut value = json!({ "name": t.name, "type": t.element, "shape": t.shape, "bytes": t.bytes });
        if let Some(location) = &t.location {
            value["location"] = json!(location);
        }
        value
    };
    let metadata = inspection.metadata.iter().map(|(k, v)| (k.clone(), metadata(v)));
    let types = by_type(inspection).into_iter();
    json!({
        "name": inspection.name,
        "format": inspection.format.name(),
        "bytes": inspection.bytes,
        "parameters": inspection.parameters(),
        "metadata": metadata.collect::<serde_json::Map<_, _>>(),
        "inputs": ports(&inspection.inputs),
        "outputs": ports(&inspection.outputs),
        "opsets": inspection.opsets.iter().map(|(d, v)| (d.clone(), json!(v))).collect::<serde_json::Map<_, _>>(),
        "operators": inspection.operators,
        "types": types.map(|(name, count, bytes)| json!({ "type": name, "tensors": count, "bytes": bytes }))
            .collect::<Value>(),
        "tensors": inspection.tensors.iter().map(tensor).collect::<Value>(),
        "memory": inspection.backends.iter().map(|(b, m)| (b.name().to_owned(), estimate(m)))
            .collect::<serde_json::Map<_, _>>(),
        "flaw": inspection.flaw.as_ref().map(|e| json!({ "code": e.code().name(), "reason": e.to_string() })),
        "warnings": inspection.warnings,
    })
}
