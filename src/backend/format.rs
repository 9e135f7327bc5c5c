//! File formats of models, by content.

use crate::weights::Beginning;
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
        match bytes {
            [b'l', b'm', b'g', b'g', ..] | [b't', b'j', b'g', b'g', ..] | [b'f', b'm', b'g', b'g', ..] => {
                foreign("a GGML file from before GGUF")
            }
            [b'P', b'K', 3, 4, ..] => foreign("a ZIP archive"),
            [_, _, _, _, b'O', b'R', b'T', b'M', ..] => foreign("an ORT FlatBuffer file"),
            [_, _, _, _, b'T', b'F', b'L', b'3', ..] => foreign("a TensorFlow Lite file"),
            _ if onnx::looks_like_onnx(bytes) => Ok(Format::Onnx),
            _ => match Beginning::of(bytes) {
                Beginning::Empty => Err(Error::corrupt("expected a GGUF, ONNX or safetensors file, got an empty one")),
                Beginning::Gguf => Ok(Format::Gguf),
                Beginning::BigEndianGguf => foreign("a big-endian GGUF file"),
                Beginning::Safetensors | Beginning::Index => Ok(Format::Safetensors),
                Beginning::Other => {
                    let first = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
                    foreign(&format!("one that begins like none of them: {first}"))
                }
            },
        }
    }
}
