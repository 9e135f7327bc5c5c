//! File formats of models, by content.

use crate::weights::{Beginning, foreign_format};
use crate::{Error, Result, onnx};

/// The format of a model file, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// GGUF, of llama.cpp and its kin.
    Gguf,
    /// ONNX.
    Onnx,
    /// safetensors, or the index of several.
    Safetensors,
}

impl Format {
    /// Its name: `GGUF`, `ONNX`, `safetensors`.
    pub const fn name(self) -> &'static str {
        match self {
            Format::Gguf => "GGUF",
            Format::Onnx => "ONNX",
            Format::Safetensors => "safetensors",
        }
    }

    pub(super) fn probe(bytes: &[u8]) -> Result<Self> {
        let foreign =
            |what: &str| Err(Error::unsupported(format!("expected a GGUF, ONNX or safetensors file, got {what}")));
        if let Some(what) = foreign_format(bytes) {
            return foreign(what);
        }
        if onnx::looks_like_onnx(bytes) {
            return Ok(Format::Onnx);
        }
        match Beginning::of(bytes) {
            Beginning::Empty => Err(Error::corrupt("expected a GGUF, ONNX or safetensors file, got an empty one")),
            Beginning::Gguf => Ok(Format::Gguf),
            Beginning::BigEndianGguf => foreign("a big-endian GGUF file"),
            Beginning::Safetensors | Beginning::Index => Ok(Format::Safetensors),
            Beginning::Other => {
                let first = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
                foreign(&format!("one that begins like none of them: {first}"))
            }
        }
    }
}
