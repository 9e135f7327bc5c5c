//! Measurement: the runtime that is fastest at an ONNX model on this machine, found out once and kept in a folder.
//!
//! A file `SHA256-THREADS.json` for each model and number of threads (0: the runtime's own), at most 64 KiB:
//!
//! ```json
//! {"here": {"selvedge": "0.1.0", "kernel": "avx2", "cores": 2, "runtimes": ["tract", "rten", "ort"]},
//!  "figures": [{"backend": "tract", "runtime": "tract 0.23.9", "nanoseconds": 1840000},
//!              {"backend": "rten", "why_not": "rten has no operator Det"}]}
//! ```
//!
//! One that was made elsewhere, that cannot be read, or whose fastest runtime is of another version now, is made again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::super::model::OnnxModel;
use super::super::options::{Backend, Options};
use super::marked::Marked;
use super::open_with;
use crate::disk::{self, Folder, create_folders};
use crate::engine::{Ask, Dim, Engine, Kind, Spec};
use crate::{Code, Error, Result, Tensor, Tensors, kernel, onnx};

/// Calls that are measured, after one that is not.
const MAX_CALLS: u32 = 5;
/// No call begins once those before have taken this long together.
const ENOUGH: Duration = Duration::from_millis(500);
/// A call that takes longer is given up, where the runtime can be interrupted.
const MAX_CALL: Duration = Duration::from_secs(10);
/// Bytes of made-up inputs.
const MAX_INPUTS: u64 = 256 << 20;
const MAX_FILE: u64 = 64 << 10;

/// What was measured of a model.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Measured {
    here: Circumstances,
    figures: Vec<Figure>,
}

/// What figures depend on, but for the versions of the runtimes.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Circumstances {
    selvedge: String,
    kernel: String,
    cores: usize,
    /// In the order in which they are asked.
    runtimes: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Figure {
    backend: String,
    /// The runtime with its version, if it has opened the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    runtime: Option<String>,
    /// The fastest call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nanoseconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why_not: Option<String>,
    /// Whether that is so of these options or for a while, and no reason to pass the runtime over next time.
    #[serde(skip)]
    passes: bool,
}

/// Opens the model with the runtime of `order` that is fastest at it, measured now or before; `None` if no figure could be had.
///
/// # Errors
///
/// `Cancelled`. What keeps a runtime from being measured keeps it from being chosen, and is told in the choice.
pub(super) fn fastest(
    order: &[Backend],
    model: &OnnxModel,
    options: &Options,
    folder: &Path,
) -> Result<Option<Arc<dyn Engine>>> {
    let name = format!("{}-{}.json", model.digest(options)?, options.threads.unwrap_or(0));
    let here = Circumstances::here(order);
    if let Some(kept) = read(&folder.join(&name)).filter(|kept| kept.here == here)
        && let Some(engine) = kept.open(order, model, options)?
    {
        return Ok(Some(engine));
    }
    let figures = order.iter().map(|backend| figure(*backend, model, options)).collect::<Result<_>>()?;
    let measured = Measured { here, figures };
    let engine = measured.open(order, model, options)?;
    // A model that runs is worth more than the figures, which the next open measures again.
    if engine.is_some()
        && !measured.figures.iter().any(|figure| figure.passes)
        && let Err(e) = write(folder, &name, &measured)
    {
        tracing::warn!("measurements: '{}' is measured again next time: {e:#}", model.file.name);
    }
    Ok(engine)
}

impl Circumstances {
    fn here(order: &[Backend]) -> Self {
        Self {
            selvedge: env!("CARGO_PKG_VERSION").into(),
            kernel: kernel::active().name().into(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            runtimes: order.iter().map(|backend| backend.name().into()).collect(),
        }
    }
}

impl Measured {
    /// Opens the model with the fastest; `None` if that is not the runtime that was measured, or does not take it now.
    fn open(&self, order: &[Backend], model: &OnnxModel, options: &Options) -> Result<Option<Arc<dyn Engine>>> {
        let Some(fastest) = self.figures.iter().filter(|f| f.nanoseconds.is_some()).min_by_key(|f| f.nanoseconds)
        else {
            return Ok(None);
        };
        let Some(backend) = order.iter().find(|backend| backend.name() == fastest.backend) else { return Ok(None) };
        model.choose(self.words(fastest));
        match open_with(*backend, model, options) {
            Ok(engine) if fastest.runtime.as_ref() == Some(&engine.spec().provenance.runtime) => Ok(Some(engine)),
            Ok(_) => Ok(None),
            Err(e) if e.code() == Code::Cancelled => Err(e),
            Err(e) => {
                tracing::info!("measurements: {} was the fastest at '{}': {e:#}", fastest.backend, model.file.name);
                Ok(None)
            }
        }
    }

    /// Such as `rten: 1.84 ms a call was measured; tract 4.40 ms; ort: ONNX Runtime was not found`.
    fn words(&self, fastest: &Figure) -> String {
        let time = |figure: &Figure| format!("{:.2} ms", figure.nanoseconds.unwrap_or(0) as f64 / 1e6);
        let mut words = format!("{}: {} a call was measured", fastest.backend, time(fastest));
        for other in self.figures.iter().filter(|other| other.backend != fastest.backend) {
            let figure = other.nanoseconds.map(|_| time(other));
            words += &match (figure, &other.why_not) {
                (Some(time), _) => format!("; {} {time}", other.backend),
                (None, why_not) => format!("; {}: {}", other.backend, why_not.as_deref().unwrap_or("not measured")),
            };
        }
        words
    }
}

/// What a runtime takes for the model, or why that cannot be said.
fn figure(backend: Backend, model: &OnnxModel, options: &Options) -> Result<Figure> {
    let mut figure =
        Figure { backend: backend.name().into(), runtime: None, nanoseconds: None, why_not: None, passes: false };
    let measured = open_with(backend, model, options).and_then(|engine| {
        figure.runtime = Some(engine.spec().provenance.runtime.clone());
        // A death by one of these calls is one by this runtime, as every other is.
        let engine = match options.mark() {
            Some(mark) => Arc::new(Marked::new(engine, mark, None)),
            None => engine,
        };
        fastest_call(&*engine, options)
    });
    match measured {
        Ok(time) => figure.nanoseconds = Some(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)),
        Err(e) if e.code() == Code::Cancelled => return Err(e),
        Err(e) => {
            figure.passes = matches!(e.code(), Code::OutOfMemory | Code::Quarantined);
            figure.why_not = Some(e.message().chars().take(600).collect());
        }
    }
    Ok(figure)
}

/// The fastest of a few calls: whatever else the machine does makes others slower, and none faster.
fn fastest_call(engine: &dyn Engine, options: &Options) -> Result<Duration> {
    let inputs = made_up(engine.spec())?;
    let call = || {
        let begin = Instant::now();
        engine.run_with(inputs.clone(), options.call().timeout(MAX_CALL)).map(|_| begin.elapsed())
    };
    // What is done once is done here.
    call()?;
    let (mut fastest, mut took) = (Duration::MAX, Duration::ZERO);
    for _ in 0..MAX_CALLS {
        let time = call()?;
        fastest = fastest.min(time);
        took += time;
        if took >= ENOUGH {
            break;
        }
    }
    Ok(fastest)
}

/// Zeros for all inputs that a call must have, as long as an estimate takes them to be where the file leaves that open.
fn made_up(spec: &Spec) -> Result<Tensors> {
    let (mut symbols, mut bytes) = (HashMap::<&str, u64>::new(), 0_u64);
    let mut inputs = Vec::new();
    for port in spec.inputs.iter().filter(|port| !port.optional) {
        let Kind::Tensor { dtype, shape: Some(dims) } = &port.kind else {
            return Err(Error::unsupported(format!("input {port}: no tensor of a known rank, so none is made up")));
        };
        let mut sizes = onnx::assumed(dims);
        for (size, dim) in sizes.iter_mut().zip(dims) {
            if let Dim::Symbol(name) = dim {
                *size = *symbols.entry(name).or_insert(*size);
            }
        }
        let of_element = dtype.size().unwrap_or(1) as u64;
        bytes = sizes.iter().fold(of_element, |n, size| n.saturating_mul(*size)).saturating_add(bytes);
        if bytes > MAX_INPUTS {
            return Err(Error::unsupported(format!("inputs of more than {MAX_INPUTS} bytes are not made up")));
        }
        let sizes: Vec<usize> = sizes.into_iter().map(|size| usize::try_from(size).unwrap_or(usize::MAX)).collect();
        inputs.push((port.name.clone(), Tensor::zeros(*dtype, &sizes)?));
    }
    Ok(Tensors::new(inputs))
}

fn read(path: &Path) -> Option<Measured> {
    serde_json::from_slice(&disk::read(path, MAX_FILE).ok()?).ok()
}

/// Puts the file into the folder; where another open writes there, it is left to that.
fn write(folder: &Path, name: &str, measured: &Measured) -> Result<()> {
    let path = folder.display();
    create_folders(folder).map_err(|e| Error::io(&path, e))?;
    let mut disk = Folder::new(PathBuf::from(folder));
    let _lock = disk::lock(&disk.at("lock"), || format!("{path}: another open writes there"))?;
    let text = serde_json::to_vec(measured).map_err(|e| Error::internal("measurements as JSON").because(e))?;
    disk::replace(&mut disk, name, "part", &text).map_err(|e| Error::io(folder.join(name).display(), e))
}
