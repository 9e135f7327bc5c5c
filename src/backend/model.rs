//! Opened models as runtimes get them: read, checked and hashed once, whichever runtime is tried.

use std::cell::{OnceCell, RefCell};

use super::options::{OpenProgress, Options};
use crate::digest::Digest;
use crate::onnx::{self, Declared};
use crate::pack::{Packed, Runtime, Weights};
use crate::source::OpenedFile;
use crate::{Error, Result};

/// An ONNX model that was opened.
pub(super) struct OnnxModel {
    pub(super) file: OpenedFile,
    /// The weight file, if the model is packed.
    weights: Option<Weights>,
    /// What the graph declares, if the model is not packed.
    declared: OnceCell<Declared>,
    digest: OnceCell<Digest>,
    /// Why it goes to the runtime that it goes to.
    choice: RefCell<Option<String>>,
}

impl OnnxModel {
    /// Opens what lies beside the model. See [`Weights::open`] for the errors.
    pub(super) fn open(file: OpenedFile, options: &Options) -> Result<Self> {
        let call = options.call();
        let progress = |done, total| options.report(OpenProgress::Digest(done, total));
        let weights = Weights::open(&file, options.loading, || call.check(), progress)?;
        Ok(Self { file, weights, declared: OnceCell::new(), digest: OnceCell::new(), choice: RefCell::default() })
    }

    /// Says why it goes to the runtime that it goes to next.
    pub(super) fn choose(&self, why: impl Into<String>) {
        *self.choice.borrow_mut() = Some(why.into());
    }

    pub(super) fn choice(&self) -> Option<String> {
        self.choice.borrow().clone()
    }

    /// Whether the graph itself has one of these operators; a packed model's is not looked at.
    pub(super) fn uses_any(&self, operators: &[&str]) -> Result<bool> {
        if self.weights.is_some() {
            return Ok(false);
        }
        let declared = self.declared(None)?;
        Ok(operators.iter().any(|op| declared.operators.contains(*op)))
    }

    /// The model for `runtime`, if it is packed.
    pub(super) fn packed(&self, runtime: Runtime) -> Result<Option<Packed>> {
        self.weights.as_ref().map(|weights| Packed::with(weights, &self.file, runtime)).transpose()
    }

    /// What the graph that `packed` gave declares, else the model's own.
    pub(super) fn declared(&self, packed: Option<&Packed>) -> Result<Declared> {
        let declared = match (packed, self.declared.get()) {
            (Some(packed), _) => onnx::read(packed.graph.as_slice())?,
            (None, Some(declared)) => declared.clone(),
            (None, None) => {
                let declared = onnx::read(self.file.bytes.as_slice())?;
                self.declared.get_or_init(|| declared).clone()
            }
        };
        declared.refuse_blocks()?;
        Ok(declared)
    }

    /// The digest of the file, held against [`Options::digest`].
    pub(super) fn digest(&self, options: &Options) -> Result<Digest> {
        if let Some(digest) = self.digest.get() {
            return Ok(*digest);
        }
        let digest = digest(&self.file, [], options)?;
        Ok(*self.digest.get_or_init(|| digest))
    }
}

/// The digest of a model's file, and then of its further ones, held against [`Options::digest`]; honours
/// [`Options::cancel`] and reports to [`Options::progress`].
pub(super) fn digest<'a>(
    file: &'a OpenedFile,
    further: impl IntoIterator<Item = &'a [u8]>,
    options: &Options,
) -> Result<Digest> {
    let call = options.call();
    let parts = std::iter::once(file.bytes.as_slice()).chain(further);
    let progress = |done, total| options.report(OpenProgress::Digest(done, total));
    let got = Digest::of_parts(parts, || call.check(), progress)?;
    match options.digest {
        Some(expected) if expected != got => {
            Err(Error::corrupt(format!("model '{}': expected SHA-256 {expected}, got {got}", file.name)))
        }
        _ => Ok(got),
    }
}
