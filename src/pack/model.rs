//! A model that is being packed, and the data of its tensors wherever they are.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::kernel::{BlockFormat, dequantize_into};
use crate::onnx::{FLOAT16, Graph, TensorHead, element_name};
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
    /// The weights of a tensor of f32 or f16 in f32, little-endian, wherever they are.
    pub(super) fn data(&self, tensor: &TensorHead<'a>) -> Result<Cow<'_, [u8]>> {
        let data = match tensor.is_external {
            true => self.outside_data(tensor)?.into(),
            false => tensor.float_bytes().ok_or_else(|| {
                let (name, dims, element) = (tensor.name, &tensor.dims, element_name(tensor.element));
                Error::corrupt(format!("tensor '{name}': expected {dims:?} of {element}, its data falls short"))
            })?,
        };
        if tensor.element != FLOAT16 {
            return Ok(data);
        }
        let mut wide = vec![0.0f32; data.len() / 2];
        dequantize_into(BlockFormat::F16, &data, &mut wide)
            .map_err(|e| e.during(format!("widening tensor '{}'", tensor.name)))?;
        Ok(Cow::Owned(wide.iter().flat_map(|w| w.to_le_bytes()).collect()))
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
