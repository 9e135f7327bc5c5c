//! Native side: the only way to llama.cpp.

pub(super) mod context;
pub(super) mod file;
pub(super) mod model;
pub(super) mod splitter;
mod terminate;
