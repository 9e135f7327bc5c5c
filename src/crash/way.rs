//! The way in which an engine computes.

use std::fmt;

/// A way of computing: what must differ from the one that died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// Name of the backend.
    pub(crate) backend: &'static str,
    /// 0 for as many as the runtime takes.
    pub(crate) threads: u32,
    pub(crate) is_mapped: bool,
    /// Layers are computed on a GPU.
    pub(crate) is_accelerated: bool,
}

impl Way {
    /// How it has its file and computes: a bit for each.
    pub(super) fn bits(self) -> u8 {
        u8::from(self.is_mapped) | u8::from(self.is_accelerated) << 1
    }

    pub(super) fn of(backend: &'static str, threads: u32, bits: u8) -> Self {
        Self { backend, threads, is_mapped: bits & 1 != 0, is_accelerated: bits & 2 != 0 }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.threads {
            0 => f.write_str("its threads as they are")?,
            1 => f.write_str("one thread")?,
            n => write!(f, "{n} threads")?,
        }
        f.write_str(if self.is_mapped { ", mapped" } else { ", read whole" })?;
        f.write_str(if self.is_accelerated { ", accelerated" } else { "" })
    }
}
