//! GGUF files.

use super::Inspection;
use crate::backend::format::Format;
use crate::backend::options::{Backend, Options};
use crate::engine::MemoryEstimate;
use crate::source::OpenedFile;
use crate::weights::WeightFile;
use crate::{Error, Result};

/// llama.cpp uses weights in place only where this many bytes divide their place in the file.
const ALIGNED: u64 = 32;

pub(super) fn inspect(model: &OpenedFile, file: &WeightFile, options: &Options) -> Inspection {
    let mut inspection = Inspection::of_weights(model, Format::Gguf, file);
    inspection.backends.extend(super::static_embedding(model, file, options));
    if inspection.backends.is_empty() {
        match no_model(file) {
            Ok(()) => inspection.backends.extend(llama(file, options)),
            Err(e) => inspection.flaw = Some(e),
        }
    }
    if !file.tensors().all(|tensor| tensor.place().start.is_multiple_of(ALIGNED)) {
        inspection.warn(format!("its tensors are not aligned to {ALIGNED} bytes, so llama.cpp reads them into memory"));
    }
    inspection
}

/// Adapters, projectors and vocabularies are well-formed files; what opens a model has no use for them.
fn no_model(file: &WeightFile) -> Result<()> {
    match file.metadata().text("general.type")? {
        Some(kind) if kind != "model" => {
            Err(Error::unsupported(format!("expected a model, got a GGUF file of type '{kind}'")))
        }
        _ => Ok(()),
    }
}

#[cfg(feature = "llama")]
fn llama(file: &WeightFile, options: &Options) -> Option<(Backend, Result<MemoryEstimate>)> {
    Some((Backend::Llama, crate::backend::llama::estimate_of(file, options)))
}

#[cfg(not(feature = "llama"))]
fn llama(_: &WeightFile, _: &Options) -> Option<(Backend, Result<MemoryEstimate>)> {
    None
}
