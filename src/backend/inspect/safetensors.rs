//! safetensors files.

use super::Inspection;
use crate::backend::format::Format;
use crate::backend::options::Options;
use crate::source::OpenedFile;
use crate::weights::{TensorEntry, WeightFile};

pub(super) fn inspect(model: &OpenedFile, file: &WeightFile, options: &Options) -> Inspection {
    let mut inspection = Inspection::of_weights(model, Format::Safetensors, file);
    inspection.backends.extend(super::static_embedding(model, file, options));
    let odd = |t: &TensorEntry<'_>| {
        let size = t.tensor_type().block_bytes();
        !t.bytes().is_empty() && size.is_some_and(|n| !t.place().start.is_multiple_of(n))
    };
    if let Some(tensor) = file.tensors().find(odd) {
        let name = tensor.name();
        inspection
            .warn(format!("tensor '{name}' does not begin at a multiple of its elements' size: runtimes may copy it"));
    }
    inspection
}
