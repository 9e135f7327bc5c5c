//! ONNX models through rten, a small runtime in pure Rust.
//!
//! Enters: an opened file. Leaves: an [`Engine`] for tensor requests. May import: engine, tensor.
//!
//! The file is read in full by `onnx` first. `loaded` hands it to rten: where a model keeps its weights beside itself, rten
//! reads them where they are mapped; weights inside of the file are copied once. `defaults` writes out what a file may leave
//! out. `operators` is the list of what rten has: a model with others is `Unsupported`, by their names. One plan serves inputs of
//! any shape. Values cross in `convert`: f32, i32, i8 and u8 without a copy on the way in, and all without one on the way out but
//! for those that change their type. `pools` has the threads, and everything that rten does runs inside `contain`, so that a
//! panic of it becomes an error.
//!
//! What rten computes in another type than the file says: i64 and bool in i32, f16 and f64 in f32. So an i64 that does not
//! fit 32 bits is refused where it can be seen, in an input and among the weights; one that a run computes wraps. Ports of
//! f64, i16, u16, u32, u64, bf16 and strings are `Unsupported`.
//!
//! **A run under way is not ended**: rten has no place between two operators where it could be. Cancel and deadline are looked
//! at before a run and once it is over, when its answer gives way to `Cancelled` or `DeadlineExceeded`; the abilities say so
//! (`interrupt` is false). **Memory that a run asks for is not bounded** but by the estimate: rten's own words are that a model,
//! even a malicious one, cannot cause undefined behaviour, and that neither its time nor its memory is limited.
//!
//! **Answers that would be wrong.** The ONNX backend suite found rten to answer some operators otherwise than ONNX says, without
//! an error. `operators` and `loaded` refuse them, so that the model goes to another runtime: ArgMax, ArgMin,
//! NonMaxSuppression, SequenceErase and Sign; Resize by cubic curves, `auto_pad` SAME_LOWER, a padded ConvInteger with a zero
//! point, MatMul of several matrices by a vector. On x86-64 without VNNI, `sums` refuses products of 8-bit weights, but those
//! of 7 bits: rten adds them up in 16 bits there, which overflow.
//!
//! What stands for and against it, beside the default, which tract stays: it passes two fifths more of the node suite, bounds what a
//! model may take, ends a run under way, asks for an older compiler, and is faster
//! at pictures and about as fast at texts. Who counts megabytes or minutes
//! takes rten, by one word.
//!
//! | | rten 0.27.0 | tract 0.23.9 | by |
//! |---|---|---|---|
//! | node suite, opset ≤ 24 | 807 of 1388 | 1134 | `cargo test --features rten --test onnx rten` |
//! | node suite, all | 907 of 1765 | 1249 | the same |
//! | pytorch-converted, pytorch-operator, simple | 56 of 82, 27 of 35, 8 of 23 | 79, 35, 7 | the same |
//! | its own words on safety | no undefined behaviour, whatever the model | none | rten's guide on security |
//! | memory of a run | not bounded | bounded for every value | |
//! | cancel under way | no | between operators | |
//! | a new shape | costs nothing | may cost a plan | |
//! | the C library as it ships, compressed | 8.1 MB, 3.6 | 22.5, 7.7 | `ffi/sizes rten tract` |
//! | a call over ONNX Runtime's: MiniLM, in int8, MobileNetV2 | 1.16, 1.04, 3.4 | 1.19, 1.07, 2.2 | `--bench runtimes` |
//! | PP-OCR detection, recognition, YuNet, Magika | 2.1, 1.8, 4.9, 1.2 | 1.5, 1.1, 2.9, 1.2 | the same |
//! | opening, ms: MiniLM, in int8, MobileNetV2, YuNet | 109, 67, 38, 3 | 237, 51, 136, 55 | the same |
//!
//! `cargo bench -p selvedge-benches --features rten,tract,ort --bench runtimes`, on one thread of an AMD EPYC with AVX2 alone, at rest.
//! In int8, MiniLM takes 86 MB of weights in rten and ONNX Runtime, which make numbers of them, and 22 in tract.

mod contain;
mod convert;
mod defaults;
mod loaded;
mod operators;
mod pools;
mod run;
mod sums;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use self::loaded::{Loaded, OnnxFile};
use self::pools::Pools;
use super::budget::{check_memory, machine_memory};
use super::model::OnnxModel;
use super::options::{Backend, OpenProgress, Options};
use crate::engine::{Abilities, Call, Engine, Kind, MemoryEstimate, Port, Provenance, Request, Run, Spec, Trim, once};
use crate::onnx::{Declared, External, Footprint, Graph};
use crate::pack;
use crate::source::trim_heap;
use crate::threads::unpoisoned;
use crate::{Code, Error, Result, Tensor};

/// The version that Cargo.toml pins.
const RUNTIME: &str = "rten 0.27.0";
/// More threads than any machine this is for has cores; a typing error, not a wish.
const MAX_THREADS: u32 = 1024;
/// rten plans by recursion, one level for each operator of the longest path.
const MAX_NODES: usize = 20_000;
/// Taken to be what rten holds for each node beside its weights, in bytes.
const NODE: u64 = 2 << 10;
/// Models with other inputs left at their defaults that are kept.
const MAX_VARIANTS: usize = 4;

/// Opens an ONNX model with rten.
///
/// # Errors
///
/// `Unsupported`, with the names, for operators and types that rten has not; `Corrupt`, `OutOfMemory` and `Cancelled` as
/// [`open`](crate::open) says; `Panic` if rten panicked.
pub(super) fn open(model: &OnnxModel, options: &Options) -> Result<Arc<dyn Engine>> {
    let bounds = options.call();
    let packed = model.packed(pack::Runtime::Rten)?;
    let graph = packed.as_ref().map_or(&model.file.bytes, |packed| &packed.graph).clone();
    let declared = model.declared(packed.as_ref())?;
    let memory = estimate_of(&declared, graph.as_slice())?;
    check_memory(memory, options)?;
    within_machine(memory)?;
    let digest = model.digest(options)?;
    let _in_call = options.enter(&model.file.name, digest, Backend::Rten, RUNTIME)?;
    bounds.check()?;
    options.report(OpenProgress::Load(0.0));
    let mut files = BTreeMap::new();
    if let Some(packed) = packed {
        files = packed.files();
        files.insert(pack::ARENA.into(), packed.arena(&bounds)?);
    }
    let external = External::open_others(&declared.external, &model.file, options.loading, files)?;
    bounds.check()?;
    let file = OnnxFile { bytes: graph, external, nodes: declared.nodes };
    let ports = [declared.inputs.len(), declared.outputs.len()];
    let required: Vec<bool> = declared.inputs.iter().map(|port| !port.optional).collect();
    let loaded = Arc::new(file.load(&declared.inputs, &required, ports[1])?);
    bounds.check()?;

    let mut provenance = Provenance::new(model.file.name.clone(), digest, Backend::Rten.name(), RUNTIME);
    provenance.version = declared.version;
    let mut spec = Spec::new(provenance);
    spec.abilities = Abilities { tensors: true, ..Abilities::default() };
    spec.inputs = declared.inputs;
    spec.outputs = declared.outputs;
    spec.memory = memory;
    spec.choice = model.choice();
    spec.metadata = declared.metadata;
    let pools = Pools::new(options.threads_within(MAX_THREADS)?.unwrap_or(1))?;
    // Only what may be loaded once more needs the file again.
    let file = required.contains(&false).then_some(file);
    options.report(OpenProgress::Load(1.0));
    Ok(Arc::new(Rten(Arc::new(Model { spec, loaded, pools, file, variants: Mutex::default() }))))
}

/// What [`open`] would estimate, or refuse the file for.
pub(super) fn estimate_of(declared: &Declared, graph: &[u8]) -> Result<MemoryEstimate> {
    if declared.nodes > MAX_NODES {
        let got = declared.nodes;
        return Err(Error::unsupported(format!("rten plans at most {MAX_NODES} operators, the model has {got}")));
    }
    let read = Graph::read(graph)?;
    operators::check(declared, &read)?;
    if sums::may_saturate() {
        sums::check(declared, &read)?;
    }
    for (what, ports) in [("input", &declared.inputs), ("output", &declared.outputs)] {
        ports.iter().try_for_each(|port| has_type(what, port))?;
    }
    Ok(estimate(declared, graph))
}

fn has_type(what: &str, Port { name, kind, .. }: &Port) -> Result<()> {
    match kind {
        Kind::Tensor { dtype, .. } if convert::is_known(*dtype) => Ok(()),
        Kind::Tensor { dtype, .. } => Err(Error::unsupported(format!("{what} '{name}': rten has no {dtype}"))),
        other => Err(Error::unsupported(format!("{what} '{name}': rten takes tensors, and no {other}"))),
    }
}

/// Weights as rten holds them, and the buffers of a run. Weights in files beside the model, which rten reads where they are
/// mapped, count all the same: their pages are the process's.
fn estimate(declared: &Declared, graph: &[u8]) -> MemoryEstimate {
    let footprint = Footprint::of(graph, declared);
    let nodes = footprint.nodes.saturating_mul(NODE);
    let buffers = footprint.buffers.saturating_add(footprint.arena);
    MemoryEstimate::new(footprint.weights, 0, buffers.saturating_add(nodes))
}

/// Refuses what the machine cannot hold: an allocation that fails ends the process.
fn within_machine(memory: MemoryEstimate) -> Result<()> {
    match machine_memory() {
        Some(have) if memory.total() > have => {
            let need = memory.total();
            Err(Error::new(Code::OutOfMemory, format!("needs about {need} bytes, the machine has {have}")))
        }
        _ => Ok(()),
    }
}

/// What every run of an engine shares.
struct Model {
    spec: Spec,
    /// With all defaults of inputs in place.
    loaded: Arc<Loaded>,
    pools: Pools,
    /// What to load it from once more, if inputs have defaults.
    file: Option<OnnxFile>,
    /// The model with some inputs given that have a default, by which inputs are given.
    variants: Mutex<Vec<Variant>>,
}

type Variant = (Vec<bool>, Arc<Loaded>);

impl Model {
    /// The model that takes these inputs, loaded now if it is another one.
    fn with(&self, inputs: &[Option<Tensor>]) -> Result<Arc<Loaded>> {
        let Some(file) = &self.file else { return Ok(self.loaded.clone()) };
        let given: Vec<bool> = inputs.iter().map(Option::is_some).collect();
        let defaults = self.spec.inputs.iter().zip(&given).all(|(port, given)| port.optional != *given);
        if defaults {
            return Ok(self.loaded.clone());
        }
        let mut variants = unpoisoned(self.variants.lock());
        if let Some((_, loaded)) = variants.iter().find(|(known, _)| *known == given) {
            return Ok(loaded.clone());
        }
        let loaded = Arc::new(file.load(&self.spec.inputs, &given, self.spec.outputs.len())?);
        if variants.len() == MAX_VARIANTS {
            variants.remove(0);
        }
        variants.push((given, loaded.clone()));
        Ok(loaded)
    }
}

struct Rten(Arc<Model>);

impl Engine for Rten {
    fn spec(&self) -> &Spec {
        &self.0.spec
    }

    fn start(&self, request: Request, call: Call) -> Result<Box<dyn Run>> {
        call.check()?;
        let Request::Tensors(request) = request else {
            return Err(Error::unsupported("backend rten: expected a tensor request"));
        };
        let admitted = self.0.spec.admit(request)?;
        let model = self.0.clone();
        Ok(once(self.0.spec.provenance.clone(), call, move |call| run::compute(&model, admitted, call)))
    }

    fn trim(&self, level: Trim) -> Result<u64> {
        self.0.pools.trim();
        if level != Trim::Caches {
            unpoisoned(self.0.variants.lock()).clear();
        }
        trim_heap();
        Ok(0)
    }
}
