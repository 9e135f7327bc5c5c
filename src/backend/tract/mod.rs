//! ONNX models through tract, in pure Rust: the default backend.
//!
//! Enters: an opened file. Leaves: an [`Engine`] for tensor requests. May import: engine, tensor, kernel.
//!
//! The file is read in full by `onnx` first, then changed in memory into what tract reads best (`file`,
//! `weights`, `byte_weights`), with operators of ours where tract's do harm or are slow (`ops`; products of 8-bit integers), and
//! planned: at open if its shapes are fixed, else when the first inputs of a shape come (`plan_cache`, `plan`,
//! `constants`). Everything that tract does runs inside `contain`, so a panic of tract's on a hostile model
//! becomes an error. Values cross in `convert`: in with one copy, out with none.
//!
//! Half-precision models are computed in f32, and rounded to half precision only at the outputs, where
//! the CPU has no f16 arithmetic; bf16 models always are. State is by value: a model's state outputs are
//! fed back by the caller. Cancel and deadline end a run between two operators.

mod byte_weights;
mod constants;
mod contain;
mod convert;
mod file;
mod guards;
mod ops;
mod plan;
mod plan_cache;
mod run;
#[cfg(test)]
mod tests;
mod weights;

use std::sync::Arc;

use tract_onnx::prelude::multithread::Executor;

use self::file::OnnxFile;
use self::plan::Planner;
use self::plan_cache::PlanCache;
use super::budget::{check_memory, machine_memory};
use super::model::OnnxModel;
use super::options::{Backend, OpenProgress, Options};
use crate::engine::{
    Abilities, Call, Dim, Engine, Kind, MemoryEstimate, Port, Provenance, Request, Run, Spec, Trim, once,
};
use crate::onnx::{Declared, External, Footprint};
use crate::pack::{self, Packed};
use crate::source::trim_heap;
use crate::{Code, Error, Result, threads};

/// The version that Cargo.toml pins.
const RUNTIME: &str = "tract 0.23.9";
/// More threads than any machine this is for has cores; a typing error, not a wish.
const MAX_THREADS: u32 = 1024;
/// tract's time for planning grows with the square of their number: these take several seconds.
const MAX_NODES: usize = 20_000;

/// Opens an ONNX model with tract.
///
/// # Errors
///
/// `Unsupported`, with the names, for operators that tract has not; `Corrupt`, `OutOfMemory`
/// and `Cancelled` as [`open`](crate::open) says; `Panic` if tract panicked.
pub(super) fn open(model: &OnnxModel, options: &Options) -> Result<Arc<dyn Engine>> {
    let model = load(model, options, convert::native_half())?;
    Ok(Arc::new(Tract(Arc::new(model))))
}

fn load(model: &OnnxModel, options: &Options, native_half: bool) -> Result<Model> {
    let bounds = options.call();
    let packed = model.packed(pack::Runtime::Tract)?;
    let graph = packed.as_ref().map_or(&model.file.bytes, |packed| &packed.graph).clone();
    let declared = model.declared(packed.as_ref())?;
    let memory = check(&declared, graph.as_slice(), native_half)?;
    check_memory(memory, options)?;
    let digest = model.digest(options)?;
    let _in_call = options.enter(&model.file.name, digest, Backend::Tract, RUNTIME)?;
    options.report(OpenProgress::Load(0.0));
    let in_files = |tensor: &&External| packed.is_none() || tensor.location != pack::ARENA;
    let in_files: Vec<External> = declared.external.iter().filter(in_files).cloned().collect();
    let files = packed.as_ref().map(Packed::files).unwrap_or_default();
    let external = External::open_others(&in_files, &model.file, options.loading, files)?;
    bounds.check()?;

    let mut provenance = Provenance::new(model.file.name.clone(), digest, "tract", RUNTIME);
    provenance.version = declared.version;
    let mut spec = Spec::new(provenance);
    spec.inputs = declared.inputs;
    spec.outputs = declared.outputs;
    spec.abilities = Abilities { tensors: true, interrupt: true, ..Abilities::default() };
    spec.memory = memory;
    spec.choice = model.choice();
    spec.metadata = declared.metadata;

    let planner = Planner {
        file: OnnxFile { bytes: graph, external, packed, native_half },
        inputs: spec.inputs.clone(),
        executor: executor(options.threads_within(MAX_THREADS)?)?,
        largest: options.memory_limit.or_else(machine_memory).unwrap_or(16 << 30),
    };
    let plans = PlanCache::new(planner, declared.operators.contains("If"));
    plans.prove(options.loading == crate::Loading::Read)?;
    bounds.check()?;
    options.report(OpenProgress::Load(1.0));
    Ok(Model { spec, plans })
}

/// What [`open`] would estimate, or refuse the file for.
pub(super) fn estimate_of(declared: &Declared, graph: &[u8]) -> Result<MemoryEstimate> {
    check(declared, graph, convert::native_half())
}

fn check(declared: &Declared, graph: &[u8], native_half: bool) -> Result<MemoryEstimate> {
    if declared.nodes > MAX_NODES {
        let got = declared.nodes;
        return Err(Error::unsupported(format!("tract plans at most {MAX_NODES} operators, the model has {got}")));
    }
    ops::check(declared)?;
    Ok(estimate(declared, graph, native_half))
}

/// What every run of an engine shares.
struct Model {
    spec: Spec,
    plans: PlanCache,
}

struct Tract(Arc<Model>);

impl Engine for Tract {
    fn spec(&self) -> &Spec {
        &self.0.spec
    }

    fn start(&self, request: Request, call: Call) -> Result<Box<dyn Run>> {
        call.check()?;
        let request = match request {
            Request::Tensors(request) => request,
            Request::Generate(_) => return Err(Error::unsupported("an ONNX model under tract does not generate text")),
            Request::Embed(_) => return Err(Error::unsupported("an ONNX model under tract does not embed text")),
            Request::Score(_) => return Err(Error::unsupported("an ONNX model under tract does not score text")),
            Request::Rerank(_) => return Err(Error::unsupported("an ONNX model under tract does not rerank text")),
        };
        let admitted = self.0.spec.admit(request)?;
        let model = self.0.clone();
        Ok(once(self.0.spec.provenance.clone(), call, move |call| run::compute(&model, admitted, call)))
    }

    fn trim(&self, level: Trim) -> Result<u64> {
        let freed = self.0.plans.trim(level);
        trim_heap();
        Ok(freed)
    }
}

/// The weights are there twice while a plan is made: as the file has them, and packed for the CPU, where 8-bit weights
/// that are dequantized have become f32. Beside them, the buffers of a run, or the ports where those are more.
fn estimate(declared: &Declared, graph: &[u8], native_half: bool) -> MemoryEstimate {
    let footprint = Footprint::of(graph, declared);
    let widened = if declared.half && !native_half { 2 } else { 1 };
    let weights = declared.weight_bytes.saturating_mul(widened);
    let packed = weights.saturating_add(footprint.dequantized.saturating_mul(3));
    let ports = declared.inputs.iter().chain(&declared.outputs).map(port_bytes).fold(0u64, u64::saturating_add);
    MemoryEstimate::new(weights, 0, packed.saturating_add(ports.max(footprint.buffers)))
}

/// Bytes of a port whose shape is fixed, else 0.
fn port_bytes(port: &Port) -> u64 {
    let Kind::Tensor { dtype, shape: Some(dims) } = &port.kind else { return 0 };
    dims.iter().fold(dtype.size().unwrap_or(0) as u64, |bytes, dim| match dim {
        Dim::Fixed(n) => bytes.saturating_mul(*n as u64),
        _ => 0,
    })
}

/// Who multiplies matrices: this thread, or a pool of the engine's own.
fn executor(threads: Option<u32>) -> Result<Executor> {
    match threads {
        None | Some(1) => Ok(Executor::SingleThread),
        Some(n) => {
            let n = threads::granted("tract", n as usize, 0)?;
            contain::contained(|| Ok(Executor::multithread_with_name(n, "selvedge-tract")))
                .map_err(|fault| fault.into_error(Code::Backend, "starting its threads"))
        }
    }
}
