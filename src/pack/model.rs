//! A model that is being packed, and the data of its tensors wherever they are.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::onnx::{Graph, TensorHead};
use crate::tensor::Bytes;
use crate::{Error, Result};

/// A model that is being packed.
pub(super) struct Model<'a> {
    pub bytes: &'a [u8],
    pub name: &'a str,
    /// Bytes of all of it, external data too.
    pub before: u64,
    pub graph: Graph<'a>,
    /// The files of its external data by location.
    pub external: BTreeMap<String, Bytes>,
    /// How many tensors have external data.
    pub outside: usize,
}

impl<'a> Model<'a> {
    /// The weights of a tensor of f32, wherever they are.
    pub(super) fn data(&self, tensor: &TensorHead<'a>) -> Result<Cow<'_, [u8]>> {
        if !tensor.is_external {
            return tensor.f32_bytes().ok_or_else(|| {
                Error::corrupt(format!(
                    "tensor '{}': expected {:?} of f32, its data falls short",
                    tensor.name, tensor.dims
                ))
            });
        }
        self.outside_data(tensor).map(Into::into)
    }

    /// The bytes of a tensor whose data is in another file.
    pub(super) fn outside_data(&self, tensor: &TensorHead<'a>) -> Result<&[u8]> {
        let missing = || Error::corrupt(format!("external data of '{}' is not there", tensor.name));
        let place = tensor.external(tensor.check()?)?.ok_or_else(missing)?;
        let file = self.external.get(&place.location).ok_or_else(missing)?;
        let range = usize::try_from(place.offset).ok().zip(usize::try_from(place.length).ok());
        let (offset, length) = range.ok_or_else(missing)?;
        file.as_slice().get(offset..).and_then(|rest| rest.get(..length)).ok_or_else(missing)
    }
}
