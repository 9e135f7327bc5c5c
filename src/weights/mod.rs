//! Weight files: mapped, checked before anything is believed, and read where they lie.
//!
//! Enters: a [`Source`](crate::Source) of GGUF or safetensors. Leaves: a [`WeightFile`] of typed views that borrow the
//! map. May import: kernel, source, tensor,
//! disk.
//!
//! `gguf` and `safetensors` read headers, in the words of `tensor_type`; `file` joins them; `metadata`, `value` and `tensors` are
//! what is seen of it. `table` reads and searches the rows of one tensor.
//!
//! A file, split or whole, is checked and then read where it lies. A quantized tensor gives f32 or f16, whole, by rows or in
//! tiles; a table of vectors is gathered, pooled and searched without being unpacked:
//!
//! ```rust,no_run
//! use selvedge::Loading;
//! use selvedge::weights::{Pool, Table, WeightFile};
//!
//! let file = WeightFile::open("vectors.gguf", Loading::Mapped)?;
//! let table = Table::new(&file.tensor("token_embd.weight")?)?;
//! let mut pooled = vec![0.0; table.width()];
//! table.pool_into(&[17, 4, 1999], Pool::Mean, true, &mut pooled)?;
//! for hit in table.search(&pooled, 5)? {
//!     println!("row {}: {:.3}", hit.row, hit.score);
//! }
//! # Ok::<(), selvedge::Error>(())
//! ```

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

pub(crate) use file::{Beginning, foreign_format};
pub use file::{FileFormat, WeightFile};
pub use gguf::{GgufData, GgufWriter, ToGguf};
pub use metadata::Metadata;
pub use table::{Hit, Pool, Table};
pub use tensor_type::TensorType;
pub use tensors::TensorEntry;
pub use value::{ArrayRef, ValueRef, ValueType};
