//! safetensors files.

use super::Inspection;
use crate::backend::{Format, Model, Options};
use crate::weights::WeightFile;

/// Where numbers begin at a multiple of this, every runtime can read them in place.
const ALIGNED: u64 = 8;

pub(super) fn inspect(model: &Model, file: &WeightFile, options: &Options) -> Inspection {
    let mut told = Inspection::of_weights(model, Format::Safetensors, file);
    told.backends.extend(super::static_embedding(model, file, options));
    if file.tensors().any(|tensor| !tensor.place().start.is_multiple_of(ALIGNED)) {
        told.warn(format!("it has tensors that do not begin at a multiple of {ALIGNED} bytes: runtimes may copy them"));
    }
    told
}
