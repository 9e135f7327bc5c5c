//! Compression of a body.

use std::io::{Read, Write};

use crate::{Error, Result};

/// The compression of a body, as its `Content-Encoding` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// gzip (RFC 1952): every OTLP receiver takes it.
    #[default]
    Gzip,
    /// Zstandard (RFC 8878): the Collector and VictoriaMetrics take it; a little larger than gzip here, for less work.
    Zstd,
}

/// The most that a kept batch unpacks to, whatever its file says: far above what one is made of.
const MAX_DECODED: usize = 32 << 20;

impl Encoding {
    /// The value of the `Content-Encoding` header, none for [`Identity`](Encoding::Identity).
    pub fn header(self) -> Option<&'static str> {
        match self {
            Encoding::Identity => None,
            Encoding::Gzip => Some("gzip"),
            Encoding::Zstd => Some("zstd"),
        }
    }

    /// The same bytes give the same bytes: no time stamp, no file name.
    pub(super) fn encode(self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        if bytes.is_empty() {
            return Ok(bytes);
        }
        match self {
            Encoding::Identity => Ok(bytes),
            Encoding::Gzip => {
                let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                to.write_all(&bytes).and_then(|()| to.finish()).map_err(|e| Error::io("gzip", e))
            }
            Encoding::Zstd => {
                Ok(ruzstd::encoding::compress_to_vec(&bytes[..], ruzstd::encoding::CompressionLevel::Fastest))
            }
        }
    }

    /// What [`encode`](Self::encode) was given.
    pub(super) fn decode(self, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut to = Vec::new();
        let most = MAX_DECODED as u64 + 1;
        match self {
            _ if bytes.is_empty() => {}
            Encoding::Identity => to.extend(bytes),
            Encoding::Gzip => {
                let read = flate2::read::GzDecoder::new(bytes).take(most).read_to_end(&mut to);
                read.map_err(|e| Error::io("gzip", e))?;
            }
            Encoding::Zstd => {
                let broken = |e: &dyn std::fmt::Display| Error::corrupt(format!("zstd: {e}"));
                let from = ruzstd::decoding::StreamingDecoder::new(bytes).map_err(|e| broken(&e))?;
                from.take(most).read_to_end(&mut to).map_err(|e| broken(&e))?;
            }
        }
        if to.len() > MAX_DECODED {
            return Err(Error::corrupt(format!("batch: expected at most {MAX_DECODED} bytes unpacked, got more")));
        }
        Ok(to)
    }

    pub(super) fn number(self) -> u32 {
        match self {
            Encoding::Identity => 0,
            Encoding::Gzip => 1,
            Encoding::Zstd => 2,
        }
    }

    pub(super) fn from_number(number: u32) -> Option<Self> {
        [Encoding::Identity, Encoding::Gzip, Encoding::Zstd].into_iter().find(|e| e.number() == number)
    }
}
