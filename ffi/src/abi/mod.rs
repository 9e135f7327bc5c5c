//! Types and numbers of `include/selvedge/*.h`, under their C names. `tests/abi/header.rs` compares
//! the two.

#![expect(non_camel_case_types, reason = "the names are the header's")]
#![expect(missing_docs, reason = "the header documents them")]

use selvedge::Code;

/// `SELVEDGE_ABI_MAJOR` and `SELVEDGE_ABI_MINOR`.
pub const SELVEDGE_ABI: (u16, u16) = (1, 0);

#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct selvedge_status(pub i32);

pub const SELVEDGE_OK: selvedge_status = selvedge_status(0);

impl From<Code> for selvedge_status {
    fn from(code: Code) -> Self {
        selvedge_status(code as i32)
    }
}

macro_rules! handles {
    ($($name:ident)*) => {$(
        /// A handle: a number as a pointer, never dereferenced.
        #[repr(C)]
        pub struct $name {
            _opaque: [u8; 0],
        }
    )*};
}

macro_rules! numbers {
    ($($name:ident = $value:expr;)*) => {$(pub const $name: i32 = $value;)*};
}

macro_rules! structs {
    ($($name:ident { $($field:ident: $kind:ty,)* })*) => {$(
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name {
            $(pub $field: $kind,)*
        }
    )*};
}

mod base;
mod crash;
mod deployment;
mod engine;
mod layers;
mod monitor;
mod pack;
mod profile;
mod store;
mod sync;
mod telemetry;
mod weights;

pub use base::*;
pub use crash::*;
pub use deployment::*;
pub use engine::*;
pub use layers::*;
pub use monitor::*;
pub use pack::*;
pub use profile::*;
pub use store::*;
pub use sync::*;
pub use telemetry::*;
pub use weights::*;
