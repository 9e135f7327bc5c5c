//! Sessions of the crate `ort` as engines, for apps that open their models with it.
//!
//! Enters: a session. Leaves: an [`Engine`] for tensor requests. May import: engine, tensor.
//!
//! Inputs are read where they are; outputs are copied.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use half::{bf16, f16};
use ort::session::{RunOptions, Session, SessionInputValue};
use ort::value::{DynValue, PrimitiveTensorElementType, TensorElementType, TensorRef, ValueType};

use super::interrupt::{Interrupt, Terminate};
use crate::engine::{
    Abilities, Admitted, Call, Computed, Dim, Engine, Kind, Port, Provenance, Request, Run, Spec, Usage, once,
};
use crate::threads::unpoisoned;
use crate::{Code, DType, Digest, Element, Error, Result, Shape, Tensor};

/// An engine over a session that the app opened with the crate `ort`.
///
/// A session runs one request at a time, so that calls wait for each other; a waiting one heeds its cancel switch and its
/// deadline too. Outputs are computed all, and those that were not asked for are dropped. The dimensions of a scalar are
/// unknown to [`Spec`], as `ort` does not tell it from a tensor of any rank; ONNX Runtime checks them.
///
/// ```no_run
/// use selvedge::backend::OrtEngine;
/// use selvedge::{Ask, Tensor, Tensors};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let environment = ort::init().build()?;
/// let session = ort::session::Session::builder(&environment)?.commit_from_file("rain.onnx")?;
/// let engine = OrtEngine::new(session)?.name("rain");
/// let answer = engine.run(Tensors::from([("weather", Tensor::new(&[1, 4], vec![0f32, 12.8, 5.0, 4.7])?)]))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct OrtEngine {
    spec: Spec,
    turn: Arc<Turn>,
}

impl OrtEngine {
    /// An engine over `session`. It is named after the model's graph and has no digest until they are given.
    ///
    /// # Errors
    ///
    /// The code of ONNX Runtime's failure if it does not give the model's metadata.
    pub fn new(session: Session) -> Result<Self> {
        let spec = spec(&session)?;
        Ok(Self { spec, turn: Arc::new(Turn { session: Mutex::new(Some(session)), free: Condvar::new() }) })
    }

    /// Names the model, in [`Provenance::model`].
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.spec.provenance).model = name.into();
        self
    }

    /// Gives the SHA-256 of the model file, for [`Provenance::digest`]. It is believed; without it the digest is all zero,
    /// which says that it was not given.
    #[must_use]
    pub fn digest(mut self, digest: Digest) -> Self {
        Arc::make_mut(&mut self.spec.provenance).digest = digest;
        self
    }
}

impl Engine for OrtEngine {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn start(&self, request: Request, call: Call) -> Result<Box<dyn Run>> {
        call.check()?;
        let Request::Tensors(request) = request else {
            return Err(Error::unsupported("backend ort_interop: expected a tensor request"));
        };
        let Admitted { inputs, outputs, .. } = self.spec.admit(request)?;
        let name = |port: &Port| port.name.clone();
        let inputs = self.spec.inputs.iter().map(name).zip(inputs).filter_map(|(name, tensor)| Some((name, tensor?)));
        let inputs: Vec<(String, Tensor)> = inputs.collect();
        let outputs: Vec<String> = outputs.into_iter().map(|i| name(&self.spec.outputs[i])).collect();
        let turn = Arc::clone(&self.turn);
        Ok(once(self.spec.provenance.clone(), call, move |call| run(&turn, inputs, outputs, call)))
    }
}

/// The name in [`Provenance::backend`].
const NAME: &str = "ort_interop";

fn spec(session: &Session) -> Result<Spec> {
    let about = session.metadata().map_err(failure)?;
    let set = |text: Option<String>| text.filter(|text| !text.is_empty());
    let mut metadata = BTreeMap::new();
    for key in about.custom_keys().map_err(failure)? {
        if let Some(value) = about.custom(&key) {
            metadata.insert(key, value);
        }
    }
    let own = [("producer", about.producer()), ("domain", about.domain()), ("graph", about.name())];
    metadata.extend(own.into_iter().filter_map(|(key, value)| Some((key.to_string(), set(value)?))));
    let name = set(about.name()).unwrap_or_else(|| "onnx".into());
    let mut provenance = Provenance::new(name, Digest::default(), NAME, runtime(ort::info()));
    // What a file does not set is one of these.
    provenance.version = about.version().filter(|n| ![0, i64::MAX].contains(n)).map(|n| n.to_string());
    let mut spec = Spec::new(provenance);
    spec.abilities = Abilities { tensors: true, interrupt: true, ..Abilities::default() };
    spec.inputs = session.inputs().iter().map(|input| port(input.name(), input.dtype())).collect();
    let optional = session.overridable_initializers();
    spec.inputs.extend(optional.iter().map(|input| Port { optional: true, ..port(input.name(), input.dtype()) }));
    spec.outputs = session.outputs().iter().map(|output| port(output.name(), output.dtype())).collect();
    spec.metadata = metadata;
    Ok(spec)
}

/// The runtime with its version, where its description of the build names a release, else with its commit.
fn runtime(build: &str) -> String {
    let after = |key: &str| build.split(key).nth(1).and_then(|rest| rest.split(',').next()).map(str::trim);
    match (after("git-branch=rel-"), after("git-commit-id=")) {
        (Some(version), _) => format!("ONNX Runtime {version}"),
        (None, Some(commit)) => format!("ONNX Runtime of commit {commit}"),
        (None, None) => "ONNX Runtime".into(),
    }
}

fn port(name: &str, of: &ValueType) -> Port {
    let kind = match of {
        ValueType::Tensor { ty, shape, dimension_symbols } => match dtype(*ty) {
            Some(dtype) => {
                let symbols = dimension_symbols.iter().map(String::as_str).chain(std::iter::repeat(""));
                let dims: Vec<Dim> = shape.iter().zip(symbols).map(|(n, symbol)| dim(*n, symbol)).collect();
                Kind::Tensor { dtype, shape: Some(dims).filter(|dims| !dims.is_empty()) }
            }
            None => Kind::Other(of.to_string()),
        },
        other => Kind::Other(other.to_string()),
    };
    Port { kind, ..Port::tensor(name, DType::F32, vec![]) }
}

fn dim(n: i64, symbol: &str) -> Dim {
    match usize::try_from(n) {
        Ok(n) => Dim::Fixed(n),
        // The runtime numbers what the file has no name for.
        Err(_) if symbol.is_empty() || symbol.starts_with("unk__") => Dim::Any,
        Err(_) => Dim::Symbol(symbol.into()),
    }
}

fn dtype(of: TensorElementType) -> Option<DType> {
    Some(match of {
        TensorElementType::Float32 => DType::F32,
        TensorElementType::Float16 => DType::F16,
        TensorElementType::Bfloat16 => DType::BF16,
        TensorElementType::Float64 => DType::F64,
        TensorElementType::Int8 => DType::I8,
        TensorElementType::Int16 => DType::I16,
        TensorElementType::Int32 => DType::I32,
        TensorElementType::Int64 => DType::I64,
        TensorElementType::Uint8 => DType::U8,
        TensorElementType::Uint16 => DType::U16,
        TensorElementType::Uint32 => DType::U32,
        TensorElementType::Uint64 => DType::U64,
        TensorElementType::Bool => DType::Bool,
        TensorElementType::String => DType::String,
        _ => return None,
    })
}

fn run(turn: &Turn, inputs: Vec<(String, Tensor)>, outputs: Vec<String>, call: &Call) -> Result<Computed> {
    let begun = Instant::now();
    let inputs = inputs.into_iter().map(|(name, tensor)| Ok((name, aligned(tensor)?))).collect::<Result<Vec<_>>>()?;
    let mut values = Vec::with_capacity(inputs.len());
    for (name, tensor) in &inputs {
        let value = input(tensor).map_err(|e| e.during(format!("giving input '{name}'")))?;
        values.push((name.as_str(), value));
    }
    let prepared = Instant::now();
    let mut session = turn.take(call)?;
    let taken = Instant::now();
    let interrupt = Interrupt::watch(call, || RunOptions::new().map_err(failure))?;
    let ran = match &interrupt {
        Some(interrupt) => session.get()?.run_with_options(values, interrupt.terms()),
        None => session.get()?.run(values),
    };
    let ran = ran.map_err(failure).map_err(|e| match &interrupt {
        Some(interrupt) => interrupt.cause(e),
        None => e,
    })?;
    let computed = Instant::now();
    let mut tensors = Vec::with_capacity(outputs.len());
    for name in outputs {
        let value = ran.get(&name).ok_or_else(|| Error::backend("ONNX Runtime gave no value"));
        let tensor = value.and_then(output).map_err(|e| e.during(format!("reading output '{name}'")))?;
        tensors.push((name, tensor));
    }
    let (queued, prepare, compute) = (taken - prepared, prepared - begun, computed - taken);
    Ok((tensors, Usage { queued, prepare, compute, ..Usage::default() }))
}

impl Terminate for RunOptions {
    fn terminate(&self) {
        if let Err(error) = RunOptions::terminate(self) {
            tracing::error!("ending a run: {error}");
        }
    }
}

/// The tensor, copied if its elements cannot be read where they are.
fn aligned(tensor: Tensor) -> Result<Tensor> {
    match tensor.dtype().size() {
        Some(size) if tensor.bytes()?.as_ptr().addr() % size != 0 => {
            Tensor::copy_from(tensor.dtype(), tensor.shape().clone(), tensor.bytes()?)
        }
        _ => Ok(tensor),
    }
}

fn input(tensor: &Tensor) -> Result<SessionInputValue<'_>> {
    match tensor.dtype() {
        DType::F32 => view::<f32>(tensor),
        DType::F16 => view::<f16>(tensor),
        DType::BF16 => view::<bf16>(tensor),
        DType::F64 => view::<f64>(tensor),
        DType::I8 => view::<i8>(tensor),
        DType::I16 => view::<i16>(tensor),
        DType::I32 => view::<i32>(tensor),
        DType::I64 => view::<i64>(tensor),
        DType::U8 => view::<u8>(tensor),
        DType::U16 => view::<u16>(tensor),
        DType::U32 => view::<u32>(tensor),
        DType::U64 => view::<u64>(tensor),
        DType::Bool => view::<bool>(tensor),
        DType::String => strings(tensor),
    }
}

fn view<T: Element + PrimitiveTensorElementType + fmt::Debug>(tensor: &Tensor) -> Result<SessionInputValue<'_>> {
    let value = TensorRef::from_array_view((tensor.shape().to_vec(), tensor.as_slice::<T>()?)).map_err(failure)?;
    Ok(value.into())
}

fn strings(tensor: &Tensor) -> Result<SessionInputValue<'_>> {
    let texts = tensor.as_strings()?;
    if texts.iter().any(|text| text.contains('\0')) {
        return Err(Error::unsupported("the crate ort takes no text with NUL"));
    }
    let value = ort::value::Tensor::from_string_array((tensor.shape().to_vec(), texts)).map_err(failure)?;
    Ok(value.into())
}

fn output(value: &DynValue) -> Result<Tensor> {
    let kind = value.dtype();
    let dtype = match kind {
        ValueType::Tensor { ty, .. } => dtype(*ty),
        _ => None,
    };
    let Some(dtype) = dtype else {
        return Err(Error::unsupported(format!("expected a tensor of a dtype that Selvedge has, got {kind}")));
    };
    match dtype {
        DType::F32 => copy::<f32>(value),
        DType::F16 => copy::<f16>(value),
        DType::BF16 => copy::<bf16>(value),
        DType::F64 => copy::<f64>(value),
        DType::I8 => copy::<i8>(value),
        DType::I16 => copy::<i16>(value),
        DType::I32 => copy::<i32>(value),
        DType::I64 => copy::<i64>(value),
        DType::U8 => copy::<u8>(value),
        DType::U16 => copy::<u16>(value),
        DType::U32 => copy::<u32>(value),
        DType::U64 => copy::<u64>(value),
        DType::Bool => copy::<bool>(value),
        DType::String => {
            let (dims, texts) = value.try_extract_strings().map_err(failure)?;
            Tensor::strings(&shape(dims)?, texts)
        }
    }
}

fn copy<T: Element + PrimitiveTensorElementType>(value: &DynValue) -> Result<Tensor> {
    let (dims, elements) = value.try_extract_tensor::<T>().map_err(failure)?;
    Tensor::copy_from(T::DTYPE, shape(dims)?, bytemuck::cast_slice(elements))
}

fn shape(dims: &[i64]) -> Result<Shape> {
    let dims: Option<Vec<usize>> = dims.iter().map(|n| usize::try_from(*n).ok()).collect();
    Shape::new(&dims.ok_or_else(|| Error::backend("ONNX Runtime gave a negative dimension"))?)
}

fn failure(error: ort::Error) -> Error {
    use ort::ErrorCode;
    let no_memory = ["Failed to allocate memory", "std::bad_alloc", "bad allocation"];
    let code = match error.code() {
        ErrorCode::InvalidArgument => Code::InvalidArgument,
        ErrorCode::NoSuchFile | ErrorCode::NotFound => Code::NotFound,
        ErrorCode::NoModel | ErrorCode::InvalidProtobuf | ErrorCode::InvalidGraph => Code::Corrupt,
        ErrorCode::NotImplemented | ErrorCode::CompilationRequired => Code::Unsupported,
        ErrorCode::GenericFailure | ErrorCode::RuntimeException
            if no_memory.iter().any(|words| error.message().contains(words)) =>
        {
            Code::OutOfMemory
        }
        _ => Code::Backend,
    };
    Error::new(code, format!("ONNX Runtime: {}", error.message()))
}

/// The session, while no run has it: the crate's sessions are run by one thread at a time.
struct Turn {
    session: Mutex<Option<Session>>,
    free: Condvar,
}

/// How long a waiting call sleeps until it looks at its cancel switch and its deadline.
const LOOK: Duration = Duration::from_millis(5);

impl Turn {
    fn take(&self, call: &Call) -> Result<Taken<'_>> {
        let mut waiting = unpoisoned(self.session.lock());
        loop {
            if let Some(session) = waiting.take() {
                return Ok(Taken { session: Some(session), turn: self });
            }
            call.check()?;
            (waiting, _) = unpoisoned(self.free.wait_timeout(waiting, LOOK));
        }
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Turn")
    }
}

/// The session of one run, given back when dropped.
struct Taken<'a> {
    session: Option<Session>,
    turn: &'a Turn,
}

impl Taken<'_> {
    fn get(&mut self) -> Result<&mut Session> {
        self.session.as_mut().ok_or_else(|| Error::internal("a session was given back twice"))
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *unpoisoned(self.turn.session.lock()) = self.session.take();
        self.turn.free.notify_one();
    }
}
