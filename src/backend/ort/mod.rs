//! ONNX files through ONNX Runtime, a C++ library that is loaded at run time.
//!
//! Enters: an [`OnnxModel`] and [`Options`]. Leaves: an [`Engine`] for tensor requests.
//! May import: engine, tensor.
//!
//! The runtime gets bytes that [`onnx`](crate::onnx) has read and checked before, and never a path. One
//! session serves any number of threads at the same time. Inputs and outputs cross without a copy.

mod failure;
mod locate;
mod runtime;
mod session;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::Arc;

use super::budget::check_memory;
use super::interrupt::Interrupt;
use super::model::OnnxModel;
use super::options::{Backend, OpenProgress, Options};
use crate::engine::{
    Abilities, Admitted, Call, Engine, MemoryEstimate, Port, Provenance, Request, Run, Spec, Usage, once,
};
use crate::onnx::{Declared, External, Footprint};
use crate::pack;
use crate::tensor::Bytes;
use crate::{Error, Result, threads};
use runtime::Runtime;
use session::{LoadOptions, Session, Terms};

/// More threads than any machine this is for has cores; a typing error, not a wish.
const MAX_THREADS: u32 = 1024;

/// As much as the main thread has on Linux.
const LOAD_STACK: usize = 8 << 20;

/// Bytes that a session holds beside weights and buffers: itself, for each node, and for each byte of a table of trees.
const SESSION: u64 = 128 << 10;
const NODE: u64 = 9 << 10;
const TABLE: u64 = 4;

/// Opens an ONNX file. See [`open`](crate::open) for the errors.
pub(super) fn open(model: &OnnxModel, options: &Options) -> Result<Arc<dyn Engine>> {
    let packed = model.packed(pack::Runtime::Ort)?;
    let graph = packed.as_ref().map_or(&model.file.bytes, |packed| &packed.graph).clone();
    let len = graph.as_slice().len() as u64;
    expect_a_message(len)?;
    let mut declared = model.declared(packed.as_ref())?;
    let arena_len = packed.as_ref().map_or(0, |packed| packed.arena_len);
    let memory = estimate(&declared, graph.as_slice());
    check_memory(memory, options)?;
    let threads = threads_of(options, memory.total())?;
    let runtime = Runtime::get(options.onnxruntime.as_deref(), options.search_python)?;
    let digest = model.digest(options)?;
    let call = options.call();
    call.check()?;
    options.report(OpenProgress::Load(0.0));
    let mut files = BTreeMap::new();
    if let Some(packed) = packed {
        files = packed.files();
        files.insert(pack::ARENA.into(), packed.arena(&call)?);
    }
    let external = External::open_others(&declared.external, &model.file, options.loading, files)?;
    // What is only used at its place in a file costs no memory. An arena does, so it goes once the runtime has
    // reordered what it needs.
    let borrow = arena_len == 0 && declared.external.iter().all(|tensor| is_aligned(tensor, &external));
    let entries = &*options.session_entries;
    let loading = LoadOptions { threads, external, borrow, entries, cancel: options.cancel.as_ref() };
    let version = format!("ONNX Runtime {}", runtime.version);
    let _in_call = options.enter(&model.file.name, digest, Backend::Ort, &version)?;
    let mut session = load(options, || Session::load(runtime, graph.as_slice(), loading))?;
    options.report(OpenProgress::Load(1.0));
    reconcile(&mut declared, &session)?;
    session.number(names(&declared.inputs)?, names(&declared.outputs)?);
    let mut provenance = Provenance::new(model.file.name.clone(), digest, Backend::Ort.name(), version);
    provenance.version = declared.version;
    let mut spec = Spec::new(provenance);
    spec.abilities = Abilities { tensors: true, interrupt: true, ..Abilities::default() };
    spec.inputs = declared.inputs;
    spec.outputs = declared.outputs;
    spec.metadata = declared.metadata;
    spec.memory = memory;
    spec.choice = model.choice();
    Ok(Arc::new(Onnx { spec, session: Arc::new(session) }))
}

/// Loads on a thread of a name that says whose it is, where there is a crash record: the threads that the runtime starts get
/// the same, and so are known in a death.
fn load(options: &Options, load: impl FnOnce() -> Result<Session> + Send) -> Result<Session> {
    let Some(mark) = options.mark() else { return load() };
    threads::on_stack("selvedge-ort", LOAD_STACK, move || {
        let _in_call = mark.call();
        load()
    })
}

struct Onnx {
    spec: Spec,
    session: Arc<Session>,
}

impl Engine for Onnx {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn start(&self, request: Request, call: Call) -> Result<Box<dyn Run>> {
        call.check()?;
        let Request::Tensors(request) = request else {
            return Err(Error::unsupported("backend ort: expected a tensor request"));
        };
        let Admitted { inputs, outputs, .. } = self.spec.admit(request)?;
        let names: Vec<String> = outputs.iter().map(|i| self.spec.outputs[*i].name.clone()).collect();
        let session = self.session.clone();
        let work = move |call: &Call| {
            let interrupt = Interrupt::watch(call, || Terms::new(session.runtime()))?;
            let terms = interrupt.as_ref().map(Interrupt::terms);
            let ran = session.run(inputs, &outputs, terms).map_err(|e| match &interrupt {
                Some(interrupt) => interrupt.cause(e),
                None => e,
            })?;
            let usage = Usage { prepare: ran.prepare, compute: ran.compute, ..Usage::default() };
            Ok((names.into_iter().zip(ran.outputs).collect(), usage))
        };
        Ok(once(self.spec.provenance.clone(), call, work))
    }
}

/// What [`open`] would estimate, or refuse the file for: a graph and what it declares.
pub(super) fn estimate_of(declared: &Declared, graph: &[u8]) -> Result<MemoryEstimate> {
    expect_a_message(graph.len() as u64)?;
    Ok(estimate(declared, graph))
}

fn expect_a_message(len: u64) -> Result<()> {
    if len > i32::MAX as u64 {
        return Err(Error::unsupported(format!(
            "expected at most 2 GiB, which is the most a message of protocol buffers can have, got {len} bytes: larger \
             models keep their weights in external data"
        )));
    }
    Ok(())
}

/// What an engine holds after its first run, as measured with ONNX Runtime 1.31; see [`Footprint`]
/// for what is counted of the graph. Beside its weights and buffers a session keeps some 9 KiB a node.
///
/// Said and measured on x86-64 with one thread, in MB: MobileNetV2 24.3 and 24.7; MiniLM in f32 97.2 and 94.3; MiniLM with
/// folded 8-bit weights 100.4 and 100.6; YuNet 18.2 and 18.6; Basic Pitch 12.4 and 11.6; PP-OCR's detector 14.6 and 15.9, its
/// classifier 6.0 and 5.9; Magika 7.5 and 7.1; an embedding of sounds 2.7 and 2.9; Silero 1.8 and 2.0; nested maps of 320 by
/// 320 pixels 188.6 and 188.6; products of bytes 14.8 and 13.9; weights dequantized in a run 32.8 and 32.7; products between
/// quantizations 9.2 and 9.1, convolutions 5.1 and 5.1; an encoder of 512 words 26.1 and 26.2.
fn estimate(declared: &Declared, graph: &[u8]) -> MemoryEstimate {
    let footprint = Footprint::of(graph, declared);
    let (nodes, tables) = (footprint.nodes.saturating_mul(NODE), footprint.tables.saturating_mul(TABLE));
    let parts = [SESSION, nodes, tables, footprint.buffers, footprint.arena];
    MemoryEstimate::new(footprint.weights, 0, parts.into_iter().fold(0, u64::saturating_add))
}

/// Whether a kernel can read the tensor where it is. An exporter aligns to pages; a file may do what it likes.
fn is_aligned(tensor: &External, files: &BTreeMap<String, Bytes>) -> bool {
    let base = files.get(&tensor.location).map(|bytes| bytes.as_slice().as_ptr().addr() as u64);
    base.is_some_and(|base| base.wrapping_add(tensor.offset) % Bytes::ALIGN as u64 == 0)
}

/// The threads of a run; `None` for the runtime's default. It waits for ever for a thread that does not start, so it gets no
/// more than the system allows.
fn threads_of(options: &Options, memory: u64) -> Result<Option<i32>> {
    let asked = options.threads_within(MAX_THREADS)?;
    let wanted = asked.map_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get()), |n| n as usize);
    let others = threads::granted("ONNX Runtime", wanted - 1, usize::try_from(memory).unwrap_or(usize::MAX))?;
    Ok(if others + 1 < wanted { Some(others as i32 + 1) } else { asked.map(|n| n as i32) })
}

fn names(ports: &[Port]) -> Result<Vec<CString>> {
    let name = |port: &Port| {
        let name = port.name.as_str();
        CString::new(name).map_err(|_| Error::corrupt(format!("name '{}': expected no NUL", name.escape_debug())))
    };
    ports.iter().map(name).collect()
}

/// Takes the inputs as the runtime reads them: those it needs, and those whose default a caller may replace (none,
/// before IR version 4). The rest are constants of the file. What the runtime alone sees was never checked.
fn reconcile(declared: &mut Declared, session: &Session) -> Result<()> {
    let (required, optional) = session.input_names()?;
    declared.inputs.retain_mut(|port| {
        port.optional = optional.contains(&port.name);
        port.optional || required.contains(&port.name)
    });
    let ours = |ports: &[Port], name: &String| ports.iter().any(|port| port.name == *name);
    let outputs = session.output_names()?;
    let stray = required.iter().find(|name| !ours(&declared.inputs, name));
    let stray = stray.or_else(|| outputs.iter().find(|name| !ours(&declared.outputs, name)));
    let lost = declared.outputs.iter().map(|port| &port.name).find(|name| !outputs.contains(name));
    match stray.or(lost) {
        Some(name) => {
            Err(Error::corrupt(format!("ONNX Runtime reads the file in another way: it differs in '{name}'")))
        }
        None => Ok(()),
    }
}
