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
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.threads {
            0 => f.write_str("its threads as they are")?,
            1 => f.write_str("one thread")?,
            n => write!(f, "{n} threads")?,
        }
        f.write_str(if self.is_mapped { ", mapped" } else { ", read whole" })
    }
}
