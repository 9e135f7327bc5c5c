//! Case: a folder with a model and the inputs and outputs that belong together.

use std::error::Error as _;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use prost::Message;
use selvedge::{Ask, Backend, Engine, Error, Options, Tensor, Tensors};

use crate::compare::compare;
use crate::outcome::{Outcome, Verdict};
use crate::proto::{Graph, Model, TensorProto};

pub(crate) struct Case {
    /// `suite/name`.
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) model: Model,
}

impl Case {
    pub(crate) fn read(suite: &str, folder: PathBuf) -> Result<Self, String> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        Ok(Self { name: format!("{suite}/{name}"), model: decode(&folder.join("model.onnx"))?, folder })
    }

    pub(crate) fn suite(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }
}

/// Opens the model in `folder` with `backend`, runs its data sets and compares.
pub(crate) fn run(folder: &Path, backend: Backend) -> Outcome {
    let judged = match decode(&folder.join("model.onnx")) {
        Ok(model) => judge(folder, &model, backend),
        Err(e) => Err((Verdict::Unreadable, e)),
    };
    match judged {
        Ok(()) => Outcome::new(Verdict::Pass, ""),
        Err((verdict, detail)) => Outcome::new(verdict, &detail),
    }
}

type Failure = (Verdict, String);

fn judge(case: &Path, model: &Model, backend: Backend) -> Result<(), Failure> {
    let graph = model.graph.as_ref().ok_or((Verdict::Unreadable, "no graph".into()))?;
    let opened = selvedge::open(case.join("model.onnx"), Options::new().backend(backend).threads(1));
    if let Some(what) = graph.input.iter().chain(&graph.output).find_map(|v| v.inexpressible()) {
        return Err(refused(opened.map(|e| e.run(Tensors::default()).is_ok()), what));
    }
    let engine = opened.map_err(|e| (Verdict::OpenFailed, words(&e)))?;
    for set in 0.. {
        let folder = case.join(format!("test_data_set_{set}"));
        if !folder.is_dir() {
            return if set > 0 { Ok(()) } else { Err((Verdict::Unreadable, "no test data".into())) };
        }
        answer(&folder, graph, &*engine)?;
    }
    Ok(())
}

/// A model that takes or gives what no tensor can carry: whatever the backend does, it must not answer a
/// request that lacks it.
fn refused(answered: selvedge::Result<bool>, what: &str) -> Failure {
    match answered {
        Ok(true) => (Verdict::Mismatch, format!("answered without {what}")),
        _ => (Verdict::Inexpressible, what.into()),
    }
}

fn answer(folder: &Path, graph: &Graph, engine: &dyn Engine) -> Result<(), Failure> {
    let unreadable = |e| (Verdict::Unreadable, e);
    // As in the suite's own runner: initializers are no inputs, even where old models declare them as such.
    let ports = graph.input.iter().filter(|port| graph.initializer.iter().all(|i| i.name != port.name));
    let inputs = tensors(folder, "input").map_err(unreadable)?;
    let expected = tensors(folder, "output").map_err(unreadable)?;
    let request = Tensors::new(ports.map(|port| port.name.clone()).zip(inputs));
    let answer = engine.run(request).map_err(|e| (Verdict::RunFailed, words(&e)))?;
    for (port, expected) in graph.output.iter().zip(&expected) {
        let got = answer.output(&port.name).map_err(|e| (Verdict::RunFailed, words(&e)))?;
        compare(got, expected).map_err(|e| (Verdict::Mismatch, format!("output '{}': {e}", port.name)))?;
    }
    Ok(())
}

/// `{prefix}_0.pb`, `{prefix}_1.pb`, … as long as there are any.
fn tensors(folder: &Path, prefix: &str) -> Result<Vec<Tensor>, String> {
    (0..)
        .map(|i| folder.join(format!("{prefix}_{i}.pb")))
        .take_while(|path| path.exists())
        .map(|path| decode::<TensorProto>(&path)?.tensor().map_err(|e| format!("{}: {e}", path.display())))
        .collect()
}

fn decode<M: Message + Default>(path: &Path) -> Result<M, String> {
    let bytes = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    M::decode(&*bytes).map_err(|e| format!("{}: {e}", path.display()))
}

/// The code, the message and every error underneath.
fn words(error: &Error) -> String {
    let mut text = format!("{}: {error}", error.code().name());
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, " <- {error}");
        cause = error.source();
    }
    text
}
