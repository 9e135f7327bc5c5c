//! Outputs into memory of the caller's.

#![expect(unsafe_code, reason = "follows the pointers in the caller's structs")]

use selvedge::{Answer, Code, DType, Error, Result, Tensor};

use crate::abi::*;
use crate::memory::{self, InOut, Room, invalid};
use crate::request::{check_flags, dtype};

/// Where the caller wants outputs. Rank and length are zero until an output is known.
pub(crate) struct Outputs {
    structs: InOut<selvedge_output>,
    places: Vec<Place>,
}

/// One output: its name, the dtype that it must have, and the room for it.
struct Place {
    name: String,
    dtype: Option<DType>,
    data: Room<u8>,
    dims: Room<i64>,
}

impl Outputs {
    /// # Safety
    ///
    /// As of [`InOut::cleared`], and the pointers within are as the header asks.
    pub(crate) unsafe fn read(place: *mut selvedge_output, count: usize) -> Result<Self> {
        let clear = |output: &mut selvedge_output| (output.rank, output.byte_len) = (0, 0);
        // SAFETY: the caller vouches for it, here and below.
        let structs = unsafe { InOut::cleared("outputs", place, count, clear) }?;
        // SAFETY: as above.
        let places = structs.values.iter().map(|output| unsafe { Place::read(output) }).collect::<Result<_>>()?;
        Ok(Self { structs, places })
    }

    /// Their names, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        self.places.iter().map(|place| place.name.clone()).collect()
    }

    /// Writes the outputs of an answer. Where one does not fit, all say what they need and none is written.
    pub(crate) fn fill(&mut self, answer: &Answer) -> Result<()> {
        let tensors = self.places.iter().map(|place| place.tensor(answer)).collect::<Result<Vec<_>>>()?;
        for (output, (tensor, bytes)) in self.structs.values.iter_mut().zip(&tensors) {
            (output.dtype, output.rank, output.byte_len) = (tensor.dtype() as i32, tensor.shape().rank(), bytes.len());
        }
        self.structs.write();
        for (place, (tensor, bytes)) in self.places.iter().zip(&tensors) {
            place.check_room(tensor, bytes)?;
        }
        for (place, (tensor, bytes)) in self.places.iter().zip(&tensors) {
            place.data.write(bytes);
            // A shape's product is at most isize::MAX, and so is each dimension.
            place.dims.write(&tensor.shape().iter().map(|d| *d as i64).collect::<Vec<_>>());
        }
        Ok(())
    }
}

impl Place {
    /// # Safety
    ///
    /// The pointers are as the header asks.
    unsafe fn read(output: &selvedge_output) -> Result<Self> {
        check_flags("selvedge_output.flags", output.flags, 0)?;
        // SAFETY: the caller vouches for it, here and below.
        let name = unsafe { memory::name("selvedge_output.name", output.name.data, output.name.len) }?.to_owned();
        let dtype = (output.dtype != SELVEDGE_DTYPE_UNSET).then(|| dtype(output.dtype)).transpose()?;
        // SAFETY: as above.
        let data = unsafe { Room::of_bytes("selvedge_output.data", output.data.cast(), output.capacity) }?;
        // SAFETY: as above.
        let dims = unsafe { Room::of_values("selvedge_output.dims", output.dims, output.dim_capacity) }?;
        Ok(Self { name, dtype, data, dims })
    }

    /// The output that it is for, and its bytes.
    fn tensor<'a>(&self, answer: &'a Answer) -> Result<(&'a Tensor, &'a [u8])> {
        let (name, tensor) = (&self.name, answer.output(&self.name)?);
        let got = tensor.dtype();
        if got == DType::String {
            let message = format!("output '{name}': strings are not put into the caller's memory: ask for an answer");
            return Err(Error::new(Code::Unsupported, message));
        }
        match self.dtype {
            Some(expected) if expected != got => {
                Err(invalid(format!("output '{name}': expected {expected}, got {got}")))
            }
            _ => Ok((tensor, tensor.bytes()?)),
        }
    }

    fn check_room(&self, tensor: &Tensor, bytes: &[u8]) -> Result<()> {
        let check = |what: &str, needed: usize, capacity: usize| {
            if needed <= capacity {
                return Ok(());
            }
            let name = &self.name;
            Err(invalid(format!("output '{name}': expected room for {needed} {what}, got {capacity}")))
        };
        check("bytes", bytes.len(), self.data.capacity)?;
        check("dimensions", tensor.shape().rank(), self.dims.capacity)
    }
}
