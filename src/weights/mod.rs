//! Weight files: mapped, checked before anything is believed, and read where they lie.
//!
//! Enters: a [`Source`](crate::Source) of GGUF or safetensors. Leaves: a [`WeightFile`] of typed views that borrow the
//! map. May import: kernel, source, tensor,
//! disk.
//!
//! `gguf` and `safetensors` read headers, in the words of `tensor_type`; `file` joins them; `metadata`, `value` and `tensors` are
//! what is seen of it. `table` reads and searches the rows of one tensor.

mod file;
mod gguf;
#[cfg(any(test, feature = "experimental"))]
mod layers;
mod metadata;
mod safetensors;
mod table;
mod tensor_type;
mod tensors;
#[cfg(test)]
pub(crate) mod tests;
mod value;

pub(crate) use file::Beginning;
pub use file::{FileFormat, WeightFile};
pub use gguf::{GgufData, GgufWriter, ToGguf};
pub use metadata::Metadata;
pub use table::{Hit, Pool, Table};
pub use tensor_type::TensorType;
pub use tensors::TensorEntry;
pub use value::{ArrayRef, ValueRef, ValueType};
